// The parts of the AssemblyScript compiler and of Binaryen that the build uses, with types of their own: the packages'
// declarations are ten thousand lines of ambient enums that `isolatedModules` can't use.

import * as compilerModule from "assemblyscript"
import * as asc from "assemblyscript/asc"
import binaryenModule from "assemblyscript/binaryen"

export interface Source {
  readonly normalizedPath: string
  readonly internalPath: string
  readonly text: string
  readonly statements: readonly Statement[]
  readonly isLibrary: boolean
  /** 1-based; `columnAt` answers for the position asked last. */
  lineAt(position: number): number
  columnAt(): number
}

export interface Range {
  readonly start: number
  readonly end: number
  readonly source: Source
}

interface Identifier {
  readonly text: string
  readonly range: Range
}

export interface TypeNode {
  readonly kind: number
  readonly range: Range
  readonly isNullable: boolean
  /** Of a named type. */
  readonly name?: { readonly identifier: Identifier }
}

/** A statement; which fields are there depends on `kind`. */
export interface Statement {
  readonly kind: number
  readonly range: Range
  readonly flags: number
  readonly name: Identifier
  readonly declarations: readonly (Statement & { readonly foreignName: Identifier })[] | null
  /** Of `import * as name`. */
  readonly namespaceName: Identifier | null
  readonly signature: { readonly parameters: readonly { readonly range: Range }[]; readonly returnType: TypeNode }
  readonly extendsType: TypeNode | null
  readonly members: readonly (Statement & { readonly localName: Identifier; readonly exportedName: Identifier })[] | null
  readonly path: { readonly value: string; readonly range: Range } | null
  readonly internalPath: string | null
  readonly typeParameters: readonly unknown[] | null
}

export interface Message {
  readonly message: string
  readonly range: Range | null
  readonly relatedRange: Range | null
}

export interface Program {
  readonly sources: readonly Source[]
  readonly elementsByName: ReadonlyMap<string, { readonly type?: { readonly isManaged: boolean } }>
}

type Options = { readonly options: never }
type CompiledModule = { readonly module: never }

export interface Compiler {
  readonly NodeKind: Readonly<
    Record<"FunctionDeclaration" | "ClassDeclaration" | "MethodDeclaration" | "Variable" | "Export" | "Import", number>
  >
  readonly CommonFlags: Readonly<Record<"Export" | "Abstract" | "Static", number>>
  newOptions(): Options
  setRuntime(options: Options, runtime: number): void
  setDebugInfo(options: Options, on: boolean): void
  setExportMemory(options: Options, on: boolean): void
  setOptimizeLevelHints(options: Options, optimizeLevel: number, shrinkLevel: number): void
  setFeature(options: Options, feature: number, on: boolean): void
  addGlobalAlias(options: Options, alias: string, name: string): void
  newProgram(options: Options): Program
  parse(program: Program, text: string | null, path: string, isEntry: boolean): void
  nextFile(program: Program): string | null
  getDependee(program: Program, file: string): string | null
  nextDiagnostic(program: Program): Message | null
  isError(message: Message): boolean
  isWarning(message: Message): boolean
  initializeProgram(program: Program): void
  compile(program: Program): CompiledModule
  getBinaryenModuleRef(module: CompiledModule): number
  validate(module: CompiledModule): boolean
}

export type Type = number
export type Expression = number

interface TypedInstructions {
  load(offset: number, align: number, pointer: Expression): Expression
  store(offset: number, align: number, pointer: Expression, value: Expression): Expression
  const(value: number): Expression
}

export interface WasmModule {
  getNumGlobals(): number
  getGlobalByIndex(index: number): number
  getNumFunctions(): number
  getFunctionByIndex(index: number): number
  getFunction(name: string): number
  removeFunction(name: string): void
  addFunction(name: string, parameters: Type, results: Type, locals: Type[], body: Expression): number
  block(label: string | null, children: Expression[]): Expression
  nop(): Expression
  call(name: string, operands: Expression[], result: Type): Expression
  readonly local: { get(index: number, type: Type): Expression }
  readonly global: { get(name: string, type: Type): Expression; set(name: string, value: Expression): Expression }
  readonly i32: TypedInstructions
  readonly i64: TypedInstructions
  readonly f32: TypedInstructions
  readonly f64: TypedInstructions
  runPasses(passes: string[]): void
  emitBinary(): Uint8Array
  dispose(): void
}

export interface Binaryen {
  readonly none: Type
  readonly i32: Type
  readonly i64: Type
  readonly f32: Type
  readonly f64: Type
  setOptimizeLevel(level: number): void
  setShrinkLevel(level: number): void
  setOneCallerInlineMaxSize(size: number): void
  createType(types: Type[]): Type
  wrapModule(reference: number): WasmModule
  getGlobalInfo(global: number): { readonly name: string; readonly module: string; readonly type: Type; readonly mutable: boolean }
  getFunctionInfo(fn: number): { readonly name: string; readonly module: string; readonly base: string }
}

export const compiler: Compiler = compilerModule as never
export const binaryen: Binaryen = binaryenModule as never
/** Sources of AssemblyScript's standard library by path, without `~lib/` and `.ts`. */
export const libraryFiles: Readonly<Record<string, string>> = asc.libraryFiles

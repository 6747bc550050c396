// Compiles one filter: the author's files, the SDK and the generated glue become a Proxy-Wasm module. Runs in the
// compiler's child process only, never in a thread that serves.

import { readFileSync } from "node:fs"
import { basename, dirname, join, resolve, sep } from "node:path"
import { binaryen, compiler, libraryFiles, type Message, type Program, type Range, type Source } from "./assemblyscript.ts"
import { type Glue, generateGlue } from "./glue.ts"
import { definePluginVariables } from "./plugin-variables.ts"

export type BuildMode = "release" | "debug"

/** Something the compiler says about a place in a source. Line and column count from 1. */
export interface Diagnostic {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
  /** The line itself, and below it a mark under the place. */
  readonly excerpt: string
}

export type CompileOutcome = {
  /** Every file of the author that was read: what to watch. */
  readonly files: readonly string[]
} & (
  | { readonly ok: true; readonly wasm: Uint8Array; readonly warnings: readonly Diagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[] /** The compiler itself failed. */; readonly broken: boolean }
)

/** A filter is a few files; more means a runaway import. */
const MAX_FILES = 200
const MAX_SOURCE = 1024 * 1024
const MAX_DIAGNOSTICS = 50
const SDK_PREFIX = "~lib/sluice/sdk"
const GLUE_PATH = "sluice-glue.ts"
const RUNTIME_MINIMAL = 1
/** WebAssembly 2.0 without SIMD and reference types: sign extension, saturating conversions, bulk memory. */
const FEATURES_ON = 1 | 2 | 4 | 8
const FEATURE_COUNT = 20
/**
 * What pays: dropping what nobody calls first, inlining the SDK's small functions, one clean-up. AssemblyScript's own `-O3`
 * runs ten times as long (1 s) for code that the engines make equally fast.
 */
const PASSES = [
  "remove-unused-module-elements",
  "memory-packing",
  "inlining",
  "optimize-instructions",
  "precompute",
  "simplify-locals",
  "vacuum",
  "coalesce-locals",
  "remove-unused-brs",
  "remove-unused-module-elements",
]

/** Functions with one caller are inlined up to this size; without a limit they pile up and the clean-up takes twice as long. */
const ONE_CALLER_INLINE_SIZE = 60

export class FilterCompilation {
  readonly #folder: string
  readonly #entry: string
  readonly #mode: BuildMode
  readonly #sdk: string
  readonly #files: string[] = []
  readonly #sources = new Map<string, string>()

  /**
   * @param file the filter.
   * @param sdk folder of the AssemblyScript library.
   */
  constructor(file: string, mode: BuildMode, sdk: string) {
    const absolute = resolve(file)
    this.#folder = dirname(absolute)
    this.#entry = basename(absolute)
    this.#mode = mode
    this.#sdk = sdk
  }

  run(): CompileOutcome {
    try {
      return this.#compile()
    } catch (error) {
      const message = `the compiler failed on this file: ${error instanceof Error ? error.message : String(error)}`
      return { ok: false, files: this.#files, diagnostics: [this.#place(message, 1, 1, this.#entry)], broken: true }
    }
  }

  #compile(): CompileOutcome {
    const text = this.#readAuthor(this.#entry)
    if (text === null) {
      return this.#failed([this.#place(`${join(this.#folder, this.#entry)} can't be read`, 1, 1, this.#entry)])
    }
    const release = this.#mode === "release"
    const options = compiler.newOptions()
    compiler.setRuntime(options, RUNTIME_MINIMAL)
    compiler.setDebugInfo(options, !release)
    compiler.setExportMemory(options, true)
    compiler.setOptimizeLevelHints(options, release ? 3 : 0, 0)
    for (let bit = 0; bit < FEATURE_COUNT; bit++) compiler.setFeature(options, 1 << bit, (FEATURES_ON & (1 << bit)) !== 0)
    for (const name of ["abort", "trace", "seed"]) compiler.addGlobalAlias(options, name, `${SDK_PREFIX}/runtime/${name}`)
    const program = compiler.newProgram(options)
    for (const path in libraryFiles) {
      if (!path.includes("/")) compiler.parse(program, libraryFiles[path], `~lib/${path}.ts`, false)
    }
    compiler.parse(program, libraryFiles["rt/index-minimal"], "~lib/rt/index-minimal.ts", true)
    compiler.parse(program, text, this.#entry, false)
    const author = program.sources.find((source) => source.normalizedPath === this.#entry)
    if (author === undefined) throw new Error("the source was not parsed")
    const outside = this.#parseImports(program)
    const own = program.sources.filter((source) => !source.isLibrary)
    const glue = generateGlue(author, `./${this.#entry.replace(/\.ts$/, "")}`, {
      calls: own.some((source) => importsFromSdk(source, "Call")),
      grpcCalls: own.some((source) => importsFromSdk(source, "GrpcCall")),
      skips: own.some((source) => source.text.includes("skipBody")),
    })
    compiler.parse(program, glue.text, GLUE_PATH, true)
    outside.push(...this.#parseImports(program))
    const problems = [...outside, ...this.#messages(program, glue).errors]
    if (problems.length === 0) problems.push(...glue.problems.map((problem) => this.#atRange(problem.message, problem.range)))
    if (problems.length > 0) return this.#failed(problems)

    compiler.initializeProgram(program)
    const compiled = compiler.compile(program)
    const module = binaryen.wrapModule(compiler.getBinaryenModuleRef(compiled))
    try {
      const { errors, warnings } = this.#messages(program, glue)
      if (errors.length > 0) return this.#failed(errors)
      const files = [author.internalPath]
      for (const source of program.sources) {
        if (source !== author && !source.isLibrary && source.normalizedPath !== GLUE_PATH) files.push(source.internalPath)
      }
      const unsupported = definePluginVariables(module, program, files)
      if (unsupported.length > 0) {
        return this.#failed(
          unsupported.map((name) => this.#place(`the variable ${name} has a type that a filter can't keep`, 1, 1, this.#entry)),
        )
      }
      if (!compiler.validate(compiled)) throw new Error("it made an invalid module")
      binaryen.setOptimizeLevel(2)
      binaryen.setShrinkLevel(0)
      binaryen.setOneCallerInlineMaxSize(ONE_CALLER_INLINE_SIZE)
      module.runPasses(release ? PASSES : PASSES.slice(0, 2))
      const foreign = this.#foreignImports(module, program)
      if (foreign.length > 0) return this.#failed(foreign)
      return { ok: true, files: this.#files, wasm: module.emitBinary(), warnings }
    } finally {
      module.dispose()
    }
  }

  #failed(diagnostics: Diagnostic[]): CompileOutcome {
    return { ok: false, files: this.#files, diagnostics: diagnostics.slice(0, MAX_DIAGNOSTICS), broken: false }
  }

  /** Reads what the sources import until nothing is missing. */
  #parseImports(program: Program): Diagnostic[] {
    const problems: Diagnostic[] = []
    for (let path = compiler.nextFile(program); path !== null; path = compiler.nextFile(program)) {
      const found = this.#find(path)
      if (found === null && this.#files.length >= MAX_FILES) {
        problems.push(this.#place(`the filter has more than ${MAX_FILES} files`, 1, 1, this.#entry))
        break
      }
      if (found === null) compiler.parse(program, null, `${path}.ts`, false)
      else compiler.parse(program, found.text, found.path, false)
    }
    return problems
  }

  #find(path: string): { text: string; path: string } | null {
    if (path === SDK_PREFIX || path.startsWith(`${SDK_PREFIX}/`)) {
      const name = path.slice(SDK_PREFIX.length + 1) || "index"
      const text = /^[a-z0-9-]+$/.test(name) ? readText(join(this.#sdk, `${name}.ts`)) : null
      return text === null ? null : { text, path: `${SDK_PREFIX}/${name}.ts` }
    }
    if (path.startsWith("~lib/")) {
      const name = path.slice("~lib/".length)
      for (const candidate of [name, `${name}/index`]) {
        if (Object.hasOwn(libraryFiles, candidate)) return { text: libraryFiles[candidate], path: `~lib/${candidate}.ts` }
      }
      return null
    }
    for (const candidate of [`${path}.ts`, `${path}/index.ts`]) {
      const text = this.#readAuthor(candidate)
      if (text !== null) return { text, path: candidate }
    }
    return null
  }

  /** A file in the filter's folder or below; never one outside. */
  #readAuthor(path: string): string | null {
    const absolute = resolve(this.#folder, path)
    if (!absolute.startsWith(this.#folder.endsWith(sep) ? this.#folder : this.#folder + sep)) return null
    if (this.#files.length >= MAX_FILES) return null
    const text = readText(absolute)
    if (text === null) return null
    this.#files.push(absolute)
    this.#sources.set(path, text)
    return text
  }

  #messages(program: Program, glue: Glue): { errors: Diagnostic[]; warnings: Diagnostic[] } {
    const errors: Diagnostic[] = []
    const warnings: Diagnostic[] = []
    for (let message = compiler.nextDiagnostic(program); message !== null; message = compiler.nextDiagnostic(program)) {
      const list = compiler.isError(message) ? errors : compiler.isWarning(message) ? warnings : null
      if (list !== null && list.length < MAX_DIAGNOSTICS) list.push(this.#atMessage(message, glue))
    }
    return { errors, warnings }
  }

  #atMessage(message: Message, glue: Glue): Diagnostic {
    const { range, relatedRange } = message
    const outside = message.message.startsWith("File '") ? " (imports reach `sluice/sdk` and files in the filter's own folder)" : ""
    if (range === null) return this.#place(message.message, 1, 1, this.#entry)
    if (range.source.normalizedPath === GLUE_PATH) {
      const owner = glue.owners[range.source.lineAt(range.start) - 1] ?? null
      if (owner === null) return this.#place(message.message, 1, 1, this.#entry)
      return this.#atRange(`${owner.name.text} does not have the form of a callback: ${message.message}`, owner.name.range)
    }
    if (range.source.isLibrary && relatedRange !== null && !relatedRange.source.isLibrary)
      return this.#atRange(message.message, relatedRange)
    return this.#atRange(message.message + outside, range)
  }

  #atRange(message: string, range: Range): Diagnostic {
    const line = range.source.lineAt(range.start)
    const column = range.source.columnAt()
    return this.#place(message, line, column, range.source.normalizedPath, range.source, range.end - range.start)
  }

  #place(message: string, line: number, column: number, path: string, source?: Source, length = 1): Diagnostic {
    const text = (source?.text ?? this.#sources.get(path) ?? "").split("\n", line)[line - 1] ?? ""
    const shown = text.replaceAll("\t", " ").trimEnd()
    const marks = "^".repeat(Math.max(1, Math.min(length, shown.length - column + 1)))
    return {
      file: path.startsWith("~lib/") ? path : join(this.#folder, path),
      line,
      column,
      message: plainNames(message),
      excerpt: shown === "" ? "" : `${shown}\n${" ".repeat(column - 1)}${marks}`,
    }
  }

  /** What no Proxy-Wasm host offers, with the place where the author most likely uses it. */
  #foreignImports(module: ReturnType<typeof binaryen.wrapModule>, program: Program): Diagnostic[] {
    const problems: Diagnostic[] = []
    for (let i = 0; i < module.getNumFunctions(); i++) {
      const info = binaryen.getFunctionInfo(module.getFunctionByIndex(i))
      if (info.module === "" || (info.module === "env" && info.base.startsWith("proxy_"))) continue
      const instead = info.base.startsWith("console.")
        ? ': import { log } from "sluice/sdk" instead'
        : info.base.startsWith("Date")
          ? ': import { now } from "sluice/sdk" instead'
          : ""
      const message = `${info.base} is not available in a filter${instead}`
      const source = program.sources.find((candidate) => !candidate.isLibrary && candidate.text.includes(info.base))
      if (source === undefined) {
        problems.push(this.#place(message, 1, 1, this.#entry))
      } else {
        const start = source.text.indexOf(info.base)
        problems.push(this.#atRange(message, { start, end: start + info.base.length, source }))
      }
    }
    return problems
  }
}

/** Whether a file of the author's imports `name`, or all of the SDK. */
function importsFromSdk(source: Source, name: string): boolean {
  return source.statements.some(
    (statement) =>
      statement.kind === compiler.NodeKind.Import &&
      statement.path?.value === "sluice/sdk" &&
      (statement.namespaceName !== null || (statement.declarations ?? []).some((declaration) => declaration.foreignName.text === name)),
  )
}

function readText(path: string): string | null {
  try {
    const bytes = readFileSync(path)
    return bytes.length > MAX_SOURCE ? null : new TextDecoder().decode(bytes)
  } catch {
    return null
  }
}

/** The compiler calls things by their place in its library: `~lib/string/String`, `~lib/sluice/sdk/headers/Headers`. */
function plainNames(message: string): string {
  return message.replace(/~lib\/(?:[a-z0-9-]+\/)+([A-Z]\w*)/g, "$1").replaceAll("~lib/sluice/", "sluice/")
}

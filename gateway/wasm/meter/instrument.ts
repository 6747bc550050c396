// Rewrites a core WebAssembly module so that it can't run for ever or grow without bound: a budget counter is charged at every
// function entry and loop head and traps below zero; memory and tables get a maximum. Nothing else about the module changes:
// existing indices stay, what is added comes after them. Never throws for what the bytes contain.

import { op } from "../binary/instructions.ts"
import { readLimits, writeLimits } from "../binary/limits.ts"
import {
  ConstantExpressions,
  type ModuleExport,
  type ModuleImport,
  rank,
  readExports,
  readImports,
  readSections,
  readTables,
  type Section,
  section,
  skipData,
  skipElements,
  skipGlobals,
  type Table,
} from "../binary/module.ts"
import { MalformedModule, Reader } from "../binary/reader.ts"
import { readTypes } from "../binary/types.ts"
import { Writer } from "../binary/writer.ts"
import { BodyMeter, type MeteredOperand, type MeterTarget, meteredOperands } from "./body.ts"
import { chargeFunction } from "./charge-function.ts"

/** Names Sluice exports from instrumented modules begin with this; a module that uses it itself is refused. */
const RESERVED_PREFIX = "sluice:"
/**
 * Export of the budget: a mutable i32 global, in units (see `calibrate`). The host sets it before each call into the module.
 * After a trap it is negative if, and only if, the budget ran out; the module can neither read nor set it.
 */
export const BUDGET_EXPORT = "sluice:budget"
/** The largest budget there is. */
export const MAX_BUDGET = 0x7fffffff

export interface InstrumentOptions {
  /** Maximum of the module's memory in 64 KiB pages, 0–65536. */
  readonly maxMemoryPages: number
  /** Budget the module starts with, for its start function and until the host sets one; default {@link MAX_BUDGET}. */
  readonly startBudget?: number
}

export interface ModuleInfo {
  readonly imports: readonly ModuleImport[]
  /** As written by its author, without what was added. */
  readonly exports: readonly ModuleExport[]
  /** In pages, as before the rewrite; `maxPages` is Infinity when none was given; null without memory. */
  readonly memory: { readonly minPages: number; readonly maxPages: number } | null
  /** Functions defined, without imported ones. */
  readonly functions: number
  readonly hasStart: boolean
  /** Names of the custom sections, those left out included. */
  readonly customSections: readonly string[]
  /** Charges put in. */
  readonly charges: number
}

export type InstrumentResult =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer>; readonly info: ModuleInfo }
  | { readonly ok: false; readonly reason: string }

const MAX_MODULE_BYTES = 64 * 1024 * 1024
/** What engines accept, too. */
const MAX_FUNCTIONS = 1_000_000
/** Elements of all tables together. */
const MAX_TABLE_ELEMENTS = 1_000_000
const MAX_TABLES = 1000
/** Custom sections above this are left out; names of functions, which stack traces need, may take more. */
const MAX_CUSTOM_BYTES = 256 * 1024
const MAX_NAME_SECTION_BYTES = 8 * 1024 * 1024
/** Calls to functions of at most this total cost are paid for by the caller. */
const FREE_FUNCTION_COST = 120
/** Bodies longer than this can't cost so little. */
const FREE_FUNCTION_BYTES = 320
const FREE_CALL_DEPTH = 8

/**
 * Makes `bytes` safe to run, or says why not: an unsupported feature by its name, or a fault with its offset. What it accepts
 * is not fully validated; compile the result to know.
 */
export function instrument(bytes: Uint8Array, options: InstrumentOptions): InstrumentResult {
  try {
    return new Rewrite(bytes, options).run()
  } catch (error) {
    if (error instanceof MalformedModule) return { ok: false, reason: error.message }
    throw error
  }
}

class Rewrite {
  readonly #reader: Reader
  readonly #writer: Writer
  readonly #options: InstrumentOptions
  readonly #sections = new Map<number, Section>()
  readonly #customSections: string[] = []

  /** Parameters of each type. */
  #types: number[] = []
  /** Parameters of each defined function. */
  #parameters = new Int32Array(0)
  #imports: ModuleImport[] = []
  #exports: ModuleExport[] = []
  #importedFunctions = 0
  #definedFunctions = 0
  #globals = 0
  #tables: Table[] = []
  #memory: ModuleInfo["memory"] = null
  #charges = 0
  #operands: MeteredOperand[] = []

  constructor(bytes: Uint8Array, options: InstrumentOptions) {
    this.#reader = new Reader(bytes)
    this.#writer = new Writer(bytes.length + (bytes.length >> 1) + 1024)
    this.#options = options
  }

  run(): InstrumentResult {
    const reader = this.#reader
    if (reader.bytes.length > MAX_MODULE_BYTES) reader.fail(`module larger than ${MAX_MODULE_BYTES} bytes`, 0)
    const sections = readSections(reader)
    this.#inspect(sections)
    // The code is rewritten first: only then is it known which charge functions the sections before it must declare.
    const code = this.#rewriteCode()

    const writer = this.#writer
    writer.raw(reader.bytes.subarray(0, 8))
    let done = 0
    for (const part of sections) {
      if (part.id === section.custom) {
        if (keepsCustom(part)) this.#emit(section.custom, reader.bytes.subarray(part.start, part.end))
        continue
      }
      done = this.#emitAdditions(done, rank(part.id))
      this.#emitSection(part, code)
      done = rank(part.id)
    }
    this.#emitAdditions(done, Infinity)
    return { ok: true, bytes: writer.take(), info: this.#info() }
  }

  #info(): ModuleInfo {
    return {
      imports: this.#imports,
      exports: this.#exports,
      memory: this.#memory,
      functions: this.#definedFunctions,
      hasStart: this.#sections.has(section.start),
      customSections: this.#customSections,
      charges: this.#charges,
    }
  }

  /** Positions the reader on a section's contents; false when there is no such section. */
  #enter(id: number): boolean {
    const found = this.#sections.get(id)
    if (found === undefined) return false
    this.#reader.pos = found.start
    this.#reader.end = found.end
    return true
  }

  #leave(): void {
    if (this.#reader.pos !== this.#reader.end) this.#reader.fail("section has more bytes than contents")
  }

  /** Reads all but the code. */
  #inspect(sections: readonly Section[]): void {
    const reader = this.#reader
    for (const part of sections) {
      if (part.id === section.custom) this.#customSections.push(part.name)
      else this.#sections.set(part.id, part)
    }
    if (this.#enter(section.type)) {
      this.#types = readTypes(reader)
      this.#leave()
    }
    if (this.#enter(section.import)) {
      this.#imports = readImports(reader)
      this.#leave()
      for (const each of this.#imports) {
        if (each.kind === "function") this.#importedFunctions++
        else if (each.kind === "global") this.#globals++
      }
    }
    if (this.#enter(section.function)) {
      this.#definedFunctions = reader.count()
      if (this.#importedFunctions + this.#definedFunctions > MAX_FUNCTIONS) reader.fail("too many functions")
      this.#parameters = new Int32Array(this.#definedFunctions)
      for (let i = 0; i < this.#definedFunctions; i++)
        this.#parameters[i] = this.#types[reader.u32()] ?? reader.fail("type index out of range")
      this.#leave()
    }
    this.#inspectMemory()
    const functions = this.#importedFunctions + this.#definedFunctions
    const constants = new ConstantExpressions(functions)
    if (this.#enter(section.table)) {
      this.#tables = readTables(reader, constants)
      this.#leave()
    }
    if (this.#enter(section.global)) {
      this.#globals += skipGlobals(reader, constants)
      this.#leave()
    }
    if (this.#enter(section.export)) {
      this.#exports = readExports(reader)
      this.#leave()
      this.#checkExports()
    }
    if (this.#enter(section.element)) {
      skipElements(reader, constants, functions)
      this.#leave()
    }
    if (this.#enter(section.data)) {
      skipData(reader, constants)
      this.#leave()
    }
  }

  #inspectMemory(): void {
    const reader = this.#reader
    if (!this.#enter(section.memory)) return
    const at = reader.pos
    const count = reader.count(2)
    if (count > 1) reader.fail("unsupported feature: multiple memories", at)
    if (count === 1) {
      const { min, max } = readLimits(reader)
      const cap = this.#options.maxMemoryPages
      if (min > cap)
        throw new MalformedModule(`memory starts with ${min} pages (${min * 64} KiB), more than the limit of ${cap} (${cap * 64} KiB)`)
      this.#memory = { minPages: min, maxPages: max }
    }
    this.#leave()
  }

  #checkExports(): void {
    for (const { name, kind, index } of this.#exports) {
      if (name.startsWith(RESERVED_PREFIX)) throw new MalformedModule(`export name ${JSON.stringify(name)} is reserved`)
      if (kind === "global" && index >= this.#globals)
        throw new MalformedModule(`export ${JSON.stringify(name)} names a global that does not exist`)
      if (kind === "function" && index >= this.#importedFunctions + this.#definedFunctions)
        throw new MalformedModule(`export ${JSON.stringify(name)} names a function that does not exist`)
    }
  }

  /** Contents of the new code section; empty when there is none. */
  #rewriteCode(): Writer {
    const reader = this.#reader
    const writer = new Writer(1024)
    if (!this.#enter(section.code)) return writer
    const end = reader.end
    const count = reader.count(2)
    if (count !== this.#definedFunctions) reader.fail("function and code sections differ in length")
    const starts = new Int32Array(count + 1)
    const sizes = new Int32Array(count)
    for (let i = 0; i < count; i++) {
      sizes[i] = reader.count()
      starts[i] = reader.pos
      reader.pos += sizes[i]
    }
    this.#leave()

    const body = new Writer(Math.max(end - starts[0], 0) * 1.4 + 256)
    const functions = this.#importedFunctions + count
    const target: MeterTarget = {
      importedFunctions: this.#importedFunctions,
      functions,
      globals: this.#globals,
      calleeCosts: new Uint16Array(functions),
      chargeFunctions: meteredOperands.map((_, i) => functions + i),
      budgetGlobal: this.#globals,
    }
    const meter = new BodyMeter(reader, target)
    const free = new FreeFunctions(meter, target, starts, sizes, this.#parameters)
    let operands = false
    for (let i = 0; i < count; i++) {
      meter.scan(starts[i], starts[i] + sizes[i], this.#parameters[i])
      meter.write(body, free.has(i))
      this.#charges += meter.charges
      operands ||= meter.chargesOperands
    }
    if (operands) this.#operands = [...meteredOperands]
    writer.u32(count + this.#operands.length)
    writer.raw(body.view())
    for (const operand of this.#operands) writer.prefixed(chargeFunction(operand, this.#globals, this.#memoryCap(), MAX_TABLE_ELEMENTS))
    return writer
  }

  #memoryCap(): number {
    return Math.min(this.#options.maxMemoryPages, this.#memory?.maxPages ?? 0)
  }

  #emit(id: number, contents: Uint8Array): void {
    this.#writer.u8(id)
    this.#writer.prefixed(contents)
  }

  #emitSection(part: Section, code: Writer): void {
    const reader = this.#reader
    const contents = new Writer(part.end - part.start + 64)
    const rest = () => contents.copy(reader.bytes, reader.pos, part.end)
    this.#enter(part.id)
    switch (part.id) {
      case section.type:
        // A recursion group counts once in the section's count, however many types it holds.
        contents.u32(reader.u32() + (this.#operands.length > 0 ? 1 : 0))
        rest()
        if (this.#operands.length > 0) contents.raw([0x60, 1, 0x7f, 1, 0x7f])
        break
      case section.function:
        contents.u32(reader.u32() + this.#operands.length)
        rest()
        for (let i = 0; i < this.#operands.length; i++) contents.u32(this.#types.length)
        break
      case section.table:
        this.#writeTables(contents)
        break
      case section.memory:
        contents.u32(reader.u32())
        if (this.#memory !== null) writeLimits(contents, { min: this.#memory.minPages, max: this.#memoryCap() })
        break
      case section.global:
        contents.u32(reader.u32() + 1)
        rest()
        this.#writeBudget(contents)
        break
      case section.export:
        contents.u32(reader.u32() + 1)
        rest()
        this.#writeBudgetExport(contents)
        break
      case section.code:
        contents.raw(code.view())
        break
      default:
        rest()
    }
    this.#emit(part.id, contents.view())
  }

  /** Sections the meter needs and the module lacks, if their place is between those of rank `after` and `before`. */
  #emitAdditions(after: number, before: number): number {
    const contents = new Writer(64)
    if (after < rank(section.global) && rank(section.global) < before) {
      contents.u32(1)
      this.#writeBudget(contents)
      this.#emit(section.global, contents.view())
    }
    if (after < rank(section.export) && rank(section.export) < before) {
      const exports = new Writer(64)
      exports.u32(1)
      this.#writeBudgetExport(exports)
      this.#emit(section.export, exports.view())
    }
    return Math.max(after, before)
  }

  #writeBudget(writer: Writer): void {
    writer.raw([0x7f, 1, op.i32Const])
    writer.s32(Math.min(this.#options.startBudget ?? MAX_BUDGET, MAX_BUDGET))
    writer.u8(op.end)
  }

  #writeBudgetExport(writer: Writer): void {
    writer.text(BUDGET_EXPORT)
    writer.u8(3)
    writer.u32(this.#globals)
  }

  #writeTables(writer: Writer): void {
    const reader = this.#reader
    const tables = this.#tables
    if (tables.length > MAX_TABLES) reader.fail("too many tables")
    let left = MAX_TABLE_ELEMENTS
    for (const table of tables) left -= table.min
    if (left < 0) throw new MalformedModule(`tables start with more than ${MAX_TABLE_ELEMENTS} elements`)
    const growth = Math.floor(left / Math.max(tables.length, 1))
    writer.u32(tables.length)
    for (const table of tables) {
      if (table.initEnd > table.initStart) writer.raw([0x40, 0])
      writer.copy(reader.bytes, table.typeStart, table.typeEnd)
      writeLimits(writer, { min: table.min, max: Math.min(table.max, table.min + growth) })
      writer.copy(reader.bytes, table.initStart, table.initEnd)
    }
  }
}

/** Functions too small to charge for themselves: without loops, calling only such functions, of bounded total cost. */
class FreeFunctions {
  readonly #imported: number
  readonly #callees = new Map<number, readonly number[]>()
  readonly #own = new Map<number, number>()
  /** Total cost, callees included; 0 = not free; absent = not yet known. */
  readonly #totals = new Map<number, number>()

  constructor(meter: BodyMeter, target: MeterTarget, starts: Int32Array, sizes: Int32Array, parameters: Int32Array) {
    this.#imported = target.importedFunctions
    for (let i = 0; i < sizes.length; i++) {
      if (sizes[i] > FREE_FUNCTION_BYTES) continue
      meter.scan(starts[i], starts[i] + sizes[i], parameters[i])
      if (!meter.straight || meter.total > FREE_FUNCTION_COST) continue
      this.#own.set(i, meter.total)
      this.#callees.set(i, meter.callees.slice())
    }
    for (const i of this.#own.keys()) {
      const total = this.#total(i, 0)
      target.calleeCosts[i + this.#imported] = total
    }
  }

  has(index: number): boolean {
    return (this.#totals.get(index) ?? 0) > 0
  }

  #total(index: number, depth: number): number {
    const known = this.#totals.get(index)
    if (known !== undefined) return known
    let total = this.#own.get(index) ?? 0
    if (total === 0 || depth > FREE_CALL_DEPTH) return 0
    // While it is being worked out it isn't free, so a recursive function never is.
    this.#totals.set(index, 0)
    for (const callee of this.#callees.get(index) ?? []) {
      const cost = this.#total(callee - this.#imported, depth + 1)
      total = cost === 0 ? Infinity : total + cost
    }
    if (total > FREE_FUNCTION_COST) total = 0
    this.#totals.set(index, total)
    return total
  }
}

function keepsCustom(part: Section): boolean {
  const length = part.end - part.start
  if (part.name === "name") return length <= MAX_NAME_SECTION_BYTES
  // Offsets into the code, which the rewrite shifts.
  if (part.name.startsWith(".debug_") || part.name.startsWith("metadata.code.") || part.name === "sourceMappingURL") return false
  return length <= MAX_CUSTOM_BYTES
}

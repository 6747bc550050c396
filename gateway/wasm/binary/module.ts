// Splits a core module into its sections and reads the small ones: imports, exports, constant expressions.

import { gc, op, skipGcImmediates, skipImmediates, skipMiscImmediates, skipSimdImmediates, skipValueType } from "./instructions.ts"
import { type Limits, readLimits } from "./limits.ts"
import type { Reader } from "./reader.ts"

export const section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const

/** The order sections stand in, by id. */
const RANK: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6]

export function rank(id: number): number {
  return RANK[id]
}

export interface Section {
  readonly id: number
  /** Name of a custom section, else "". */
  readonly name: string
  /** Where its contents are (of a custom section: with the name). */
  readonly start: number
  readonly end: number
}

/** More custom sections than any toolchain writes. */
const MAX_SECTIONS = 1000

/** @throws MalformedModule */
export function readSections(reader: Reader): Section[] {
  const bytes = reader.bytes
  if (bytes.length < 8 || bytes[0] !== 0 || bytes[1] !== 0x61 || bytes[2] !== 0x73 || bytes[3] !== 0x6d)
    reader.fail("not a WebAssembly module", 0)
  if (bytes[4] === 0x0d && bytes[6] === 1) reader.fail("a component, not a core module", 4)
  if (bytes[4] !== 1 || bytes[5] !== 0 || bytes[6] !== 0 || bytes[7] !== 0) reader.fail("unknown WebAssembly version", 4)
  reader.pos = 8
  const sections: Section[] = []
  let last = 0
  while (reader.pos < bytes.length) {
    const at = reader.pos
    const id = reader.u8()
    if (id >= RANK.length) reader.fail(`unsupported section ${id}`, at)
    const length = reader.count()
    const start = reader.pos
    const end = start + length
    let name = ""
    if (id === section.custom) {
      reader.end = end
      name = reader.text()
      reader.end = bytes.length
    } else {
      if (rank(id) <= last) reader.fail(`section ${id} repeated or out of order`, at)
      last = rank(id)
    }
    if (sections.length === MAX_SECTIONS) reader.fail("too many sections", at)
    sections.push({ id, name, start, end })
    reader.pos = end
  }
  return sections
}

export type ExternalKind = "function" | "table" | "memory" | "global" | "tag"

const EXTERNAL_KINDS: readonly ExternalKind[] = ["function", "table", "memory", "global", "tag"]

export interface ModuleImport {
  readonly module: string
  readonly name: string
  readonly kind: ExternalKind
}

export interface ModuleExport {
  readonly name: string
  readonly kind: ExternalKind
  readonly index: number
}

function externalKind(reader: Reader): ExternalKind {
  const kind = EXTERNAL_KINDS[reader.u8()]
  if (kind === undefined) reader.fail("unknown kind of import or export", reader.pos - 1)
  return kind
}

/** @throws MalformedModule, also for imported memories and tables, which no host of ours provides */
export function readImports(reader: Reader): ModuleImport[] {
  const imports: ModuleImport[] = []
  for (let left = reader.count(4); left > 0; left--) {
    const at = reader.pos
    const module = reader.text()
    const name = reader.text()
    const kind = externalKind(reader)
    if (kind === "memory" || kind === "table") reader.fail(`unsupported: imported ${kind} ${JSON.stringify(`${module}.${name}`)}`, at)
    if (kind === "global") {
      skipValueType(reader)
      if (reader.u8() > 1) reader.fail("malformed mutability", reader.pos - 1)
    } else {
      if (kind === "tag" && reader.u8() !== 0) reader.fail("malformed tag", reader.pos - 1)
      reader.u32()
    }
    imports.push({ module, name, kind })
  }
  return imports
}

/** @throws MalformedModule */
export function readExports(reader: Reader): ModuleExport[] {
  const exports: ModuleExport[] = []
  for (let left = reader.count(3); left > 0; left--) {
    const name = reader.text()
    const kind = externalKind(reader)
    exports.push({ name, kind, index: reader.u32() })
  }
  return exports
}

/** Elements of all arrays a module may allocate in constant expressions, where nothing can be charged for. */
const MAX_CONSTANT_ARRAY_ELEMENTS = 1_000_000

/** Passes over constant expressions, which run before any budget and so are bounded by what they may contain. */
export class ConstantExpressions {
  readonly #functions: number
  #arrayElements = 0

  constructor(functions: number) {
    this.#functions = functions
  }

  /** @throws MalformedModule */
  skip(reader: Reader): void {
    let lastConstant = -1
    for (;;) {
      const at = reader.pos
      const opcode = reader.u8()
      let constant = -1
      if (opcode === op.end) return
      if (opcode === op.i32Const) {
        constant = reader.s32() >>> 0
      } else if (opcode === op.gcPrefix) {
        const sub = reader.opcode()
        if (sub === gc.arrayNew || sub === gc.arrayNewDefault) this.#allocate(reader, lastConstant, at)
        skipGcImmediates(reader, sub)
      } else if (opcode === op.refFunc) {
        if (reader.u32() >= this.#functions) reader.fail("function index out of range", at)
      } else if (opcode === op.simdPrefix) {
        skipSimdImmediates(reader, reader.opcode())
      } else if (opcode === op.miscPrefix) {
        skipMiscImmediates(reader, reader.opcode())
      } else if (opcode <= op.tryTable) {
        reader.fail("not a constant expression", at)
      } else {
        skipImmediates(reader, opcode)
      }
      lastConstant = constant
    }
  }

  #allocate(reader: Reader, length: number, at: number): void {
    if (length < 0) reader.fail("array of computed size in a constant expression", at)
    this.#arrayElements += length
    if (this.#arrayElements > MAX_CONSTANT_ARRAY_ELEMENTS) reader.fail("arrays too large in constant expressions", at)
  }
}

/** Passes over the contents of a global section. Returns how many globals it defines. @throws MalformedModule */
export function skipGlobals(reader: Reader, constants: ConstantExpressions): number {
  const globals = reader.count(4)
  for (let left = globals; left > 0; left--) {
    skipValueType(reader)
    if (reader.u8() > 1) reader.fail("malformed mutability", reader.pos - 1)
    constants.skip(reader)
  }
  return globals
}

export interface Table extends Limits {
  /** Where its type, and its initialiser if it has one, are. */
  readonly typeStart: number
  readonly typeEnd: number
  readonly initStart: number
  readonly initEnd: number
}

/** @throws MalformedModule */
export function readTables(reader: Reader, constants: ConstantExpressions): Table[] {
  const tables: Table[] = []
  for (let left = reader.count(3); left > 0; left--) {
    const initialised = reader.bytes[reader.pos] === 0x40
    if (initialised) {
      reader.pos++
      if (reader.u8() !== 0) reader.fail("malformed table", reader.pos - 1)
    }
    const typeStart = reader.pos
    skipValueType(reader)
    const typeEnd = reader.pos
    const { min, max } = readLimits(reader)
    const initStart = reader.pos
    if (initialised) constants.skip(reader)
    tables.push({ min, max, typeStart, typeEnd, initStart, initEnd: reader.pos })
  }
  return tables
}

/** Passes over the contents of an element section of a module with this many functions. @throws MalformedModule */
export function skipElements(reader: Reader, constants: ConstantExpressions, functions: number): void {
  for (let left = reader.count(2); left > 0; left--) {
    const at = reader.pos
    const flags = reader.u32()
    if (flags > 7) reader.fail("malformed element segment", at)
    const active = (flags & 1) === 0
    const expressions = (flags & 4) !== 0
    if (active && flags & 2) reader.u32()
    if (active) constants.skip(reader)
    if (flags & 3) {
      if (expressions) skipValueType(reader)
      else if (reader.u8() !== 0) reader.fail("malformed element kind", reader.pos - 1)
    }
    for (let items = reader.count(); items > 0; items--) {
      if (expressions) constants.skip(reader)
      else if (reader.u32() >= functions) reader.fail("function index out of range", reader.pos - 1)
    }
  }
}

/** Passes over the contents of a data section. @throws MalformedModule */
export function skipData(reader: Reader, constants: ConstantExpressions): void {
  for (let left = reader.count(); left > 0; left--) {
    const at = reader.pos
    const flags = reader.u32()
    if (flags > 2) reader.fail("malformed data segment", at)
    if (flags === 2) reader.u32()
    if (flags !== 1) constants.skip(reader)
    reader.skip(reader.count())
  }
}

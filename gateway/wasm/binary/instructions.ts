// Shape of every instruction the rewriter knows: what immediates follow its opcode. Encodings are those of the WebAssembly
// core specification 3.0 plus legacy exceptions, threads, relaxed SIMD and wide arithmetic. Whatever isn't listed is refused,
// because an instruction read with the wrong length could hide a loop from the meter.

import type { Reader } from "./reader.ts"

export const op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  try: 0x06,
  catch: 0x07,
  throw: 0x08,
  rethrow: 0x09,
  throwRef: 0x0a,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  returnCall: 0x12,
  returnCallIndirect: 0x13,
  callRef: 0x14,
  returnCallRef: 0x15,
  delegate: 0x18,
  catchAll: 0x19,
  tryTable: 0x1f,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i32LtS: 0x48,
  i32LeU: 0x4d,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32ShrU: 0x76,
  select: 0x1b,
  refFunc: 0xd2,
  brOnNull: 0xd5,
  brOnNonNull: 0xd6,
  gcPrefix: 0xfb,
  miscPrefix: 0xfc,
  simdPrefix: 0xfd,
  atomicPrefix: 0xfe,
} as const

/** Sub-opcodes after 0xFB. */
export const gc = {
  structNew: 0,
  structNewDefault: 1,
  arrayNew: 6,
  arrayNewDefault: 7,
  arrayNewFixed: 8,
  arrayNewData: 9,
  arrayNewElem: 10,
  arrayFill: 16,
  arrayCopy: 17,
  arrayInitData: 18,
  arrayInitElem: 19,
  refTest: 20,
  refCastNull: 23,
  brOnCast: 24,
  brOnCastFail: 25,
  i31GetU: 30,
} as const

/** Sub-opcodes after 0xFC. */
export const misc = {
  memoryInit: 8,
  dataDrop: 9,
  memoryCopy: 10,
  memoryFill: 11,
  tableInit: 12,
  elemDrop: 13,
  tableCopy: 14,
  tableGrow: 15,
  tableSize: 16,
  tableFill: 17,
  wideArithmeticFirst: 19,
  wideArithmeticLast: 22,
} as const

const UNKNOWN = 0
const NONE = 1
const INDEX = 2
const TWO_INDICES = 3
const BLOCK_TYPE = 4
const MEMARG = 5
const I32 = 6
const I64 = 7
const F32 = 8
const F64 = 9
const BR_TABLE = 10
const TYPES = 11
const HEAP_TYPE = 12
const TRY_TABLE = 13

function immediates(): Uint8Array {
  const table = new Uint8Array(256)
  const put = (kind: number, first: number, last = first) => table.fill(kind, first, last + 1)
  put(NONE, 0x00, 0x01)
  put(BLOCK_TYPE, 0x02, 0x04)
  put(NONE, 0x05)
  put(BLOCK_TYPE, 0x06)
  put(INDEX, 0x07, 0x09)
  put(NONE, 0x0a, 0x0b)
  put(INDEX, 0x0c, 0x0d)
  put(BR_TABLE, 0x0e)
  put(NONE, 0x0f)
  put(INDEX, 0x10)
  put(TWO_INDICES, 0x11)
  put(INDEX, 0x12)
  put(TWO_INDICES, 0x13)
  put(INDEX, 0x14, 0x15)
  put(INDEX, 0x18)
  put(NONE, 0x19, 0x1b)
  put(TYPES, 0x1c)
  put(TRY_TABLE, 0x1f)
  put(INDEX, 0x20, 0x26)
  put(MEMARG, 0x28, 0x3e)
  put(INDEX, 0x3f, 0x40)
  put(I32, 0x41)
  put(I64, 0x42)
  put(F32, 0x43)
  put(F64, 0x44)
  put(NONE, 0x45, 0xc4)
  put(HEAP_TYPE, 0xd0)
  put(NONE, 0xd1)
  put(INDEX, 0xd2)
  put(NONE, 0xd3, 0xd4)
  put(INDEX, 0xd5, 0xd6)
  return table
}

const IMMEDIATES = immediates()

function hex(value: number): string {
  return `0x${value.toString(16).padStart(2, "0")}`
}

/** Passes over the immediates of `opcode`, which isn't one of the four prefixes. */
export function skipImmediates(reader: Reader, opcode: number): void {
  switch (IMMEDIATES[opcode]) {
    case NONE:
      return
    case INDEX:
      reader.u32()
      return
    case TWO_INDICES:
      reader.u32()
      reader.u32()
      return
    case BLOCK_TYPE:
      skipBlockType(reader)
      return
    case MEMARG:
      skipMemarg(reader)
      return
    case I32:
      reader.skipSigned(5)
      return
    case I64:
      reader.skipSigned(10)
      return
    case F32:
      reader.skip(4)
      return
    case F64:
      reader.skip(8)
      return
    case BR_TABLE:
      for (let left = reader.count() + 1; left > 0; left--) reader.u32()
      return
    case TYPES:
      for (let left = reader.count(); left > 0; left--) skipValueType(reader)
      return
    case HEAP_TYPE:
      skipHeapType(reader)
      return
    case TRY_TABLE:
      skipBlockType(reader)
      skipCatches(reader)
      return
    case UNKNOWN:
      reader.fail(`unsupported opcode ${hex(opcode)}`, reader.pos - 1)
  }
}

/** Passes over the immediates of a garbage-collection instruction (prefix 0xFB). */
export function skipGcImmediates(reader: Reader, sub: number): void {
  if (sub === gc.brOnCast || sub === gc.brOnCastFail) {
    if (reader.u8() > 3) reader.fail("unsupported cast flags", reader.pos - 1)
    reader.u32()
    skipHeapType(reader)
    skipHeapType(reader)
  } else if (sub >= gc.refTest && sub <= gc.refCastNull) {
    skipHeapType(reader)
  } else if ((sub >= 2 && sub <= 5) || (sub >= 8 && sub <= 10) || (sub >= 17 && sub <= 19)) {
    reader.u32()
    reader.u32()
  } else if (sub <= 1 || sub === 6 || sub === 7 || (sub >= 11 && sub <= 14) || sub === 16) {
    reader.u32()
  } else if (sub !== 15 && !(sub > gc.brOnCastFail && sub <= gc.i31GetU)) {
    reader.fail(`unsupported opcode 0xfb ${hex(sub)}`, reader.pos - 1)
  }
}

/** Passes over the immediates of a saturating conversion, a bulk operation or wide arithmetic (prefix 0xFC). */
export function skipMiscImmediates(reader: Reader, sub: number): void {
  if (sub === misc.memoryInit || sub === misc.memoryCopy || sub === misc.tableInit || sub === misc.tableCopy) {
    reader.u32()
    reader.u32()
  } else if (sub >= misc.dataDrop && sub <= misc.tableFill) {
    reader.u32()
  } else if (sub > misc.wideArithmeticLast || (sub > misc.tableFill && sub < misc.wideArithmeticFirst)) {
    reader.fail(`unsupported opcode 0xfc ${hex(sub)}`, reader.pos - 1)
  }
}

/** Passes over the immediates of a vector instruction (prefix 0xFD), relaxed ones included. */
export function skipSimdImmediates(reader: Reader, sub: number): void {
  if (sub <= 11 || sub === 92 || sub === 93) {
    skipMemarg(reader)
  } else if (sub === 12 || sub === 13) {
    reader.skip(16)
  } else if (sub >= 21 && sub <= 34) {
    reader.u8()
  } else if (sub >= 84 && sub <= 91) {
    skipMemarg(reader)
    reader.u8()
  } else if (sub > 0x113) {
    reader.fail(`unsupported opcode 0xfd ${hex(sub)}`, reader.pos - 1)
  }
}

/** Passes over the immediates of an atomic instruction (prefix 0xFE); on memory that isn't shared they are harmless. */
export function skipAtomicImmediates(reader: Reader, sub: number): void {
  if (sub <= 2 || (sub >= 0x10 && sub <= 0x4e)) {
    skipMemarg(reader)
  } else if (sub === 3) {
    if (reader.u8() !== 0) reader.fail("malformed atomic.fence", reader.pos - 1)
  } else {
    reader.fail(`unsupported opcode 0xfe ${hex(sub)}`, reader.pos - 1)
  }
}

function skipMemarg(reader: Reader): void {
  const flags = reader.u32()
  if (flags & 0x40) reader.u32()
  reader.u32()
}

function skipCatches(reader: Reader): void {
  for (let left = reader.count(2); left > 0; left--) {
    const kind = reader.u8()
    if (kind > 3) reader.fail("unsupported catch clause", reader.pos - 1)
    if (kind < 2) reader.u32()
    reader.u32()
  }
}

function skipBlockType(reader: Reader): void {
  const start = reader.pos
  const first = reader.u8()
  if (first === 0x40) return
  reader.pos = start
  if ((first & 0xc0) === 0x40) skipValueType(reader)
  else reader.typeIndex()
}

/** Passes over a value type; `packed` allows i8 and i16 (fields). */
export function skipValueType(reader: Reader, packed = false): void {
  const type = reader.u8()
  if (type >= 0x7b && type <= 0x7f) return
  if (isAbstractHeapType(type)) return
  if (type === 0x63 || type === 0x64) {
    skipHeapType(reader)
    return
  }
  if (packed && (type === 0x78 || type === 0x77)) return
  reader.fail(`unsupported value type ${hex(type)}`, reader.pos - 1)
}

/** exn, array, struct, i31, eq, any, extern, func, none, noextern, nofunc, noexn. */
function isAbstractHeapType(byte: number): boolean {
  return byte >= 0x69 && byte <= 0x74
}

function skipHeapType(reader: Reader): void {
  const start = reader.pos
  if (isAbstractHeapType(reader.u8())) return
  reader.pos = start
  reader.typeIndex()
}

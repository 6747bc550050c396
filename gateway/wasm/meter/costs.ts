// What instructions cost. A cost of 1 is about one simple machine instruction; the numbers only have to be right within a
// small factor, since `limits.cpu` is a guard and not an account. Every loop head and charged call costs at least one unit.

import { gc, op } from "../binary/instructions.ts"

/** Costs are charged in budget units of this many, rounded up, so that the counter's 31 bits reach to about a second. */
export const COST_PER_UNIT = 4
/** What a charge itself takes, so that empty loops aren't underpriced. */
export const CHARGE_COST = 3
/** A call into the host, on top of what the host may charge for its own work. */
export const IMPORT_CALL_COST = 1600
/** Units for one 64 KiB page to zero and to map. */
export const PAGE_UNITS = 16384
/** Units for each element a table operation sets: engines do so through a barrier, and grow a table by copying it. */
export const TABLE_ELEMENT_UNITS = 128
/** Units for each element of an array that is allocated, filled or copied. */
export const ARRAY_ELEMENT_UNITS = 1
/** Octets a bulk memory operation moves for one unit, as a power of two. */
export const BYTES_PER_UNIT_SHIFT = 2

function simpleCosts(): Uint16Array {
  const table = new Uint16Array(256).fill(1)
  // Compiled code has no stack to move operands on: what they cost is in the instruction that uses them.
  for (const free of [op.block, op.loop, op.else, op.end, op.localGet]) table[free] = 0
  table.fill(0, op.i32Const, op.i32Const + 4)
  table.fill(2, 0x28, 0x3f)
  table.fill(8, 0x6d, 0x71)
  table.fill(8, 0x7f, 0x83)
  for (const divideOrRoot of [0x91, 0x95, 0x9f, 0xa3]) table[divideOrRoot] = 8
  table[op.call] = 4
  table[op.returnCall] = 4
  // Their callee may be a small function that doesn't charge for itself.
  table[op.callIndirect] = 20
  table[op.returnCallIndirect] = 20
  table[op.callRef] = 20
  table[op.returnCallRef] = 20
  // An exception leaves the machine's fast path for the engine's unwinder.
  table[op.throw] = 10_000
  table[op.rethrow] = 10_000
  table[op.throwRef] = 10_000
  return table
}

/** Cost by opcode, for those without a prefix. */
export const SIMPLE_COSTS = simpleCosts()
export const MISC_COST = 4
export const SIMD_COST = 2
export const ATOMIC_COST = 20

/** Cost of a garbage-collection instruction; `fields` is the element count of `array.new_fixed`. */
export function gcCost(sub: number, fields: number): number {
  if (sub === gc.structNew || sub === gc.structNewDefault) return 20
  if (sub === gc.arrayNewFixed) return 20 + fields * COST_PER_UNIT
  if (sub >= gc.arrayNew && sub <= gc.arrayNewElem) return 20
  if (sub >= gc.refTest && sub <= gc.brOnCastFail) return 6
  return 2
}

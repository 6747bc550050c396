// The functions appended to a module that charge for an operand: bulk operations and allocations cost by their length.

import { op } from "../binary/instructions.ts"
import { Writer } from "../binary/writer.ts"
import type { MeteredOperand } from "./body.ts"
import { ARRAY_ELEMENT_UNITS, BYTES_PER_UNIT_SHIFT, PAGE_UNITS, TABLE_ELEMENT_UNITS } from "./costs.ts"

/** Longest array that can be paid for; more is more than any budget. */
const MAX_ARRAY_LENGTH = 2 ** 28

/**
 * Body of the function for one kind of operand: (n: i32) → i32, charges for n and returns it. Lengths that are sure to fail
 * without work (beyond the memory's or any table's maximum) cost nothing, so that the failure stays what it was: −1 or a trap.
 */
export function chargeFunction(operand: MeteredOperand, budgetGlobal: number, maxPages: number, maxTableElements: number): Uint8Array {
  switch (operand) {
    case "memoryBytes":
      return body(budgetGlobal, Math.min(maxPages * 65536, 0xffffffff), op.i32ShrU, BYTES_PER_UNIT_SHIFT, false)
    case "memoryPages":
      return body(budgetGlobal, maxPages, op.i32Mul, PAGE_UNITS, false)
    case "tableElements":
      return body(budgetGlobal, maxTableElements, op.i32Mul, TABLE_ELEMENT_UNITS, false)
    case "arrayElements":
      return body(budgetGlobal, MAX_ARRAY_LENGTH, op.i32Mul, ARRAY_ELEMENT_UNITS, true)
  }
}

function body(budgetGlobal: number, limit: number, scale: number, by: number, exhaustAbove: boolean): Uint8Array {
  const code = new Writer(80)
  const budget = (opcode: number) => {
    code.u8(opcode)
    code.u32(budgetGlobal)
  }
  const constant = (value: number) => {
    code.u8(op.i32Const)
    code.s32(value)
  }
  const exhaust = () => {
    constant(-1)
    budget(op.globalSet)
    code.u8(op.unreachable)
  }
  code.u8(0)
  code.raw([op.localGet, 0])
  constant(limit)
  code.raw([op.i32LeU, op.if, 0x40])
  budget(op.globalGet)
  code.raw([op.localGet, 0])
  constant(by)
  code.raw([scale, op.i32Sub])
  budget(op.globalSet)
  budget(op.globalGet)
  constant(0)
  code.raw([op.i32LtS, op.if, 0x40])
  exhaust()
  code.u8(op.end)
  if (exhaustAbove) {
    code.u8(op.else)
    exhaust()
  }
  code.raw([op.end, op.localGet, 0, op.end])
  return code.view()
}

// Meters one function body: finds where straight-line code begins (function entry, loop heads, branch arms), sums what it
// costs up to the next such place, and writes the body out again with a charge at each.
//
// A segment that can only be reached through an earlier one may be paid for there instead. Small segments are, so that short
// branches cost nothing extra; how much of such foreign cost a segment takes is capped, so that a large `switch` in a loop is
// not charged for all its cases each time round. Loop heads always pay for themselves, which is what bounds execution.
//
// The budget is a global. Where nothing else can charge (no calls but free ones) it is kept in a local, so that a tight loop
// waits for a register and not for memory: through a whole function, which writes the global when it is left, or through a
// loop, which writes it each time round. A trap leaves the global as it was before such a function; nothing may call into an
// instance that trapped.

import {
  gc,
  misc,
  op,
  skipAtomicImmediates,
  skipGcImmediates,
  skipImmediates,
  skipMiscImmediates,
  skipSimdImmediates,
  skipValueType,
} from "../binary/instructions.ts"
import type { Reader } from "../binary/reader.ts"
import { s32Length, u32Length, type Writer } from "../binary/writer.ts"
import { ATOMIC_COST, CHARGE_COST, COST_PER_UNIT, gcCost, IMPORT_CALL_COST, MISC_COST, SIMD_COST, SIMPLE_COSTS } from "./costs.ts"

/** Segments up to this cost are paid for by the segment before them … */
const SMALL_SEGMENT = 80
/** … until it has taken over this much. */
const MAX_TAKEN_OVER = 240
/** Locals of one function; what engines accept too. */
const MAX_LOCALS = 50_000

/** Operand-charged instructions call one of these appended functions, each (i32) → i32, with their length on the stack. */
export const meteredOperands = ["memoryBytes", "memoryPages", "tableElements", "arrayElements"] as const
export type MeteredOperand = (typeof meteredOperands)[number]

/** What the body may refer to, and where the meter's own additions are. */
export interface MeterTarget {
  readonly importedFunctions: number
  readonly functions: number
  readonly globals: number
  /** Extra units of calling a function by index: the whole cost of one that is too small to charge for itself, else 0. */
  readonly calleeCosts: Uint16Array
  /** Index of the appended function for each of `meteredOperands`. */
  readonly chargeFunctions: readonly number[]
  readonly budgetGlobal: number
}

const BRANCH_ARM = 0
const LOOP_HEAD = 1
const OPERAND = 2
const RELOAD = 3
const WRITE_BACK = 4

/** A charge is `before`, the cost, `after`. */
interface ChargeForm {
  readonly before: Uint8Array
  readonly after: Uint8Array
}

const NOTHING = new Uint8Array(0)

/** Reused for all bodies of a module. After `scan`, the public fields describe that body. */
export class BodyMeter {
  readonly #reader: Reader
  readonly #target: MeterTarget
  readonly #budget: readonly number[]
  #fuelLocal = -1
  /** Code before and after the cost, while the budget is in the global only. */
  readonly #globalForm: ChargeForm
  /** The same where it is in the local too, and where it comes to be. */
  #localForm: ChargeForm = { before: NOTHING, after: NOTHING }
  #entryForm: ChargeForm = { before: NOTHING, after: NOTHING }
  /** Without writing the global. */
  #deferredForm: ChargeForm = { before: NOTHING, after: NOTHING }
  #deferredEntryForm: ChargeForm = { before: NOTHING, after: NOTHING }

  // Insertions in the order of their offsets: segments (charge there) and operand charges.
  #count = 0
  #kind = new Uint8Array(256)
  #pos = new Int32Array(256)
  #cost = new Float64Array(256)
  #parent = new Int32Array(256)
  #takenOver = new Int32Array(256)
  #loopOf = new Int32Array(256)

  // Loops, the function itself being the first. In a quiet one nothing outside it changes the budget.
  #loops = 0
  #loop = 0
  #loopQuiet = new Uint8Array(16)
  #loopParent = new Int32Array(16)

  // Open blocks: their opcode and the segment before them.
  #depth = 0
  #blockOp = new Uint8Array(64)
  #blockSegment = new Int32Array(64)
  #segment = 0

  /** Start of the body's bytes and the offset behind its last instruction. */
  #start = 0
  #end = 0
  #localGroups = 0
  #localsStart = 0
  #localsEnd = 0
  #locals = 0
  /** The global needn't be written before the function is left; every way out was found. */
  #deferred = true

  /** Units of the whole body if every instruction runs once. */
  total = 0
  /** No loop, nothing but direct calls, no operand charges: its cost is at most `total` plus that of `callees`. */
  straight = true
  /** Some instruction is charged by its operand, so the appended functions are needed. */
  chargesOperands = false
  /** Indices of the functions it calls, the first few; `straight` is false if there are more. */
  readonly callees: number[] = []

  constructor(reader: Reader, target: MeterTarget) {
    this.#reader = reader
    this.#target = target
    this.#budget = leb(target.budgetGlobal)
    const get = [op.globalGet, ...this.#budget]
    this.#globalForm = this.#form(get, [op.globalSet, ...this.#budget, ...get])
  }

  #form(get: readonly number[], setAndGet: readonly number[]): ChargeForm {
    return {
      before: Uint8Array.from([...get, op.i32Const]),
      // Below zero: pin it at −1, so that no further charge can wrap it round, and trap.
      after: Uint8Array.from([
        op.i32Sub,
        ...setAndGet,
        op.i32Const,
        0,
        op.i32LtS,
        op.if,
        0x40,
        op.i32Const,
        0x7f,
        op.globalSet,
        ...this.#budget,
        op.unreachable,
        op.end,
      ]),
    }
  }

  #setFuelLocal(index: number): void {
    if (this.#fuelLocal === index) return
    this.#fuelLocal = index
    const local = leb(index)
    const getGlobal = [op.globalGet, ...this.#budget]
    const getLocal = [op.localGet, ...local]
    const tee = [op.localTee, ...local]
    const setBoth = [...tee, op.globalSet, ...this.#budget, ...getLocal]
    this.#localForm = this.#form(getLocal, setBoth)
    this.#entryForm = this.#form(getGlobal, setBoth)
    this.#deferredForm = this.#form(getLocal, tee)
    this.#deferredEntryForm = this.#form(getGlobal, tee)
  }

  /** Number of charges the last `write` put in. */
  charges = 0

  /** Reads the body in [start, end), locals first, of a function with this many parameters. @throws MalformedModule */
  scan(start: number, end: number, parameters: number): void {
    const reader = this.#reader
    reader.pos = start
    reader.end = end
    this.#count = 0
    this.#depth = 0
    this.#start = start
    this.#end = end
    this.total = 0
    this.straight = true
    this.chargesOperands = false
    this.callees.length = 0

    this.#deferred = true
    this.#loops = 0
    this.#loop = -1
    this.#enterLoop()

    this.#locals = parameters
    this.#localGroups = reader.count(2)
    this.#localsStart = reader.pos
    for (let groups = this.#localGroups; groups > 0; groups--) {
      this.#locals += reader.u32()
      if (this.#locals >= MAX_LOCALS) reader.fail("too many locals")
      skipValueType(reader)
    }
    this.#localsEnd = reader.pos
    this.#open(LOOP_HEAD, -1)
    this.#push(op.block)

    while (this.#depth > 0) {
      const at = reader.pos
      const opcode = reader.u8()
      let cost = SIMPLE_COSTS[opcode]
      switch (opcode) {
        case op.loop:
          skipImmediates(reader, opcode)
          this.#push(opcode)
          this.#insert(RELOAD, at, 0, -1)
          this.#enterLoop()
          this.#open(LOOP_HEAD, this.#segment)
          this.straight = false
          break
        case op.try:
        case op.tryTable:
          this.#deferred = false
          skipImmediates(reader, opcode)
          this.#push(opcode)
          break
        case op.block:
          skipImmediates(reader, opcode)
          this.#push(opcode)
          break
        case op.if:
          skipImmediates(reader, opcode)
          this.#push(opcode)
          this.#open(BRANCH_ARM, this.#segment)
          break
        case op.else:
        case op.catch:
        case op.catchAll:
          skipImmediates(reader, opcode)
          this.#open(BRANCH_ARM, this.#blockSegment[this.#depth - 1])
          break
        case op.delegate:
        case op.end:
          skipImmediates(reader, opcode)
          if (this.#depth === 1) this.#insert(WRITE_BACK, at, 0, -1)
          this.#pop()
          break
        case op.br:
        case op.brIf:
        case op.brTable:
        case op.brOnNull:
        case op.brOnNonNull:
        case op.return:
        case op.unreachable:
        case op.throw:
        case op.rethrow:
        case op.throwRef:
          this.#leave(opcode, at)
          this.#charge(cost)
          cost = 0
          this.#open(BRANCH_ARM, this.#segment)
          break
        case op.call:
        case op.returnCall:
          cost += this.#directCall(reader.u32(), at)
          break
        case op.callIndirect:
        case op.returnCallIndirect:
        case op.callRef:
        case op.returnCallRef:
          skipImmediates(reader, opcode)
          this.straight = false
          this.#loopQuiet[this.#loop] = 0
          break
        case op.refFunc:
          if (reader.u32() >= this.#target.functions) reader.fail("function index out of range", at)
          break
        case op.globalGet:
        case op.globalSet:
          // The meter's own global comes right after the last one: reaching it would be a way out.
          if (reader.u32() >= this.#target.globals) reader.fail("global index out of range", at)
          break
        case op.memoryGrow:
          skipImmediates(reader, opcode)
          this.#operand(1, at)
          break
        case op.gcPrefix:
          cost = this.#gc(at)
          break
        case op.miscPrefix:
          cost = this.#misc(at)
          break
        case op.simdPrefix:
          skipSimdImmediates(reader, reader.opcode())
          cost = SIMD_COST
          break
        case op.atomicPrefix:
          skipAtomicImmediates(reader, reader.opcode())
          cost = ATOMIC_COST
          break
        case op.localGet:
        case op.localSet:
        case op.localTee:
          // The meter's own local comes right after the last one, too.
          if (reader.u32() >= this.#locals) reader.fail("local index out of range", at)
          break
        default:
          if (opcode < 0x45 || opcode > 0xc4) skipImmediates(reader, opcode)
      }
      this.#charge(cost)
    }
    if (reader.pos !== end) reader.fail("code after the end of the function")
  }

  /** Writes the body last scanned, with its length before it; `free`: without the charge at its entry and in its arms. */
  write(writer: Writer, free: boolean): void {
    this.charges = 0
    const bytes = this.#reader.bytes
    if (free) {
      writer.u32(this.#end - this.#start)
      writer.copy(bytes, this.#start, this.#end)
      return
    }
    this.#deferred &&= this.#loopQuiet[0] === 1 && this.#loops > 1
    const extraLocal = this.#loopQuiet.subarray(0, this.#loops).includes(1)
    if (extraLocal) this.#setFuelLocal(this.#locals)
    const groups = this.#localGroups + (extraLocal ? 1 : 0)
    writer.u32(u32Length(groups) + (extraLocal ? 2 : 0) + this.#end - this.#localsStart + this.#settle())
    writer.u32(groups)
    writer.copy(bytes, this.#localsStart, this.#localsEnd)
    if (extraLocal) writer.raw([1, 0x7f])

    let from = this.#localsEnd
    for (let i = 0; i < this.#count; i++) {
      const cost = this.#cost[i]
      if (cost === 0) continue
      writer.copy(bytes, from, this.#pos[i])
      from = this.#pos[i]
      if (this.#kind[i] === OPERAND) {
        writer.u8(op.call)
        writer.u32(cost)
        this.charges++
      } else if (this.#kind[i] === RELOAD) {
        writer.u8(op.globalGet)
        writer.raw(this.#budget)
        writer.u8(op.localSet)
        writer.u32(this.#fuelLocal)
      } else if (this.#kind[i] === WRITE_BACK) {
        writer.u8(op.localGet)
        writer.u32(this.#fuelLocal)
        writer.u8(op.globalSet)
        writer.raw(this.#budget)
      } else {
        const form = this.#formOf(i)
        writer.raw(form.before)
        writer.s32(cost)
        writer.raw(form.after)
        this.charges++
      }
    }
    writer.copy(bytes, from, this.#end)
  }

  #formOf(insertion: number): ChargeForm {
    if (this.#loopQuiet[this.#loopOf[insertion]] === 0) return this.#globalForm
    if (this.#deferred) return insertion === 0 ? this.#deferredEntryForm : this.#deferredForm
    return insertion === 0 ? this.#entryForm : this.#localForm
  }

  /** Decides who pays for what; cost 0 marks what is not to be written. Returns the octets that will be added. */
  #settle(): number {
    let added = 0
    // Segments come after the ones that lead to them, so backwards is bottom up.
    for (let i = this.#count - 1; i >= 0; i--) {
      const kind = this.#kind[i]
      let cost = this.#cost[i]
      if (kind === OPERAND) {
        added += 1 + u32Length(cost)
        continue
      }
      if (kind === WRITE_BACK) {
        if (this.#deferred) {
          this.#cost[i] = 1
          added += 2 + this.#budget.length + u32Length(this.#fuelLocal)
        }
        continue
      }
      if (kind === RELOAD) {
        // Its loop's head comes next; only the outermost quiet loop has to fetch the budget.
        const loop = this.#loopOf[i + 1]
        if (this.#loopQuiet[loop] === 1 && this.#loopQuiet[this.#loopParent[loop]] === 0) {
          this.#cost[i] = 1
          added += 2 + this.#budget.length + u32Length(this.#fuelLocal)
        }
        continue
      }
      if (kind === BRANCH_ARM) {
        if (cost === 0) continue
        const parent = this.#parent[i]
        if (cost <= SMALL_SEGMENT && this.#takenOver[parent] + cost <= MAX_TAKEN_OVER) {
          this.#cost[parent] += cost
          this.#takenOver[parent] += cost
          this.#cost[i] = 0
          continue
        }
      }
      cost = Math.ceil((cost + CHARGE_COST) / COST_PER_UNIT)
      this.#cost[i] = cost
      const form = this.#formOf(i)
      added += form.before.length + s32Length(cost) + form.after.length
    }
    return added
  }

  #charge(cost: number): void {
    this.#cost[this.#segment] += cost
    this.total += cost
  }

  #insert(kind: number, pos: number, cost: number, parent: number): number {
    const index = this.#count++
    if (index === this.#kind.length) {
      this.#kind = grow(this.#kind, new Uint8Array(index * 2))
      this.#pos = grow(this.#pos, new Int32Array(index * 2))
      this.#cost = grow(this.#cost, new Float64Array(index * 2))
      this.#parent = grow(this.#parent, new Int32Array(index * 2))
      this.#takenOver = grow(this.#takenOver, new Int32Array(index * 2))
      this.#loopOf = grow(this.#loopOf, new Int32Array(index * 2))
    }
    this.#kind[index] = kind
    this.#pos[index] = pos
    this.#cost[index] = cost
    this.#parent[index] = parent
    this.#takenOver[index] = 0
    this.#loopOf[index] = this.#loop
    return index
  }

  /** A segment begins at the next instruction; code reaches it only through `parent`. */
  #open(kind: number, parent: number): void {
    this.#segment = this.#insert(kind, this.#reader.pos, 0, parent)
  }

  #enterLoop(): void {
    const loop = this.#loops++
    if (loop === this.#loopQuiet.length) {
      this.#loopQuiet = grow(this.#loopQuiet, new Uint8Array(loop * 2))
      this.#loopParent = grow(this.#loopParent, new Int32Array(loop * 2))
    }
    this.#loopQuiet[loop] = 1
    this.#loopParent[loop] = this.#loop
    this.#loop = loop
  }

  #leaveLoop(): void {
    const loop = this.#loop
    this.#loop = this.#loopParent[loop]
    if (this.#loopQuiet[loop] === 0) this.#loopQuiet[this.#loop] = 0
  }

  #push(opcode: number): void {
    const depth = this.#depth++
    if (depth === this.#blockOp.length) {
      this.#blockOp = grow(this.#blockOp, new Uint8Array(depth * 2))
      this.#blockSegment = grow(this.#blockSegment, new Int32Array(depth * 2))
    }
    this.#blockOp[depth] = opcode
    this.#blockSegment[depth] = this.#segment
  }

  #pop(): void {
    const depth = --this.#depth
    const before = this.#blockSegment[depth]
    if (this.#blockOp[depth] === op.loop) this.#leaveLoop()
    // Without a branch inside, the code after the block simply goes on from the code before it.
    if (depth > 0 && this.#segment !== before) this.#open(BRANCH_ARM, before)
  }

  /** Reads an instruction that may end the straight line, noting whether it can end the function. */
  #leave(opcode: number, at: number): void {
    const reader = this.#reader
    let furthest = -1
    if (opcode === op.br || opcode === op.brIf || opcode === op.brOnNull || opcode === op.brOnNonNull) furthest = reader.u32()
    else if (opcode === op.brTable) for (let left = reader.count() + 1; left > 0; left--) furthest = Math.max(furthest, reader.u32())
    else if (opcode === op.return) furthest = this.#depth - 1
    else skipImmediates(reader, opcode)
    if (opcode === op.throw || opcode === op.rethrow || opcode === op.throwRef) this.#deferred = false
    if (furthest >= this.#depth - 1) this.#insert(WRITE_BACK, at, 0, -1)
  }

  #directCall(index: number, at: number): number {
    const target = this.#target
    if (index >= target.functions) this.#reader.fail("function index out of range", at)
    if (index < target.importedFunctions) {
      this.straight = false
      this.#loopQuiet[this.#loop] = 0
      return IMPORT_CALL_COST
    }
    if (target.calleeCosts[index] === 0) this.#loopQuiet[this.#loop] = 0
    if (this.callees.length < 8) this.callees.push(index)
    else this.straight = false
    return target.calleeCosts[index]
  }

  /** The operand on top of the stack is charged for before the instruction at `at` runs. */
  #operand(which: number, at: number): void {
    this.straight = false
    this.chargesOperands = true
    this.#loopQuiet[this.#loop] = 0
    this.#insert(OPERAND, at, this.#target.chargeFunctions[which], -1)
  }

  #gc(at: number): number {
    const reader = this.#reader
    const sub = reader.opcode()
    let fields = 0
    if (sub === gc.arrayNewFixed) {
      reader.u32()
      fields = reader.u32()
      if (fields > 10_000) reader.fail("array.new_fixed too long", at)
    } else {
      skipGcImmediates(reader, sub)
    }
    if ((sub >= gc.arrayNew && sub <= gc.arrayNewElem && sub !== gc.arrayNewFixed) || (sub >= gc.arrayFill && sub <= gc.arrayInitElem)) {
      this.#operand(3, at)
    } else if (sub === gc.brOnCast || sub === gc.brOnCastFail) {
      this.#deferred = false
      this.#charge(gcCost(sub, 0))
      this.#open(BRANCH_ARM, this.#segment)
      return 0
    }
    return gcCost(sub, fields)
  }

  #misc(at: number): number {
    const sub = this.#reader.opcode()
    skipMiscImmediates(this.#reader, sub)
    if (sub === misc.memoryInit || sub === misc.memoryCopy || sub === misc.memoryFill) this.#operand(0, at)
    else if (sub === misc.tableInit || sub === misc.tableCopy || sub === misc.tableGrow || sub === misc.tableFill) this.#operand(2, at)
    return MISC_COST
  }
}

function grow<T extends Uint8Array | Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}

function leb(value: number): number[] {
  const out: number[] = []
  for (; value >= 0x80; value >>>= 7) out.push((value & 0x7f) | 0x80)
  out.push(value)
  return out
}

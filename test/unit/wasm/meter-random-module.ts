// Random WebAssembly modules that always end: structured code over i32 with bounded loops, calls to earlier functions only.
// For property tests of the meter; the same seed gives the same module.

import { Writer } from "../../../gateway/wasm/binary/writer.ts"

const I32 = 0x7f
const LOCALS = 4
/** Counters of loops, behind the locals that statements assign to. */
const COUNTERS = 6

/** xorshift32. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }

  next(limit: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % limit
  }
}

/** Binary operators that never trap, and two that do for some operands (div_s, rem_u). */
const OPERATORS = [0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x46, 0x48, 0x4b, 0x6d, 0x70]

class Body {
  readonly code = new Writer(256)
  readonly #random: Random
  readonly #functions: number
  #depth = 0
  #loops = 0
  #left: number

  constructor(random: Random, functions: number, size: number) {
    this.#random = random
    this.#functions = functions
    this.#left = size
  }

  #op(...bytes: number[]): void {
    this.code.raw(bytes)
  }

  #const(value: number): void {
    this.code.u8(0x41)
    this.code.s32(value)
  }

  expression(depth: number): void {
    const random = this.#random
    this.#left--
    switch (depth > 4 || this.#left < 0 ? random.next(2) : random.next(11)) {
      case 0:
        this.#const(random.next(3) === 0 ? random.next(0xffffffff) : random.next(64))
        return
      case 1:
        this.#op(0x20, random.next(LOCALS + 2))
        return
      case 2:
        this.#op(0x23, 0)
        return
      case 3:
        this.expression(depth + 1)
        this.#const(0xfffc)
        this.#op(0x71, 0x28, 2, 0)
        return
      case 4:
        if (this.#functions > 0) {
          this.expression(depth + 1)
          this.expression(depth + 1)
          this.#op(0x10, random.next(this.#functions))
          return
        }
        this.#op(0x20, 0)
        return
      case 5:
        if (this.#functions > 0) {
          this.expression(depth + 1)
          this.expression(depth + 1)
          this.#const(random.next(this.#functions))
          this.#op(0x11, 0, 0)
          return
        }
        this.#op(0x20, 1)
        return
      case 6:
        // if with a result
        this.expression(depth + 1)
        this.#op(0x04, I32)
        this.#depth++
        this.expression(depth + 1)
        this.#op(0x05)
        this.expression(depth + 1)
        this.#depth--
        this.#op(0x0b)
        return
      case 7:
        // block with parameters and two results, left early or not
        this.expression(depth + 1)
        this.expression(depth + 1)
        this.#op(0x02, 1)
        this.#depth++
        this.expression(depth + 1)
        this.#op(0x0d, 0)
        this.#op(0x6a, 0x20, 0)
        this.#depth--
        this.#op(0x0b, 0x73)
        return
      default:
        this.expression(depth + 1)
        this.expression(depth + 1)
        this.#op(OPERATORS[random.next(OPERATORS.length)])
    }
  }

  #condition(): void {
    this.expression(3)
    this.#const(1)
    this.#op(0x71)
  }

  statements(count: number): void {
    for (let i = 0; i < count && this.#left > 0; i++) this.#statement()
  }

  #statement(): void {
    const random = this.#random
    switch (random.next(this.#depth > 5 ? 4 : 11)) {
      case 0:
        this.expression(0)
        this.#op(0x24, 0)
        return
      case 1:
        this.expression(2)
        this.#const(0xfffc)
        this.#op(0x71)
        this.expression(1)
        this.#op(0x36, 2, 0)
        return
      case 2:
        if (this.#depth > 0 && random.next(3) === 0) {
          this.#condition()
          // Only labels of blocks: the innermost are; a loop's label is always behind its block's.
          this.#op(0x0d, 0)
          return
        }
        this.#const(random.next(0x8000))
        this.#const(random.next(256))
        this.#const(random.next(0x2000))
        this.#op(0xfc, 11, 0)
        return
      case 4:
        this.#op(0x02, 0x40)
        this.#inner(3)
        this.#op(0x0b)
        return
      case 5:
        this.#condition()
        this.#op(0x04, 0x40)
        this.#inner(3)
        this.#op(0x05)
        this.#inner(2)
        this.#op(0x0b)
        return
      case 6:
      case 7:
        if (this.#loops < COUNTERS) this.#loop()
        return
      case 8: {
        const cases = 2 + random.next(4)
        for (let i = 0; i < cases; i++) this.#op(0x02, 0x40)
        this.expression(3)
        this.#const(7)
        this.#op(0x71, 0x0e, cases - 1)
        for (let i = 0; i < cases; i++) this.#op(i)
        for (let i = 0; i < cases; i++) {
          this.#op(0x0b)
          // Behind the last block, label 0 is whatever is around all of them.
          if (i < cases - 1) this.#depth++
          this.statements(2)
          if (i < cases - 1) this.#depth--
        }
        return
      }
      case 9:
        if (random.next(6) === 0) {
          this.#condition()
          this.#op(0x04, 0x40)
          this.expression(2)
          this.#op(0x0f, 0x0b)
          return
        }
        this.#op(0x01)
        return
      default:
        this.expression(0)
        this.#op(random.next(2) === 0 ? 0x21 : 0x22, 2 + random.next(LOCALS))
        if (this.#lastWasTee()) this.#op(0x1a)
    }
  }

  #lastWasTee(): boolean {
    const view = this.code.view()
    return view[view.length - 2] === 0x22
  }

  #inner(count: number): void {
    this.#depth++
    this.statements(1 + this.#random.next(count))
    this.#depth--
  }

  /** block { loop { body; if (--counter) continue } }, where a br 0 from the body's blocks can't reach the loop. */
  #loop(): void {
    const counter = 2 + LOCALS + this.#loops++
    this.#const(1 + this.#random.next(6))
    this.#op(0x21, counter)
    this.#op(0x02, 0x40, 0x03, 0x40, 0x02, 0x40)
    this.#inner(4)
    this.#op(0x0b)
    this.#op(0x20, counter)
    this.#const(1)
    this.#op(0x6b, 0x22, counter, 0x0d, 0, 0x0b, 0x0b)
    this.#loops--
  }
}

/** A module exporting `f0`, `f1` … of type (i32, i32) → i32, and `memory`. Some export traps for some arguments. */
export function randomModule(seed: number): Uint8Array<ArrayBuffer> {
  const random = new Random(seed)
  const functions = 2 + random.next(5)
  const module = new Writer(4096)
  const section = (id: number, write: (contents: Writer) => void) => {
    const contents = new Writer(1024)
    write(contents)
    module.u8(id)
    module.prefixed(contents.view())
  }
  module.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
  section(1, (out) => out.raw([2, 0x60, 2, I32, I32, 1, I32, 0x60, 2, I32, I32, 2, I32, I32]))
  section(3, (out) => {
    out.u32(functions)
    for (let i = 0; i < functions; i++) out.u32(0)
  })
  section(4, (out) => {
    out.raw([1, 0x70, 0])
    out.u32(functions)
  })
  section(5, (out) => out.raw([1, 0, 1]))
  section(6, (out) => out.raw([1, I32, 1, 0x41, 7, 0x0b]))
  section(7, (out) => {
    out.u32(functions + 1)
    for (let i = 0; i < functions; i++) {
      out.text(`f${i}`)
      out.u8(0)
      out.u32(i)
    }
    out.text("memory")
    out.raw([2, 0])
  })
  section(9, (out) => {
    out.raw([1, 0, 0x41, 0, 0x0b])
    out.u32(functions)
    for (let i = 0; i < functions; i++) out.u32(i)
  })
  section(10, (out) => {
    out.u32(functions)
    for (let i = 0; i < functions; i++) {
      const body = new Body(random, i, random.next(4) === 0 ? 6 : 120)
      body.code.raw([1, LOCALS + COUNTERS, I32])
      body.statements(1 + random.next(6))
      body.expression(0)
      body.code.u8(0x0b)
      out.prefixed(body.code.view())
    }
  })
  return module.take()
}

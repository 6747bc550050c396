import binaryen from "binaryen"
import { describe, expect, it } from "vitest"
import { Reader } from "../../../gateway/wasm/binary/reader.ts"
import { budgetFor, calibrate } from "../../../gateway/wasm/meter/calibrate.ts"
import { BUDGET_EXPORT, type InstrumentOptions, instrument, MAX_BUDGET } from "../../../gateway/wasm/meter/instrument.ts"

function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(`(module ${text})`)
  module.setFeatures(binaryen.Features.All)
  const bytes = module.emitBinary()
  module.dispose()
  return bytes
}

type Guest = Record<string, (...args: unknown[]) => unknown> & { memory: WebAssembly.Memory }

class Metered {
  readonly exports: Guest
  readonly #budget: WebAssembly.Global<"i32">

  constructor(text: string, imports: WebAssembly.Imports = {}, options: InstrumentOptions = { maxMemoryPages: 16 }) {
    const result = instrument(assemble(text), options)
    if (!result.ok) throw new Error(result.reason)
    this.exports = new WebAssembly.Instance(new WebAssembly.Module(result.bytes), imports).exports as unknown as Guest
    this.#budget = (this.exports as unknown as WebAssembly.Exports)[BUDGET_EXPORT] as WebAssembly.Global<"i32">
  }

  /** What a call gives with this budget: its value, `budget`, or `trap`. */
  call(budget: number, name = "run", ...args: unknown[]): unknown {
    this.#budget.value = budget
    try {
      return this.exports[name](...args)
    } catch (error) {
      if (this.#budget.value < 0) return "budget"
      if (error instanceof WebAssembly.RuntimeError || error instanceof RangeError) return "trap"
      throw error
    }
  }

  get left(): number {
    return this.#budget.value
  }
}

function refusal(text: string, options: InstrumentOptions = { maxMemoryPages: 16 }): string {
  const result = instrument(assemble(text), options)
  return result.ok ? "accepted" : result.reason
}

const runaways: Record<string, string> = {
  "an empty loop": `(func (export "run") (loop $l (br $l)))`,
  "a loop through br_table": `(func (export "run") (loop $l (br_table $l $l (i32.const 1))))`,
  "a loop through br_if": `(func (export "run") (loop $l (br_if $l (i32.const 1)) (br $l)))`,
  "a loop inside a quiet loop": `(func (export "run") (local $i i32) (loop $o (local.set $i (i32.const 3))
    (loop $l (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (br $o)))`,
  "a loop that calls a free function": `(func $f) (func (export "run") (loop $l (call $f) (br $l)))`,
  "a loop that calls": `(func $f (param i32) (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "run") (loop $l (call $f (i32.const 5)) (br $l)))`,
  "a tail call to itself": `(func $f (export "run") (return_call $f))`,
  "tail calls in a ring": `(func $f (export "run") (return_call $g)) (func $g (return_call $f))`,
  "an indirect tail call": `(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f)
    (func $f (export "run") (return_call_indirect (type $t) (i32.const 0)))`,
  "a tail call through a reference": `(type $t (func)) (elem declare func $f)
    (func $f (export "run") (type $t) (return_call_ref $t (ref.func $f)))`,
  "a loop of exceptions": `(tag $e) (func (export "run") (loop $l (block $c (try_table (catch $e $c) (throw $e))) (br $l)))`,
  "a loop of fills": `(memory 16) (func (export "run") (loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576)) (br $l)))`,
  "a loop of array allocations": `(type $a (array i8))
    (func (export "run") (loop $l (drop (array.new_default $a (i32.const 1000000))) (br $l)))`,
  "one enormous array": `(type $a (array i8)) (func (export "run") (drop (array.new_default $a (i32.const 0x7fffffff))))`,
  "one array of 2^32 − 1": `(type $a (array i8)) (func (export "run") (drop (array.new_default $a (i32.const -1))))`,
}

describe("a runaway", () => {
  for (const [what, text] of Object.entries(runaways)) {
    it(`is stopped: ${what}`, () => {
      const metered = new Metered(text)
      expect(metered.call(100_000)).toBe("budget")
      expect(metered.left).toBe(-1)
      expect(metered.call(0)).toBe("budget")
    })
  }

  it("is stopped when it catches everything", () => {
    const metered = new Metered(`(func $spin (loop $l (br $l)))
      (func (export "run") (loop $l (block $c (try_table (catch_all $c) (call $spin))) (br $l)))`)
    expect(metered.call(100_000)).toBe("budget")
  })

  it("is stopped when it comes back in through the host", () => {
    let metered: Metered
    metered = new Metered(
      `(import "host" "back" (func $back)) (func (export "spin") (loop $l (br $l)))
       (func (export "run") (loop $l (block $c (try_table (catch_all $c) (call $back))) (br $l)))`,
      { host: { back: () => metered.exports.spin() } },
    )
    expect(metered.call(100_000)).toBe("budget")
  })

  it("is stopped in the start function", () => {
    const result = instrument(assemble(`(start $s) (func $s (loop $l (br $l)))`), { maxMemoryPages: 1, startBudget: 10_000 })
    if (!result.ok) throw new Error(result.reason)
    expect(result.info.hasStart).toBe(true)
    expect(() => new WebAssembly.Instance(new WebAssembly.Module(result.bytes))).toThrow(WebAssembly.RuntimeError)
  })

  it("of recursion ends in one trap or the other", () => {
    expect(["trap", "budget"]).toContain(
      new Metered(`(func $f (export "run") (result i32) (i32.add (call $f) (i32.const 1)))`).call(MAX_BUDGET),
    )
  })

  it("in legacy exceptions is stopped", () => {
    // try … catch_all … br, which binaryen no longer writes from text.
    const body = [0, 0x03, 0x40, 0x06, 0x40, 0x08, 0, 0x19, 0x0c, 1, 0x0b, 0x0b, 0x0b]
    const bytes = Uint8Array.from([
      0,
      0x61,
      0x73,
      0x6d,
      1,
      0,
      0,
      0,
      1,
      4,
      1,
      0x60,
      0,
      0,
      3,
      2,
      1,
      0,
      13,
      3,
      1,
      0,
      0,
      7,
      7,
      1,
      3,
      0x72,
      0x75,
      0x6e,
      0,
      0,
      10,
      body.length + 2,
      1,
      body.length,
      ...body,
    ])
    const result = instrument(bytes, { maxMemoryPages: 1 })
    if (!result.ok) throw new Error(result.reason)
    const exports = new WebAssembly.Instance(new WebAssembly.Module(result.bytes)).exports
    const budget = exports[BUDGET_EXPORT] as WebAssembly.Global<"i32">
    budget.value = 100_000
    expect(() => (exports.run as () => void)()).toThrow(WebAssembly.RuntimeError)
    expect(budget.value).toBe(-1)
  })
})

describe("a budget", () => {
  it("is charged by what runs", () => {
    const metered = new Metered(`(func (export "run") (param $n i32) (result i32) (local $s i32)
      (loop $l (local.set $s (i32.add (local.get $s) (local.get $n)))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) (local.get $s))`)
    const used = (n: number) => {
      expect(metered.call(MAX_BUDGET, "run", n)).toBe((n * (n + 1)) / 2)
      return MAX_BUDGET - metered.left
    }
    const [ten, thousand] = [used(10), used(1000)]
    expect((thousand - ten) / 990).toBeGreaterThanOrEqual(1)
    expect((thousand - ten) / 990).toBeLessThan(5)
    expect(metered.call(ten, "run", 10)).toBe(55)
    expect(metered.call(ten - 1, "run", 10)).toBe("budget")
  })

  it("pays for the case that runs, not for the whole switch", () => {
    const cases = 200
    const work = (n: number) => `(local.set $x (i32.mul (local.get $x) (i32.const ${n})))`.repeat(40)
    const open = Array.from({ length: cases }, (_, i) => `(block $b${cases - 1 - i}`).join("")
    const labels = Array.from({ length: cases }, (_, i) => `$b${i}`).join(" ")
    const arms = Array.from({ length: cases }, (_, i) => `) ${work(i + 2)} (return (local.get $x))`).join("")
    const metered = new Metered(`(func (export "run") (param $which i32) (result i32) (local $x i32)
      ${open} (br_table ${labels} (local.get $which)) ${arms} (i32.const 0))`)
    metered.call(MAX_BUDGET, "run", 7)
    expect(MAX_BUDGET - metered.left).toBeLessThan(100)
  })

  it("pays for bulk operations by length", () => {
    const metered = new Metered(`(memory 16) (func (export "run") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))`)
    metered.call(MAX_BUDGET, "run", 16)
    const small = MAX_BUDGET - metered.left
    metered.call(MAX_BUDGET, "run", 1 << 20)
    expect(MAX_BUDGET - metered.left - small).toBeGreaterThan(50_000)
    expect(metered.call(MAX_BUDGET, "run", -1)).toBe("trap")
  })

  it("of a time is in range", () => {
    const unitsPerMs = calibrate()
    expect(unitsPerMs).toBeGreaterThanOrEqual(500_000)
    expect(budgetFor(1, unitsPerMs)).toBe(unitsPerMs)
    expect(budgetFor(0, unitsPerMs)).toBe(1)
    expect(budgetFor(1e9, unitsPerMs)).toBe(MAX_BUDGET)
  })
})

describe("memory and tables", () => {
  it("grow to the cap and then answer −1", () => {
    const metered = new Metered(
      `(memory (export "memory") 1 1000) (func (export "run") (param i32) (result i32) (memory.grow (local.get 0)))`,
    )
    expect(metered.call(MAX_BUDGET, "run", 15)).toBe(1)
    expect(metered.call(MAX_BUDGET, "run", 1)).toBe(-1)
    expect(metered.call(MAX_BUDGET, "run", -1)).toBe(-1)
    expect(metered.exports.memory.buffer.byteLength).toBe(16 * 65536)
  })

  it("keep a maximum below the cap", () => {
    const metered = new Metered(`(memory 1 2) (func (export "run") (param i32) (result i32) (memory.grow (local.get 0)))`)
    expect(metered.call(MAX_BUDGET, "run", 2)).toBe(-1)
    expect(metered.call(MAX_BUDGET, "run", 1)).toBe(1)
  })

  it("tables stop at a million elements together", () => {
    const metered = new Metered(`(table $t 10 funcref) (table $u 10 externref)
      (func (export "run") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))`)
    expect(metered.call(MAX_BUDGET, "run", 900_000)).toBe(-1)
    expect(metered.call(MAX_BUDGET, "run", 400_000)).toBe(10)
    expect(metered.call(MAX_BUDGET, "run", 5_000_000)).toBe(-1)
  })
})

describe("a module is refused, saying why:", () => {
  const refusals: [string, string, RegExp][] = [
    ["imported memory", `(import "env" "memory" (memory 1))`, /imported memory "env.memory"/],
    ["shared memory", `(memory 1 2 shared)`, /threads/],
    ["64-bit memory", `(memory i64 1)`, /memory64/],
    ["several memories", `(memory 1) (memory 1)`, /multiple memories/],
    ["too much memory", `(memory 17)`, /17 pages.*limit of 16/],
    ["a reserved export", `(func (export "sluice:budget"))`, /"sluice:budget" is reserved/],
    ["huge tables", `(table 2000000 funcref)`, /tables start with more than/],
    ["huge constant arrays", `(type $a (array i8)) (global (ref $a) (array.new_default $a (i32.const 100000000)))`, /constant expressions/],
  ]
  for (const [what, text, reason] of refusals) {
    it(what, () => {
      expect(refusal(text)).toMatch(reason)
    })
  }

  it("what is no module", () => {
    expect(instrument(new Uint8Array(0), { maxMemoryPages: 1 })).toEqual({ ok: false, reason: "not a WebAssembly module at offset 0" })
    const component = Uint8Array.from([0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0])
    expect(instrument(component, { maxMemoryPages: 1 })).toMatchObject({ ok: false, reason: expect.stringContaining("component") })
  })

  const unknown = (...code: number[]) => {
    const body = [0, ...code, 0x0b]
    return instrument(
      Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, body.length + 2, 1, body.length, ...body]),
      { maxMemoryPages: 1 },
    )
  }

  it("unknown opcodes", () => {
    for (const code of [[0xe0, 0, 0], [0xfb, 40], [0xfc, 40], [0xfd, 0xff, 0x7f], [0xfe, 0x60], [0xff]])
      expect(unknown(...code)).toMatchObject({ ok: false, reason: expect.stringMatching(/unsupported opcode 0x/) })
    expect(unknown(0xfc, 0x80, 0x00)).toMatchObject({ ok: false, reason: expect.stringContaining("padded opcode") })
  })

  it("reaching for what the meter adds", () => {
    // Global 0 and local 0 do not exist in the original; in the rewritten module they would be the budget.
    expect(unknown(0x41, 0, 0x24, 0)).toMatchObject({ ok: false, reason: expect.stringContaining("global index") })
    expect(unknown(0x41, 0, 0x21, 0)).toMatchObject({ ok: false, reason: expect.stringContaining("local index") })
    expect(unknown(0x41, 0, 0x10, 1, 0x1a)).toMatchObject({ ok: false, reason: expect.stringContaining("function index") })
  })
})

describe("the rewrite", () => {
  it("keeps names, exports and imports, and reports them", () => {
    const text = `(import "env" "log" (func $log (param i32))) (memory (export "memory") 1 4) (global $g (export "g") (mut i64) (i64.const 5))
      (func $named (export "run") (result i32) (call $log (i32.const 1)) (i32.const 3))`
    const original = assemble(text)
    const result = instrument(original, { maxMemoryPages: 16 })
    if (!result.ok) throw new Error(result.reason)
    expect(result.info).toMatchObject({
      imports: [{ module: "env", name: "log", kind: "function" }],
      exports: [
        { name: "memory", kind: "memory" },
        { name: "g", kind: "global" },
        { name: "run", kind: "function" },
      ],
      memory: { minPages: 1, maxPages: 4 },
      functions: 1,
      hasStart: false,
      charges: 1,
    })
    const module = new WebAssembly.Module(result.bytes)
    expect(WebAssembly.Module.exports(module).map((each) => each.name)).toEqual(["memory", "g", "run", BUDGET_EXPORT])
    expect(instrument(result.bytes, { maxMemoryPages: 16 })).toMatchObject({ ok: false, reason: expect.stringContaining("reserved") })
  })

  it("of an empty module compiles", () => {
    const result = instrument(Uint8Array.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]), { maxMemoryPages: 1 })
    expect(result.ok && WebAssembly.validate(result.bytes)).toBe(true)
  })
})

describe("numbers in the binary format", () => {
  it("are read to their limits and not beyond", () => {
    const u32 = (...bytes: number[]) => new Reader(Uint8Array.from(bytes)).u32()
    expect(u32(0xff, 0xff, 0xff, 0xff, 0x0f)).toBe(0xffffffff)
    expect(u32(0x80, 0x80, 0x00)).toBe(0)
    expect(() => u32(0xff, 0xff, 0xff, 0xff, 0x1f)).toThrow("out of range at offset 0")
    expect(() => u32(0x80, 0x80, 0x80, 0x80, 0x80, 0x00)).toThrow("out of range")
    expect(() => u32(0x80)).toThrow("unexpected end")
    expect(new Reader(Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x78])).s32()).toBe(-(2 ** 31))
    expect(new Reader(Uint8Array.from([0x7f])).s32()).toBe(-1)
  })
})

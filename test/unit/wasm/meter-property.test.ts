import asc from "assemblyscript/asc"
import { describe, expect, it } from "vitest"
import { BUDGET_EXPORT, instrument, MAX_BUDGET } from "../../../gateway/wasm/meter/instrument.ts"
import { prepareModule } from "../../../gateway/wasm/module.ts"
import { Random, randomModule } from "./meter-random-module.ts"

const seed = Number(process.env.SLUICE_SEED ?? Date.now() % 2 ** 31)
const rounds = Number(process.env.SLUICE_ROUNDS ?? 150)

function metered(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const result = instrument(bytes, { maxMemoryPages: 256 })
  if (!result.ok) throw new Error(result.reason)
  return result.bytes
}

/** What one call of a random module may use: its loops may nest so deep that one runs for hours. */
const CALL_BUDGET = 20_000_000

/** Everything a module's exports f0, f1 … do: results, traps, and what is left in memory; null = one of them has no end in sight. */
function behaviour(bytes: Uint8Array<ArrayBuffer>): string | null {
  const exports = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
  const budget = exports[BUDGET_EXPORT] as WebAssembly.Global<"i32"> | undefined
  const seen: unknown[] = []
  for (const [name, run] of Object.entries(exports)) {
    if (typeof run !== "function") continue
    for (const [a, b] of [
      [1, 2],
      [-5, 77],
      [0, 1 << 30],
    ]) {
      if (budget !== undefined) budget.value = CALL_BUDGET
      try {
        seen.push(name, run(a, b))
      } catch (error) {
        if (!(error instanceof WebAssembly.RuntimeError)) throw error
        if (budget !== undefined && budget.value < 0) return null
        seen.push(name, "trap")
      }
    }
  }
  const words = new Int32Array((exports.memory as WebAssembly.Memory).buffer)
  let digest = 0
  for (const word of words) digest = (Math.imul(digest, 31) + word) | 0
  return `${seen.join()} ${digest}`
}

const source = `
export function fib(n: i32): i32 { return n < 2 ? n : fib(n - 1) + fib(n - 2) }
function hash(s: string): u32 { let h: u32 = 2166136261; for (let i = 0; i < s.length; i++) { h ^= s.charCodeAt(i); h *= 16777619 } return h }
const names = ["x-api-key", "Content-Type", "accept-encoding", "user-agent"]
export function text(n: i32): i32 {
  let r: u32 = 0
  const seen = new Map<string, i32>()
  for (let i = 0; i < n; i++) {
    const parts = names[i % 4].toLowerCase().split("-")
    for (let j = 0; j < parts.length; j++) r ^= hash(parts[j].trim() + "=" + i.toString())
    seen.set(parts[0], i)
  }
  return r + seen.size + seen.get("x")
}
export function sort(n: i32): i32 {
  const all = new Array<f64>()
  for (let i = 0; i < n; i++) all.push(Math.sin(i as f64) * 1000)
  all.sort((a, b) => a < b ? -1 : 1)
  return (all[n / 2] * 1000) as i32
}
export function bytes(n: i32): i32 {
  const buffer = new Uint8Array(n)
  buffer.fill(7)
  const other = buffer.slice(1)
  other.set(buffer.subarray(0, n / 2))
  return other.reduce((sum, each) => sum + each, 0)
}
`

async function compile(...flags: string[]): Promise<Uint8Array<ArrayBuffer>> {
  let output: Uint8Array<ArrayBuffer> | null = null
  const { error, stderr } = await asc.main(["module.ts", "--outFile", "module.wasm", "--use", "abort=", ...flags], {
    readFile: (name: string) => (name === "module.ts" ? source : null),
    writeFile: (name: string, contents: string | Uint8Array) => {
      if (name === "module.wasm") output = Uint8Array.from(contents as Uint8Array)
    },
    listFiles: () => [],
  })
  if (error !== null || output === null) throw new Error(stderr.toString())
  return output
}

describe("an instrumented module", () => {
  it(`does what the original does (seed ${seed})`, () => {
    let compared = 0
    for (let i = 0; i < rounds; i++) {
      const bytes = randomModule(seed + i * 7919)
      // The original has nothing that would end it: it runs only when the other one has come to its end.
      const expected = behaviour(metered(bytes))
      if (expected === null) continue
      expect(behaviour(bytes), `seed ${seed + i * 7919}`).toBe(expected)
      compared++
    }
    expect(compared).toBeGreaterThan(rounds * 0.9)
  })

  it.each([
    ["-O3", "--runtime", "incremental"],
    ["-O0", "--runtime", "stub"],
    ["-Oz", "--exportRuntime", "--debug"],
  ])(
    "does what the original does: AssemblyScript %s",
    async (...flags) => {
      const bytes = await compile(...flags)
      const original = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports
      const module = new WebAssembly.Instance(new WebAssembly.Module(metered(bytes))).exports
      const budget = module[BUDGET_EXPORT] as WebAssembly.Global<"i32">
      for (const [name, n] of [
        ["fib", 15],
        ["text", 200],
        ["sort", 300],
        ["bytes", 10_000],
      ] as const) {
        budget.value = MAX_BUDGET
        expect((module[name] as (n: number) => number)(n), name).toBe((original[name] as (n: number) => number)(n))
        expect(MAX_BUDGET - budget.value, name).toBeGreaterThan(100)
        budget.value = 20
        expect(() => (module[name] as (n: number) => number)(n), name).toThrow(WebAssembly.RuntimeError)
        expect(budget.value).toBe(-1)
      }
    },
    60_000,
  )

  it(`compiles when the original does, and only then (seed ${seed})`, () => {
    const random = new Random(seed)
    let valid = 0
    for (let i = 0; i < rounds * 20; i++) {
      const bytes = i % 50 === 0 ? randomModule(seed + i) : randomModule(seed + (i - (i % 50)))
      for (let edits = random.next(4); edits > 0; edits--) bytes[random.next(bytes.length)] = random.next(256)
      const cut = random.next(20) === 0 ? bytes.subarray(0, random.next(bytes.length)) : bytes
      const result = instrument(cut, { maxMemoryPages: 65536 })
      const was = WebAssembly.validate(cut)
      if (result.ok && was) expect(WebAssembly.validate(result.bytes), `seed ${seed}, round ${i}`).toBe(true)
      // Rewriting alone can mend an invalid module (a type index beyond the last gains a type): preparing asks the engine.
      if (!was) expect(prepareModule(cut, { memory: 65536 }).ok, `seed ${seed}, round ${i}`).toBe(false)
      if (was) valid++
    }
    expect(valid).toBeGreaterThan(rounds)
  }, 60_000)

  it("leaves out custom sections that are too large to keep", () => {
    const one = randomModule(1)
    const custom = [0, 0, 0, 0, 0]
    for (let i = 0, rest = 1 << 20; i < 5; i++, rest >>>= 7) custom[i] = i < 4 ? (rest & 0x7f) | 0x80 : rest
    const big = new Uint8Array(one.length + 6 + (1 << 20))
    big.set(one)
    big.set([0, ...custom, 4, ...new TextEncoder().encode("blob")], one.length)
    const result = instrument(big, { maxMemoryPages: 1 })
    if (!result.ok) throw new Error(result.reason)
    expect(result.info.customSections).toEqual(["blob"])
    expect(result.bytes.length).toBeLessThan(one.length * 2 + 500)
  })
})

import { Worker } from "node:worker_threads"
import { describe, expect, test } from "vitest"
import { Gcra } from "../../../gateway/resilience/gcra.ts"
import { KeyHash } from "../../../gateway/resilience/key-hash.ts"
import { createRateMemory, RateTable } from "../../../gateway/resilience/rate-table.ts"
import { within } from "../../support/deadline.ts"

const memory = createRateMemory()

/** A table of its own: the places of this file's tests don't meet. */
function freshTable(): RateTable {
  new Int32Array(memory).fill(0)
  return new RateTable(memory)
}

const hash = new KeyHash([0x12345678, -77])

function take(table: RateTable, gcra: Gcra, key: string, now: number): boolean {
  hash.begin()
  hash.add(key)
  hash.end()
  return table.takeKey(gcra, hash.low, hash.high, now)
}

describe("the table of limits", () => {
  test("passes the rate to 0.1 % over a million requests of one limit, and its burst", () => {
    const table = freshTable()
    const gcra = new Gcra(1000, 1000, 1000)
    let passed = 0
    for (let i = 0; i < 1_000_000; i++) if (table.takeBucket(gcra, 3, i / 5)) passed++
    // 200 s at five times the rate.
    expect(Math.abs(passed - 201_000)).toBeLessThanOrEqual(1)
  })

  test("keeps keys apart, and each to its rate", () => {
    const table = freshTable()
    const gcra = new Gcra(10, 1000, 10)
    const passed = new Array<number>(1000).fill(0)
    for (let round = 0; round < 100; round++) {
      for (let key = 0; key < 1000; key++) if (take(table, gcra, `user-${key}`, round * 20)) passed[key]++
    }
    // 2 s at 50 a second each.
    expect([Math.min(...passed), Math.max(...passed)]).toEqual([29, 29])
    expect(table.evictions).toBe(0)
    expect(table.keys(1980)).toBe(1000)
    expect(table.keys(10_000)).toBe(0)
  })

  test("forgets nobody who is over his limit for keys that are full again", () => {
    const table = freshTable()
    const slow = new Gcra(5, 3_600_000, 5)
    const fast = new Gcra(100, 1000, 100)
    for (let i = 0; i < 5; i++) take(table, slow, "offender", 0)
    expect(take(table, slow, "offender", 1)).toBe(false)
    // More keys than there is room for, each full again 10 ms later.
    for (let i = 0; i < 300_000; i++) take(table, fast, `key-${i}`, i / 100)
    expect(table.evictions).toBe(0)
    expect(take(table, slow, "offender", 3001)).toBe(false)
  })

  test("is no larger for a flood of keys, which forget those that are full first", () => {
    const table = freshTable()
    const gcra = new Gcra(1, 3_600_000, 2)
    const offender = new Gcra(5, 3_600_000, 5)
    for (let i = 0; i < 5; i++) take(table, offender, "offender", 0)
    const kept = new Gcra(2, 3_600_000, 2)
    for (let i = 0; i < 250_000; i++) take(table, kept, `key-${i}`, 1)
    expect(table.evictions).toBeGreaterThan(100_000)
    expect(table.keys(2)).toBeGreaterThan(130_000)
    expect(table.keys(2)).toBeLessThanOrEqual(131_072)
    // Fuller than it, all of them: it is the last to go.
    expect(take(table, offender, "offender", 2)).toBe(false)
    expect(take(table, gcra, "late", 2)).toBe(true)
  })

  test("spreads keys that are chosen to meet under another seed", () => {
    const known = new KeyHash([1, 2])
    const table = freshTable()
    const gcra = new Gcra(1, 3_600_000, 1)
    const chosen: string[] = []
    for (let i = 0; chosen.length < 200; i++) {
      known.begin()
      known.add(`k${i}`)
      known.end()
      // One set of 16 384 would be theirs.
      if ((known.low & 0x3ff) === 0) chosen.push(`k${i}`)
    }
    for (const key of chosen) take(table, gcra, key, 1)
    expect(table.evictions).toBe(0)
    expect(chosen.filter((key) => take(table, gcra, key, 2))).toEqual([])
  })

  test("takes a bucket that nobody has used for long for a full one, whatever its count has come to", () => {
    const table = freshTable()
    const gcra = new Gcra(1_000_000, 1000, 100)
    for (let hours = 0; hours < 200; hours++) {
      const now = hours * 3_600_000 + hours * 977.3
      let passed = 0
      for (let i = 0; i < 150; i++) if (table.takeBucket(gcra, 0, now)) passed++
      expect(passed).toBe(100)
      passed = 0
      for (let i = 0; i < 150; i++) if (take(table, gcra, "key", now)) passed++
      expect(passed).toBe(100)
    }
  })

  test("gives a bucket that is cleared to its next limit full", () => {
    const table = freshTable()
    const gcra = new Gcra(2, 3_600_000, 2)
    for (let i = 0; i < 2; i++) table.takeBucket(gcra, 7, 1000)
    expect(table.takeBucket(gcra, 7, 2000)).toBe(false)
    table.clearBucket(7, 2000)
    expect([0, 1, 2].map(() => table.takeBucket(gcra, 7, 2000))).toEqual([true, true, false])
  })

  test("gives back where it took", () => {
    const table = freshTable()
    const gcra = new Gcra(1, 3_600_000, 1)
    expect(take(table, gcra, "a", 0)).toBe(true)
    const { place } = table
    expect(take(table, gcra, "b", 0)).toBe(true)
    table.giveBack(gcra, place)
    expect([take(table, gcra, "a", 1), take(table, gcra, "b", 1)]).toEqual([true, false])
  })

  test("is exact for two workers that take from it at once", async () => {
    const shared = createRateMemory()
    // Times of a clock that both go by: a word that either moves on.
    const clock = new SharedArrayBuffer(16)
    const source = `
      const { workerData, parentPort } = require("node:worker_threads")
      import(workerData.table).then(async ({ RateTable }) => {
        const { Gcra } = await import(workerData.gcra)
        const table = new RateTable(workerData.memory)
        const steps = new Int32Array(workerData.clock)
        const limit = new Gcra(1000, 1000, 1)
        const keyed = new Gcra(100, 1000, 10)
        const once = new Gcra(1, 3600000, 1)
        let passed = 0, ofKeys = 0, ofNewKeys = 0
        Atomics.add(steps, 1, 1)
        while (Atomics.load(steps, 1) < 2);
        for (let i = 0; i < 100000; i++) {
          const now = Atomics.add(steps, 0, 1) / 100
          if (table.takeBucket(limit, 0, now)) passed++
          if (table.takeKey(keyed, i & 15, 99 + (i & 15), now)) ofKeys++
        }
        // Both come to a new key at the same time.
        for (let i = 0; i < 500; i++) {
          Atomics.add(steps, 2, 1)
          for (let spins = 0; Atomics.load(steps, 2) < 2 * (i + 1) && spins < 20000; spins++);
          if (table.takeKey(once, Math.imul(i, 0x9e3779b1) >>> 7, i + 2, 5000)) ofNewKeys++
        }
        parentPort.postMessage([passed, ofKeys, ofNewKeys])
      })`
    const url = (name: string): string => new URL(`../../../gateway/resilience/${name}.ts`, import.meta.url).href
    const workers = [0, 1].map(
      () => new Worker(source, { eval: true, workerData: { memory: shared, clock, table: url("rate-table"), gcra: url("gcra") } }),
    )
    const counts = await within(
      Promise.all(
        workers.map(
          (worker) =>
            new Promise<[number, number, number]>((resolve, reject) => {
              worker.once("message", resolve)
              worker.once("error", reject)
            }),
        ),
      ),
      "two workers",
    )
    await Promise.all(workers.map((worker) => worker.terminate()))
    // 200 000 requests in 2 s: 1000 a second, and 16 keys of 100 a second with a burst of 10.
    const passed = counts[0][0] + counts[1][0]
    const ofKeys = counts[0][1] + counts[1][1]
    expect(Math.abs(passed - 2000)).toBeLessThanOrEqual(20)
    expect(Math.abs(ofKeys - 16 * 210)).toBeLessThanOrEqual(34)
    expect(counts[0][2] + counts[1][2]).toBe(500)
    expect(counts.every(([own]) => own > 100)).toBe(true)
  })
})

describe("the hash of keys", () => {
  test("tells sequences of texts apart that make one text", () => {
    const seen = new Set<string>()
    const sequences = [
      ["ab", "c"],
      ["a", "bc"],
      ["abc"],
      ["abc", ""],
      ["", "abc"],
      ["", "", "abc"],
      [""],
      ["", ""],
      ["a\0", "b"],
      ["a", "\0b"],
    ]
    for (const texts of sequences) {
      hash.begin()
      for (const text of texts) hash.add(text)
      hash.end()
      seen.add(`${hash.low} ${hash.high}`)
    }
    expect(seen.size).toBe(sequences.length)
  })

  test("changes half of its bits with one bit of the key", () => {
    let changed = 0
    for (let i = 0; i < 1000; i++) {
      hash.begin()
      hash.add(`key-${i}`)
      hash.end()
      const [low, high] = [hash.low, hash.high]
      hash.begin()
      hash.add(`key-${i}`.replace("k", "j"))
      hash.end()
      for (let bits = low ^ hash.low; bits !== 0; bits &= bits - 1) changed++
      for (let bits = high ^ hash.high; bits !== 0; bits &= bits - 1) changed++
    }
    expect(changed / 1000).toBeGreaterThan(31)
    expect(changed / 1000).toBeLessThan(33)
  })
})

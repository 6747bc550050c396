import { describe, expect, test } from "vitest"
import { Gcra, REFUSED } from "../../../gateway/resilience/gcra.ts"

/** A limit with its state, driven by times in ms. */
class Bucket {
  readonly gcra: Gcra
  state = 0

  constructor(requests: number, per: number, burst: number) {
    this.gcra = new Gcra(requests, per, burst)
  }

  take(now: number): boolean {
    const next = this.gcra.next(this.state, this.gcra.at(now))
    if (next === REFUSED) return false
    this.state = next
    return true
  }
}

/** Numbers in [0, 1), the same each time. */
function draws(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return (state >>> 0) / 2 ** 32
  }
}

describe("a limit", () => {
  test.each([
    [1000, 1000, 1000],
    [1000, 1000, 1],
    [3000, 1000, 10],
    [7, 1000, 7],
    [100, 60_000, 2],
    [999_999, 1000, 1000],
    [1, 86_400_000, 1],
    [1_000_000, 86_400_000, 1_000_000],
  ])("of %i in %i ms with a burst of %i passes exactly its rate over 50 000 requests at twice the rate", (requests, per, burst) => {
    const bucket = new Bucket(requests, per, burst)
    const random = draws(7)
    const gap = per / requests / 2
    let now = 12_345.678
    const start = now
    let passed = 0
    for (let i = 0; i < 50_000; i++) {
      if (bucket.take(now)) passed++
      now += gap * 2 * random()
    }
    const most = burst + ((now - start) * requests) / per
    expect(passed).toBeLessThanOrEqual(most + 1)
    // Half of what came, and the burst. Without one, what comes late is lost; and a large one takes all.
    if (burst > 1 && most < 45_000) expect(passed).toBeGreaterThanOrEqual(most - 2)
  })

  test("passes its burst at once, then one after each interval", () => {
    const bucket = new Bucket(10, 1000, 5)
    expect(Array.from({ length: 7 }, () => bucket.take(0))).toEqual([true, true, true, true, true, false, false])
    expect(bucket.take(99)).toBe(false)
    expect([bucket.take(100), bucket.take(100)]).toEqual([true, false])
    // Unused, it is no more than full.
    expect(Array.from({ length: 7 }, () => bucket.take(50_000)).filter(Boolean)).toHaveLength(5)
  })

  test("never passes more than the burst and its rate in any span", () => {
    const bucket = new Bucket(50, 1000, 20)
    const random = draws(3)
    const passed: number[] = []
    let now = 0
    for (let i = 0; i < 20_000; i++) {
      now += random() < 0.01 ? 2000 * random() : 10 * random()
      if (bucket.take(now)) passed.push(now)
    }
    let worst = 0
    for (let from = 0; from < passed.length; from += 7) {
      for (let to = from; to < Math.min(passed.length, from + 300); to += 11) {
        worst = Math.max(worst, to - from + 1 - ((passed[to] - passed[from]) * 50) / 1000)
      }
    }
    expect(worst).toBeLessThanOrEqual(20.01)
    expect(worst).toBeGreaterThan(19)
  })

  test("tells how many are left, when it is full, and how long to wait; who waits so long is let through", () => {
    const bucket = new Bucket(10, 1000, 5)
    const { gcra } = bucket
    expect([gcra.left(bucket.state, gcra.at(0)), gcra.reset(bucket.state, gcra.at(0)), gcra.wait(bucket.state, gcra.at(0))]).toEqual([
      5, 0, 0,
    ])
    for (let i = 0; i < 5; i++) bucket.take(0)
    expect(gcra.left(bucket.state, gcra.at(0))).toBe(0)
    expect(gcra.reset(bucket.state, gcra.at(0))).toBeCloseTo(500, 6)
    expect(gcra.wait(bucket.state, gcra.at(0))).toBeCloseTo(100, 6)
    const random = draws(11)
    let now = 1000
    let refusedTwice = 0
    for (let i = 0; i < 5000; i++) {
      if (!bucket.take(now)) {
        now += gcra.wait(bucket.state, gcra.at(now)) + 0.001
        if (!bucket.take(now)) refusedTwice++
      }
      now += 150 * random()
    }
    expect(refusedTwice).toBe(0)
  })

  test("goes on exactly when its count wraps around, as long as it is used", () => {
    const bucket = new Bucket(1_000_000, 1000, 1000)
    let passed = 0
    // More than twice around: 7 fractions a request are 2³² in 613 s.
    for (let ms = 0; ms < 1_400_000; ms += 500) {
      for (let i = 0; i < 4; i++) if (bucket.take(ms)) passed++
    }
    expect(passed).toBe(2800 * 4)
  })

  test("gives back what a request cost", () => {
    const bucket = new Bucket(10, 1000, 5)
    for (let i = 0; i < 5; i++) bucket.take(0)
    bucket.state = (bucket.state - bucket.gcra.cost) | 0
    expect([bucket.take(0), bucket.take(0)]).toEqual([true, false])
  })

  test("isn't full for a worker whose clock is a little behind", () => {
    const bucket = new Bucket(1000, 1000, 100)
    for (let i = 0; i < 100; i++) bucket.take(5000)
    expect(bucket.take(4999.9)).toBe(false)
    expect(bucket.gcra.left(bucket.state, bucket.gcra.at(4999.9))).toBe(0)
  })
})

import { describe, expect, test } from "vitest"
import { HedgePolicy } from "../../../gateway/resilience/hedge.ts"

describe("a delay that is a percentile", () => {
  /** Latencies of 1 to 100 ms, each `times` over. */
  function measure(policy: HedgePolicy, times: number, now: number, factor = 1): void {
    for (let i = 0; i < times; i++) for (let latency = 1; latency <= 100; latency++) policy.observe(latency * factor, now)
  }

  test("is unknown until there are 100 answers", () => {
    const policy = new HedgePolicy({ after: 1, percentile: 95 })
    for (let i = 0; i < 99; i++) policy.observe(10, 0)
    expect(policy.delay(0)).toBe(Number.POSITIVE_INFINITY)
    policy.observe(10, 0)
    expect(policy.delay(0)).toBeLessThan(11)
  })

  test.each([50, 90, 95, 99])("is that of the answers of late, and at most 9 %% more: %d", (percentile) => {
    const policy = new HedgePolicy({ after: 1, percentile })
    measure(policy, 10, 0)
    const delay = policy.delay(1)
    expect(delay).toBeGreaterThanOrEqual(percentile)
    expect(delay).toBeLessThan(percentile * 1.1)
  })

  test("follows what changes, and forgets what is long past", () => {
    const policy = new HedgePolicy({ after: 1, percentile: 95 })
    measure(policy, 1, 0)
    measure(policy, 10, 12_000, 10)
    expect(policy.delay(12_000)).toBeGreaterThan(900)
    // Two windows on the fast ones are gone; an idle minute on all of them.
    measure(policy, 10, 23_000, 0.1)
    measure(policy, 10, 34_000, 0.1)
    expect(policy.delay(34_000)).toBeLessThan(11)
    expect(policy.delay(94_000)).toBe(Number.POSITIVE_INFINITY)
  })

  test("is never less than the least", () => {
    const policy = new HedgePolicy({ after: 30, percentile: 50 })
    for (let i = 0; i < 100; i++) policy.observe(0, 0)
    expect(policy.delay(0)).toBe(30)
  })
})

test("a fixed delay needs no answers", () => {
  expect(new HedgePolicy({ after: 100, percentile: 0 }).delay(0)).toBe(100)
})

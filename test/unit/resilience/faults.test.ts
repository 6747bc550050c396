import { describe, expect, test } from "vitest"
import { type DelayShape, drawDelay, drawFaults, type FaultRules, grantFaults, longestDelay } from "../../../gateway/resilience/faults.ts"

const DRAWS = 100_000

/** Numbers in [0, 1) that are the same in every run: xorshift32. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}

const none: FaultRules = { share: 1, delay: null, abort: null, reset: null, bandwidth: null }
const all: FaultRules = {
  share: 1,
  delay: { kind: "fixed", fixed: 100, share: 1 },
  abort: { status: 503, grpcStatus: 14, share: 1 },
  reset: { share: 1 },
  bandwidth: { rate: 1000, share: 1 },
}
const noAsk = { delay: 0, status: 0, grpcStatus: -1, reset: false, rate: 0 }

describe("faults", () => {
  test("fall on the share of requests that is written, and their kinds on shares of those", () => {
    const random = chance(1)
    const rules: FaultRules = {
      share: 0.5,
      delay: { kind: "fixed", fixed: 100, share: 0.4 },
      abort: { status: 503, grpcStatus: -1, share: 0.2 },
      reset: { share: 0.1 },
      bandwidth: { rate: 1000, share: 1 },
    }
    const counts = { any: 0, delay: 0, abort: 0, reset: 0, bandwidth: 0 }
    for (let i = 0; i < DRAWS; i++) {
      const faults = drawFaults(rules, random)
      if (faults === null) continue
      counts.any++
      if (faults.delay > 0) counts.delay++
      if (faults.status > 0) counts.abort++
      if (faults.reset) counts.reset++
      if (faults.rate > 0) counts.bandwidth++
    }
    const expected = { any: 0.5, delay: 0.2, abort: 0.1, reset: 0.05, bandwidth: 0.5 }
    for (const [kind, share] of Object.entries(expected))
      expect(Math.abs(counts[kind as keyof typeof counts] / DRAWS - share)).toBeLessThan(0.01)
  })

  test("of a share of 0 never happen, of all always, and none are none", () => {
    const random = chance(2)
    for (let i = 0; i < 1000; i++) {
      expect(drawFaults({ ...all, share: 0 }, random)).toBeNull()
      expect(drawFaults({ ...none, delay: { kind: "fixed", fixed: 100, share: 0 } }, random)).toBeNull()
      expect(drawFaults(all, random)).toEqual({ delay: 100, status: 503, grpcStatus: 14, reset: true, rate: 1000 })
    }
    expect(drawFaults(none, random)).toBeNull()
  })
})

describe("a delay", () => {
  const draw = (shape: DelayShape): number[] => {
    const random = chance(3)
    return Array.from({ length: DRAWS }, () => drawDelay(shape, random)).sort((a, b) => a - b)
  }
  const at = (delays: readonly number[], share: number): number => delays[Math.floor(share * delays.length)]

  test("of fixed length is that long", () => {
    expect(new Set(draw({ kind: "fixed", fixed: 250 }))).toEqual(new Set([250]))
  })

  test("of a normal distribution has its mean and deviation, and no more than four of them", () => {
    const shape: DelayShape = { kind: "normal", mean: 200, deviation: 50 }
    const delays = draw(shape)
    const mean = delays.reduce((sum, delay) => sum + delay) / DRAWS
    const deviation = Math.sqrt(delays.reduce((sum, delay) => sum + (delay - mean) ** 2, 0) / DRAWS)
    expect(Math.abs(mean - 200)).toBeLessThan(1)
    expect(Math.abs(deviation - 50)).toBeLessThan(1)
    expect(delays[0]).toBeGreaterThanOrEqual(0)
    expect(delays[DRAWS - 1]).toBeLessThanOrEqual(longestDelay(shape))
    expect(longestDelay(shape)).toBe(400)
    expect(draw({ kind: "normal", mean: 10, deviation: 100 })[0]).toBe(0)
  })

  test("of percentiles meets them, lies in between otherwise, and ends with the last", () => {
    const shape: DelayShape = {
      kind: "percentiles",
      points: [
        [0.5, 10],
        [0.9, 100],
        [0.99, 1000],
      ],
    }
    const delays = draw(shape)
    for (const [share, ms] of [
      [0.25, 5],
      [0.5, 10],
      [0.7, 55],
      [0.9, 100],
    ])
      expect(Math.abs(delays.filter((delay) => delay <= ms).length / DRAWS - share)).toBeLessThan(0.01)
    expect(at(delays, 0.995)).toBe(1000)
    expect([delays[DRAWS - 1], longestDelay(shape)]).toEqual([1000, 1000])
  })
})

describe("a request that asks for faults", () => {
  test("gets what it asks for, no longer and no slower than its route has it", () => {
    expect(grantFaults(all, { ...noAsk, delay: 50 })).toEqual({ delay: 50, status: 0, grpcStatus: -1, reset: false, rate: 0 })
    expect(grantFaults(all, { ...noAsk, delay: 5000 })?.delay).toBe(100)
    expect(grantFaults(all, { ...noAsk, rate: 10 })?.rate).toBe(1000)
    expect(grantFaults(all, { ...noAsk, rate: 5000 })?.rate).toBe(5000)
    expect(grantFaults(all, { ...noAsk, status: 418, grpcStatus: 5 })).toMatchObject({ status: 418, grpcStatus: 5 })
    expect(grantFaults(all, { ...noAsk, reset: true })?.reset).toBe(true)
  })

  test("gets no kind that its route doesn't have", () => {
    expect(grantFaults(none, { delay: 50, status: 503, grpcStatus: 14, reset: true, rate: 10 })).toBeNull()
    expect(grantFaults(all, noAsk)).toBeNull()
  })
})

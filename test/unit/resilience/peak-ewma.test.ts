import { describe, expect, test } from "vitest"
import { EWMA_INITIAL, MAX_PENALTY, PENALTY, PeakEwma } from "../../../gateway/resilience/peak-ewma.ts"
import { warmth } from "../../../gateway/resilience/warm-up.ts"

describe("peak EWMA", () => {
  test("begins with 30 ms", () => {
    expect(new PeakEwma(500).latency(500)).toBe(EWMA_INITIAL)
  })

  test("believes a peak at once", () => {
    const ewma = new PeakEwma(0)
    ewma.observe(2000, 10)
    expect(ewma.latency(10)).toBe(2000)
  })

  test("comes down with e to the minus t over 10 s, towards what it sees", () => {
    const ewma = new PeakEwma(0)
    ewma.observe(1010, 0)
    ewma.observe(10, 10_000)
    expect(ewma.latency(10_000)).toBeCloseTo(10 + 1000 / Math.E, 5)
  })

  test("forgets what nobody has asked about for long, but never wholly", () => {
    const ewma = new PeakEwma(0)
    ewma.observe(5000, 0)
    expect(ewma.latency(10_000)).toBeCloseTo(5000 / Math.E, 5)
    expect(ewma.latency(3_600_000)).toBeGreaterThan(0)
  })

  test("counts a refusal as 5 s, or as long as it asks for, up to 300 s", () => {
    const ewma = new PeakEwma(0)
    ewma.penalize(3, 0, 0)
    expect(ewma.latency(0)).toBe(PENALTY)
    ewma.penalize(3, 60_000, 0)
    expect(ewma.latency(0)).toBe(60_000)
    ewma.penalize(3, 1e9, 0)
    expect(ewma.latency(0)).toBe(MAX_PENALTY)
  })

  test("is only raised by an attempt that was given up", () => {
    const ewma = new PeakEwma(0)
    ewma.atLeast(10, 0)
    expect(ewma.latency(0)).toBe(EWMA_INITIAL)
    ewma.atLeast(1000, 0)
    expect(ewma.latency(0)).toBe(1000)
  })
})

test("warming up begins with a tenth, goes on in proportion, and ends with all", () => {
  expect([0, 50, 100, 250, 999, 1000, 5000].map((elapsed) => warmth(elapsed, 1000))).toEqual([0.1, 0.1, 0.1, 0.25, 0.999, 1, 1])
})

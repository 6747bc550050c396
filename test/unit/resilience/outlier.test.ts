import { describe, expect, test } from "vitest"
import { findOutliers, type OutlierLimits, type OutlierSample } from "../../../gateway/resilience/outlier.ts"

const none: OutlierLimits = { successRate: null, failurePercentage: null, latency: null }

function samples(requests: number, ...failures: number[]): OutlierSample[] {
  return failures.map((failed) => ({ requests, successes: requests - failed, latency: requests * 10, answers: requests }))
}

function slow(...means: number[]): OutlierSample[] {
  return means.map((mean) => ({ requests: 100, successes: 100, latency: mean * 100, answers: 100 }))
}

function found(all: OutlierSample[], limits: Partial<OutlierLimits>): number[] {
  return findOutliers(all, { ...none, ...limits }).map(({ index }) => index)
}

describe("by success rate", () => {
  const successRate = { minEndpoints: 5, minRequests: 100, factor: 1.9 }

  test("an endpoint far below the mean is ejected", () => {
    const all = samples(200, 0, 1, 0, 2, 60, 0, 1, 0)
    expect(findOutliers(all, { ...none, successRate })).toEqual([
      { index: 4, reason: "successRate", details: "70% of its requests succeeded, of all endpoints' 96%" },
    ])
  })

  test.each([
    ["they fail alike", samples(200, 100, 100, 100, 100, 100, 100)],
    ["all is well", samples(200, 0, 0, 0, 0, 0, 0)],
    ["the difference is too small to matter, though nothing else fails", samples(1000, 0, 0, 0, 0, 0, 0, 0, 9)],
    ["too few endpoints had requests", [...samples(200, 0, 0, 0, 200), ...samples(99, 0, 0, 0)]],
    ["there were no requests", samples(0, 0, 0, 0, 0, 0, 0)],
  ])("none is when %s", (_, all) => {
    expect(found(all, { successRate })).toEqual([])
  })

  test("those with too few requests are neither ejected nor compared", () => {
    expect(found([...samples(99, 99), ...samples(100, 0, 0, 0, 0, 0, 0, 50)], { successRate })).toEqual([7])
  })

  test("the worst comes first", () => {
    expect(found(samples(100, 0, 60, ...Array<number>(20).fill(0), 80), { successRate })).toEqual([22, 1])
  })
})

describe("by failure percentage", () => {
  const failurePercentage = { minEndpoints: 3, minRequests: 50, threshold: 0.85 }

  test("an endpoint that fails that often is ejected, and one that fails less isn't", () => {
    expect(findOutliers(samples(100, 84, 85, 0, 100), { ...none, failurePercentage })).toEqual([
      { index: 3, reason: "failurePercentage", details: "100% of its requests failed" },
      { index: 1, reason: "failurePercentage", details: "85% of its requests failed" },
    ])
  })

  test("none is when too few endpoints had requests", () => {
    expect(found([...samples(100, 100, 0), ...samples(10, 0)], { failurePercentage })).toEqual([])
  })

  test("one that both measures find is ejected once", () => {
    const successRate = { minEndpoints: 3, minRequests: 50, factor: 1 }
    expect(found(samples(100, 100, 0, 0), { successRate, failurePercentage })).toEqual([0])
  })
})

describe("by latency", () => {
  const latency = { minEndpoints: 3, minRequests: 50, factor: 3 }

  test("an endpoint several times as slow as the median of the others is ejected", () => {
    expect(findOutliers(slow(10, 12, 31, 9), { ...none, latency })).toEqual([
      { index: 2, reason: "latency", details: "it took 31 ms on average, the median of the others 10" },
    ])
  })

  test.each([
    ["all are alike", slow(100, 120, 90)],
    ["the difference is too small to matter", slow(0.1, 0.1, 4)],
    ["too few were asked", slow(1, 100)],
    ["most of them are slow", slow(10, 100, 100, 100)],
  ])("none is when %s", (_, all) => {
    expect(found(all, { latency })).toEqual([])
  })

  test("one without answers is not compared", () => {
    expect(found([...slow(10, 10, 50), { requests: 100, successes: 0, latency: 0, answers: 0 }], { latency })).toEqual([2])
  })
})

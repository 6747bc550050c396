import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Buckets } from "../../../gateway/telemetry/buckets.ts"
import { filterBuckets, trapIndex, trapReasons } from "../../../gateway/telemetry/filter-instruments.ts"
import { flagIndex, requestBuckets, responseFlags } from "../../../gateway/telemetry/instruments.ts"

function slow(buckets: Buckets, value: number): number {
  const i = buckets.bounds.findIndex((bound) => value <= bound)
  return i === -1 ? buckets.bounds.length : i
}

describe("buckets", () => {
  test.each([
    ["request", requestBuckets],
    ["filter", filterBuckets],
  ])("%s finds the bucket a scan of all bounds finds", (_, buckets) => {
    fc.assert(
      fc.property(fc.double({ min: 0, noNaN: true }), (value) => {
        expect(buckets.find(value)).toBe(slow(buckets, value))
      }),
      { numRuns: 5000 },
    )
    const top = buckets.bounds[buckets.bounds.length - 1]
    fc.assert(
      fc.property(fc.double({ min: 0, max: top * 2, noNaN: true }), (value) => {
        expect(buckets.find(value)).toBe(slow(buckets, value))
      }),
      { numRuns: 5000 },
    )
  })

  test.each([
    ["request", requestBuckets, 1e-6],
    ["filter", filterBuckets, 1e-9],
  ])("%s is right on every bound, at every power of two and one step beside them", (_, buckets, resolution) => {
    const values = [...buckets.bounds, ...Array.from({ length: 40 }, (_, e) => 2 ** e * resolution)]
    for (const value of values) {
      for (const v of [value, value * (1 - Number.EPSILON), value * (1 + Number.EPSILON)]) expect(buckets.find(v)).toBe(slow(buckets, v))
    }
  })

  test("request bounds at most double, from half a millisecond to half a minute", () => {
    expect(requestBuckets.bounds[0]).toBe(0.0005)
    expect(requestBuckets.bounds.at(-1)).toBe(30)
    for (let i = 1; i < requestBuckets.bounds.length; i++)
      expect(requestBuckets.bounds[i] / requestBuckets.bounds[i - 1]).toBeLessThanOrEqual(2.0001)
  })

  test("bounds that don't ascend are refused", () => {
    expect(() => new Buckets([1, 1], 1e-6)).toThrow("ascend")
    expect(() => new Buckets([0, 1], 1e-6)).toThrow("positive")
    expect(() => new Buckets([], 1e-6)).toThrow("0 bounds")
  })
})

test("flags and trap reasons that are unknown have a place too", () => {
  expect(responseFlags[flagIndex("UF")]).toBe("UF")
  expect(responseFlags[flagIndex("LR")]).toBe("LR")
  expect(responseFlags[flagIndex("whatever")]).toBe("other")
  expect(trapReasons[trapIndex("budget")]).toBe("budget")
  expect(trapReasons[trapIndex("whatever")]).toBe("trap")
})

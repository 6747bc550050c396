import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Buckets } from "../../../gateway/telemetry/buckets.ts"
import { filterBuckets, requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { trapIndex, trapReasons } from "../../../gateway/telemetry/filter-instruments.ts"
import { flagIndex, responseFlags } from "../../../gateway/telemetry/instruments.ts"

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

  test.each([
    ["request", requestBuckets, 0.0001, 60, 2],
    ["filter", filterBuckets, 5e-7, 1, 2.5],
  ])(
    "%s bounds are at most 12 % apart inside, and those exposed by default no more than a small factor",
    (_, buckets, least, most, factor) => {
      const fine = [...buckets.bounds]
      expect([fine[0], fine.at(-1)]).toEqual([least, most])
      for (let i = 1; i < fine.length; i++) expect(fine[i] / fine[i - 1]).toBeLessThanOrEqual(1.1201)
      const coarse = buckets.coarse.map((i) => fine[i])
      expect(coarse.at(-1)).toBe(most)
      for (let i = 1; i < coarse.length; i++) expect(coarse[i] / coarse[i - 1]).toBeLessThanOrEqual(factor * 1.0001)
      expect(coarse.length).toBeLessThanOrEqual(28)
    },
  )

  test("bounds that don't ascend are refused", () => {
    expect(() => new Buckets([1, 1], 1e-6)).toThrow("ascend")
    expect(() => new Buckets([0, 1], 1e-6)).toThrow("positive")
    expect(() => new Buckets([], 1e-6)).toThrow("0 bounds")
    expect(() => new Buckets([1, 2], 1e-6, [1.5])).toThrow("one of the bounds")
  })
})

test("flags and trap reasons that are unknown have a place too", () => {
  expect(responseFlags[flagIndex("UF")]).toBe("UF")
  expect(responseFlags[flagIndex("LR")]).toBe("LR")
  expect(responseFlags[flagIndex("whatever")]).toBe("other")
  expect(trapReasons[trapIndex("budget")]).toBe("budget")
  expect(trapReasons[trapIndex("whatever")]).toBe("trap")
})

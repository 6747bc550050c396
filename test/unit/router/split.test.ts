import fc from "fast-check"
import { expect, test } from "vitest"
import { WeightedSplit } from "../../../gateway/router/split.ts"

test("weights divide the range of random numbers", () => {
  const split = new WeightedSplit([70, 30])
  expect(split.pick(0)).toBe(0)
  expect(split.pick(0.6999)).toBe(0)
  expect(split.pick(0.7)).toBe(1)
  expect(split.pick(1 - 2 ** -53)).toBe(1)
})

test("a weight of 0 is never chosen, wherever it stands", () => {
  const split = new WeightedSplit([0, 1, 0, 1, 0])
  const chosen = new Set<number>()
  for (let i = 0; i < 1000; i++) chosen.add(split.pick(i / 1000))
  expect([...chosen].sort()).toEqual([1, 3])
  expect(split.pick(1 - 2 ** -53)).toBe(3)
})

test("without any weight nothing is chosen, with one that one is", () => {
  expect(new WeightedSplit([]).pick(0.5)).toBe(-1)
  expect(new WeightedSplit([0, 0]).pick(0.5)).toBe(-1)
  expect(new WeightedSplit([0, 3]).pick(0)).toBe(1)
})

test("every index gets its share", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100), { minLength: 1, maxLength: 12 }), (weights) => {
      const split = new WeightedSplit(weights)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const counts = weights.map(() => 0)
      for (let i = 0; i < total; i++) counts[split.pick((i + 0.5) / total)]++
      expect(counts).toEqual(weights)
    }),
  )
})

import { describe, expect, test } from "vitest"
import { EvenDraws } from "../../../gateway/router/even-draws.ts"
import { WeightedSplit } from "../../../gateway/router/split.ts"

const REQUESTS = 100_000

describe("shares of a split by even draws", () => {
  test.each([[[90, 10]], [[1, 1, 1]], [[50, 30, 15, 4, 1]], [[999, 1]], [[7, 0, 13, 80]]])(
    "%j are met within 0.02 points of 100 over 10^5 requests, wherever they begin",
    (weights) => {
      const total = weights.reduce((sum, weight) => sum + weight)
      for (const start of [0, 0.123, 0.5, 0.987654]) {
        const draws = new EvenDraws(start, 0)
        const split = new WeightedSplit(weights)
        const counts = weights.map(() => 0)
        for (let i = 0; i < REQUESTS; i++) counts[split.pick(draws.next())]++
        for (const [i, weight] of weights.entries()) expect(Math.abs((counts[i] / REQUESTS - weight / total) * 100)).toBeLessThan(0.02)
      }
    },
  )

  test("are met by every hundred, within two requests", () => {
    const draws = new EvenDraws(0.3, 0)
    const split = new WeightedSplit([90, 10])
    for (let hundred = 0; hundred < 200; hundred++) {
      let canary = 0
      for (let i = 0; i < 100; i++) canary += split.pick(draws.next())
      expect(Math.abs(canary - 10)).toBeLessThanOrEqual(2)
    }
  })

  test("are met among every second, third or tenth request too", () => {
    for (const stride of [2, 3, 10]) {
      const draws = new EvenDraws(0.7, 0)
      let below = 0
      for (let i = 0; i < REQUESTS; i++) {
        const draw = draws.next()
        if (i % stride === 0 && draw < 0.1) below++
      }
      expect(Math.abs(below - REQUESTS / stride / 10)).toBeLessThan(20)
    }
  })
})

test.each([1, 2, 3, 4, 5, 6, 7, 8])("draws of kind %i take the same share of either side of a split", (kind) => {
  const split = new EvenDraws(0.1, 0)
  const mirror = new EvenDraws(0.1, kind)
  let both = 0
  for (let i = 0; i < REQUESTS; i++) {
    const canary = split.next() < 0.1
    if (mirror.next() < 0.2 && canary) both++
  }
  expect(Math.abs(both - REQUESTS * 0.1 * 0.2)).toBeLessThan(100)
})

test("draws are in [0, 1) and differ by where they begin", () => {
  const a = new EvenDraws(0, 0)
  const b = new EvenDraws(0.999_999, 0)
  for (let i = 0; i < 1000; i++) {
    const draw = a.next()
    expect(draw >= 0 && draw < 1).toBe(true)
    expect(b.next()).not.toBe(draw)
  }
})

import { describe, expect, test } from "vitest"
import { Refresh } from "../../../gateway/resilience/refresh.ts"

const middle = (): number => 0.5

describe("a look that found something", () => {
  test("is good for as long as the answer says, from a second to five minutes", () => {
    const refresh = new Refresh(0, middle)
    expect([0, 1, 30, 300, 301, 86_400, Number.POSITIVE_INFINITY].map((ttl) => refresh.found(ttl))).toEqual([
      1000, 1000, 30_000, 300_000, 300_000, 300_000, 300_000,
    ])
  })

  test("is repeated a tenth earlier or later, so that gateways don't ask in step", () => {
    const pauses = [0, 0.25, 0.75, 1 - Number.EPSILON].map((random) => new Refresh(0, () => random).found(100))
    expect(pauses).toEqual([90_000, 95_000, 105_000, 110_000])
  })

  test("is good for the fixed pause where there is one", () => {
    expect(new Refresh(250, middle).found(3600)).toBe(250)
  })
})

describe("a look in vain", () => {
  test("is repeated after pauses that grow to 30 s", () => {
    const refresh = new Refresh(0, () => 1 - Number.EPSILON)
    expect(Array.from({ length: 8 }, () => refresh.failed())).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
    expect(refresh.found(10)).toBe(11_000)
    expect(refresh.failed()).toBe(1000)
  })

  test("is repeated after half to all of the pause", () => {
    expect(new Refresh(0, () => 0).failed()).toBe(500)
    expect(new Refresh(0, middle).failed()).toBe(750)
  })

  test("never waits longer than the fixed pause", () => {
    const refresh = new Refresh(5000, () => 1 - Number.EPSILON)
    expect(Array.from({ length: 5 }, () => refresh.failed())).toEqual([1000, 2000, 4000, 5000, 5000])
  })
})

describe("an answer that there is nothing", () => {
  test("is believed the third time in a row", () => {
    const refresh = new Refresh(0, middle)
    const believed: boolean[] = []
    for (const look of ["empty", "empty", "failed", "empty", "empty", "found", "empty", "empty", "empty", "empty"] as const) {
      if (look === "found") refresh.found(1)
      else refresh[look]()
      believed.push(refresh.emptyBelieved)
    }
    expect(believed).toEqual([false, false, false, false, false, false, false, false, true, true])
  })
})

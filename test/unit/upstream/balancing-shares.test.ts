// What share of the requests each endpoint gets, by policy: simulated, with a clock of the test's own.

import { describe, expect, test } from "vitest"
import { hashText } from "../../../gateway/http/text-hash.ts"
import { MaglevTable, TABLE_SIZE } from "../../../gateway/upstream/load-balancing/maglev.ts"
import { Ring } from "../../../gateway/upstream/load-balancing/ring-hash.ts"
import { Balanced, endpointsOf, type FakeEndpoint } from "../../support/balanced.ts"

/** Largest relative difference from what the weights say. */
function error(shares: readonly number[], weights: readonly number[]): number {
  const sum = weights.reduce((a, b) => a + b, 0)
  return Math.max(...shares.map((share, i) => Math.abs((share * sum) / weights[i] - 1)))
}

describe("shares", () => {
  test("of roundRobin are exact after every cycle, with ten endpoints and with a thousand", () => {
    const few = [5, 3, 2, 7, 1, 1, 4, 6, 9, 2]
    const balanced = new Balanced(endpointsOf(...few), { policy: "roundRobin" })
    for (let cycle = 0; cycle < 50; cycle++) {
      balanced.shares(40)
      expect(balanced.endpoints.map(({ given }) => given)).toEqual(few)
    }
    const many = Array.from({ length: 1000 }, (_, i) => (i % 7) + 1)
    const large = new Balanced(endpointsOf(...many), { policy: "roundRobin" })
    const sum = many.reduce((a, b) => a + b, 0)
    for (let cycle = 0; cycle < 5; cycle++) {
      large.shares(sum)
      expect(large.endpoints.map(({ given }) => given)).toEqual(many)
    }
  })

  test("of roundRobin stay exact among those that are left while one can't be used", () => {
    const balanced = new Balanced(endpointsOf(5, 3, 2, 4), { policy: "roundRobin" })
    balanced.endpoints[0].suspect = true
    for (let cycle = 0; cycle < 10; cycle++) balanced.shares(9)
    balanced.shares(9000)
    expect(balanced.endpoints.map(({ given }) => given)).toEqual([0, 3000, 2000, 4000])
  })

  test.each(["random", "leastRequest"] as const)("of %s are those of the weights", (policy) => {
    const weights = [6, 3, 1, 10]
    expect(error(new Balanced(endpointsOf(...weights), { policy }).shares(40_000), weights)).toBeLessThan(0.1)
  })

  test.each(["leastRequest", "peakEwma"] as const)("of %s are near the weights when all take equally long", (policy) => {
    const weights = [4, 2, 2, 1, 1]
    const balanced = new Balanced(endpointsOf(...weights), { policy })
    balanced.run(20_000, 0.5, () => 20)
    const shares = balanced.endpoints.map(({ given }) => given / 20_000)
    expect(error(shares, weights)).toBeLessThan(0.25)
  })

  test("of maglev are those of the weights to an entry of the table", () => {
    const weights = [1, 2, 3, 4, 10]
    const table = new MaglevTable(endpointsOf(...weights), Float64Array.from(weights))
    const counts = weights.map(() => 0)
    for (let i = 0; i < TABLE_SIZE; i++) counts[table.at(i, 0)]++
    for (const [i, weight] of weights.entries()) expect(Math.abs(counts[i] - (TABLE_SIZE * weight) / 20)).toBeLessThan(12)
  })

  test("of ringHash are within a fifth of the weights, and two endpoints have 1024 points", () => {
    const weights = [1, 2, 3, 4, 10]
    const ring = new Ring(endpointsOf(...weights), Float64Array.from(weights))
    expect(new Ring(endpointsOf(1, 1), Float64Array.of(1, 1)).size).toBe(1024)
    const counts = weights.map(() => 0)
    for (let i = 0; i < 20_000; i++) counts[ring.at(hashText(`user-${i}`), 0)]++
    expect(
      error(
        counts.map((count) => count / 20_000),
        weights,
      ),
    ).toBeLessThan(0.2)
  })
})

describe.each(["ringHash", "maglev"] as const)("%s", (policy) => {
  const keys = Array.from({ length: 5000 }, (_, i) => hashText(`user-${i}`))
  const places = (endpoints: readonly FakeEndpoint[]): string[] => {
    const balanced = new Balanced(endpoints, { policy })
    return keys.map((key) => balanced.next(null, key)?.address ?? "")
  }

  test("gives a key the same endpoint in every gateway, whatever order it was told of them", () => {
    const endpoints = endpointsOf(1, 1, 3, 1, 2)
    expect(places([...endpoints].reverse())).toEqual(places(endpoints))
  })

  test("moves little more than the keys of an endpoint that leaves, and they spread over the others", () => {
    const endpoints = endpointsOf(...Array.from({ length: 10 }, () => 1))
    const before = places(endpoints)
    const after = places(endpoints.slice(1))
    const moved = before.filter((place, i) => place !== after[i]).length
    expect(moved / keys.length).toBeLessThan(1 / 10 + 0.05)
    const taken = new Set(after.filter((_, i) => before[i] === endpoints[0].address))
    expect(taken.size).toBe(9)
  })

  test("moves only the keys of an endpoint that is unwell, to others, and back", () => {
    const endpoints = endpointsOf(...Array.from({ length: 10 }, () => 1))
    const balanced = new Balanced(endpoints, { policy })
    const before = keys.map((key) => balanced.next(null, key))
    endpoints[3].unwell = true
    const during = keys.map((key) => balanced.next(null, key))
    const others = new Set<FakeEndpoint | null>()
    for (const [i, place] of before.entries()) {
      if (place === endpoints[3]) others.add(during[i])
    }
    expect(during.filter((place, i) => place !== before[i] && before[i] !== endpoints[3])).toEqual([])
    expect(others.size).toBe(9)
    expect(others.has(endpoints[3])).toBe(false)
    endpoints[3].unwell = false
    expect(keys.map((key) => balanced.next(null, key))).toEqual(before)
  })

  test("sends a second attempt elsewhere, to the same endpoint each time", () => {
    const balanced = new Balanced(endpointsOf(1, 1, 1, 1), { policy })
    for (const key of keys.slice(0, 200)) {
      const first = balanced.next(null, key) as FakeEndpoint
      const second = balanced.next([first], key)
      expect(second).not.toBe(first)
      expect(balanced.next([first], key)).toBe(second)
    }
  })

  test("gives requests without a key to those that are less busy", () => {
    const endpoints = endpointsOf(1, 1)
    endpoints[0].active = 5
    expect(new Balanced(endpoints, { policy }).shares(2000)[0]).toBeLessThan(0.3)
  })
})

describe("a slow endpoint", () => {
  const slow = (endpoint: FakeEndpoint): number => (endpoint.address.startsWith("10.0.0.1:") ? 200 : 10)

  test("gets fewer requests by leastRequest, and fewer still by peakEwma", () => {
    const share = (policy: "roundRobin" | "leastRequest" | "peakEwma"): number => {
      const balanced = new Balanced(endpointsOf(1, 1, 1, 1), { policy })
      balanced.run(20_000, 1, slow)
      return balanced.endpoints[0].given / 20_000
    }
    expect(share("roundRobin")).toBe(0.25)
    expect(share("leastRequest")).toBeLessThan(0.12)
    expect(share("peakEwma")).toBeLessThan(0.02)
  })

  test("that is fast again gets its share back from peakEwma", () => {
    const balanced = new Balanced(endpointsOf(1, 1, 1, 1), { policy: "peakEwma" })
    balanced.run(10_000, 1, slow)
    balanced.run(60_000, 1, () => 10)
    balanced.run(10_000, 1, () => 10)
    expect(balanced.endpoints[0].given / 10_000).toBeGreaterThan(0.15)
  })
})

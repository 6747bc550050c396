// Which endpoints are used at all: priorities, zones, panic, slow start, failover. Simulated, with a clock of the test's own.

import { describe, expect, test } from "vitest"
import type { Endpoint } from "../../../gateway/upstream/endpoint.ts"
import { FailingOver } from "../../../gateway/upstream/load-balancing/failing-over.ts"
import { Balanced, endpointsOf, FakeEndpoint } from "../../support/balanced.ts"

const sum = (shares: readonly number[]): number => shares.reduce((a, b) => a + b, 0)
/** Lets the balancer look again at what is available. */
const later = (balanced: Balanced): void => void (balanced.clock.now += 100)

function zoned(local: number, others: number): FakeEndpoint[] {
  return [
    ...Array.from({ length: local }, (_, i) => new FakeEndpoint(`10.0.1.${i}:1`, 1, "a")),
    ...Array.from({ length: others }, (_, i) => new FakeEndpoint(`10.0.2.${i}:1`, 1, "b")),
  ]
}

describe("zones", () => {
  test("keep all traffic in the gateway's own while that is big enough", () => {
    const balanced = new Balanced(zoned(4, 4), {}, { zone: "a" })
    expect(sum(balanced.shares(5000).slice(0, 4))).toBe(1)
    expect(balanced.counted.spills).toBe(0)
  })

  test("spill what the own one can't take, so that every endpoint has the same load", () => {
    // 2 of 10 endpoints, with half of the traffic: they are used for two fifths of it, a tenth of all for each.
    const balanced = new Balanced(zoned(2, 8), {}, { zone: "a" })
    expect(sum(balanced.shares(5000).slice(0, 2))).toBeCloseTo(0.4, 1)
    expect(balanced.counted.spills / 5000).toBeCloseTo(0.6, 1)
  })

  test("spill as endpoints of the own one get unwell, and all of it when none is left", () => {
    const endpoints = zoned(4, 4)
    const balanced = new Balanced(endpoints, { policy: "random" }, { zone: "a" })
    for (const endpoint of endpoints.slice(0, 2)) endpoint.unwell = true
    later(balanced)
    expect(sum(balanced.shares(5000).slice(0, 4))).toBeCloseTo(2 / 3, 1)
    for (const endpoint of endpoints.slice(0, 4)) endpoint.unwell = true
    later(balanced)
    expect(sum(balanced.shares(5000).slice(0, 4))).toBe(0)
  })

  test("don't matter to a gateway that has none, or a service that says so", () => {
    expect(sum(new Balanced(zoned(5, 5), {}).shares(5000).slice(0, 5))).toBeCloseTo(0.5, 1)
    expect(sum(new Balanced(zoned(5, 5), { zoneAware: false }, { zone: "a" }).shares(5000).slice(0, 5))).toBeCloseTo(0.5, 1)
  })

  test("are left by a second attempt when the own one has no other endpoint", () => {
    const endpoints = zoned(1, 1)
    expect(new Balanced(endpoints, {}, { zone: "a" }).next([endpoints[0]])).toBe(endpoints[1])
  })

  test("keep a key where it is", () => {
    const balanced = new Balanced(zoned(2, 8), { policy: "maglev", zoneAware: true }, { zone: "a" })
    for (let key = 0; key < 200; key++) expect(balanced.next(null, key * 7919)).toBe(balanced.next(null, key * 7919))
  })
})

describe("priorities", () => {
  const levels = (): FakeEndpoint[] => [
    ...Array.from({ length: 10 }, (_, i) => new FakeEndpoint(`10.0.1.${i}:1`, 1, "", 0)),
    ...Array.from({ length: 10 }, (_, i) => new FakeEndpoint(`10.0.2.${i}:1`, 1, "", 1)),
  ]
  const first = (balanced: Balanced): number => {
    later(balanced)
    return sum(balanced.shares(5000).slice(0, 10))
  }

  test("give a level up as what is available of it falls below 1/1.4", () => {
    const endpoints = levels()
    const balanced = new Balanced(endpoints, { policy: "random" })
    expect(first(balanced)).toBe(1)
    const expected = [1, 1, 0.98, 0.84, 0.7, 0.56, 0.42, 0.28, 0.14, 0]
    for (const [i, share] of expected.entries()) {
      endpoints[i].unwell = true
      expect(first(balanced)).toBeCloseTo(share, 1)
    }
    expect(balanced.counted.panics).toBe(0)
  })

  test("give all to whom is left, and panic only when all together are too few", () => {
    const endpoints = levels()
    const balanced = new Balanced(endpoints, { policy: "random" })
    for (const endpoint of endpoints.slice(2, 17)) endpoint.unwell = true
    // 20 % and 30 % are 28 and 42 hundredths of what is wanted, and both in panic.
    expect(first(balanced)).toBeCloseTo(0.4, 1)
    expect(balanced.counted.panics).toBe(5000)
    expect(endpoints.every(({ given }) => given > 0)).toBe(true)
  })

  test("lead a second attempt on when the level has no other endpoint", () => {
    const [a, b] = [new FakeEndpoint("a:1", 1, "", 3), new FakeEndpoint("b:1", 1, "", 7)]
    const balanced = new Balanced([b, a], {})
    expect(balanced.next()).toBe(a)
    expect(balanced.next([a])).toBe(b)
  })
})

describe("panic", () => {
  test("uses all endpoints when fewer than the threshold are available", () => {
    const endpoints = endpointsOf(1, 1, 1, 1)
    const balanced = new Balanced(endpoints, {})
    endpoints[0].unwell = true
    endpoints[1].unwell = true
    expect(balanced.shares(1000).slice(0, 2)).toEqual([0, 0])
    endpoints[2].unwell = true
    later(balanced)
    expect(Math.min(...balanced.shares(4000))).toBeGreaterThan(0.2)
    expect(balanced.counted.panics).toBe(4000)
    endpoints[2].unwell = false
    later(balanced)
    expect(balanced.shares(1000).slice(0, 2)).toEqual([0, 0])
  })

  test("never comes with a threshold of 0", () => {
    const endpoints = endpointsOf(1, 1, 1, 1)
    const balanced = new Balanced(endpoints, { panicThreshold: 0 })
    for (const endpoint of endpoints.slice(1)) endpoint.unwell = true
    expect(balanced.shares(1000)[0]).toBe(1)
  })
})

describe("slow start", () => {
  const second = (balanced: Balanced, now: number): number => {
    balanced.clock.now = now
    return balanced.shares(10_000)[1]
  }

  test.each(["roundRobin", "leastRequest", "random"] as const)("ramps up a new endpoint of %s", (policy) => {
    const endpoints = endpointsOf(1, 1)
    endpoints[1].warmSince = 1000
    const balanced = new Balanced(endpoints, { policy, slowStart: 10_000 })
    // Shares of weights 1 and w are w ÷ (1 + w).
    expect(second(balanced, 1000)).toBeCloseTo(0.1 / 1.1, 1)
    expect(second(balanced, 6000)).toBeCloseTo(0.5 / 1.5, 1)
    expect(second(balanced, 9000)).toBeCloseTo(0.8 / 1.8, 1)
    expect(second(balanced, 11_000)).toBeCloseTo(0.5, 1)
    expect(second(balanced, 30_000)).toBeCloseTo(0.5, 1)
  })

  test("leaves roundRobin exact when it is over", () => {
    const endpoints = endpointsOf(3, 1)
    endpoints[1].warmSince = 0
    const balanced = new Balanced(endpoints, { policy: "roundRobin", slowStart: 1000 })
    for (let now = 0; now < 2000; now += 50) second(balanced, now)
    balanced.shares(4000)
    expect(endpoints.map(({ given }) => given)).toEqual([3000, 1000])
  })

  test("begins anew for an endpoint that is well again", () => {
    const endpoints = endpointsOf(1, 1, 1)
    const balanced = new Balanced(endpoints, { policy: "random", slowStart: 10_000 })
    expect(second(balanced, 0)).toBeCloseTo(1 / 3, 1)
    endpoints[1].unwell = true
    expect(second(balanced, 1000)).toBe(0)
    endpoints[1].unwell = false
    expect(second(balanced, 2000)).toBeCloseTo(0.1 / 2.1, 1)
    expect(second(balanced, 12_000)).toBeCloseTo(1 / 3, 1)
  })
})

describe("failover", () => {
  function pair(): { own: FakeEndpoint[]; other: FakeEndpoint[]; next(tried?: FakeEndpoint[]): unknown; failovers(): number } {
    const own = endpointsOf(1, 1)
    const other = [new FakeEndpoint("10.1.0.1:1"), new FakeEndpoint("10.1.0.2:1")]
    let failovers = 0
    const counters = { panics() {}, spills() {}, failovers: (n: number) => void (failovers += n) }
    const both = new FailingOver(new Balanced(own, {}, { failsOver: true }).balancer, new Balanced(other, {}).balancer, counters)
    return { own, other, next: (tried) => both.next((tried ?? null) as unknown as Endpoint[] | null, -1), failovers: () => failovers }
  }

  test("is asked only when no endpoint of the service should be used", () => {
    const { own, other, next, failovers } = pair()
    own[0].unwell = true
    for (let i = 0; i < 50; i++) expect(next()).toBe(own[1])
    expect(failovers()).toBe(0)
    own[1].suspect = true
    for (let i = 0; i < 50; i++) expect(other).toContain(next())
    expect(failovers()).toBe(50)
    own[1].suspect = false
    expect(next()).toBe(own[1])
  })

  test("takes the attempts after those that have tried every endpoint of the service", () => {
    const { own, other, next } = pair()
    expect(other).toContain(next(own))
    expect(next([...own, other[0]])).toBe(other[1])
  })

  test("that can't help leaves it to the service's own", () => {
    const { own, other, next } = pair()
    for (const endpoint of [...own, ...other]) endpoint.suspect = true
    expect(own).toContain(next())
  })
})

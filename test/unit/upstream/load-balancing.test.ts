import { describe, expect, test } from "vitest"
import { LEAST_REQUEST, type LoadBalancingConfig } from "../../../gateway/config/balancing-model.ts"
import type { Endpoint } from "../../../gateway/upstream/endpoint.ts"
import { createLoadBalancer } from "../../../gateway/upstream/load-balancing/load-balancer.ts"
import { TableCache } from "../../../gateway/upstream/load-balancing/table-cache.ts"

type LoadBalancing = LoadBalancingConfig["policy"]

interface Fake {
  readonly name: string
  readonly weight: number
  active: number
  suspect: boolean
  unwell: boolean
  latency: null
}

function fakes(...weights: number[]): Fake[] {
  return weights.map((weight, i) => ({ name: "abcdefgh"[i], weight, active: 0, suspect: false, unwell: false, latency: null }))
}

/** The same numbers in [0, 1) every time. */
function seeded(seed = 1): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function balancer(policy: LoadBalancing, endpoints: Fake[], random = seeded()): { next(tried?: Fake[]): Fake | null } {
  const members = endpoints.map((fake) => ({ endpoint: fake as unknown as Endpoint, weight: fake.weight, zone: "", priority: 0 }))
  const counters = { panics() {}, spills() {}, failovers() {} }
  const made = createLoadBalancer({ ...LEAST_REQUEST, policy }, members, { random, clock: { now: 0 }, counters, tables: new TableCache() })
  return { next: (tried) => made.next((tried as unknown as Endpoint[]) ?? null, -1) as unknown as Fake | null }
}

function count(picks: (Fake | null)[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const pick of picks) found[pick?.name ?? "none"] = (found[pick?.name ?? "none"] ?? 0) + 1
  return found
}

const times = <T>(n: number, what: () => T): T[] => Array.from({ length: n }, what)
const policies: LoadBalancing[] = ["roundRobin", "random", "leastRequest", "peakEwma", "ringHash", "maglev"]

describe.each(policies)("%s", (policy) => {
  test("gives null when there is no endpoint, or none that takes traffic", () => {
    expect(balancer(policy, []).next()).toBeNull()
    expect(balancer(policy, fakes(0, 0)).next()).toBeNull()
  })

  test("gives the only one, whatever is known of it", () => {
    const endpoints = fakes(1)
    const policyOf = balancer(policy, endpoints)
    expect(policyOf.next()?.name).toBe("a")
    endpoints[0].suspect = true
    expect(policyOf.next()?.name).toBe("a")
    expect(policyOf.next(endpoints)?.name).toBe("a")
  })

  test("never gives one of weight 0", () => {
    const found = count(times(500, () => balancerOf.next()))
    expect(Object.keys(found).sort()).toEqual(["a", "c"])
  })
  const balancerOf = balancer(policy, fakes(1, 0, 3))

  test("passes by those that are unwell, while there are others", () => {
    const endpoints = fakes(1, 5, 1)
    endpoints[1].unwell = true
    const policyOf = balancer(policy, endpoints)
    for (const pick of times(100, () => policyOf.next())) expect(pick?.name).not.toBe("b")
    for (const pick of times(20, () => policyOf.next([endpoints[0]]))) expect(pick?.name).toBe("c")
  })

  test("has those wait at the least busy that find all full", () => {
    const endpoints = fakes(1, 5, 1)
    for (const [i, endpoint] of endpoints.entries()) Object.assign(endpoint, { full: true, active: [5, 2, 4][i] })
    expect(balancer(policy, endpoints).next()?.name).toBe("b")
    endpoints[1].suspect = true
    expect(balancer(policy, endpoints).next()?.name).toBe("c")
  })

  test("goes back to those that are well rather than on to one that isn't", () => {
    const endpoints = fakes(1, 5, 1)
    const [a, b, c] = endpoints
    b.unwell = true
    const policyOf = balancer(policy, endpoints)
    for (const pick of times(20, () => policyOf.next([a, c]))) expect(pick?.name).toBe("a")
    for (const pick of times(20, () => policyOf.next([c, a]))) expect(pick?.name).toBe("c")
    a.suspect = true
    expect(policyOf.next([a, c])?.name).toBe("c")
    c.suspect = true
    for (const pick of times(20, () => policyOf.next([a, c]))) expect(pick?.name).toBe("b")
  })

  test("passes by those it was told were tried, while there are others", () => {
    const endpoints = fakes(1, 5, 1)
    const policyOf = balancer(policy, endpoints)
    for (const pick of times(100, () => policyOf.next([endpoints[1]]))) expect(pick?.name).not.toBe("b")
    for (const pick of times(20, () => policyOf.next([endpoints[1], endpoints[0]]))) expect(pick?.name).toBe("c")
    expect(policyOf.next(endpoints)).not.toBeNull()
  })

  test("passes by one whose last connect failed, while there are others", () => {
    const endpoints = fakes(1, 5, 1)
    endpoints[1].suspect = true
    const policyOf = balancer(policy, endpoints)
    for (const pick of times(100, () => policyOf.next())) expect(pick?.name).not.toBe("b")
    for (const endpoint of endpoints) endpoint.suspect = true
    expect(policyOf.next()).not.toBeNull()
    expect(policyOf.next([endpoints[0]])?.name).not.toBe("a")
  })
})

describe("roundRobin", () => {
  test("is exact over every cycle of the weights, and spreads the turns of the heavy", () => {
    const policy = balancer("roundRobin", fakes(5, 3, 2))
    for (let cycle = 0; cycle < 5; cycle++) {
      const picks = times(10, () => policy.next())
      expect(count(picks)).toEqual({ a: 5, b: 3, c: 2 })
      expect(picks.map((pick) => pick?.name).join("")).not.toMatch(/aaa|bb|cc/)
    }
  })

  test("goes round in turn when all weigh the same", () => {
    const policy = balancer("roundRobin", fakes(1, 1, 1))
    expect(times(6, () => policy.next()?.name).join("")).toBe("abcabc")
  })

  test("takes one back where it was left when its connects work again", () => {
    const endpoints = fakes(1, 1, 1)
    const policy = balancer("roundRobin", endpoints)
    endpoints[0].suspect = true
    expect(count(times(100, () => policy.next()))).toEqual({ b: 50, c: 50 })
    endpoints[0].suspect = false
    // No burst to make up for what it has missed.
    expect(count(times(9, () => policy.next())).a).toBeLessThanOrEqual(4)
  })
})

describe("random", () => {
  test("gives each its weight's share", () => {
    const policy = balancer("random", fakes(6, 3, 1))
    const found = count(times(20_000, () => policy.next()))
    expect(found.a / 20_000).toBeCloseTo(0.6, 1)
    expect(found.b / 20_000).toBeCloseTo(0.3, 1)
    expect(found.c / 20_000).toBeCloseTo(0.1, 1)
    expect(found.a + found.b + found.c).toBe(20_000)
  })

  test("reaches both ends of the scale", () => {
    const endpoints = fakes(1, 1)
    expect(balancer("random", endpoints, () => 0).next()?.name).toBe("a")
    expect(balancer("random", endpoints, () => 1 - Number.EPSILON).next()?.name).toBe("b")
  })
})

describe("leastRequest", () => {
  /** Requests arrive at one rate and take as long as their endpoint takes. */
  function simulate(policy: LoadBalancing, weights: number[], durations: number[]): { most: number[]; given: number[] } {
    const endpoints = fakes(...weights)
    const policyOf = balancer(policy, endpoints)
    const running: { endpoint: Fake; until: number }[] = []
    const most = weights.map(() => 0)
    const given = weights.map(() => 0)
    for (let now = 0; now < 5000; now++) {
      for (let i = running.length - 1; i >= 0; i--) {
        if (running[i].until > now) continue
        running[i].endpoint.active--
        running.splice(i, 1)
      }
      const endpoint = policyOf.next() as Fake
      const index = endpoints.indexOf(endpoint)
      endpoint.active++
      given[index]++
      most[index] = Math.max(most[index], endpoint.active)
      running.push({ endpoint, until: now + durations[index] })
    }
    return { most, given }
  }

  test("keeps the queue of a slow endpoint short, where roundRobin lets it grow", () => {
    const durations = [10, 10, 10, 200]
    const least = simulate("leastRequest", [1, 1, 1, 1], durations)
    const robin = simulate("roundRobin", [1, 1, 1, 1], durations)
    expect(least.most[3]).toBeLessThan(robin.most[3] / 2)
    expect(least.given[3]).toBeLessThan(least.given[0] / 2)
  })

  test("gives each its weight's share when nothing is under way", () => {
    const policy = balancer("leastRequest", fakes(6, 3, 1))
    const found = count(times(20_000, () => policy.next()))
    expect(found.a / 20_000).toBeCloseTo(0.6, 1)
    expect(found.b / 20_000).toBeCloseTo(0.3, 1)
    expect(found.c / 20_000).toBeCloseTo(0.1, 1)
  })

  test("keeps to the weights when all are equally fast", () => {
    const { given } = simulate("leastRequest", [3, 1], [40, 40])
    expect(given[0] / given[1]).toBeGreaterThan(2)
    expect(given[0] / given[1]).toBeLessThan(4)
  })
})

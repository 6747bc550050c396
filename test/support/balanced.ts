// A service's endpoints as balancers see them, with a clock that stands still and chance that is the same every time.

import { LEAST_REQUEST, type LoadBalancingConfig } from "../../gateway/config/balancing-model.ts"
import type { PeakEwma } from "../../gateway/resilience/peak-ewma.ts"
import type { Endpoint } from "../../gateway/upstream/endpoint.ts"
import { createLoadBalancer, type StagedBalancer } from "../../gateway/upstream/load-balancing/load-balancer.ts"
import { TableCache } from "../../gateway/upstream/load-balancing/table-cache.ts"

/** What a balancer knows of an endpoint, and its part in the configuration. */
export class FakeEndpoint {
  readonly address: string
  readonly weight: number
  readonly zone: string
  readonly priority: number
  active = 0
  suspect = false
  unwell = false
  latency: PeakEwma | null = null
  warmSince = Number.NEGATIVE_INFINITY
  /** Requests it was given. */
  given = 0

  constructor(address: string, weight = 1, zone = "", priority = 0) {
    this.address = address
    this.weight = weight
    this.zone = zone
    this.priority = priority
  }
}

/** The same numbers in [0, 1) every time. */
export function seeded(seed = 1): () => number {
  let state = seed
  return () => {
    state = (state + 0x9e3779b9) | 0
    let t = state ^ (state >>> 16)
    t = Math.imul(t, 0x21f0aaad)
    t ^= t >>> 15
    t = Math.imul(t, 0x735a2d97)
    return ((t ^ (t >>> 15)) >>> 0) / 2 ** 32
  }
}

export class Balanced {
  readonly endpoints: readonly FakeEndpoint[]
  readonly clock = { now: 0 }
  readonly counted = { panics: 0, spills: 0, failovers: 0 }
  readonly balancer: StagedBalancer
  readonly random: () => number

  constructor(
    endpoints: readonly FakeEndpoint[],
    config: Partial<LoadBalancingConfig>,
    options: { readonly zone?: string; readonly seed?: number; readonly failsOver?: boolean; readonly random?: () => number } = {},
  ) {
    this.endpoints = endpoints
    this.random = options.random ?? seeded(options.seed)
    const { counted } = this
    const counters = {
      panics: (n: number) => void (counted.panics += n),
      spills: (n: number) => void (counted.spills += n),
      failovers: (n: number) => void (counted.failovers += n),
    }
    const members = endpoints.map((fake) => ({
      endpoint: fake as unknown as Endpoint,
      weight: fake.weight,
      zone: fake.zone,
      priority: fake.priority,
    }))
    const means = { random: this.random, clock: this.clock, counters, tables: new TableCache() }
    this.balancer = createLoadBalancer({ ...LEAST_REQUEST, ...config }, members, means, options.zone, options.failsOver)
  }

  next(tried: readonly FakeEndpoint[] | null = null, key = -1): FakeEndpoint | null {
    return this.balancer.next(tried as unknown as readonly Endpoint[] | null, key) as unknown as FakeEndpoint | null
  }

  /** Shares of `n` requests, by endpoint; requests with keys of their own when `keyed`. Nothing stays under way. */
  shares(n: number, keyed = false): number[] {
    for (const endpoint of this.endpoints) endpoint.given = 0
    for (let i = 0; i < n; i++) {
      const endpoint = this.next(null, keyed ? Math.floor(this.random() * 2 ** 32) : -1)
      if (endpoint !== null) endpoint.given++
    }
    return this.endpoints.map(({ given }) => given / n)
  }

  /** `n` requests, one every `every` ms, that take as long as `takes` says; their ends are told as an endpoint's are. */
  run(n: number, every: number, takes: (endpoint: FakeEndpoint) => number): void {
    const ends = new Ends()
    for (const endpoint of this.endpoints) endpoint.given = 0
    for (let i = 0; i < n; i++) {
      this.clock.now += every
      for (let ended = ends.take(this.clock.now); ended !== null; ended = ends.take(this.clock.now)) {
        ended.endpoint.active--
        ended.endpoint.latency?.observe(ended.took, ended.at)
      }
      const endpoint = this.next()
      if (endpoint === null) continue
      endpoint.given++
      endpoint.active++
      const took = takes(endpoint)
      ends.add({ endpoint, took, at: this.clock.now + took })
    }
  }
}

interface End {
  readonly endpoint: FakeEndpoint
  readonly took: number
  readonly at: number
}

/** Requests under way, the one that ends first on top of a heap. */
class Ends {
  readonly #heap: End[] = []

  add(end: End): void {
    const heap = this.#heap
    let at = heap.push(end) - 1
    while (at > 0) {
      const up = (at - 1) >> 1
      if (heap[up].at <= end.at) break
      heap[at] = heap[up]
      at = up
    }
    heap[at] = end
  }

  /** One that has ended by `now`, or null. */
  take(now: number): End | null {
    const heap = this.#heap
    if (heap.length === 0 || heap[0].at > now) return null
    const first = heap[0]
    const last = heap.pop() as End
    if (heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1].at < heap[child].at) child++
      if (heap[child].at >= last.at) break
      heap[at] = heap[child]
      at = child
    }
    heap[at] = last
    return first
  }
}

/** `weights.length` endpoints. */
export function endpointsOf(...weights: number[]): FakeEndpoint[] {
  return weights.map((weight, i) => new FakeEndpoint(`10.0.0.${i + 1}:9000`, weight))
}

import { beforeEach, describe, expect, test } from "vitest"
import { filterBuckets, requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { Instruments, type RouteSlots, statusIndex } from "../../../gateway/telemetry/instruments.ts"
import { HISTORY, LiveFigures } from "../../../gateway/telemetry/live-figures.ts"
import type { EndpointCount, LiveSlots } from "../../../gateway/telemetry/live-sampler.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { MetricsWriter } from "../../../gateway/telemetry/metrics-writer.ts"

const question = { seconds: 10, limit: 50, search: "", history: false }

/** A worker that counts, a clock that stands still, and someone who looks. */
class Bench {
  readonly registry = new MetricsRegistry()
  readonly instruments = new Instruments(this.registry)
  readonly writer: MetricsWriter
  slots: LiveSlots
  endpoints: EndpointCount[] = []
  cpu = 0
  now = 0
  reads = 0
  #tick: (() => void) | null = null
  readonly figures = new LiveFigures({
    slots: () => this.slots,
    read: (slot) => {
      this.reads++
      return this.registry.read(slot)
    },
    readAll: (slot, into) => {
      this.reads++
      this.registry.readAll(slot, into)
    },
    identities: () => this.instruments.identities.pairs(),
    asksWho: (listener) => listener === "mesh",
    endpoints: () => this.endpoints,
    unitsPerMs: 1000,
    cpu: () => this.cpu,
    now: () => this.now,
    every: (_, tick) => {
      this.#tick = tick
      return () => {
        this.#tick = null
      }
    },
  })

  constructor(routes: readonly string[]) {
    const epoch = this.registry.begin()
    this.slots = this.slotsOf(routes)
    this.registry.settle(epoch, "snapshots", "endpoints")
    this.writer = new MetricsWriter(this.registry.attach(0))
  }

  slotsOf(routes: readonly string[]): LiveSlots {
    const byRoute = Object.fromEntries(routes.map((route) => [route, { api: this.instruments.route("edge", route, "api") }]))
    return {
      listeners: { edge: this.instruments.listener("edge") },
      routes: { edge: byRoute },
      tcp: {},
      services: { api: this.instruments.service("api") },
      filters: { auth: { stable: this.instruments.filters.slots("auth", "stable") } },
    }
  }

  row(route: string): RouteSlots {
    return this.slots.routes.edge[route].api
  }

  request(route: string, status: number, seconds: number, times = 1): void {
    const slots = this.row(route)
    this.writer.add(slots.requests + statusIndex(status), times)
    this.writer.observe(slots.duration, seconds, requestBuckets, times)
    this.writer.add(slots.responseBytes, 100 * times)
  }

  second(): void {
    this.now += 1000
    this.#tick?.()
  }
}

let bench: Bench

beforeEach(() => {
  bench = new Bench(["shop", "blog"])
})

describe("live figures", () => {
  test("are rates, success and quantiles of the seconds that were asked for, not of what was before", () => {
    bench.request("shop", 500, 5, 1000)
    expect(bench.figures.ask(question)).toMatchObject({ seconds: 0, total: { requests: 0, success: null, latency: null }, routes: [] })
    bench.request("shop", 200, 0.01, 90)
    bench.request("shop", 503, 0.2, 10)
    bench.request("blog", 404, 0.01, 20)
    bench.second()
    bench.second()
    const { seconds, total, routes, services, listeners, edges } = bench.figures.ask(question)
    expect(seconds).toBe(2)
    expect(total).toMatchObject({ requests: 60, rejected: 10, sent: 6000, received: 0 })
    expect(total.success).toBeCloseTo(110 / 120, 5)
    expect(routes.map(({ name, requests, success }) => [name, requests, success])).toEqual([
      ["shop", 50, 0.9],
      ["blog", 10, 1],
    ])
    // Within the bucket the value fell into.
    expect(routes[0].latency?.p50).toBeLessThanOrEqual(10)
    expect(routes[0].latency?.p50).toBeGreaterThan(5)
    expect(routes[0].latency?.p99).toBeGreaterThan(100)
    expect(services.map(({ name, requests }) => [name, requests])).toEqual([["api", 60]])
    expect(listeners.map(({ name, requests }) => [name, requests])).toEqual([["edge", 60]])
    expect(edges).toEqual([
      { listener: "edge", route: "shop", service: "api", asksWho: false, requests: 50, success: 0.9 },
      { listener: "edge", route: "blog", service: "api", asksWho: false, requests: 10, success: 1 },
    ])
  })

  test("tell who asks which service, of clients that have shown a certificate", () => {
    const alice = "spiffe://mesh/ns/a/sa/alice\n"
    const count = (source: string, service: string, status: number, times: number) =>
      bench.writer.add(bench.instruments.identities.slots(source, service).requests + statusIndex(status), times)
    count(alice, "api", 200, 1000)
    expect(bench.figures.ask(question).callers).toEqual([])
    count(alice, "api", 200, 18)
    count(alice, "api", 503, 2)
    count("overflow", "api", 200, 4)
    count("bob", "-", 404, 6)
    bench.second()
    bench.second()
    expect(bench.figures.ask(question).callers).toEqual([
      { source: alice, service: "api", requests: 10, success: 0.9 },
      { source: "bob", service: "-", requests: 3, success: 1 },
      { source: "overflow", service: "overflow", requests: 2, success: 1 },
    ])
  })

  test("forget a second when its window has passed, and remember a minute", () => {
    bench.figures.ask(question)
    bench.request("shop", 200, 0.01, 30)
    bench.second()
    bench.second()
    expect(bench.figures.ask({ ...question, seconds: 1 }).routes).toEqual([])
    expect(bench.figures.ask({ ...question, history: true }).routes[0].history).toEqual([30, 0])
    for (let i = 0; i < HISTORY; i++) {
      bench.figures.ask(question)
      bench.second()
    }
    const later = bench.figures.ask({ ...question, seconds: HISTORY })
    expect(later.history.requests).toEqual(new Array(HISTORY).fill(0))
    expect(later.routes).toEqual([])
  })

  test("cost nothing while nobody looks, from a minute after the last look on", () => {
    bench.second()
    expect(bench.reads).toBe(0)
    bench.figures.ask(question)
    for (let i = 0; i < 60; i++) bench.second()
    expect(bench.figures.active).toBe(true)
    bench.second()
    expect(bench.figures.active).toBe(false)
    bench.reads = 0
    bench.second()
    expect(bench.reads).toBe(0)
    // What happened meanwhile isn't told as if it were now.
    bench.request("shop", 200, 0.01, 500)
    bench.figures.ask(question)
    bench.second()
    expect(bench.figures.ask(question).total.requests).toBe(0)
  })

  test("count a gRPC call that its status blames on the server as failed", () => {
    bench.figures.ask(question)
    bench.request("shop", 200, 0.01, 4)
    bench.writer.add(bench.row("shop").grpc + 14, 1)
    bench.writer.add(bench.row("shop").grpc + 5, 1)
    bench.second()
    expect(bench.figures.ask(question).total.success).toBe(0.75)
  })

  test("tell what a filter's calls cost, and its share of the process's CPU", () => {
    bench.figures.ask(question)
    const slots = bench.slots.filters.auth.stable
    bench.writer.add(slots.calls, 2000)
    bench.writer.add(slots.exchanges, 1000)
    bench.writer.add(slots.traps + 1, 3)
    bench.writer.observe(slots.duration, 200e-6, filterBuckets, 2000)
    // A pause of the machine in the middle of a call that is counted for sixteen: no CPU of the filter's.
    bench.writer.observe(slots.duration, 0.9, filterBuckets, 16)
    // Nor that some had to wait for a core.
    bench.writer.observe(slots.duration, 0.02, filterBuckets, 600)
    bench.writer.add(slots.budget, 400_000)
    bench.cpu = 0.8
    bench.second()
    const [filter] = bench.figures.ask(question).filters
    expect(filter).toMatchObject({ name: "auth", requests: 1000, calls: 2000, traps: 3, cpu: 0.4, share: 0.5 })
    expect(filter.cost?.mean).toBe(200)
    expect(filter.cost?.p99).toBeGreaterThan(100)
  })

  test("take a filter's budget for its cost where the clock says more than the process has used", () => {
    bench.figures.ask(question)
    const slots = bench.slots.filters.auth.stable
    bench.writer.add(slots.calls, 100)
    bench.writer.observe(slots.duration, 0.02, filterBuckets, 100)
    // 3 ms a call, of which each waited for the others.
    bench.writer.add(slots.budget, 300_000)
    bench.cpu = 0.6
    bench.second()
    expect(bench.figures.ask(question).filters[0]).toMatchObject({ cost: { mean: 3000 }, cpu: 0.3, share: 0.5 })
  })

  test("know endpoints by their counts, not by what they had before they were seen", () => {
    bench.endpoints = [{ service: "api", address: "10.0.0.1:80", requests: 500, successes: 400 }]
    bench.figures.ask(question)
    bench.endpoints = [
      { service: "api", address: "10.0.0.1:80", requests: 510, successes: 408 },
      { service: "api", address: "10.0.0.2:80", requests: 70, successes: 70 },
    ]
    bench.second()
    expect(bench.figures.ask(question).endpoints.map(({ name, requests, success }) => [name, requests, success])).toEqual([
      ["api 10.0.0.1:80", 10, 0.8],
    ])
  })

  test("go on over a reload, and over a slot that gets another owner", () => {
    bench.figures.ask(question)
    bench.request("shop", 200, 0.01, 10)
    bench.second()
    const epoch = bench.registry.begin()
    const shop = bench.row("shop").requests
    bench.slots = bench.slotsOf(["blog", "news"])
    bench.registry.settle(epoch, "snapshots", "endpoints")
    bench.slots = bench.slotsOf(["blog", "news", "later"])
    expect(bench.row("later").requests).toBe(shop)
    bench.request("later", 200, 0.01, 3)
    bench.second()
    const names = bench.figures.ask({ ...question, seconds: 1 }).routes.map(({ name, requests }) => [name, requests])
    expect(names).toEqual([["later", 3]])
  })

  test("are bounded: of ten thousand busy routes those with the most requests are kept, and the others counted", () => {
    const many = new Bench(Array.from({ length: 10_000 }, (_, i) => `route-${i}`))
    many.figures.ask(question)
    for (let i = 0; i < 10_000; i++) many.request(`route-${i}`, 200, 0.01, i === 7777 ? 9 : 1)
    many.second()
    const { total, routes, omitted, edges } = many.figures.ask({ ...question, limit: 20 })
    expect(total.requests).toBe(10_008)
    expect(routes).toHaveLength(20)
    expect(routes[0]).toMatchObject({ name: "route-7777", requests: 9 })
    expect(omitted.routes).toBe(10_000 - 20)
    expect(edges).toHaveLength(20)
    expect(many.figures.ask({ ...question, search: "7777" }).routes.map(({ name }) => name)).toEqual(["route-7777"])
    // Only what did something is read whole.
    many.reads = 0
    many.second()
    expect(many.reads).toBeLessThan(10_000 * 8)
  })
})

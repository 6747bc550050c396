import { describe, expect, test } from "vitest"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { IdentityCounts } from "../../../gateway/telemetry/identity-counts.ts"
import { MAX_IDENTITY_SERIES } from "../../../gateway/telemetry/identity-instruments.ts"
import { Instruments, statusIndex } from "../../../gateway/telemetry/instruments.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { MetricsWriter } from "../../../gateway/telemetry/metrics-writer.ts"
import { EndpointRecorder } from "../../../gateway/telemetry/recorders.ts"

async function lines(registry: MetricsRegistry, name: string): Promise<string[]> {
  const { body } = await registry.exposition()
  return body.split("\n").filter((line) => line.startsWith(name))
}

function service(...addresses: string[]): Pick<ServiceConfig, "endpoints"> {
  const endpoints = addresses.map((address) => {
    const [host, port] = address.split(":")
    return { address: { host, port: Number(port) } }
  })
  return { endpoints } as unknown as Pick<ServiceConfig, "endpoints">
}

describe("endpoints", () => {
  test("are counted by class of the status, and timed together with their service", async () => {
    const registry = new MetricsRegistry()
    const { endpoints, ...instruments } = new Instruments(registry)
    expect(instruments).toBeDefined()
    const slots = endpoints.assign({ users: service("10.0.0.1:80", "10.0.0.2:80") })
    const whole = registry.histogram({ name: "service_seconds", help: "s", buckets: requestBuckets }).slot()
    const writer = new MetricsWriter(registry.attach(0))
    const [a, b] = slots.users.map((own) => new EndpointRecorder(writer, own, { duration: whole }))
    a.answered(200, 4)
    a.answered(503, 40)
    a.failed()
    b.unanswered()
    b.failed()
    b.carried()
    expect(["10.0.0.1:80", "10.0.0.2:80"].map((each) => endpoints.counts("users", each))).toEqual([
      { requests: 2, failures: 1 },
      { requests: 2, failures: 1 },
    ])
    expect(endpoints.counts("users", "10.0.0.3:80")).toBeNull()
    expect(await lines(registry, "sluice_endpoint_requests_total")).toEqual([
      'sluice_endpoint_requests_total{code="2xx",service="users",endpoint="10.0.0.1:80"} 1',
      'sluice_endpoint_requests_total{code="5xx",service="users",endpoint="10.0.0.1:80"} 1',
      'sluice_endpoint_requests_total{code="none",service="users",endpoint="10.0.0.2:80"} 1',
    ])
    expect(await lines(registry, "sluice_endpoint_duration_seconds_count")).toEqual([
      'sluice_endpoint_duration_seconds_count{service="users",endpoint="10.0.0.1:80"} 2',
    ])
    expect(registry.read(whole + requestBuckets.count)).toBe(2)
    expect(registry.read(whole + requestBuckets.sum)).toBeCloseTo(0.044)
  })
})

describe("identities", () => {
  const ALICE = "spiffe://mesh/ns/a/sa/alice"

  function start(): { registry: MetricsRegistry; instruments: Instruments; counts: IdentityCounts; asked: [string, string][] } {
    const registry = new MetricsRegistry()
    const instruments = new Instruments(registry)
    const writer = new MetricsWriter(registry.attach(0))
    const asked: [string, string][] = []
    const counts = new IdentityCounts(writer, instruments.identities.overflow, (...pair) => asked.push(pair))
    return { registry, instruments, counts, asked }
  }

  test("are asked for once; what is counted meanwhile is not lost", async () => {
    const { registry, instruments, counts, asked } = start()
    counts.count(ALICE, "users", 200, 0.5)
    counts.count(ALICE, "users", 503, 0.25)
    counts.count(ALICE, "-", 404, 0)
    expect(asked).toEqual([
      [ALICE, "users"],
      [ALICE, "-"],
    ])
    expect(await lines(registry, "sluice_identity")).toEqual([])
    for (const pair of asked) counts.settle(...pair, instruments.identities.slots(...pair))
    counts.settle(ALICE, "users", instruments.identities.slots(ALICE, "users"))
    counts.settle("nobody", "users", instruments.identities.overflow)
    counts.count(ALICE, "users", 200, 1)
    expect(asked.length).toBe(2)
    expect(await lines(registry, "sluice_identity")).toEqual([
      `sluice_identity_requests_total{code="2xx",source="${ALICE}",service="users"} 2`,
      `sluice_identity_requests_total{code="5xx",source="${ALICE}",service="users"} 1`,
      `sluice_identity_requests_total{code="4xx",source="${ALICE}",service="-"} 1`,
      `sluice_identity_request_seconds_total{source="${ALICE}",service="users"} 1.75`,
    ])
  })

  test("beyond the cap share one series, in a worker and over all of them", async () => {
    const { registry, instruments, counts, asked } = start()
    for (let i = 0; i < 10 * MAX_IDENTITY_SERIES; i++) counts.count(`client-${i}`, "users", 200, 0)
    expect(asked.length).toBe(MAX_IDENTITY_SERIES)
    for (const pair of asked) counts.settle(...pair, instruments.identities.slots(...pair))
    const totals = await lines(registry, "sluice_identity_requests_total")
    expect(totals.length).toBe(MAX_IDENTITY_SERIES + 1)
    expect(totals.at(-1)).toBe(`sluice_identity_requests_total{code="2xx",source="overflow",service="overflow"} ${9 * MAX_IDENTITY_SERIES}`)
    // Another worker meets others.
    expect(instruments.identities.slots("another", "users")).toEqual(instruments.identities.overflow)
  })

  test("of a service that is gone, or idle while room is short, make room once every worker has forgotten them", () => {
    const registry = new MetricsRegistry()
    const { identities } = new Instruments(registry)
    const orders: { worker: number; order: number }[] = []
    const writers = [0, 1].map((worker) => new MetricsWriter(registry.attach(worker)))
    const counts = writers.map(
      (writer) =>
        new IdentityCounts(writer, identities.overflow, (source, service) => asking.push([writers.indexOf(writer), source, service])),
    )
    const asking: [number, string, string][] = []
    const answer = (): void => {
      for (const [worker, ...pair] of asking.splice(0)) counts[worker].settle(...pair, identities.slots(...pair))
    }
    identities.onForget((pairs) => {
      for (const [worker, each] of counts.entries()) {
        each.forget(pairs)
        orders.push({ worker, order: registry.handle(worker).order })
      }
    })
    const heard = (): void => {
      for (const { worker, order } of orders.splice(0)) registry.told(worker, { order, snapshots: [], endpoints: [] })
    }
    const total = (source: string): number => {
      const { requests } = identities.slots(source, "users")
      return registry.read(requests + statusIndex(200))
    }
    for (let i = 0; i < MAX_IDENTITY_SERIES; i++) counts[0].count(`client-${i}`, "users", 200, 0)
    answer()
    // Nobody else has room, in the other worker neither.
    counts[1].count("late", "users", 200, 0)
    answer()
    expect(total("client-0")).toBe(1)
    expect(identities.slots("late", "users")).toEqual(identities.overflow)
    identities.sweep(0)
    counts[0].count("client-1", "users", 200, 0)
    identities.sweep(299_000)
    expect(orders).toEqual([])
    identities.sweep(300_000)
    expect(orders.length).toBe(2)
    // One of them comes back before the other worker has heard.
    counts[0].count("client-2", "users", 200, 0)
    answer()
    expect(identities.slots("late", "users")).toEqual(identities.overflow)
    heard()
    counts[1].count("late", "users", 200, 0)
    answer()
    expect([total("client-1"), total("client-2"), total("late"), total("client-3")]).toEqual([2, 2, 1, 0])
    identities.use({ services: {} })
    heard()
    counts[0].count("client-1", "users", 200, 0)
    answer()
    expect([total("client-1"), total("late")]).toEqual([1, 0])
  })

  test("that are too long, or called as those that share a series are, get none of their own", () => {
    const { instruments, counts, asked } = start()
    const { identities } = instruments
    counts.count("x".repeat(257), "users", 200, 0)
    expect(asked).toEqual([])
    expect([identities.slots("x".repeat(257), "users"), identities.slots("overflow", "overflow")]).toEqual([
      identities.overflow,
      identities.overflow,
    ])
    expect(identities.slots("x".repeat(256), "users")).not.toEqual(identities.overflow)
  })
})

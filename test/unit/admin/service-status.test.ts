import { expect, test } from "vitest"
import { type ServiceStatus, serviceStatus } from "../../../gateway/admin/service-status.ts"
import type { EjectionState } from "../../../gateway/resilience/ejection.ts"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { Instruments, statusIndex } from "../../../gateway/telemetry/instruments.ts"
import { limitIndex } from "../../../gateway/telemetry/limit-instruments.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import type { EndpointState } from "../../../gateway/upstream/endpoint-watch.ts"
import { config } from "./support/config.ts"

const fails = { times: 2, consecutive5xx: 4, consecutiveGatewayErrors: 3, consecutiveLocalFailures: 1 }
const load = { active: 1, connections: 2, latency: 1.5 }
const counts = { requests: 4, failures: 1 }
const ejection = (left: number | null): EjectionState => ({ left, reason: "5xx", ...fails })
const states: Readonly<Record<string, EndpointState>> = {
  "127.0.0.1:1": { healthy: true, ejection: ejection(null), load, counts },
  "[::1]:2": { healthy: false, ejection: ejection(60_000), load, counts },
  "127.0.0.1:3": { healthy: null, ejection: ejection(0), load, counts },
  "127.0.0.1:4": { healthy: null, ejection: null, load: null, counts: null },
  "127.0.0.1:5": { healthy: null, ejection: null, load, counts },
}
const hosts = [
  ["127.0.0.1", 1],
  ["::1", 2],
  ["127.0.0.1", 3],
  ["127.0.0.1", 4],
  ["127.0.0.1", 5],
] as const
const endpoints = hosts.map(([host, port]) => ({ address: { host, port }, weight: port === 4 ? 0 : 1 }))
const services = { token: { ...config.services.token, endpoints } }

function statusOf(read: (slot: number) => number = () => 0, slots: Parameters<typeof serviceStatus>[0]["slots"] = null): ServiceStatus {
  const used = { requests: 5, connections: 2, pending: 1024, retries: 0 }
  return serviceStatus({
    config: { ...config, services },
    slots,
    stateOf: (_, address) => states[address],
    used: (_, figure) => used[figure],
    drainedSince: (_, address) => (address === "127.0.0.1:5" ? 1000 : null),
    read,
  })[0]
}

test("services are told with what is known of each endpoint", () => {
  const before = Date.now()
  const status = statusOf()
  expect(status).toMatchObject({ name: "token", taking: 3, usable: 1, drained: 1, underWay: { requests: 5, connections: 2 } })
  expect(status.endpoints[0]).toEqual({
    address: "127.0.0.1:1",
    weight: 1,
    zone: "",
    priority: 0,
    healthy: true,
    ejected: null,
    consecutive: { errors5xx: 4, gatewayErrors: 3, localFailures: 1 },
    drained: null,
    active: { requests: 1, connections: 2 },
    requests: 5,
    failures: 1,
    latency: 1.5,
  })
  const { ejected } = status.endpoints[1]
  expect(ejected).toMatchObject({ reason: "5xx", times: 2 })
  expect(Date.parse(ejected?.until ?? "")).toBeGreaterThanOrEqual(before + 60_000)
  expect(status.endpoints[2].ejected).toEqual({ reason: "5xx", times: 2, until: null })
  expect(status.endpoints[3]).toMatchObject({ address: "127.0.0.1:4", ejected: null, consecutive: null, requests: null, active: null })
  expect(status.endpoints[4]).toMatchObject({ weight: 1, drained: "1970-01-01T00:00:01.000Z" })
})

test("services are told with what their limits hold, and which of them are used up", () => {
  const registry = new MetricsRegistry()
  const instruments = new Instruments(registry)
  const slots = { services: { token: instruments.service("token") }, routes: {} }
  registry.writer.add(slots.services.token.limited + limitIndex("pending"), 3)
  const status = statusOf((slot) => registry.read(slot), slots)
  expect(status.limits).toEqual({
    requests: { used: 5, max: 1024 },
    connections: { used: 2, max: 1024 },
    pending: { used: 1024, max: 1024 },
    retries: { used: 0, max: 1024 },
  })
  expect([status.full, status.refused, status.concurrency]).toEqual([["pending"], { pending: 3 }, null])
})

test("requests, failures and latency are those of all routes to the service", () => {
  const registry = new MetricsRegistry()
  const instruments = new Instruments(registry)
  const own = ["a", "b"].map((route) => instruments.route("edge", route, "token"))
  const slots = { services: {}, routes: { edge: { a: { token: own[0], "-": own[1] }, b: { token: own[1] } } } }
  registry.writer.add(own[0].requests + statusIndex(200), 8)
  registry.writer.add(own[1].requests + statusIndex(503), 1)
  registry.writer.add(own[1].requests + statusIndex(0), 1)
  for (let i = 0; i < 10; i++) registry.writer.observe(own[0].duration, i === 9 ? 1 : 0.004, requestBuckets, 1)
  const status = statusOf((slot) => registry.read(slot), slots)
  expect([status.requests, status.failures]).toEqual([10, 2])
  // Within a bucket of what was observed.
  expect(status.latency?.p50).toBeGreaterThan(3)
  expect(status.latency?.p50).toBeLessThan(5.1)
  expect(status.latency?.p99).toBeGreaterThan(500)
})

test("there are none before the first configuration", () => {
  const none = { config: null, slots: null, stateOf: () => states["127.0.0.1:4"], used: () => 0, drainedSince: () => null, read: () => 0 }
  expect(serviceStatus(none)).toEqual([])
})

import { describe, expect, test, vi } from "vitest"
import { LEAST_REQUEST } from "../../../gateway/config/balancing-model.ts"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { type EndpointRecords, EndpointTable } from "../../../gateway/upstream/endpoint-table.ts"
import { type Service, Services } from "../../../gateway/upstream/services.ts"
import { silentCounters } from "../../support/counters.ts"
import { circuitBreaker } from "../../support/limits.ts"

function config(parts: Partial<ServiceConfig> = {}): { api: ServiceConfig } {
  return {
    api: {
      endpoints: [{ address: { host: "127.0.0.1", port: 1 }, weight: 1 }],
      loadBalancing: { ...LEAST_REQUEST, policy: "roundRobin" },
      protocol: "http1",
      proxyProtocol: "",
      tls: null,
      connectTimeout: 5000,
      pool: { maxConnections: 1024, maxPending: 1024, idleTimeout: 60_000, maxAge: 0 },
      limits: { head: 65_536, fields: 200 },
      circuitBreaker,
      ...parts,
    },
  }
}

const probed = {
  healthCheck: { probe: { kind: "tcp" }, interval: 1, unhealthyInterval: 1, timeout: 1, unhealthy: 1, healthy: 1 },
} as const

function start(): Services {
  const counters = silentCounters()
  return new Services({ wheel: new TimerWheel(), random: () => 0, workers: 1, counters: () => counters })
}

/** One endpoint that is unwell, while its service has others. */
function unwell(services = config(probed), port = 1): EndpointRecords {
  const table = new EndpointTable(1)
  const records = table.assign(services)
  table.setUnwell("api", `127.0.0.1:${port}`, true)
  return records
}

describe("the health of endpoints that are in use", () => {
  function live(services: Services): Service {
    return services.find("api") as Service
  }

  test("changes with the snapshot that says so, and not before", () => {
    const services = start()
    services.retire(services.build(config(), {}).endpoints)
    const next = services.build(config(probed), {}, { records: unwell() })
    expect(live(services).endpoints[0].unwell).toBe(false)
    services.retire(next.endpoints)
    expect(live(services).endpoints[0].unwell).toBe(true)
  })

  test("stays as it is when the snapshot never comes into force", () => {
    const services = start()
    services.retire(services.build(config(probed), {}, { records: unwell() }).endpoints)
    expect(live(services).endpoints[0].unwell).toBe(true)
    services.build(config(), {})
    services.abandon()
    services.retire(services.build(config(probed), {}, { records: unwell() }).endpoints)
    expect(live(services).endpoints[0].unwell).toBe(true)
    services.build(config(), {})
    services.abandon()
    expect(live(services).endpoints[0].unwell).toBe(true)
  })

  test("is known at once of those that are new", () => {
    const services = start()
    expect(services.build(config(probed), {}, { records: unwell() }).services.get("api")?.endpoints[0].unwell).toBe(true)
  })
})

describe("endpoints that change", () => {
  const at = (...ports: number[]): { api: ServiceConfig } =>
    config({ ...probed, endpoints: ports.map((port) => ({ address: { host: "127.0.0.1", port }, weight: 1 })) })

  test("change the service that is in force, and leave those that stay alone", () => {
    const services = start()
    const built = services.build({ ...at(1, 2), other: at(9).api }, {})
    services.retire(built.endpoints)
    const service = services.find("api") as Service
    const other = services.find("other") as Service
    const [one, two] = service.endpoints
    const [ofOther] = other.endpoints
    const closed = [one, two, ofOther].map((endpoint) => vi.spyOn(endpoint, "close"))
    services.change(at(2, 3), {}, { records: unwell(at(2, 3), 2) })
    expect(services.find("api")).toBe(service)
    expect(service.endpoints.map(({ port }) => port)).toEqual([2, 3])
    expect(service.endpoints[0]).toBe(two)
    expect(service.endpoints.map(({ unwell }) => unwell)).toEqual([true, false])
    expect(services.find("other")).toBe(other)
    expect(other.endpoints[0]).toBe(ofOther)
    expect(closed.map(({ mock }) => mock.calls.length)).toEqual([1, 0, 0])
    // The next snapshot knows what there is.
    const next = services.build(at(3), {})
    services.retire(next.endpoints)
    expect(closed.map(({ mock }) => mock.calls.length)).toEqual([1, 1, 1])
  })

  test("may be none, and come back", () => {
    const services = start()
    services.retire(services.build(at(1), {}).endpoints)
    const service = services.find("api") as Service
    services.change(at(), {})
    expect(service.balancer.next(null, -1)).toBeNull()
    services.change(at(4), {})
    expect(service.balancer.next(null, -1)?.port).toBe(4)
  })

  test("of a service that is not in force are none of its matter", () => {
    const services = start()
    services.change(at(1), {})
    expect(services.find("api")).toBeUndefined()
  })
})

describe("whether HTTP/2 may come into it", () => {
  const tls = { ca: "", cert: "", key: "", serverName: "a", identity: "", insecureSkipVerify: false, minVersion: "1.2" } as const

  test.each<[string, Partial<ServiceConfig>, boolean, boolean]>([
    ["http1", { protocol: "http1" }, false, false],
    ["h2", { protocol: "h2" }, true, true],
    ["auto", { protocol: "auto" }, false, true],
    ["auto over TLS", { protocol: "auto", tls }, true, true],
  ])("%s", (_, parts, requests, calls) => {
    const service = start()
      .build(config(parts), { api: { ca: "", cert: "", key: "" } })
      .services.get("api")
    expect([service?.mayBeHttp2, service?.callsMayBeHttp2]).toEqual([requests, calls])
  })
})

describe("endpoints over reloads", () => {
  const two = (weights: readonly [number, number], labels: string): Partial<ServiceConfig> => ({
    endpoints: weights.map((weight, i) => ({
      address: { host: "127.0.0.1", port: i + 1 },
      weight,
      labels: { track: i === 0 ? labels : "b" },
    })),
  })
  const endpointsOf = (built: { services: Map<string, Service> }): readonly unknown[] => built.services.get("api")?.endpoints ?? []

  test("stay what they are when their weights, labels or policy change", () => {
    const services = start()
    const first = services.build(config(two([1, 1], "a")), {})
    services.retire(first.endpoints)
    const next = services.build(config({ ...two([5, 0], "c"), loadBalancing: LEAST_REQUEST }), {})
    expect(endpointsOf(next)).toEqual(endpointsOf(first))
    expect(endpointsOf(next).every((endpoint, i) => endpoint === endpointsOf(first)[i])).toBe(true)
    services.retire(next.endpoints)
  })

  test("warm up when they are new in a service that runs, and only then", () => {
    const services = start()
    const first = services.build(config({ endpoints: [{ address: { host: "127.0.0.1", port: 1 }, weight: 1 }] }), {})
    services.retire(first.endpoints)
    const next = services.build({ ...config(two([1, 1], "a")), other: config().api }, {})
    expect(next.services.get("api")?.endpoints.map(({ warmSince }) => Number.isFinite(warmSince))).toEqual([false, true])
    expect(next.services.get("other")?.endpoints[0].warmSince).toBe(Number.NEGATIVE_INFINITY)
  })

  test("with some labels are a service of their own, under the same name and limits", () => {
    const built = start().build(config(two([1, 1], "a")), {})
    const whole = built.services.get("api")
    const part = built.subset("api", { track: "b" })
    expect(part?.name).toBe(whole?.name)
    expect(part?.limits).toBe(whole?.limits)
    expect(part?.endpoints).toEqual([whole?.endpoints[1]])
    for (let i = 0; i < 3; i++) expect(part?.balancer.next(null, -1)).toBe(whole?.endpoints[1])
    expect(built.subset("api", { track: "none" })?.balancer.next(null, -1)).toBeNull()
    expect(built.subset("nowhere", { track: "b" })).toBeUndefined()
  })

  test("take part in HTTP/2 when those of the failover do", () => {
    const { api } = config()
    const built = start().build({ api: { ...api, failover: "other" }, other: { ...api, protocol: "h2" } }, {})
    expect(built.services.get("api")?.mayBeHttp2).toBe(true)
    expect(built.services.get("other")?.mayBeHttp2).toBe(true)
  })
})

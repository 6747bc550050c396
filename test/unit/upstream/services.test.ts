import { describe, expect, test, vi } from "vitest"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import type { HealthSlots } from "../../../gateway/upstream/health-table.ts"
import { type Service, Services } from "../../../gateway/upstream/services.ts"

function config(parts: Partial<ServiceConfig> = {}): { api: ServiceConfig } {
  return {
    api: {
      endpoints: [{ address: { host: "127.0.0.1", port: 1 }, weight: 1 }],
      loadBalancing: "roundRobin",
      protocol: "http1",
      proxyProtocol: "",
      tls: null,
      connectTimeout: 5000,
      pool: { maxConnections: 1024, maxPending: 1024, idleTimeout: 60_000, maxAge: 0 },
      limits: { head: 65_536, fields: 200 },
      ...parts,
    },
  }
}

function start(): Services {
  const counters = { connects() {}, connectFailures() {}, active() {}, pending() {}, fault() {} }
  return new Services({ wheel: new TimerWheel(), random: () => 0, workers: 1, counters: () => counters })
}

/** One endpoint that is unwell, while its service has others. */
function unwell(): HealthSlots {
  const memory = new SharedArrayBuffer(16)
  new Int32Array(memory)[2] = 1
  return { memory, services: { api: { allUnwell: 1, endpoints: [2] } } }
}

describe("the health of endpoints that are in use", () => {
  function live(services: Services): Service {
    return services.find("api") as Service
  }

  test("changes with the snapshot that says so, and not before", () => {
    const services = start()
    services.retire(services.build(config(), {}).endpoints)
    const next = services.build(config(), {}, unwell())
    expect(live(services).endpoints[0].unwell).toBe(false)
    services.retire(next.endpoints)
    expect(live(services).endpoints[0].unwell).toBe(true)
  })

  test("stays as it is when the snapshot never comes into force", () => {
    const services = start()
    services.retire(services.build(config(), {}, unwell()).endpoints)
    expect(live(services).endpoints[0].unwell).toBe(true)
    services.build(config(), {})
    services.abandon()
    services.retire(services.build(config(), {}, unwell()).endpoints)
    expect(live(services).endpoints[0].unwell).toBe(true)
    services.build(config(), {})
    services.abandon()
    expect(live(services).endpoints[0].unwell).toBe(true)
  })

  test("is known at once of those that are new", () => {
    const services = start()
    expect(services.build(config(), {}, unwell()).services.get("api")?.endpoints[0].unwell).toBe(true)
  })
})

describe("endpoints that change", () => {
  const at = (...ports: number[]): { api: ServiceConfig } =>
    config({ endpoints: ports.map((port) => ({ address: { host: "127.0.0.1", port }, weight: 1 })) })

  test("change the service that is in force, and leave those that stay alone", () => {
    const services = start()
    const built = services.build({ ...at(1, 2), other: at(9).api }, {})
    services.retire(built.endpoints)
    const service = services.find("api") as Service
    const other = services.find("other") as Service
    const [one, two] = service.endpoints
    const [ofOther] = other.endpoints
    const closed = [one, two, ofOther].map((endpoint) => vi.spyOn(endpoint, "close"))
    services.change(at(2, 3), {}, { ...unwell(), services: { api: { allUnwell: 1, endpoints: [2, 3] } } })
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
    expect(service.balancer.next(null)).toBeNull()
    services.change(at(4), {})
    expect(service.balancer.next(null)?.port).toBe(4)
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

import { describe, expect, test } from "vitest"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import type { HealthSlots } from "../../../gateway/upstream/health-table.ts"
import { type Service, Services } from "../../../gateway/upstream/services.ts"
import { circuitBreaker } from "../../support/limits.ts"

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
      circuitBreaker,
      ...parts,
    },
  }
}

function start(): Services {
  const counters = { connects() {}, connectFailures() {}, active() {}, pending() {}, fault() {}, refused() {}, concurrencyLimit() {} }
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

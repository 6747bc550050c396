// Endpoints that fail too often: left out by every worker, seen back by one request.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { ServiceStatus } from "../../gateway/admin/service-status.ts"
import { until } from "../support/deadline.ts"
import { Gateway, type LogLine } from "../support/gateway.ts"
import { frame } from "../support/grpc-messages.ts"
import { H2Client } from "../support/h2-client.ts"
import { H2Origin } from "../support/h2-origin.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { get, RawClient } from "../support/raw-client.ts"

/** Half an answer. */
const CUT = -1

/** An origin that answers each path as the test says; 200 if it doesn't. */
class Moody {
  readonly statuses = new Map<string, number>()
  /** Requests it has answered otherwise than with 200. */
  failures = 0
  readonly #counts = new Map<string, number>()
  readonly #origin: Origin

  private constructor(origin: Origin) {
    this.#origin = origin
  }

  static async start(name: string): Promise<Moody> {
    let self: Moody | null = null
    const origin = await Origin.start(
      (request, connection) => {
        const moody = self as Moody
        moody.#counts.set(request.target, moody.count(request.target) + 1)
        if (request.target === "/tunnel") {
          connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
          return
        }
        // Every connection is good for one request.
        if (request.target === "/brief" && request.index > 0) return void connection.socket.destroy()
        const status = moody.statuses.get(request.target) ?? 200
        if (status !== 200) moody.failures++
        if (status === 0) connection.reset()
        else if (status === CUT) {
          connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
          connection.socket.destroy()
        } else connection.reply(status, name)
      },
      { onTunnel: (_, connection) => connection.socket.destroy() },
    )
    self = new Moody(origin)
    return self
  }

  /** Requests for a path so far. */
  count(path: string): number {
    return this.#counts.get(path) ?? 0
  }

  get address(): string {
    return this.#origin.address
  }

  stop(): Promise<void> {
    return this.#origin.stop()
  }
}

let a: Moody
let b: Moody
let c: Moody
/** Nobody listens there. */
let dead: string
/** They answer calls with a message each, and the status in their trailers. */
let willing: H2Origin
let unable: H2Origin
let gateway: Gateway

function config(long: unknown = {}): object {
  const loadBalancing = "roundRobin"
  const endpoints = [a.address, b.address, c.address]
  const minute = { baseEjectionTime: "60s", consecutive5xx: 3 }
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      { name: "plain", address: "127.0.0.1:0", protocol: "tcp", backends: "connections" },
    ],
    services: {
      long: { endpoints, loadBalancing, outlierDetection: long === false ? false : { ...minute, ...(long as object) } },
      short: { endpoints, loadBalancing, outlierDetection: { consecutive5xx: 2, baseEjectionTime: "200ms", maxEjectionTime: "200ms" } },
      pair: { endpoints: [a.address, b.address], loadBalancing, outlierDetection: { ...minute, maxEjected: "50%" } },
      single: { endpoints: [a.address], outlierDetection: minute },
      rated: {
        endpoints,
        loadBalancing,
        outlierDetection: {
          consecutive5xx: 0,
          consecutiveGatewayErrors: 0,
          interval: "100ms",
          failurePercentage: { threshold: "90%", minEndpoints: 3, minRequests: 2 },
        },
      },
      gone: { endpoints: [a.address, dead], loadBalancing, outlierDetection: { consecutiveLocalFailures: 1, baseEjectionTime: "60s" } },
      tunnel: { endpoints, loadBalancing, outlierDetection: { consecutiveLocalFailures: 1 } },
      brief: { endpoints, loadBalancing, outlierDetection: { consecutiveLocalFailures: 1 } },
      cut: { endpoints, loadBalancing, outlierDetection: { ...minute, consecutiveLocalFailures: 3 } },
      calls: {
        endpoints: [willing.address, unable.address],
        protocol: "h2",
        loadBalancing,
        outlierDetection: { ...minute, consecutiveGatewayErrors: 3 },
      },
      connections: {
        endpoints: [a.address, dead],
        loadBalancing,
        outlierDetection: { consecutiveLocalFailures: 1, baseEjectionTime: "60s" },
      },
      probed: {
        endpoints,
        loadBalancing,
        outlierDetection: minute,
        healthCheck: { path: "/healthz", interval: "50ms", timeout: "50ms", unhealthy: 1, healthy: 1 },
      },
    },
    routes: ["long", "short", "pair", "single", "rated", "gone", "tunnel", "brief", "probed", "cut", "calls"].map((name) => ({
      name,
      match: { path: `/${name}` },
      backends: name,
    })),
  }
}

beforeAll(async () => {
  ;[a, b, c] = await Promise.all([Moody.start("a"), Moody.start("b"), Moody.start("c")])
  ;[willing, unable] = await Promise.all(["0", "14"].map((status) => calls(status)))
  dead = `127.0.0.1:${await freePort()}`
  gateway = await Gateway.start({ config: config() })
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all([a, b, c, willing, unable].map((origin) => origin.stop()))
})

function calls(status: string): Promise<H2Origin> {
  return H2Origin.start((arrival) => {
    arrival.head(200, [["content-type", "application/grpc"]])
    arrival.data(frame("one"))
    arrival.trailers([["grpc-status", status]])
  })
}

/** Requests one after the other, each on a connection of its own and so in any worker, until `enough` says so. */
async function ask(path: string, enough: (asked: number) => boolean): Promise<string[]> {
  const answers: string[] = []
  while (!enough(answers.length)) {
    const answer = await get(gateway.port("edge"), path)
    answers.push(`${answer.status} ${answer.text()}`)
    if (answers.length > 2000) throw new Error("it never was enough")
  }
  return answers
}

function logged(message: string, service: string, from = 0): LogLine | undefined {
  return gateway.log.slice(from).find((line) => line.message === message && line.service === service)
}

async function ejected(service: string, endpoint: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum("sluice_endpoint_ejected", { service, endpoint })
}

async function ejections(service: string, reason: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum("sluice_endpoint_ejections_total", { service, reason })
}

async function status(name: string): Promise<ServiceStatus> {
  const { services } = JSON.parse((await get(gateway.adminPort, "/services")).text()) as { services: ServiceStatus[] }
  return services.find((service) => service.name === name) as ServiceStatus
}

describe("an endpoint that answers with 5xx", () => {
  test("is ejected by the failures of all workers together, and by all", async () => {
    const before = c.count("/long")
    const already = await ejected("long", c.address)
    c.statuses.set("/long", 500)
    const answers = await ask("/long", (asked) => asked === 30)
    expect(c.count("/long") - before).toBe(already === 1 ? 0 : 3)
    expect(answers.filter((answer) => answer === "500 c")).toHaveLength(already === 1 ? 0 : 3)
    const line = await gateway.waitForLog((entry) => entry.message === "endpoint is ejected" && entry.service === "long", "a line about it")
    expect(line).toMatchObject({ level: "warn", endpoint: c.address, reason: "5xx" })
    await until(async () => (await ejected("long", c.address)) === 1, "the metric")
    const told = await status("long")
    expect([told.taking, told.usable]).toEqual([3, 2])
    expect(told.endpoints[2]).toMatchObject({ address: c.address, ejected: { reason: "5xx", times: 1 }, healthy: null })
    expect(Date.parse(told.endpoints[2].ejected?.until ?? "")).toBeGreaterThan(Date.now())
    expect(told.endpoints[0].ejected).toBeNull()
  })

  test("stays ejected over a reload, until that turns detection off", async () => {
    c.statuses.set("/long", 500)
    await ask("/long", (asked) => asked === 15)
    c.statuses.delete("/long")
    const before = c.count("/long")
    const from = gateway.log.length
    const taken = (since: number): Promise<LogLine> =>
      gateway.waitForLog((line) => line.message === "configuration taken", "the reload", undefined, since)
    gateway.writeConfig(config({ maxEjected: "20%" }))
    await taken(from)
    await ask("/long", (asked) => asked === 9)
    expect(c.count("/long") - before).toBe(0)
    const next = gateway.log.length
    gateway.writeConfig(config(false))
    await taken(next)
    expect(await ejected("long", c.address)).toBe(0)
    await ask("/long", (asked) => asked === 9)
    expect(c.count("/long") - before).toBeGreaterThan(0)
  })

  test("comes back when one request after its time has succeeded, and gets no other before", async () => {
    c.statuses.set("/short", 503)
    const from = gateway.log.length
    const probes = await ejections("short", "probe")
    const failures = c.failures
    await ask("/short", () => logged("endpoint is ejected", "short", from) !== undefined)
    const before = c.count("/short")
    // It fails once more, and then no longer.
    await ask("/short", () => c.count("/short") > before)
    c.statuses.delete("/short")
    await ask("/short", () => logged("endpoint is used again", "short", from) !== undefined)
    const again = gateway.log.findIndex((line, i) => i >= from && line.message === "endpoint is used again" && line.service === "short")
    const failed = gateway.log.slice(from, again).filter((line) => line.service === "short" && line.reason === "probe").length
    expect(failed).toBeGreaterThan(0)
    // Two that ejected it, and then one probe at a time.
    expect(c.failures - failures).toBe(2 + failed)
    await until(async () => (await ejections("short", "probe")) - probes === failed, "the metric")
    await until(async () => (await ejected("short", c.address)) === 0, "the metric")
    const back = c.count("/short")
    await ask("/short", (asked) => asked === 12)
    expect(c.count("/short") - back).toBeGreaterThan(1)
  })

  test("is not ejected when too many others are, nor when there are none", async () => {
    for (const origin of [a, b]) origin.statuses.set("/pair", 500).set("/single", 500)
    await ask("/pair", (asked) => asked === 20)
    const { usable, endpoints } = await status("pair")
    expect(usable).toBe(1)
    const left = endpoints[0].ejected === null ? a : b
    const before = left.count("/pair")
    await ask("/pair", (asked) => asked === 5)
    expect(left.count("/pair") - before).toBe(5)
    expect(new Set(await ask("/single", (asked) => asked === 8))).toEqual(new Set(["500 a"]))
    expect((await status("single")).endpoints[0]).toMatchObject({ ejected: null, consecutive: null })
  })

  test("more often than others is found by comparison", async () => {
    c.statuses.set("/rated", 500)
    const from = gateway.log.length
    if ((await ejected("rated", c.address)) === 0) await ask("/rated", () => logged("endpoint is ejected", "rated", from) !== undefined)
    const line = gateway.log.find((entry) => entry.message === "endpoint is ejected" && entry.service === "rated")
    expect(line).toMatchObject({ endpoint: c.address, reason: "failurePercentage", details: "100% of its requests failed" })
  })
})

describe("an endpoint that gives no answer", () => {
  test("because it resets connections is ejected", async () => {
    c.statuses.set("/probed", 0)
    const from = gateway.log.length
    if ((await ejected("probed", c.address)) === 0) await ask("/probed", () => logged("endpoint is ejected", "probed", from) !== undefined)
    c.statuses.delete("/probed")
  })

  test("comes back early when its health checks fail and then succeed again", async () => {
    const from = gateway.log.length
    c.statuses.set("/healthz", 500)
    await until(async () => (await status("probed")).endpoints[2].healthy === false, "its probes to fail")
    c.statuses.delete("/healthz")
    await until(async () => (await status("probed")).endpoints[2].healthy === true, "its probes to succeed")
    await until(async () => (await ejected("probed", c.address)) === 0, "its return")
    const line = logged("endpoint is used again", "probed", from)
    if (line !== undefined) expect(line.why).toBe("its health checks succeed again")
    expect((await status("probed")).usable).toBe(3)
  })

  test("because nobody listens there is ejected, and requests go to others", async () => {
    expect(new Set(await ask("/gone", (asked) => asked === 6))).toEqual(new Set(["200 a"]))
    await until(async () => (await ejected("gone", dead)) === 1, "its ejection")
    expect(await ejections("gone", "localFailures")).toBe(1)
  })

  test("is ejected for connections that are carried as they are, too", async () => {
    for (let i = 0; i < 6; i++) {
      const client = await RawClient.connect(gateway.port("plain"))
      client.send("GET /x HTTP/1.1\r\nhost: x\r\n\r\n")
      expect((await client.readResponse()).text()).toBe("a")
      client.destroy()
    }
    await until(async () => (await ejected("connections", dead)) === 1, "its ejection")
    expect((await status("connections")).endpoints[1].ejected?.reason).toBe("localFailures")
  })
})

describe("an endpoint whose answers begin well", () => {
  test("and are all cut short is ejected", async () => {
    const before = c.count("/cut")
    const already = await ejected("cut", c.address)
    c.statuses.set("/cut", CUT)
    for (let i = 0; i < 30; i++) await get(gateway.port("edge"), "/cut").catch(() => {})
    expect(c.count("/cut") - before).toBe(already === 1 ? 0 : 3)
    expect((await status("cut")).endpoints[2]).toMatchObject({ ejected: { reason: "localFailures" } })
  })

  test("and whose calls end with UNAVAILABLE is ejected", async () => {
    const client = await H2Client.connect(gateway.port("edge"))
    const statuses: (string | undefined)[] = []
    for (let i = 0; i < 12; i++) {
      const { trailers } = await client.ask({ path: "/calls", body: frame("ask"), fields: [["content-type", "application/grpc"]] })
      statuses.push(trailers.find(([name]) => name === "grpc-status")?.[1])
    }
    client.destroy()
    const { endpoints } = await status("calls")
    expect(endpoints[1]).toMatchObject({ ejected: { reason: "gatewayErrors" }, requests: 3, failures: 3 })
    expect(new Set(statuses.slice(6))).toEqual(new Set(["0"]))
  })
})

describe("an endpoint that does nothing wrong", () => {
  test("is not ejected for tunnels that end", async () => {
    for (let i = 0; i < 6; i++) {
      const client = await RawClient.connect(gateway.port("edge"))
      client.send(
        "GET /tunnel HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      )
      expect((await client.readHead()).startLine).toContain(" 101 ")
      client.send("bye")
      client.end()
      await client.closed()
    }
    const { usable, endpoints } = await status("tunnel")
    expect(usable).toBe(3)
    expect(endpoints.reduce((sum, { requests }) => sum + (requests ?? 0), 0)).toBeGreaterThanOrEqual(6)
    expect(await ejections("tunnel", "localFailures")).toBe(0)
  })

  test("is not ejected for closing connections that were used before", async () => {
    expect(new Set((await ask("/brief", (asked) => asked === 18)).map((answer) => answer.slice(0, 3)))).toEqual(new Set(["200"]))
    expect((await status("brief")).usable).toBe(3)
    expect(await ejections("brief", "localFailures")).toBe(0)
  })
})

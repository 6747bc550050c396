import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get } from "../support/raw-client.ts"

let origin: Origin
let gateway: Gateway
let quiet: Gateway

function config(accessLog: string): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    accessLog,
    listeners: [{ name: "edge", address: "127.0.0.1:0" }],
    services: { api: { endpoints: [origin.address] } },
    routes: [
      { name: "api", backends: "api" },
      { name: "ping", match: { path: "/ping" }, respond: { status: 200, body: "pong" } },
      { name: "old", match: { path: "/old" }, redirect: { path: "/new" } },
      { name: "missing", match: { path: "/missing" }, backends: "no-such-service" },
    ],
  }
}

beforeAll(async () => {
  origin = await Origin.start((request, connection) => connection.reply(Number(/^\/(\d+)/.exec(request.target)?.[1] ?? 200), "answer"))
  const [all, errors] = await Promise.all([Gateway.start({ config: config("all") }), Gateway.start({ config: config("errors") })])
  gateway = all
  quiet = errors
})

afterAll(async () => {
  await Promise.all([gateway.kill(), quiet.kill()])
  await origin.stop()
})

describe("access log", () => {
  test("`all`: every exchange is one line with all that is known of it", async () => {
    await exchange(
      gateway.port(),
      'POST /201?q="x" HTTP/1.1\r\nhost: Shop.Example:80\r\nuser-agent: test/1\r\ncontent-length: 5\r\n\r\nhello',
      "POST",
    )
    const line = await gateway.accessLine(({ status }) => status === 201, "the request")
    expect(line).toMatchObject({
      method: "POST",
      path: '/201?q="x"',
      authority: "Shop.Example:80",
      protocol: "HTTP/1.1",
      status: 201,
      requestBytes: 5,
      responseBytes: 6,
      listener: "edge",
      route: "api",
      service: "api",
      upstream: origin.address,
      userAgent: "test/1",
    })
    expect(line.requestId).toBe(origin.requests.at(-1)?.header("x-request-id"))
    expect(line.source).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(Date.now() - Date.parse(String(line.time))).toBeLessThan(60_000)
    expect(line.durationMs).toBeGreaterThanOrEqual(Number(line.ttfbMs))
    expect(line.flag).toBeUndefined()
  })

  test("`errors`: only exchanges with a response flag have a line", async () => {
    await get(quiet.port(), "/200")
    await get(quiet.port(), "/503")
    await get(quiet.port(), "/missing")
    await exchange(quiet.port(), "GET / HTTP/1.1\r\n\r\n")
    await quiet.accessLine(({ flag }) => flag === "DPE", "the refused request")
    // The upstream's own 503 isn't the gateway's failure.
    expect(quiet.access.map(({ path, status, flag }) => [path, status, flag]).sort()).toEqual([
      ["/", 400, "DPE"],
      ["/missing", 500, "NC"],
    ])
  })

  test("nothing from the wire can forge a line", async () => {
    await exchange(gateway.port(), 'GET /forged HTTP/1.1\r\nhost: a\r\nuser-agent: x","status":200} \xff\t{"time":"\r\n\r\n')
    const line = await gateway.accessLine(({ path }) => path === "/forged", "the request")
    expect(line.userAgent).toContain('x","status":200}')
  })
})

describe("failures", () => {
  test("are short text, or a problem document for a client that asks for one", async () => {
    const plain = await get(gateway.port(), "/missing")
    expect([plain.header("content-type"), plain.text()]).toEqual(["text/plain", "the route has no such backend\n"])
    const problem = await get(gateway.port(), "/missing", { accept: "application/problem+json, text/html" })
    expect(problem.header("content-type")).toBe("application/problem+json")
    expect(JSON.parse(problem.text())).toEqual({
      type: "about:blank",
      title: "Internal Server Error",
      status: 500,
      detail: "the route has no such backend",
      code: "noService",
    })
    expect(problem.header("date")).toMatch(/GMT$/)
  })

  test("HEAD gets their length and no body", async () => {
    const response = await exchange(gateway.port(), "HEAD /missing HTTP/1.1\r\nhost: a\r\n\r\n", "HEAD")
    expect([response.status, response.header("content-length")]).toEqual([500, "30"])
  })
})

describe("metrics", () => {
  test("count requests by route, service and class, flags, bytes and durations over all workers", async () => {
    const before = await readMetrics(gateway.adminPort)
    const targets = ["/200", "/204", "/404", "/500", "/ping", "/ping", "/old", "/missing"]
    for (const target of targets) await get(gateway.port(), target)
    await exchange(gateway.port(), "BAD\r\n\r\n")
    await exchange(gateway.port(), "POST /ping HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc", "POST")
    const wanted: [string, Record<string, string>, number][] = [
      ["sluice_requests_total", { route: "api", service: "api", code: "2xx" }, 2],
      ["sluice_requests_total", { route: "api", service: "api", code: "4xx" }, 1],
      ["sluice_requests_total", { route: "api", service: "api", code: "5xx" }, 1],
      ["sluice_requests_total", { route: "ping", service: "-", code: "2xx" }, 3],
      ["sluice_requests_total", { route: "old", code: "3xx" }, 1],
      ["sluice_requests_total", { route: "missing", code: "5xx" }, 1],
      ["sluice_requests_total", { route: "-", code: "4xx" }, 1],
      ["sluice_response_flags_total", { route: "missing", flag: "NC" }, 1],
      ["sluice_response_flags_total", { route: "-", flag: "DPE" }, 1],
      ["sluice_request_duration_seconds_count", { route: "api" }, 4],
      ["sluice_response_body_bytes_total", { route: "ping" }, 12],
      ["sluice_downstream_connections_total", { listener: "edge" }, 10],
    ]
    const differences = (now: typeof before): [string, Record<string, string>, number][] =>
      wanted.map(([name, labels]) => [name, labels, now.sum(name, labels) - before.sum(name, labels)])
    await until(async () => {
      const now = await readMetrics(gateway.adminPort)
      return JSON.stringify(differences(now)) === JSON.stringify(wanted)
    }, "the counts").catch(() => {})
    expect(differences(await readMetrics(gateway.adminPort))).toEqual(wanted)
    expect(before.sum("sluice_workers")).toBe(2)
    expect(before.sum("sluice_config_generation")).toBe(1)
  })

  test("come back to zero where they count what is under way", async () => {
    await until(async () => {
      const now = await readMetrics(gateway.adminPort)
      return now.sum("sluice_requests_active") === 0 && now.sum("sluice_downstream_connections_active") === 0
    }, "quiet")
    const open = await Promise.all(
      [gateway, quiet].map(async ({ adminPort }) => (await readMetrics(adminPort)).sum("sluice_upstream_connections_active")),
    )
    expect(open[0] + open[1]).toBe(origin.open)
  })
})

describe("admin", () => {
  test("answers /ready, /live, /config and /filters", async () => {
    const ready = await get(gateway.adminPort, "/ready")
    expect(ready.status).toBe(200)
    expect(JSON.parse(ready.text())).toMatchObject({ ready: true, generation: 1, workers: { running: 2, wanted: 2 } })
    expect(JSON.parse((await get(gateway.adminPort, "/live")).text())).toEqual({ live: true })
    expect(JSON.parse((await get(gateway.adminPort, "/config")).text()).routes).toHaveLength(4)
    expect(JSON.parse((await get(gateway.adminPort, "/filters")).text())).toEqual({ filters: [] })
  })

  test("refuses a host name it isn't served under", async () => {
    expect((await get(gateway.adminPort, "/config", { host: "evil.example" })).status).toBe(421)
  })
})

import { describe, expect, test } from "vitest"
import { parse } from "yaml"
import { createAdmin } from "../../../gateway/admin/admin.ts"
import type { AdminDeps } from "../../../gateway/admin/app.ts"
import { type Change, ChangeHistory } from "../../../gateway/admin/change-history.ts"
import type { ServiceStatus } from "../../../gateway/admin/service-status.ts"
import type { FilterStatus, ReadyState } from "../../../gateway/admin/status.ts"
import { ConfigHistory } from "../../../gateway/config/config-history.ts"
import { packConfig } from "../../../gateway/config/packed-config.ts"
import { TapReader } from "../../../gateway/tap/reader.ts"
import { Instruments } from "../../../gateway/telemetry/instruments.ts"
import { figuresOf } from "../../../gateway/telemetry/live-summary.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { config } from "./support/config.ts"
import { adminDeps } from "./support/deps.ts"

const ready: ReadyState = {
  ready: true,
  draining: false,
  reasons: [],
  generation: 3,
  lastReload: { ok: true, error: null, at: "2026-01-02T03:04:05.000Z" },
  workers: { running: 2, wanted: 2 },
  filtersInTrouble: [],
}

const common = {
  module: "/etc/sluice/auth.wasm",
  digest: "ab".repeat(32),
  generation: 2,
  state: "running",
  instances: 2,
  memory: 131_072,
  exchanges: 6,
  errors: 1,
  failures: 1,
  calls: 10,
  traps: { budget: 1 },
  duration: { p50: 1500, p99: 20_000 },
  budget: { mean: 100, limit: 1000, percent: 10 },
  lastError: { message: "call exceeded 5 ms", at: null },
} as const
const filter: FilterStatus = {
  ...common,
  name: "auth",
  refused: null,
  held: null,
  onError: "deny",
  limits: { cpu: 5, memory: 16777216, body: 1048576 },
  versions: [{ ...common, name: "stable", pushed: false, restored: false, earlier: [], weight: 1, rolledBack: null }],
}

const service: ServiceStatus = {
  name: "api",
  taking: 1,
  usable: 0,
  drained: 0,
  underWay: { requests: 0, connections: 0 },
  requests: 7,
  failures: 5,
  latency: { p50: 1.5, p99: 20 },
  limits: {
    requests: { used: 0, max: 1024 },
    connections: { used: 0, max: 1024 },
    pending: { used: 0, max: 1024 },
    retries: { used: 0, max: 1024 },
  },
  concurrency: null,
  full: [],
  refused: {},
  failover: null,
  endpoints: [
    {
      address: "10.0.0.1:80",
      weight: 1,
      zone: "",
      priority: 0,
      healthy: true,
      ejected: { reason: "5xx", times: 2, until: "2026-01-02T03:04:05.000Z" },
      consecutive: { errors5xx: 0, gatewayErrors: 0, localFailures: 0 },
      drained: null,
      active: { requests: 0, connections: 1 },
      requests: 7,
      failures: 5,
      latency: 1.25,
    },
  ],
}

const TOKEN = "a-token-nobody-guesses"

function admin(deps: Partial<AdminDeps> = {}, host = "127.0.0.1") {
  const history = new ChangeHistory({ now: () => Date.parse("2026-01-02T03:04:05.000Z"), generation: () => 3 })
  const configs = new ConfigHistory(() => Date.parse("2026-01-02T03:04:05.000Z"))
  const written = { zone: "a", routes: [{ name: "api", headers: { request: { set: { authorization: "Basic s3cr3t-8" } } } }] }
  configs.add(packConfig(config, written), 1, "the file", "start")
  configs.add(packConfig({ ...config, zone: "b" }, { ...written, zone: "b" }), 3, "ann", "rollback")
  const door = createAdmin(
    adminDeps({
      history,
      changes: () => history.entries,
      ready: () => ready,
      filters: () => [filter],
      services: () => [service],
      figures: (question) => figuresOf([], question, () => false),
      push: (name, version, module) => Promise.resolve({ status: 200, message: `${name} ${version} ${module.length}` }),
      unpush: (name, version) => Promise.resolve({ status: 409, message: `${name} ${version}` }),
      tap: () => new TapReader({ now: () => 0, onEnd: () => {} }),
      routes: () => Promise.resolve({ routes: [], left: 0 }),
      steer: (route, order) => Promise.resolve({ status: 200, message: `${order} ${route}` }),
      release: (name) => Promise.resolve({ status: 404, message: name }),
      configs: () => configs.entries,
      configAt: (generation) => configs.at(generation),
      rollback: (generation, who) => Promise.resolve({ status: 200, message: `${generation} by ${who}` }),
      ...deps,
    }),
    { address: { host, port: 9901 }, openMetrics: false },
    host === "127.0.0.1" ? null : TOKEN,
  )
  return (path: string, init: RequestInit & { host?: string } = {}) => {
    const headers = new Headers(init.headers)
    headers.set("host", init.host ?? "127.0.0.1:9901")
    return door.fetch(new Request(`http://127.0.0.1:9901${path}`, { ...init, headers }), { address: "127.0.0.1", certificate: null })
  }
}

describe("probes", () => {
  test("/live answers as long as the process runs", async () => {
    expect((await admin()("/live")).status).toBe(200)
    expect((await admin({ live: () => false })("/live")).status).toBe(503)
  })

  test("/ready tells the whole state, 503 when not ready", async () => {
    const yes = await admin()("/ready")
    expect(yes.status).toBe(200)
    expect(await yes.json()).toEqual(ready)
    const state = {
      ...ready,
      ready: false,
      reasons: ["no worker is running"],
      lastReload: { ok: false, error: "sluice.yaml:3:5 unknown key", at: "x" },
    }
    const no = await admin({ ready: () => state })("/ready")
    expect(no.status).toBe(503)
    expect(await no.json()).toEqual(state)
  })
})

describe("content", () => {
  test("/metrics is the registry's exposition under its content type", async () => {
    const registry = new MetricsRegistry()
    new Instruments(registry).generation(7)
    const request = admin({ exposition: (accept) => registry.exposition(accept) })
    const response = await request("/metrics")
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
    expect(await response.text()).toContain("\nsluice_config_generation 7\n")
    const open = await request("/metrics", { headers: { accept: "application/openmetrics-text;version=1.0.0" } })
    expect(open.headers.get("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8")
    expect((await open.text()).split("\n").slice(-2)).toEqual(["# EOF", ""])
  })

  test("/config is JSON, or YAML when asked for", async () => {
    const json = await admin()("/config")
    expect(json.headers.get("content-type")).toContain("application/json")
    const value = await json.json()
    expect(value.listeners[0].name).toBe("edge")
    for (const response of [await admin()("/config?format=yaml"), await admin()("/config", { headers: { accept: "application/yaml" } })]) {
      expect(response.headers.get("content-type")).toContain("application/yaml")
      expect(parse(await response.text())).toEqual(value)
    }
    expect((await admin()("/config?format=xml")).status).toBe(400)
    expect((await admin({ configAt: () => null })("/config")).status).toBe(503)
  })

  test("/config shows no secret in either format", async () => {
    for (const path of ["/config", "/config?format=yaml"]) {
      const text = await (await admin()(path)).text()
      expect(text).not.toContain("s3cr3t")
      expect(text).toContain("[redacted]")
      expect(text).toContain("visible")
    }
  })

  test("/config/history lists what was in force, and shows each without its secrets", async () => {
    const request = admin()
    const { history, generation } = await (await request("/config/history")).json()
    expect(generation).toBe(3)
    expect(history.map((entry: { generation: number; inForce: boolean }) => [entry.generation, entry.inForce])).toEqual([
      [3, true],
      [1, false],
    ])
    // Generation 2 was the configuration of 1 with something else changed.
    for (const path of ["/config/history/1", "/config/history/2?format=yaml"]) {
      const text = await (await request(path)).text()
      expect(text).not.toContain("s3cr3t")
      expect(text).toContain("visible")
    }
    expect((await request("/config/history/4")).status).toBe(404)
    const wrong = await request("/config/history/first")
    expect([wrong.status, (await wrong.json()).error]).toEqual([
      400,
      "wrong in the path: `generation`: a generation is a whole number; /openapi.json says what is expected",
    ])
  })

  test("/config/diff says what differs in what is written", async () => {
    const request = admin()
    const changes = [{ path: "zone", kind: "changed", before: "a", after: "b" }]
    expect(await (await request("/config/diff")).json()).toEqual({ from: 1, to: 3, diff: "@@ zone @@\n-a\n+b\n", changes, omitted: 0 })
    expect(await (await request("/config/diff?from=1&to=2")).json()).toEqual({ from: 1, to: 1, diff: "", changes: [], omitted: 0 })
    expect((await request("/config/diff?from=9")).status).toBe(404)
  })

  test("/config/rollback takes a generation and nothing else", async () => {
    const request = admin()
    const order = (body: string, type = "application/json") =>
      request("/config/rollback", { method: "POST", body, headers: { "x-sluice-admin": "1", "content-type": type } })
    expect(await (await order('{"generation":1}')).json()).toEqual({ done: "1 by somebody from 127.0.0.1" })
    for (const body of ["{}", '{"generation":"1"}', '{"generation":0}', '{"generation":1.5}', "{", ""]) {
      const response = await order(body)
      expect([body, response.status]).toEqual([body, 400])
      expect((await response.json()).error).toContain("/openapi.json says what is expected")
    }
    expect((await order("generation=1", "application/x-www-form-urlencoded")).status).toBe(415)
    expect((await order(`{"generation":1,"x":"${"x".repeat(300_000)}"}`)).status).toBe(413)
  })

  test("/filters lists them", async () => {
    expect(await (await admin()("/filters")).json()).toEqual({ filters: [filter] })
  })

  test("/services lists them with their endpoints", async () => {
    expect(await (await admin()("/services")).json()).toEqual({ services: [service] })
  })

  test("/ names every endpoint, and each of them exists", async () => {
    const request = admin()
    const text = await (await request("/")).text()
    const { endpoints } = await (await request("/", { headers: { accept: "application/json" } })).json()
    for (const path of Object.keys(endpoints)) {
      expect(text).toContain(path)
      // Names in capitals stand for what isn't here; some have nothing to tell in this state.
      if (!/[A-Z]/.test(path)) expect((await request(path)).status).not.toBe(404)
    }
  })

  test("/openapi.json describes every endpoint that / lists, with answers that are there", async () => {
    const request = admin()
    const document = await (await request("/openapi.json")).json()
    const { endpoints, orders } = await (await request("/", { headers: { accept: "application/json" } })).json()
    const described: string[] = []
    for (const [path, methods] of Object.entries<Record<string, { summary: string; responses: object }>>(document.paths)) {
      for (const [method, { summary, responses }] of Object.entries(methods)) {
        expect(summary).not.toBe("")
        expect(Object.keys(responses)).toContain("200")
        const shown = path.replace(/\{(\w+)\}/g, (_, name) => name.toUpperCase())
        described.push(method === "get" ? shown : `${method.toUpperCase()} ${shown}`)
      }
    }
    // Parameters are written in one way; the dashboard looks up by these paths what it may offer.
    expect(Object.keys(document.paths).filter((path) => path.includes(":"))).toEqual([])
    expect(Object.keys(document.paths)).toContain("/services/{service}/endpoints/{endpoint}/drain")
    const undescribed = ["/", "/openapi.json"]
    expect(described.sort()).toEqual([...Object.keys(endpoints), ...Object.keys(orders)].filter((at) => !undescribed.includes(at)).sort())
    expect(described).toContain("PUT /filters/NAME/module")
    const schemas = Object.keys(document.components.schemas)
    for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) expect(schemas).toContain(name)
  })

  test("/history tells of orders, those refused too, newest first, with who gave them", async () => {
    const request = admin()
    const headers = { "x-sluice-admin": "1", "x-sluice-user": "ann@laptop" }
    await request("/filters/auth/module?version=a", { method: "PUT", headers, body: new Uint8Array(2) })
    await request("/filters/auth/release", { method: "POST", headers: { "x-sluice-admin": "1" } })
    const { history } = await (await request("/history")).json()
    const at = "2026-01-02T03:04:05.000Z"
    expect(history).toEqual([
      { at, who: "somebody from 127.0.0.1", kind: "filter release", what: "auth", generation: 3, refused: "auth", times: 1 },
      { at, who: "ann@laptop from 127.0.0.1", kind: "filter push", what: "auth, version a", generation: 3, refused: null, times: 1 },
    ])
  })
})

test("/history tells of orders that were turned away too: by whom, of what, and why", async () => {
  const request = admin({}, "0.0.0.0")
  const order = { "x-sluice-admin": "1", "x-sluice-user": "eve" }
  const bearer = { ...order, authorization: `Bearer ${TOKEN}` }
  const json = { ...bearer, "content-type": "application/json" }
  const give = (path: string, init: RequestInit) => request(path, { method: "POST", ...init })
  await give("/config/rollback", { headers: order })
  await give("/config/rollback", { headers: { ...order, authorization: "Bearer wrong-wrong-wrong" } })
  await give("/config/rollback", { headers: { "x-sluice-user": "eve" } })
  await give("/config/rollback", { headers: json, body: '{"generation":"1"}' })
  await give("/config/rollback", { headers: json, body: "{" })
  await give("/config/rollback", { headers: json, body: `{"x":"${"x".repeat(300_000)}"}` })
  await request("/filters/auth/module", { method: "PUT", headers: bearer, body: new Uint8Array(16 * 1024 * 1024 + 1) })
  await give("/config", { headers: bearer })
  await give("/canaries/a/pause", { headers: bearer })
  // A question, though it is asked by POST; and what is no order.
  await give("/explain", { headers: json, body: "{}" })
  await request("/config?format=xml", { headers: { authorization: `Bearer ${TOKEN}` } })
  const { history } = await (await request("/history", { headers: { authorization: `Bearer ${TOKEN}` } })).json()
  const anybody = "eve from 127.0.0.1"
  const known = "eve (the token) from 127.0.0.1"
  expect(history.map(({ who, kind, what, refused }: Change) => [who, kind, what, refused?.slice(0, 12) ?? null])).toEqual([
    [known, "canary pause", "a", null],
    [known, "order", "POST /config", "405 only GET"],
    [known, "order", "PUT /filters/auth/module", "413 a module"],
    [known, "order", "POST /config/rollback", "413 the body"],
    [known, "order", "POST /config/rollback", "400 Malforme"],
    [known, "order", "POST /config/rollback", "400 wrong in"],
    [anybody, "order", "POST /config/rollback", "403 an order"],
    [anybody, "order", "POST /config/rollback", "401 this tok"],
    [anybody, "order", "POST /config/rollback", "401 this nee"],
  ])
  expect(JSON.stringify(history)).not.toContain("wrong-wrong")
})

describe("refusals", () => {
  const ordered = { "x-sluice-admin": "1" }
  const module = new Uint8Array(3)

  test("orders are passed on with the filter's name, version and body, and answered as they turn out", async () => {
    const request = admin()
    const pushed = await request("/filters/a/b/module?version=canary", { method: "PUT", headers: ordered, body: module })
    expect([pushed.status, await pushed.json()]).toEqual([200, { done: "a/b canary 3" }])
    const taken = await request("/filters/auth/module", { method: "DELETE", headers: ordered })
    expect([taken.status, await taken.json()]).toEqual([409, { error: "auth null" }])
    const released = await request("/filters/auth/release", { method: "POST", headers: ordered })
    expect([released.status, await released.json()]).toEqual([404, { error: "auth" }])
    for (const order of ["pause", "resume", "promote", "abort", "restart"]) {
      const steered = await request(`/canaries/a/b/${order}`, { method: "POST", headers: ordered })
      expect([steered.status, await steered.json()]).toEqual([200, { done: `${order} a/b` }])
    }
    expect((await request("/canaries/a/destroy", { method: "POST", headers: ordered })).status).toBe(404)
  })

  test.each([
    ["without the header", {}],
    ["from a page", { ...ordered, origin: "http://127.0.0.1:9901" }],
    ["from a page of another origin", { ...ordered, origin: "http://evil.example", "sec-fetch-site": "cross-site" }],
    ["from a page without origin", { ...ordered, "sec-fetch-site": "same-origin" }],
  ])("an order %s is refused", async (_what, headers) => {
    const never = () => Promise.reject(new Error("was passed on"))
    const request = admin({ push: never, unpush: never, release: never, steer: never })
    for (const [method, path] of [
      ["PUT", "/filters/auth/module"],
      ["DELETE", "/filters/auth/module"],
      ["POST", "/filters/auth/release"],
      ["POST", "/canaries/everyone/promote"],
    ]) {
      expect((await request(path, { method, headers: headers as Record<string, string> })).status).toBe(403)
    }
  })

  test("a module that is too large is refused, announced or not", async () => {
    const never = () => Promise.reject(new Error("was passed on"))
    const body = new Uint8Array(16 * 1024 * 1024 + 1)
    const stream = new Blob([body]).stream()
    const request = admin({ push: never })
    expect((await request("/filters/auth/module", { method: "PUT", headers: ordered, body })).status).toBe(413)
    const init = { method: "PUT", headers: ordered, body: stream, duplex: "half" } as RequestInit
    expect((await request("/filters/auth/module", init)).status).toBe(413)
  })

  test("what isn't there is 404, what isn't GET or HEAD is 405", async () => {
    const request = admin()
    const missing = await request("/nope")
    expect(missing.status).toBe(404)
    expect(await missing.json()).toMatchObject({ error: "no such endpoint; / lists them" })
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]) {
      const response = await request("/config", { method, headers: ordered })
      expect(response.status).toBe(405)
      expect(response.headers.get("allow")).toBe("GET, HEAD")
      expect((await request("/nope", { method, headers: ordered })).status).toBe(404)
      expect((await request("/config", { method })).status).toBe(403)
    }
  })

  test.each(["localhost", "localhost:9901", "127.0.0.1", "127.0.0.1:19901", "[::1]:9901", "LOCALHOST"])(
    "bound to loopback, Host %s is served",
    async (host) => {
      expect((await admin()("/live", { host })).status).toBe(200)
    },
  )

  test.each([
    "evil.example:9901",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "10.0.0.1:9901",
    "",
    "[::1",
    "a@localhost",
    "localhost:99999999",
  ])("bound to loopback, Host %j is not", async (host) => {
    const response = await admin()("/config", { host })
    expect(response.status).toBe(421)
    expect(await response.text()).not.toContain("edge")
  })

  test("bound elsewhere, any name is served", async () => {
    expect((await admin({}, "0.0.0.0")("/live", { host: "gateway.internal:9901" })).status).toBe(200)
  })

  test("where others can reach it, all but probes need the token, and probes tell less without", async () => {
    const request = admin({}, "0.0.0.0")
    for (const path of ["/", "/config", "/metrics", "/nope", "/openapi.json"]) {
      const refused = await request(path)
      expect(refused.status).toBe(401)
      expect(refused.headers.get("www-authenticate")).toBe('Bearer realm="sluice"')
      expect((await request(path, { headers: { authorization: `Bearer ${TOKEN}x` } })).status).toBe(401)
      expect((await request(path, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(path === "/nope" ? 404 : 200)
    }
    // A page that isn't there is nothing to be let in by.
    expect(await (await request("/dashboard/nope")).json()).toEqual({ error: "no such page" })
    const orders = { method: "POST", headers: { ...ordered, authorization: `Bearer ${TOKEN}` } }
    expect((await request("/canaries/a/pause", orders)).status).toBe(200)
    expect((await request("/canaries/a/pause", { method: "POST", headers: ordered })).status).toBe(401)
    expect(await (await request("/ready")).json()).toEqual({ ready: true, draining: false })
    expect(await (await request("/ready", { headers: { authorization: `Bearer ${TOKEN}` } })).json()).toEqual(ready)
    const { history } = await (await request("/history", { headers: { authorization: `Bearer ${TOKEN}` } })).json()
    expect(history.map(({ who }: { who: string }) => who)).toEqual(["somebody from 127.0.0.1", "the token from 127.0.0.1"])
  })

  test("answers and refusals forbid framing, sniffing, caching and reading by other origins", async () => {
    const request = admin()
    for (const response of [
      await request("/"),
      await request("/nope"),
      await request("/", { method: "POST" }),
      await request("/", { host: "evil" }),
    ]) {
      expect(response.headers.get("x-content-type-options")).toBe("nosniff")
      expect(response.headers.get("x-frame-options")).toBe("DENY")
      expect(response.headers.get("cache-control")).toBe("no-store")
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'")
      expect(response.headers.get("access-control-allow-origin")).toBeNull()
    }
  })

  test("a failing source is a 500, not the end", async () => {
    const request = admin({ exposition: () => Promise.reject(new Error("broken")) })
    expect((await request("/metrics")).status).toBe(500)
    expect((await request("/live")).status).toBe(200)
  })
})

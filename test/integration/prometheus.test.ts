// A real Prometheus, Debian's, scrapes a real gateway; every query of the dashboard and of the rules in examples/observability has to
// find something in it. On Node alone: nothing here depends on the runtime but the exposition, which other tests look at.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest"
import { parse } from "yaml"
import { Authority, type Certificate } from "../support/certs.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { callback } from "../support/hostile-guests.ts"
import { Origin } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { program, RunningProgram, runProgram } from "../support/programs.ts"
import { exchange, get } from "../support/raw-client.ts"
import { getSecurely } from "../support/tls-client.ts"
import { guest } from "../unit/wasm/support/wat.ts"

const folder = fileURLToPath(new URL("../../examples/observability/", import.meta.url))
const read = (name: string): string => readFileSync(join(folder, name), "utf8")
const prometheus = program("prometheus")
const promtool = program("promtool")
const onNode = process.versions.bun === undefined && process.versions.deno === undefined

function needed(context: TestContext, path: string | null): asserts path is string {
  if (!onNode) context.skip("runs on Node alone: the same on every runtime")
  if (path === null) context.skip("needs prometheus")
}

interface Target {
  readonly expr: string
}

/** Every query of the dashboard, its variables filled in as they are when it is opened. */
function dashboardQueries(): [where: string, query: string][] {
  const { panels, templating, annotations } = JSON.parse(read("grafana.json")) as {
    readonly panels: readonly { readonly title: string; readonly targets?: readonly Target[] }[]
    readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[] }
    readonly annotations: { readonly list: readonly { readonly name: string; readonly target: Target }[] }
  }
  const filled = (query: string): string =>
    query.replaceAll("$__rate_interval", "20s").replaceAll(/"\$(?:job|instance|route|service)"/g, '".*"')
  return [
    ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }): [string, string] => [title, filled(expr)])),
    ...annotations.list.map(({ name, target }): [string, string] => [name, filled(target.expr)]),
    ...templating.list.flatMap(({ name, definition }): [string, string][] => {
      const variable = /^label_values\((.*), (\w+)\)$/.exec(definition ?? "")
      return variable === null ? [] : [[`variable ${name}`, `count by (${variable[2]}) (${filled(variable[1])})`]]
    }),
  ]
}

function ruleQueries(): [where: string, query: string][] {
  const { groups } = parse(read("rules.yml")) as {
    readonly groups: readonly { readonly rules: readonly { readonly alert?: string; readonly record?: string; readonly expr: string }[] }[]
  }
  return groups.flatMap(({ rules }) => rules.map(({ alert, record, expr }): [string, string] => [alert ?? record ?? "", expr]))
}

/** The same, finding whether a comparison holds instead of where. */
function answered(query: string): string {
  return query.replaceAll(/ (==|!=|<=|>=|<|>) (?=[\d(])/g, " $1 bool ")
}

let origin: Origin
let caller: Certificate
let gateway: Gateway
let server: RunningProgram | null = null
let port = 0
let data = ""

beforeAll(async () => {
  if (prometheus === null || !onNode) return
  const authority = new Authority()
  const { cert, key } = authority.issue({ names: ["localhost"] })
  caller = authority.issue({ uris: ["spiffe://mesh.example/ns/shop/sa/web"] })
  origin = await Origin.start(async (request, connection) => {
    if (request.target === "/hold") await new Promise((resolve) => setTimeout(resolve, 300))
    connection.reply(Number(/^\/(\d{3})/.exec(request.target)?.[1] ?? 200), "answer")
  })
  const trap = guest({ code: callback("proxy_on_request_headers", "(unreachable)") })
  const spin = guest({ code: callback("proxy_on_request_headers", "(loop $spin (br $spin))") })
  const good = guest({ code: callback("proxy_on_request_headers", "") })
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: { when: "all", to: { file: "/dev/full" } },
      listeners: [
        { name: "edge", address: "127.0.0.1:0" },
        {
          name: "secure",
          protocol: "https",
          address: "127.0.0.1:0",
          tls: { certificates: [{ cert: "cert.pem", key: "key.pem" }], clientCa: "ca.pem" },
        },
        { name: "db", protocol: "tcp", address: "127.0.0.1:0", backends: "api" },
      ],
      services: {
        api: { endpoints: [origin.address], healthCheck: { path: "/200", interval: "1s" } },
        failing: { endpoints: [origin.address, "127.0.0.1:1"], outlierDetection: { consecutive5xx: 3, maxEjected: "100%" } },
        narrow: { endpoints: [origin.address], circuitBreaker: { maxRequests: 1 } },
      },
      filters: { trap: { module: "./trap.wasm" }, spin: { module: "./spin.wasm" }, good: { module: "./good.wasm" } },
      routes: [
        { name: "api", backends: "api", filters: ["good"] },
        { name: "failing", match: { path: "/500" }, backends: "failing", retry: { attempts: 2, on: ["connectFailure"] } },
        { name: "narrow", match: { path: "/hold" }, backends: "narrow" },
        { name: "missing", match: { path: "/missing" }, backends: "no-such-service" },
        { name: "trap", match: { path: "/trap" }, backends: "api", filters: ["trap"] },
        { name: "spin", match: { path: "/spin" }, backends: "api", filters: ["spin"] },
      ],
    },
    files: { "cert.pem": cert, "key.pem": key, "ca.pem": authority.cert, "trap.wasm": trap, "spin.wasm": spin, "good.wasm": good },
  })
  data = mkdtempSync(join(tmpdir(), "sluice-prometheus-"))
  const config = read("prometheus.yml")
    .replaceAll(/_interval: 5s/g, "_interval: 1s")
    .replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${gateway.adminPort}`)
    .replace("rules.yml", join(folder, "rules.yml"))
  writeFileSync(join(data, "prometheus.yml"), config)
  port = await freePort()
  const args = [
    `--config.file=${join(data, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(data, "tsdb")}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  server = await RunningProgram.start(prometheus, args, port)
}, 60_000)

afterAll(async () => {
  await server?.stop()
  if (data !== "") rmSync(data, { recursive: true, force: true })
  if (gateway !== undefined) await gateway.kill()
  if (origin !== undefined) await origin.stop()
})

/** One of everything. */
async function traffic(): Promise<void> {
  const edge = gateway.port("edge")
  const post = "POST /200 HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello"
  await Promise.all([
    get(edge, "/200"),
    get(edge, "/404"),
    get(edge, "/503"),
    get(edge, "/500"),
    get(edge, "/missing"),
    get(edge, "/trap"),
    get(edge, "/spin"),
    get(edge, "/hold"),
    get(edge, "/hold"),
    get(edge, "/hold"),
    exchange(edge, post, "POST"),
    exchange(gateway.port("db"), "GET /200 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    getSecurely(gateway.port("secure"), "localhost", { cert: caller.cert, key: caller.key }),
    getSecurely(gateway.port("secure"), "localhost", { cert: caller.cert, key: caller.key }, {}, "/503"),
  ])
}

async function found(query: string): Promise<number> {
  const { status, data, error } = JSON.parse((await get(port, `/api/v1/query?query=${encodeURIComponent(query)}`)).text()) as {
    readonly status: string
    readonly error?: string
    readonly data?: { readonly result: readonly { readonly value: readonly [number, string] }[] }
  }
  if (status !== "success" || data === undefined) throw new Error(`${query}: ${error}`)
  return data.result.filter(({ value }) => value[1] !== "NaN").length
}

// What Grafana's own types (@grafana/schema) don't say.
test("the dashboard for Grafana: panels with places and numbers of their own, and one variable for the data source", () => {
  const { uid, panels } = JSON.parse(read("grafana.json")) as {
    readonly uid: string
    readonly panels: readonly {
      readonly id: number
      readonly title: string
      readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
      readonly datasource?: unknown
      readonly targets?: readonly { readonly refId: string; readonly datasource: unknown }[]
    }[]
  }
  expect(uid).toMatch(/^[a-z-]{8,40}$/)
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const taken = new Map<string, string>()
  for (const { title, gridPos, datasource, targets = [] } of panels) {
    const { h, w, x, y } = gridPos
    expect(x + w).toBeLessThanOrEqual(24)
    for (let row = y; row < y + h; row++) {
      for (let column = x; column < x + w; column++) {
        expect(taken.get(`${row} ${column}`) ?? title).toBe(title)
        taken.set(`${row} ${column}`, title)
      }
    }
    expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
    for (const source of targets.length === 0 ? [] : [datasource, ...targets.map((target) => target.datasource)]) {
      expect(source).toEqual({ type: "prometheus", uid: "${datasource}" })
    }
  }
})

describe("prometheus", () => {
  test("finds data for every query of the dashboard and of the rules", async (context) => {
    needed(context, prometheus)
    const queries = [...dashboardQueries(), ...ruleQueries()].map(([where, query]) => [where, answered(query)] as const)
    expect(queries.length).toBeGreaterThan(70)
    let without = queries
    await until(
      async () => {
        await traffic()
        const counts = await Promise.all(without.map(async ([, query]) => await found(query)))
        without = without.filter((_, i) => counts[i] === 0)
        return without.length === 0
      },
      "data for every query",
      20_000,
    ).catch(() => {})
    expect(without).toEqual([])
  }, 40_000)

  test("takes the example's configuration and rules, and its alerts fire when they should", async (context) => {
    needed(context, promtool)
    for (const args of [
      ["check", "config", join(folder, "prometheus.yml")],
      ["test", "rules", join(folder, "rules.test.yml")],
    ]) {
      const { code, stdout, stderr } = await runProgram(promtool, args)
      expect([code, code === 0 ? "" : stdout.toString() + stderr]).toEqual([0, ""])
    }
    const fired = (parse(read("rules.test.yml")) as { readonly tests: readonly { readonly name: string }[] }).tests.map(({ name }) => name)
    const alerts = ruleQueries().map(([name]) => name)
    expect(fired.toSorted()).toEqual(alerts.filter((name) => name.startsWith("Sluice")).toSorted())
  })
})

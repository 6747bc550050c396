import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { type Metrics, readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { program, runProgram } from "../support/programs.ts"
import { get, RawClient } from "../support/raw-client.ts"
import { secure } from "../support/tls-client.ts"

const authority = new Authority("authority")
const clients = new Authority("clients")
const ALICE = "spiffe://example.org/ns/shop/sa/alice"
const alice = clients.issue({ commonName: "alice", uris: [ALICE] })
const shop = authority.issue({ names: ["shop.test"] })
/** Not a matter of the runtime: once is enough. */
const promtool = (process.env.SLUICE_RUNTIME ?? "node") === "node" ? program("promtool") : null

let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start((request, connection) => connection.reply(Number(/^\/(\d\d\d)$/.exec(request.target)?.[1] ?? 200), "answer"))
  gateway = await Gateway.start({
    files: { "shop.pem": shop.cert, "shop.key": shop.key, "clients.pem": clients.cert },
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      accessLog: "off",
      listeners: [
        { name: "edge", address: "127.0.0.1:0" },
        {
          name: "mutual",
          address: "127.0.0.1:0",
          protocol: "https",
          tls: { certificates: [{ cert: "shop.pem", key: "shop.key" }], clientCa: "clients.pem" },
        },
      ],
      services: { api: { endpoints: [origin.address] } },
      routes: [{ name: "all", backends: "api" }],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

type Wanted = readonly [name: string, labels: Readonly<Record<string, string>>, value: number]

/** Waits until the metrics have grown by so much; whatever they have, fails with the difference. */
async function grown(before: Metrics, wanted: readonly Wanted[]): Promise<void> {
  const differences = (now: Metrics): Wanted[] =>
    wanted.map(([name, labels]) => [name, labels, now.sum(name, labels) - before.sum(name, labels)])
  const same = async (): Promise<boolean> => JSON.stringify(differences(await readMetrics(gateway.adminPort))) === JSON.stringify(wanted)
  await until(same, "the counts").catch(() => {})
  expect(differences(await readMetrics(gateway.adminPort))).toEqual(wanted)
}

async function exposition(accept = "text/plain"): Promise<string> {
  return (await get(gateway.adminPort, "/metrics", { accept })).text()
}

describe("metrics", () => {
  test("tell endpoints, versions of HTTP and the parts of a request's time apart", async () => {
    const before = await readMetrics(gateway.adminPort)
    for (const target of ["/200", "/404", "/500"]) await get(gateway.port("edge"), target)
    const old = await RawClient.connect(gateway.port("edge"))
    old.send("GET /200 HTTP/1.0\r\nhost: a\r\n\r\n")
    await old.readToEnd()
    old.destroy()
    await grown(before, [
      ["sluice_endpoint_requests_total", { service: "api", endpoint: origin.address, code: "2xx" }, 2],
      ["sluice_endpoint_requests_total", { service: "api", endpoint: origin.address, code: "4xx" }, 1],
      ["sluice_endpoint_requests_total", { service: "api", endpoint: origin.address, code: "5xx" }, 1],
      ["sluice_endpoint_duration_seconds_count", { service: "api", endpoint: origin.address }, 4],
      ["sluice_upstream_duration_seconds_count", { service: "api" }, 4],
      ["sluice_request_first_byte_seconds_count", { route: "all", service: "api" }, 4],
      ["sluice_protocol_requests_total", { listener: "edge", protocol: "HTTP/1.1" }, 3],
      ["sluice_protocol_requests_total", { listener: "edge", protocol: "HTTP/1.0", code: "2xx" }, 1],
    ])
    const now = await readMetrics(gateway.adminPort)
    expect(now.sum("sluice_upstream_connections_idle")).toBe(now.sum("sluice_upstream_connections_active"))
    expect(now.sum("sluice_upstream_connect_duration_seconds_count")).toBe(now.sum("sluice_upstream_connects_total"))
    expect(now.sum("sluice_upstream_queue_wait_seconds_count")).toBeGreaterThan(0)
    expect(now.sum("sluice_upstream_limit_max", { service: "api", limit: "requests" })).toBe(1024)
    expect(now.sum("sluice_upstream_breaker_open")).toBe(0)
    expect(now.sum("sluice_heap_used_bytes", { worker: "main" })).toBeGreaterThan(0)
    expect(now.sum("sluice_config_age_seconds")).toBeGreaterThan(0)
    expect(now.sum("sluice_build_info")).toBe(1)
  })

  test("tell clients apart by the identity in their certificate, and count no other's", async () => {
    const before = await readMetrics(gateway.adminPort)
    await get(gateway.port("edge"), "/200")
    for (const target of ["/200", "/200", "/500"]) {
      const { client } = await secure(gateway.port("mutual"), { servername: "shop.test", cert: alice.cert, key: alice.key })
      client.send(`GET ${target} HTTP/1.1\r\nhost: shop.test\r\n\r\n`)
      await client.readResponse()
      client.destroy()
    }
    await grown(before, [
      ["sluice_identity_requests_total", { source: ALICE, service: "api", code: "2xx" }, 2],
      ["sluice_identity_requests_total", { source: ALICE, service: "api", code: "5xx" }, 1],
      ["sluice_identity_requests_total", {}, 3],
      ["sluice_tls_handshakes_total", { listener: "mutual", result: "ok" }, 3],
      ["sluice_tls_handshake_duration_seconds_count", { listener: "mutual" }, 3],
    ])
  })

  test("have as many series after thousands of paths, hosts and methods as after one", async () => {
    const client = await RawClient.connect(gateway.port("edge"))
    const ask = async (from: number, count: number): Promise<void> => {
      let requests = ""
      for (let i = from; i < from + count; i++)
        requests += `${i % 2 === 0 ? "GET" : `M${i}`} /path-${i}?q=${i} HTTP/1.1\r\nhost: host-${i}.test\r\nuser-agent: ${i}\r\nx-request-id: ${i}\r\n\r\n`
      client.send(requests)
      for (let i = 0; i < count; i++) expect((await client.readResponse()).status).toBe(200)
    }
    const series = async (): Promise<string[]> => {
      const lines = (await exposition()).split("\n").filter((line) => line.startsWith("sluice_") && !line.includes("_bucket{"))
      return lines.map((line) => line.slice(0, line.lastIndexOf(" ")))
    }
    await ask(0, 10)
    const before = await readMetrics(gateway.adminPort)
    const known = await series()
    for (let i = 0; i < 12; i++) await ask(100 + 250 * i, 250)
    await grown(before, [["sluice_requests_total", { route: "all", code: "2xx" }, 3000]])
    const worker = /worker="/
    expect((await series()).filter((each) => !worker.test(each))).toEqual(known.filter((each) => !worker.test(each)))
    client.destroy()
  })

  test("are OpenMetrics for who asks for that, all of them", async () => {
    const response = await get(gateway.adminPort, "/metrics", {
      accept: "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3",
    })
    expect(response.header("content-type")).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8")
    const families = (text: string): string[] => [...text.matchAll(/^# TYPE (\S+?)(?:_total)? /gm)].map(([, name]) => name).sort()
    expect(families(response.text())).toEqual(families(await exposition()))
    expect(response.text().endsWith("\n# EOF\n")).toBe(true)
  })

  test.skipIf(promtool === null)(`satisfy promtool${promtool === null ? " (skipped: needs promtool, once)" : ""}`, async () => {
    const { code, stdout, stderr } = await runProgram(promtool as string, ["check", "metrics"], { input: Buffer.from(await exposition()) })
    expect([stdout.toString(), stderr, code]).toEqual(["", "", 0])
  })
})

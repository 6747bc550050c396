import { existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { OtlpLogReceiver } from "../support/otlp-log-receiver.ts"
import { exchange, get } from "../support/raw-client.ts"

let origin: Origin
let gateway: Gateway
let receiver: OtlpLogReceiver

function config(accessLog: unknown): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog,
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      { name: "db", protocol: "tcp", address: "127.0.0.1:0", backends: "api" },
    ],
    services: { api: { endpoints: [origin.address] } },
    routes: [
      {
        name: "api",
        backends: "api",
        headers: { request: { set: { "x-user": "by the route" } }, response: { set: { "x-cache": "MISS" } } },
      },
      { name: "missing", match: { path: "/missing" }, backends: "no-such-service" },
      { name: "gone", match: { path: "/gone" }, respond: { status: 404, body: "gone" } },
    ],
  }
}

/** Has the gateway log so from now on. */
async function use(accessLog: unknown): Promise<void> {
  const { length } = gateway.log
  gateway.writeConfig(config(accessLog))
  gateway.signal("SIGHUP")
  await gateway.waitForLog(({ message }) => /^configuration (?:taken|is unchanged)/.test(message), "the reload", 10_000, length)
}

const file = (name: string): string => join(gateway.folder, name)
const text = (name: string): string => (existsSync(file(name)) ? readFileSync(file(name), "latin1") : "")
const lines = (name: string): string[] => text(name).split("\n").slice(0, -1)
const asked = (target: string, fields = ""): Promise<unknown> =>
  exchange(gateway.port("edge"), `GET ${target} HTTP/1.1\r\nhost: Shop.example:80\r\n${fields}\r\n`)

const TEMPLATE =
  '[%START_TIME(%Y)%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% "%REQ(USER-AGENT)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %ROUTE_NAME% %UPSTREAM_REQUEST_ATTEMPT_COUNT% user=%REQ(x-user):5% auth=%REQ(Authorization)% cache=%RESP(x-cache)% %REQ(x-none)% 100%% %listener%'

beforeAll(async () => {
  receiver = await OtlpLogReceiver.start()
  origin = await Origin.start((request, connection) => connection.reply(Number(/^\/(\d+)/.exec(request.target)?.[1] ?? 200), "answer"))
  gateway = await Gateway.start({
    config: config({ when: "all", to: { file: "access.log" }, format: { template: TEMPLATE } }),
    args: ["--no-watch"],
    env: { SLUICE_TEST_TOKEN: "s3cret" },
  })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
  await receiver.stop()
})

describe("a template, in a file", () => {
  test("is written byte by byte, and nothing from the wire gets out of its quotes", async () => {
    const year = new Date().getUTCFullYear()
    await asked('/201?a="b"', 'user-agent: a" 200 - \\ \xe9"\r\nx-user: from the client\r\nauthorization: Bearer x\r\n')
    await asked("/missing")
    await until(() => lines("access.log").length >= 2, "two lines")
    expect(lines("access.log").slice(-2)).toEqual([
      `[${year}] "GET /201?a=\\"b\\" HTTP/1.1" 201 - 0 6 "a\\" 200 - \\\\ ${Buffer.from("é").toString("latin1")}\\"" "Shop.example:80" "${origin.address}" api api 1 user=from  auth=[redacted] cache=MISS - 100% edge`,
      `[${year}] "GET /missing HTTP/1.1" 500 NC 0 30 "-" "Shop.example:80" "-" no-such-service missing 0 user=- auth=- cache=- - 100% edge`,
    ])
    expect(statSync(file("access.log")).mode & 0o777 & ~0o640).toBe(0)
  })

  test("has lines for connections too, and `-` for what they haven't got", async () => {
    await exchange(gateway.port("db"), "GET /200 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    const line = await until(() => lines("access.log").find((each) => each.includes('"- - TCP"')) ?? null, "its line")
    expect(line).toMatch(/^\[\d{4}\] "- - TCP" 0 - [1-9]\d* [1-9]\d* "-" "-" "[\d.:]+" api - 1 user=- auth=- cache=- - 100% db$/)
  })

  test("that is moved away is opened anew by SIGUSR1, and without it; every line is in one of them", async () => {
    const targets = (name: string): string[] => lines(name).flatMap((line) => /\/200\?moved=(\d+)/.exec(line)?.[1] ?? [])
    const moved = [file("access.log.1"), file("access.log.2")]
    await asked("/200?moved=1")
    await until(() => targets("access.log").length === 1, "the first line")
    renameSync(file("access.log"), moved[0])
    gateway.signal("SIGUSR1")
    await until(() => existsSync(file("access.log")), "the file to be opened anew")
    await asked("/200?moved=2")
    await until(() => targets("access.log").length === 1, "the second line")
    renameSync(file("access.log"), moved[1])
    let sent = 2
    await until(async () => {
      await asked(`/200?moved=${++sent}`)
      return targets("access.log").length > 0
    }, "it to be opened without being told")
    const all = (): string[] => ["access.log.1", "access.log.2", "access.log"].flatMap(targets)
    await until(() => all().length === sent, "every line")
    expect(all()).toEqual(Array.from({ length: sent }, (_, i) => String(i + 1)))
    expect(targets("access.log.1")).toEqual(["1"])
    expect(gateway.logText()).not.toMatch(/Debugger listening|Inspector/)
    for (const path of moved) rmSync(path)
  })

  test("that can't be opened is refused with its name: the one in use stays, and a gateway that starts ends", async () => {
    const impossible = config({ when: "all", to: { file: "nowhere/access.log" } })
    const started = Gateway.runToExit({ config: impossible })
    const { length } = gateway.log
    gateway.writeConfig(impossible)
    gateway.signal("SIGHUP")
    const refused = await gateway.waitForLog(({ message }) => message.startsWith("configuration refused"), "the refusal", 10_000, length)
    expect(refused.reason).toContain(`${JSON.stringify(file("nowhere/access.log"))} can't be opened`)
    await asked("/200?stays")
    await until(() => text("access.log").includes("/200?stays"), "its line")
    const { exit, log } = await started
    expect(exit.code).toBe(1)
    expect(JSON.stringify(log)).toContain("can't be opened")
  })
})

test("conditions choose and keep what failed; headers that are asked for are shown, secrets by name only", async () => {
  await use({ only: { status: [202, 404, "5xx"] }, headers: { request: ["x-user", "cookie", "x-none"], response: ["x-cache"] } })
  await asked("/202?only", "x-user: from the client\r\ncookie: a=b\r\n")
  for (const path of ["/200?only", "/404?only", "/503?only", "/gone?only", "/missing?only"]) await asked(path)
  await gateway.accessLine(({ path }) => path === "/missing?only", "the failure")
  const chosen = gateway.access.filter(({ path }) => path.endsWith("?only")).slice(-5)
  expect(chosen.map(({ path }) => path)).toEqual(["/202?only", "/404?only", "/503?only", "/gone?only", "/missing?only"])
  expect([chosen[0].requestHeaders, chosen[0].responseHeaders]).toEqual([
    { "x-user": "from the client", cookie: "[redacted]" },
    { "x-cache": "MISS" },
  ])
  expect([chosen[4].requestHeaders, chosen[4].responseHeaders]).toEqual([undefined, undefined])
})

describe("a receiver of OTLP", () => {
  test("gets records with attributes, severity, time, trace and resource", async () => {
    await use({
      when: "all",
      to: { otlp: { url: receiver.url, headers: { authorization: { env: "SLUICE_TEST_TOKEN" } } }, serviceName: "edge-1" },
      headers: { request: ["x-user"] },
    })
    const began = BigInt(Date.now()) * 1_000_000n
    await asked("/200?otlp", "x-user: u\r\n")
    await asked("/404?otlp")
    await asked("/missing?otlp")
    const failed = await receiver.record(({ attributes }) => attributes.path === "/missing?otlp", "the failure")
    expect([failed.severity, failed.severityText, failed.body, failed.attributes.flag]).toEqual([
      17,
      "ERROR",
      "GET /missing?otlp 500",
      "NC",
    ])
    const fine = await receiver.record(({ attributes }) => attributes.path === "/200?otlp", "the request")
    expect(fine).toMatchObject({
      severity: 9,
      body: "GET /200?otlp 200",
      attributes: { method: "GET", status: 200, route: "api", requestHeaders: { "x-user": "u" } },
      resource: { "service.name": "edge-1" },
      scope: "sluice.access",
    })
    const sent = origin.requests.find(({ target }) => target === "/200?otlp")
    expect(fine.traceId).toBe(sent?.header("traceparent")?.split("-")[1])
    expect(fine.time).toBeGreaterThan(began - 60_000_000_000n)
    expect((await receiver.record(({ attributes }) => attributes.path === "/404?otlp", "the 404")).severity).toBe(13)
    const { path, headers } = receiver.requests.at(-1) as (typeof receiver.requests)[number]
    expect([path, headers["content-type"], headers.authorization]).toEqual(["/v1/logs", "application/x-protobuf", "s3cret"])
  })

  test("that refuses costs lines, which are counted and said, and no request", async () => {
    const before = (await readMetrics(gateway.adminPort)).sum("sluice_access_log_dropped_total")
    receiver.status = 400
    expect((await get(gateway.port("edge"), "/200?lost")).status).toBe(200)
    await until(
      async () => (await readMetrics(gateway.adminPort)).sum("sluice_access_log_dropped_total") > before,
      "the loss to be counted",
    )
    // Counted first: its line may still be on its way.
    await gateway.waitForLog(({ message }) => message === "the access log can't be sent", "the loss")
    receiver.status = 200
    await get(gateway.port("edge"), "/200?kept")
    await receiver.record(({ attributes }) => attributes.path === "/200?kept", "the next request")
    expect(receiver.records.some(({ attributes }) => attributes.path === "/200?lost")).toBe(false)
  })
})

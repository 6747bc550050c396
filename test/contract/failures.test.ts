// Every way to fail that a single gateway can be brought to, for real: each has to show in its reply, in the access log, in its series,
// in its trace, in what explains it beforehand where that can be known, and in the table of flags.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type ErrorCode, errors } from "../../gateway/errors.ts"
import { Authority } from "../support/certs.ts"
import { until } from "../support/deadline.ts"
import { FAILURES, failureCauses } from "../support/failure-causes.ts"
import { type AccessLine, Gateway } from "../support/gateway.ts"
import { rstStream } from "../support/h2-frames.ts"
import { H2Origin } from "../support/h2-origin.ts"
import { type Metrics, readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { OtlpReceiver } from "../support/otlp-receiver.ts"
import { freePort } from "../support/ports.ts"
import { exchange, RawClient } from "../support/raw-client.ts"
import { getSecurely } from "../support/tls-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

/** ms of every limit that has to run out. */
const LIMIT = "150ms"
const PAUSE = "(i32.const 1)"

const onRequest = (code: string): string => `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${code})`
const trap = guest({ code: onRequest("(unreachable)") })
const loop = guest({ code: onRequest("(loop $for-ever (br $for-ever)) (unreachable)") })
const keep = guest({ code: `(func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) ${PAUSE})` })
const toHead = (() => {
  const script = new Script()
  const set = `(drop (call $proxy_replace_header_map_value (i32.const 0) ${script.text(":method")} ${script.text("HEAD")})) (i32.const 0)`
  return guest({ imports: ["proxy_replace_header_map_value"], data: script.data, code: onRequest(set) })
})()

let origin: Origin
let h2: H2Origin
let collector: OtlpReceiver
let gateway: Gateway
let config: { readonly [part: string]: unknown }
let before: Metrics
let after: Metrics
const statuses = new Map<ErrorCode, number>()

const http = (method: string, path: string, more = ""): string => `${method} ${path} HTTP/1.1\r\nhost: a.test\r\n${more}\r\n`
const at = async (request: string, method?: string): Promise<number> => (await exchange(gateway.port("main"), request, method)).status
const get = (code: ErrorCode): Promise<number> => at(http("GET", `/${code}`))
const post = (code: ErrorCode): Promise<number> => at(http("POST", `/${code}`, "content-length: 1\r\n") + "x", "POST")

/** Sends octets, and resolves when the gateway has closed the connection. */
async function closedAt(listener: string, octets: string): Promise<number> {
  const client = await RawClient.connect(gateway.port(listener))
  if (octets !== "") client.send(octets)
  await client.closed()
  client.destroy()
  return 0
}

/** Asks until the access log has the flag. */
async function asked(code: ErrorCode, wanted: string): Promise<number> {
  let status = 0
  await until(async () => {
    status = await get(code)
    return gateway.access.some(({ flag, path }) => flag === wanted && path === `/${code}`)
  }, wanted)
  return status
}

/** What is sent for each, and what comes back: a status, or 0. */
const cases: Partial<Record<ErrorCode, () => Promise<number>>> = {
  badRequest: () => at(http("GET", "/%00")),
  uriTooLong: () => at(http("GET", `/${"a".repeat(400)}`)),
  headTooLarge: () => at(http("GET", "/", "x: y\r\n".repeat(30))),
  requestTimeout: () => at(http("POST", "/requestTimeout", "content-length: 5\r\n"), "POST"),
  bodyTooLarge: () => at(http("POST", "/bodyTooLarge", "content-length: 200\r\n"), "POST"),
  expectationFailed: () => at(http("POST", "/", "content-length: 1\r\nexpect: a-miracle\r\n"), "POST"),
  methodNotAllowed: () => at(http("TRACE", "/methodNotAllowed"), "TRACE"),
  codingNotImplemented: () => at(http("POST", "/", "transfer-encoding: gzip\r\n"), "POST"),
  versionNotSupported: () => at("GET / HTTP/3.0\r\nhost: a.test\r\n\r\n"),
  proxyHeader: () => closedAt("proxied", http("GET", "/")),
  clientHello: () => closedAt("names", http("GET", "/")),
  openingTimeout: () => closedAt("silent", ""),
  misdirected: async () => (await getSecurely(gateway.port("secure"), "b.test", { servername: "a.test" })).status,
  clientGone: async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(http("GET", "/clientGone"))
    await arrived("/clientGone")
    client.destroy()
    return 0
  },
  noRoute: () => get("noRoute"),
  noService: () => get("noService"),
  noEndpoint: () => get("noEndpoint"),
  rateLimited: async () => {
    await get("rateLimited")
    return get("rateLimited")
  },
  rateLimitUnavailable: () => get("rateLimitUnavailable"),
  overflow: () => get("overflow"),
  queueTimeout: () => get("queueTimeout"),
  connectFailure: () => get("connectFailure"),
  upstreamClosed: () => post("upstreamClosed"),
  upstreamProtocol: () => get("upstreamProtocol"),
  upstreamReset: () => post("upstreamReset"),
  upstreamRefused: () => get("upstreamRefused"),
  upstreamTruncated: async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(http("GET", "/upstreamTruncated"))
    await client.closed()
    client.destroy()
    return 0
  },
  perTryTimeout: () => get("perTryTimeout"),
  responseTimeout: () => get("responseTimeout"),
  streamIdle: async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(http("GET", "/streamIdle"))
    await client.closed()
    client.destroy()
    return 0
  },
  faultInjected: () => get("faultInjected"),
  filterTrap: () => get("filterTrap"),
  filterBudget: () => get("filterBudget"),
  filterUnavailable: () => asked("filterUnavailable", "FD"),
  responseTooLarge: () => get("responseTooLarge"),
  filterEdit: () => get("filterEdit"),
}

const problems = new Map<ErrorCode, unknown>()

// That one can't be brought about is a matter of its own tests.
async function bringAbout(code: ErrorCode, provoke: () => Promise<number>): Promise<void> {
  try {
    statuses.set(code, await provoke())
  } catch (error) {
    problems.set(code, error)
  }
}

/** Requests that are held while the others are sent. */
const held: RawClient[] = []

async function arrived(path: string): Promise<void> {
  await until(() => origin.requests.some(({ target }) => target === path), `${path} at the origin`)
}

async function hold(path: string): Promise<void> {
  const client = await RawClient.connect(gateway.port("main"))
  client.send(http("GET", path))
  held.push(client)
  await arrived(path)
}

beforeAll(async () => {
  const { cert, key } = new Authority("failures").issue({ commonName: "a.test", names: ["a.test"] })
  origin = await Origin.start(({ target }, connection) => {
    if (target === "/upstreamClosed") connection.end()
    else if (target === "/upstreamProtocol") connection.write("that is no HTTP\r\n\r\n")
    else if (target === "/upstreamTruncated") {
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive.")
      setTimeout(() => connection.end(), 20)
    } else if (target === "/streamIdle") connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive.")
    else if (!/^\/(?:hold|clientGone|perTry|responseTimeout|requestT)/.test(target)) connection.reply(200, "x".repeat(64))
  })
  h2 = await H2Origin.start((arrival) => {
    arrival.peer.send(rstStream(arrival.id, arrival.target === "/upstreamRefused" ? "REFUSED_STREAM" : "INTERNAL_ERROR"))
  })
  collector = await OtlpReceiver.start()
  const closed = await freePort()
  const endpoints = [origin.address]
  const filter = (name: string, more: object = {}): object => ({ module: `${name}.wasm`, ...more })
  const own = (code: ErrorCode, more: object): object => ({ name: code, match: { path: `/${code}` }, backends: "origin", ...more })
  config = {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: "all",
    overload: false,
    tracing: { otlp: collector.url, sampling: "100%" },
    rateLimitStore: { redis: `redis://127.0.0.1:${closed}`, onFailure: "deny", timeout: "50ms" },
    listeners: [
      { name: "main", address: "127.0.0.1:0", limits: { requestLine: 300, fields: 20, body: 100 } },
      { name: "secure", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [{ cert: "a.pem", key: "a.key" }] } },
      { name: "proxied", address: "127.0.0.1:0", proxyProtocol: { trusted: ["127.0.0.1"] } },
      { name: "names", address: "127.0.0.1:0", protocol: "tls", backends: "origin" },
      { name: "silent", address: "127.0.0.1:0", protocol: "tls", backends: "origin", timeouts: { detect: LIMIT } },
    ],
    services: {
      origin: { endpoints },
      nobody: { endpoints: [`127.0.0.1:${closed}`] },
      none: { endpoints: [{ address: origin.address, weight: 0 }] },
      one: { endpoints, circuitBreaker: { maxRequests: 1 } },
      narrow: { endpoints, circuitBreaker: { maxConnections: 1, queueTimeout: LIMIT } },
      h2: { endpoints: [h2.address], protocol: "h2" },
    },
    filters: {
      trap: filter("trap"),
      loop: filter("loop"),
      gone: filter("trap", { vm: "gone" }),
      keep: filter("keep", { limits: { body: 16 } }),
      toHead: filter("head"),
    },
    routes: [
      own("requestTimeout", { timeout: LIMIT }),
      own("bodyTooLarge", {}),
      own("methodNotAllowed", {}),
      own("clientGone", {}),
      own("noService", { backends: "nowhere" }),
      own("noEndpoint", { backends: "none" }),
      own("rateLimited", { rateLimit: { requests: 1, per: "1h" } }),
      own("rateLimitUnavailable", { rateLimit: { requests: 1, per: "1h", scope: "global" } }),
      own("overflow", { backends: "one" }),
      { match: { path: "/hold/one" }, backends: "one" },
      own("queueTimeout", { backends: "narrow" }),
      { match: { path: "/hold/narrow" }, backends: "narrow" },
      own("overloaded", {}),
      own("connectFailure", { backends: "nobody" }),
      own("upstreamClosed", {}),
      own("upstreamProtocol", {}),
      own("upstreamReset", { backends: "h2" }),
      own("upstreamRefused", { backends: "h2" }),
      own("upstreamTruncated", {}),
      own("perTryTimeout", { timeout: { perTry: LIMIT }, retry: false }),
      own("responseTimeout", { timeout: LIMIT }),
      own("streamIdle", { timeout: { idle: LIMIT } }),
      own("faultInjected", { fault: { abort: { status: 503 } } }),
      own("filterTrap", { filters: ["trap"] }),
      own("filterBudget", { filters: ["loop"] }),
      own("filterUnavailable", { filters: ["gone"] }),
      own("responseTooLarge", { filters: ["keep"] }),
      own("filterEdit", { filters: ["toHead"] }),
    ],
  }
  const files = { "a.pem": cert, "a.key": key, "trap.wasm": trap, "loop.wasm": loop, "keep.wasm": keep, "head.wasm": toHead }
  gateway = await Gateway.start({ config, files })
  before = await readMetrics(gateway.adminPort)
  await Promise.all([hold("/hold/one"), hold("/hold/narrow")])
  await foresee()
  await Promise.all(Object.entries(cases).map(([code, provoke]) => bringAbout(code as ErrorCode, provoke)))
  after = await readMetrics(gateway.adminPort)
})

afterAll(async () => {
  for (const client of held) client.destroy()
  await gateway.kill()
  await Promise.all([origin.stop(), h2.stop(), collector.stop()])
})

/** Of connections that nobody carried there is no trace. */
const UNTRACED: readonly ErrorCode[] = ["proxyHeader", "clientHello", "openingTimeout"]

function counted(flag: string): number {
  const sum = (metrics: Metrics): number =>
    metrics.sum("sluice_response_flags_total", { flag }) + metrics.sum("sluice_tcp_flags_total", { flag })
  return sum(after) - sum(before)
}

const foreseen = new Map<ErrorCode, string>()

// Before anything of it is sent.
async function foresee(): Promise<void> {
  const requests: Partial<Record<ErrorCode, object>> = {
    badRequest: { method: "GET", url: "/%00" },
    uriTooLong: { method: "GET", url: `/${"a".repeat(400)}` },
    headTooLarge: { method: "GET", url: "/", headers: Array.from({ length: 30 }, () => ["x", "y"]) },
    expectationFailed: { method: "POST", url: "/", headers: [["expect", "a-miracle"]] },
    methodNotAllowed: { method: "TRACE", url: "/methodNotAllowed" },
    codingNotImplemented: { method: "POST", url: "/", headers: [["transfer-encoding", "gzip"]] },
    misdirected: { method: "GET", url: "https://b.test/", serverName: "a.test", listener: "secure" },
    noRoute: { method: "GET", url: "/noRoute" },
    noService: { method: "GET", url: "/noService" },
    noEndpoint: { method: "GET", url: "/noEndpoint" },
    overflow: { method: "GET", url: "/overflow" },
  }
  await Promise.all(
    Object.entries(requests).map(async ([code, request]) =>
      foreseen.set(code as ErrorCode, await explained({ listener: "main", ...request })),
    ),
  )
}

async function explained(request: object): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/explain`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-sluice-admin": "1" },
    body: JSON.stringify(request),
  })
  return ((await response.json()) as { verdict: { code: string } }).verdict.code
}

test("every failure that is said to be brought about here is", () => {
  const said = Object.entries(failureCauses).filter(([, { test: where }]) => where === FAILURES)
  expect([...Object.keys(cases), "overloaded"].sort()).toEqual(said.map(([code]) => code).sort())
})

describe.each(Object.keys(cases) as ErrorCode[])("%s", (code) => {
  const { flag, status } = errors[code]

  test("is answered with its status", () => {
    expect(problems.get(code)).toBeUndefined()
    expect(statuses.get(code)).toBe(code === "streamIdle" ? 0 : status)
  })

  test("has its flag in the access log, and in its series", async () => {
    const listener: Partial<Record<ErrorCode, string>> = {
      proxyHeader: "proxied",
      clientHello: "names",
      openingTimeout: "silent",
      misdirected: "secure",
    }
    const own = (line: AccessLine): boolean =>
      line.flag === flag &&
      (line.path?.startsWith(`/${code}`) || line.flagDetails === code || line.listener === listener[code] || code === "badRequest")
    await gateway.accessLine(own, code)
    await until(async () => {
      if (counted(flag) === 0) after = await readMetrics(gateway.adminPort)
      return counted(flag) > 0
    }, `the series of ${flag}`)
  })

  test.runIf(!UNTRACED.includes(code))("has its flag in the span of its trace", async () => {
    await collector.trace(({ attributes }) => {
      const { "sluice.response_flag": told, "sluice.route": route, "http.response.status_code": answered } = attributes
      return told === flag && (route === code || (route === undefined && answered === status))
    }, code)
  })

  test.runIf(failureCauses[code].foreseen)("is foreseen by explain", () => {
    expect(foreseen.get(code)).toBe(code)
  })
})

test("overloaded: a gateway with too little memory refuses, which explain says", async () => {
  const taken = gateway.log.length
  gateway.writeConfig({ ...config, overload: { memory: "16MiB", eventLoopLag: false } })
  await gateway.waitForLog(({ message }) => message === "configuration taken", "the configuration", undefined, taken)
  await until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_overload_level") === 3, "the worker's level")
  expect(await explained({ method: "GET", url: "/overloaded", listener: "main" })).toBe("overloaded")
  const { flag, status } = errors.overloaded
  expect(await get("overloaded")).toBe(status)
  await gateway.accessLine((line) => line.flag === flag && line.path === "/overloaded", "the request")
  expect((await readMetrics(gateway.adminPort)).sum("sluice_response_flags_total", { flag })).toBeGreaterThan(0)
})

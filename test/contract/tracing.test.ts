// Traces of a real gateway, as a collector gets them: everything is asked before the first test, and the tests look at what came.

import { Buffer } from "node:buffer"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { encodedLength, encodePairs } from "../../gateway/wasm/proxy-wasm/pairs.ts"
import { until } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { answer, call, refuse } from "../support/grpc-messages.ts"
import { h2Get } from "../support/h2-client.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginRequest, type OriginScript } from "../support/origin.ts"
import { OtlpReceiver, type Span } from "../support/otlp-receiver.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient, type Response } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"
/** Recorded of what is asked below. */
const TRACES = 22

/** Holds a request back until a service that it asks has answered. */
const asking = (() => {
  const script = new Script()
  const flat = [":method", "GET", ":path", "/check", ":authority", "check"]
  const bytes = Buffer.alloc(encodedLength(flat))
  encodePairs(flat, bytes, 0)
  const none = "(i32.const 0) (i32.const 0)"
  return guest({
    imports: ["proxy_http_call", "proxy_set_effective_context", "proxy_continue_stream"],
    code: `
      (func $slot (param $id i32) (result i32)
        (i32.add (i32.const 32768) (i32.and (local.get $id) (i32.const 4092))))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $proxy_http_call ${script.text("check")} ${script.text(bytes.toString("latin1"))} ${none} ${none} (i32.const 0) (i32.const 16)))
        (i32.store (call $slot (i32.load (i32.const 16))) (local.get 0))
        (i32.const 1))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (drop (call $proxy_set_effective_context (i32.load (call $slot (local.get 1)))))
        (drop (call $proxy_continue_stream (i32.const 0))))`,
    data: script.data,
  })
})()

let receiver: OtlpReceiver
let origins: Origin[]
let check: Origin
let shadow: Origin
let gateway: Gateway
const answers = new Map<string, Response>()

const pathOf = ({ target }: OriginRequest): string => target.split("?")[0]
const times = new Map<string, number>()
/** Which time a path is asked for, from 1. */
function time(path: string): number {
  const count = (times.get(path) ?? 0) + 1
  times.set(path, count)
  return count
}

const script: OriginScript = (request, connection) => {
  const path = pathOf(request)
  const first = time(path) === 1
  if (path === "/retried" && first) return connection.reply(503, "busy")
  if (path === "/hedged" && first) return
  if (path === "/broken") return connection.reply(500, "no")
  if (path === "/missing") return connection.reply(404, "no")
  if (path === "/cut") {
    connection.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
    return connection.end()
  }
  if (path === "/shop.Carts/Add") return answer(connection, ["said"])
  if (path === "/shop.Carts/Find") return refuse(connection, 5)
  if (path === "/shop.Carts/Guess") return refuse(connection, 12)
  connection.reply(200, "fine")
}

function config(url: string, nobody: number): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: "all",
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      { name: "inner", address: "127.0.0.1:0", trustedHops: 1 },
    ],
    tracing: {
      otlp: { url, headers: { "x-token": { env: "TRACE_TOKEN" } } },
      sampling: "100%",
      propagation: ["w3c", "b3"],
      force: "x-force",
      serviceName: "shop-edge",
    },
    services: {
      pair: { endpoints: origins.map(({ address }) => address), loadBalancing: "roundRobin", outlierDetection: false },
      nobody: { endpoints: [`127.0.0.1:${nobody}`] },
      check: { endpoints: [check.address] },
      shadow: { endpoints: [shadow.address] },
    },
    filters: { asking: { module: "./asking.wasm" } },
    routes: [
      {
        name: "retried",
        match: { path: "/retried" },
        backends: "pair",
        retry: { attempts: 2, on: [503], backoff: { base: "1ms", max: "2ms" } },
      },
      { name: "hedged", match: { path: "/hedged" }, backends: "pair", hedge: "20ms" },
      { name: "down", match: { path: "/down" }, backends: "nobody" },
      { name: "filtered", match: { path: "/filtered" }, filters: ["asking"], backends: "pair", tracing: { filters: true } },
      { name: "mirrored", match: { path: "/mirrored" }, backends: "pair", mirror: "shadow" },
      { name: "off", match: { path: "/off" }, backends: "pair", tracing: false },
      { name: "never", match: { path: "/never" }, filters: ["asking"], backends: "pair", tracing: { sampling: "0%" } },
      { name: "hidden", match: { path: "/hidden" }, backends: "pair", headers: { request: { remove: ["traceparent"] } } },
      { name: "rewritten", match: { path: "/rewritten" }, backends: "pair", rewrite: { prefix: "/new" } },
      { name: "here", match: { path: "/here" }, respond: { status: 200, body: "here" } },
      { name: "all", match: { path: "/all" }, backends: "pair" },
      { name: "rest", match: { path: { regex: "/(broken|missing|cut|shop.*)" } }, backends: "pair" },
    ],
  }
}

/** Asks, whatever becomes of it. */
async function ask(name: string, request: Promise<Response>): Promise<void> {
  answers.set(name, await request)
}

beforeAll(async () => {
  receiver = await OtlpReceiver.start()
  origins = [await Origin.start(script), await Origin.start(script)]
  check = await Origin.start((_, connection) => connection.reply(200))
  shadow = await Origin.start((_, connection) => connection.reply(200))
  const { command, args } = runtimeCommand(fileURLToPath(new URL("../support/killable-main.ts", import.meta.url)))
  gateway = await Gateway.start({
    command: [command, ...args],
    config: config(receiver.url, await freePort()),
    files: { "asking.wasm": asking },
    env: { TRACE_TOKEN: "let-me-in" },
  })
  const edge = gateway.port("edge")
  const inner = gateway.port("inner")
  const parent = (flags: string): Record<string, string> => ({ traceparent: `00-${TRACE}-${SPAN}-${flags}`, tracestate: "other=1" })
  // One after the other where what they get depends on how often a path was asked for.
  await ask("retried", get(edge, "/retried?token=secret", { "user-agent": "tester/1" }))
  await ask("hedged", get(edge, "/hedged"))
  await Promise.all([
    ask("down", get(edge, "/down")),
    ask("nowhere", get(edge, "/nowhere")),
    ask("broken", get(edge, "/broken")),
    ask("missing", get(edge, "/missing")),
    ask("filtered", get(edge, "/filtered")),
    ask("mirrored", get(edge, "/mirrored")),
    ask("hidden", get(edge, "/hidden")),
    ask("rewritten", get(edge, "/rewritten/a?b=c")),
    ask("here", get(edge, "/here")),
    ask("off", get(inner, "/off", parent("01"))),
    ask("never", get(inner, "/never")),
    ask("never forced", get(inner, "/never/forced", { "x-force": "1" })),
    ask("never forced from outside", get(edge, "/never/outside", { "x-force": "1" })),
    ask("joined", get(inner, "/all/joined", parent("01"))),
    ask("joined, not sampled", get(inner, "/all/unsampled", parent("00"))),
    ask("b3", get(inner, "/all/b3", { b3: `${TRACE}-${SPAN}-d` })),
    ask("malformed", get(inner, "/all/malformed", { ...parent("01"), traceparent: `00-${TRACE.toUpperCase()}-${SPAN}-01` })),
    ask("stranger", get(edge, "/all/stranger", parent("01"))),
    ask("odd", exchange(edge, "BREW /all/odd HTTP/1.1\r\nhost: shop.example:8080\r\nconnection: close\r\n\r\n")),
    ask("grpc", exchange(edge, call("/shop.Carts/Add"), "POST")),
    ask("grpc missing", exchange(edge, call("/shop.Carts/Find"), "POST")),
    ask("grpc unknown", exchange(edge, call("/shop.Carts/Guess"), "POST")),
    h2Get(edge, "/all/h2"),
    get(edge, "/cut").catch(() => {}),
  ])
  await until(() => servers().length >= TRACES, "all traces", 20_000)
})

afterAll(async () => {
  await gateway?.kill()
  await Promise.all([receiver?.stop(), check?.stop(), shadow?.stop(), ...(origins ?? []).map((origin) => origin.stop())])
})

function servers(): Span[] {
  return receiver.spans.filter(({ kind }) => kind === "server")
}

/** The exchange's span, and those under it in their order. */
function trace(path: string): [server: Span, ...others: Span[]] {
  const found = servers().filter(({ attributes }) => attributes["url.path"] === path)
  if (found.length !== 1) throw new Error(`${found.length} traces of ${path}`)
  const [server] = found
  const others = receiver.of(server.traceId).filter(({ parentId }) => parentId === server.spanId)
  return [server, ...others.sort((a, b) => (a.start < b.start ? -1 : 1))]
}

/** Requests with this path that came to a service. */
function sent(path: string): OriginRequest[] {
  return origins.flatMap(({ requests }) => requests).filter((request) => pathOf(request) === path)
}

function parentOf(request: OriginRequest): { traceId: string; spanId: string; flags: string } {
  const [, traceId, spanId, flags] = (request.header("traceparent") ?? "").split("-")
  return { traceId, spanId, flags }
}

describe("spans of an exchange", () => {
  test("say what OpenTelemetry's conventions for HTTP ask for", () => {
    const [server, , last] = trace("/retried")
    expect(server).toMatchObject({ name: "GET retried", parentId: "", state: "", status: "unset", scope: "sluice" })
    expect(server.resource).toMatchObject({ "service.name": "shop-edge" })
    expect(server.attributes).toEqual({
      "http.request.method": "GET",
      "url.path": "/retried",
      "url.scheme": "http",
      "server.address": "localhost",
      "server.port": 80,
      "client.address": "127.0.0.1",
      "network.peer.address": "127.0.0.1",
      "network.peer.port": expect.any(Number),
      "network.protocol.version": "1.1",
      "http.response.status_code": 200,
      "http.route": "retried",
      "user_agent.original": "tester/1",
      "sluice.listener": "edge",
      "sluice.route": "retried",
      "sluice.service": "pair",
      "sluice.request_id": server.traceId,
      "sluice.attempts": 2,
    })
    const [host, port] = (last.attributes["url.full"] as string).slice("http://".length, -"/retried".length).split(":")
    expect(last.attributes).toEqual({
      "http.request.method": "GET",
      "server.address": host,
      "server.port": Number(port),
      "network.peer.address": host,
      "network.peer.port": Number(port),
      "network.protocol.version": "1.1",
      "url.full": `http://${host}:${port}/retried`,
      "http.request.resend_count": 1,
      "http.response.status_code": 200,
      "sluice.service": "pair",
      "sluice.attempt.outcome": "answered",
    })
    expect(last.events).toEqual(["sluice.request_sent", "sluice.response_head"])
  })

  test("hold nothing of a query", () => {
    expect(JSON.stringify(receiver.spans, (_, value) => (typeof value === "bigint" ? String(value) : value))).not.toMatch(/secret|\?/)
  })

  test("lie within each other", () => {
    for (const server of servers()) {
      for (const child of receiver.of(server.traceId).filter(({ parentId }) => parentId === server.spanId)) {
        expect(child.start).toBeGreaterThanOrEqual(server.start - 1_000_000n)
        expect(child.end).toBeLessThanOrEqual(server.end + 1_000_000n)
        expect(child.end).toBeGreaterThanOrEqual(child.start)
      }
    }
  })

  test("are one for each retry, which the service is told of as its own", () => {
    const [server, first, second, ...more] = trace("/retried")
    expect(more).toEqual([])
    expect(first).toMatchObject({ kind: "client", name: "GET", status: "error" })
    expect(first.attributes).toMatchObject({ "http.response.status_code": 503, "error.type": "503" })
    expect(first.attributes).not.toHaveProperty("http.request.resend_count")
    expect(second).toMatchObject({ kind: "client", status: "unset" })
    expect(sent("/retried").map((request) => parentOf(request))).toEqual(
      expect.arrayContaining([first, second].map(({ spanId }) => ({ traceId: server.traceId, spanId, flags: "01" }))),
    )
  })

  test("are one for each of two attempts that raced", () => {
    const [server, first, second] = trace("/hedged")
    expect(server).toMatchObject({ status: "unset" })
    expect(first.attributes).toMatchObject({ "sluice.attempt.outcome": "given up" })
    expect(first.status).toBe("unset")
    expect(second.attributes).toMatchObject({
      "sluice.attempt.hedged": true,
      "sluice.attempt.outcome": "answered",
      "http.request.resend_count": 1,
    })
    expect(new Set(sent("/hedged").map((request) => parentOf(request).spanId))).toEqual(new Set([first.spanId, second.spanId]))
  })

  test("say why there is no answer", () => {
    const [server, attempt] = trace("/down")
    expect(server).toMatchObject({ status: "error" })
    expect(server.attributes).toMatchObject({ "http.response.status_code": 503, "error.type": "503", "sluice.response_flag": "UF" })
    expect(attempt).toMatchObject({ kind: "client", status: "error" })
    expect(attempt.attributes).toMatchObject({ "error.type": "connectFailure", "sluice.attempt.outcome": "failed" })
    expect(attempt.attributes).not.toHaveProperty("http.response.status_code")
    expect(attempt.events).toEqual([])
  })

  test("of an error of the service are errors on both sides, those of a client on one", () => {
    const [broken, failed] = trace("/broken")
    expect([broken.status, broken.attributes["error.type"], failed.status]).toEqual(["error", "500", "error"])
    const [missing, refused] = trace("/missing")
    expect([missing.status, refused.status, refused.attributes["error.type"]]).toEqual(["unset", "error", "404"])
  })

  test("of a response that was cut short are errors whatever its status", () => {
    const [server, attempt] = trace("/cut")
    expect(server).toMatchObject({ status: "error" })
    expect(server.attributes).toMatchObject({ "http.response.status_code": 200, "error.type": "UC,TR", "sluice.response_flag": "UC,TR" })
    expect(attempt.attributes).toMatchObject({ "error.type": "upstreamTruncated" })
  })

  test("are there without a route, and without a service", () => {
    const [nowhere, ...none] = trace("/nowhere")
    expect(nowhere).toMatchObject({ name: "GET", status: "unset" })
    expect(nowhere.attributes).toMatchObject({ "http.response.status_code": 404, "sluice.response_flag": "NR" })
    expect(nowhere.attributes).not.toHaveProperty("http.route")
    expect(none).toEqual([])
    expect(trace("/here")).toHaveLength(1)
  })

  test("name the method and the place as the conventions do", () => {
    const [server] = trace("/all/odd")
    expect(server.name).toBe("HTTP all")
    expect(server.attributes).toMatchObject({
      "http.request.method": "_OTHER",
      "http.request.method_original": "BREW",
      "server.address": "shop.example",
      "server.port": 8080,
    })
    expect(trace("/all/h2")[0].attributes["network.protocol.version"]).toBe("2")
    expect(trace("/rewritten/a")[1].attributes["url.full"]).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/new\/a$/)
  })

  test("of gRPC calls say what became of them", () => {
    const [added, attempt] = trace("/shop.Carts/Add")
    expect([added.name, attempt.name, added.status]).toEqual(["shop.Carts/Add", "shop.Carts/Add", "unset"])
    const called = { "rpc.system.name": "grpc", "rpc.method": "shop.Carts/Add", "rpc.status_code": "OK" }
    expect(added.attributes).toMatchObject(called)
    expect(attempt.attributes).toMatchObject(called)
    const [found, asked] = trace("/shop.Carts/Find")
    expect([found.status, asked.status, asked.attributes["error.type"]]).toEqual(["unset", "error", "NOT_FOUND"])
    const [guessed] = trace("/shop.Carts/Guess")
    expect(guessed).toMatchObject({ name: "_OTHER", status: "error" })
    expect(guessed.attributes).toMatchObject({
      "rpc.method": "_OTHER",
      "rpc.method_original": "shop.Carts/Guess",
      "error.type": "UNIMPLEMENTED",
    })
  })

  test("show what filters did, where that is asked for", () => {
    const [, ...others] = trace("/filtered")
    const [phase] = others.filter(({ kind }) => kind === "internal")
    expect(phase).toMatchObject({ name: "asking request headers" })
    expect(phase.attributes).toEqual({
      "sluice.filter.name": "asking",
      "sluice.filter.phase": "request headers",
      "sluice.filter.outcome": "pause",
    })
    const attempt = others.find(({ kind }) => kind === "client") as Span
    expect(phase.end).toBeLessThanOrEqual(attempt.start + 1_000_000n)
    expect(receiver.spans.filter(({ kind }) => kind === "internal")).toHaveLength(others.length - 1)
  })
})

describe("a trace", () => {
  test("that a trusted proxy began is joined", () => {
    const [server, attempt] = trace("/all/joined")
    expect(server).toMatchObject({ traceId: TRACE, parentId: SPAN, state: "other=1", links: [] })
    const [request] = sent("/all/joined")
    expect(parentOf(request)).toEqual({ traceId: TRACE, spanId: attempt.spanId, flags: "01" })
    expect(request.header("tracestate")).toBe("other=1")
    expect(request.header("b3")).toBe(`${TRACE}-${attempt.spanId}-1`)
  })

  test("that a trusted proxy doesn't record isn't recorded, and goes on as it came", () => {
    expect(() => trace("/all/unsampled")).toThrow("0 traces")
    const [request] = sent("/all/unsampled")
    expect(parentOf(request)).toEqual({ traceId: TRACE, spanId: SPAN, flags: "00" })
    expect(request.header("b3")).toBe(`${TRACE}-${SPAN}-0`)
  })

  test("in B3 is joined, and its wish to be debugged goes on", () => {
    const [server, attempt] = trace("/all/b3")
    expect(server).toMatchObject({ traceId: TRACE, parentId: SPAN })
    const [request] = sent("/all/b3")
    expect(parentOf(request)).toEqual({ traceId: TRACE, spanId: attempt.spanId, flags: "01" })
    expect(request.header("b3")).toBe(`${TRACE}-${attempt.spanId}-d`)
  })

  test("of a client begins anew, with a link to its own", () => {
    const [server] = trace("/all/stranger")
    expect(server.traceId).not.toBe(TRACE)
    expect(server).toMatchObject({ parentId: "", links: [`${TRACE}-${SPAN}`] })
    const [request] = sent("/all/stranger")
    expect(parentOf(request).traceId).toBe(server.traceId)
    expect(request.header("tracestate")).toBeNull()
  })

  test("that is malformed is none, and so is its state", () => {
    const [server] = trace("/all/malformed")
    expect(server).toMatchObject({ parentId: "", state: "", links: [] })
    expect(server.traceId).not.toBe(TRACE)
    expect(sent("/all/malformed")[0].header("tracestate")).toBeNull()
  })

  test("goes through a route that isn't traced as it came", () => {
    expect(() => trace("/off")).toThrow("0 traces")
    expect(parentOf(sent("/off")[0])).toEqual({ traceId: TRACE, spanId: SPAN, flags: "01" })
  })

  test("is recorded where its route records none if a trusted proxy says so", () => {
    expect(trace("/never/forced")[0].attributes["sluice.listener"]).toBe("inner")
    expect(() => trace("/never")).toThrow("0 traces")
    expect(() => trace("/never/outside")).toThrow("0 traces")
    expect(sent("/never/outside")[0].header("x-force")).toBeNull()
    expect(parentOf(sent("/never")[0]).flags).toBe("00")
  })

  test("isn't put back where its route takes it out", () => {
    const [server] = trace("/hidden")
    const [request] = sent("/hidden")
    expect(request.header("traceparent")).toBeNull()
    expect(request.header("b3")).toContain(server.traceId)
  })

  test("goes on in what filters ask for, recorded or not", () => {
    const [server] = trace("/filtered")
    const asked = check.requests.map((request) => parentOf(request))
    expect(asked).toContainEqual({ traceId: server.traceId, spanId: server.spanId, flags: "01" })
    const untraced = sent("/never").map((request) => parentOf(request))
    expect(asked).toContainEqual(untraced[0])
  })

  test("isn't recorded further in copies", async () => {
    const [server] = trace("/mirrored")
    await shadow.received(1)
    expect(parentOf(shadow.requests[0])).toEqual({ traceId: server.traceId, spanId: server.spanId, flags: "00" })
  })
})

test("spans come to the collector as configured", () => {
  const [first] = receiver.requests
  expect(first.path).toBe("/v1/traces")
  expect(first.headers).toMatchObject({ "x-token": "let-me-in", "content-type": "application/x-protobuf" })
})

test("what becomes of traces is counted", async () => {
  const exported = async (): Promise<boolean> => {
    const metrics = await readMetrics(gateway.adminPort)
    return metrics.sum("sluice_traces_total", { result: "exported" }) >= TRACES
  }
  await until(exported, "the count of what was exported")
})

test("traces that die with their worker are counted, each once", async () => {
  const from = gateway.log.length
  const client = await RawClient.connect(gateway.port("edge"))
  client.send("GET /here/dying HTTP/1.1\r\nhost: a\r\n\r\n".repeat(50))
  for (let i = 0; i < 50; i++) await client.readResponse()
  gateway.signal("SIGUSR2")
  await gateway.waitForLog(({ message }) => message === "worker replaced", "the replacement", undefined, from)
  client.destroy()
  const ended = async (): Promise<boolean> => {
    const metrics = await readMetrics(gateway.adminPort)
    const [recorded, ended] = [metrics.sum("sluice_traces_recorded_total"), metrics.sum("sluice_traces_total")]
    expect(ended).toBeLessThanOrEqual(recorded)
    return recorded >= TRACES + 50 && ended === recorded
  }
  await until(ended, "an end of every trace")
})

test("what waits at the end is sent", async () => {
  await get(gateway.port("edge"), "/all/last")
  expect(await gateway.stop()).toMatchObject({ code: 0 })
  expect(trace("/all/last")).toHaveLength(2)
})

import { Buffer } from "node:buffer"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { encodedLength, encodePairs } from "../../gateway/wasm/proxy-wasm/pairs.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginScript } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

function pairs(flat: readonly string[]): string {
  const bytes = Buffer.alloc(encodedLength(flat))
  encodePairs(flat, bytes, 0)
  return bytes.toString("latin1")
}

interface Asking {
  readonly service?: string
  readonly method?: string
  readonly path?: string
  readonly body?: string
  readonly trailers?: readonly string[]
  /** ms */
  readonly timeout?: number
  /** Answers with the callout's body instead of going on. */
  readonly answer?: boolean
  /** The phase that waits for the callout. */
  readonly phase?: "request" | "response"
  /** Header that is set to the callout's status. */
  readonly stamp?: string
}

const NONE = "(i32.const 0) (i32.const 0)"
const RESULT = "(i32.load (i32.const 20)) (i32.load (i32.const 24))"

/**
 * A guest that holds an exchange's headers back, asks a service, and goes on with what it was answered in headers of its own.
 * No answer makes it reply 503 with the status's message.
 */
function asking(options: Asking = {}): Uint8Array {
  const { service = "check", method = "GET", path = "/check", body = "", trailers = [], timeout = 0, phase = "request" } = options
  const script = new Script()
  const text = (of: string): string => (of === "" ? NONE : script.text(of))
  const map = phase === "request" ? 0 : 2
  const set = (name: string, value: string): string =>
    `(drop (call $proxy_replace_header_map_value (i32.const ${map}) ${script.text(name)} ${value}))`
  const reply = (status: number, of: string): string =>
    `(drop (call $proxy_send_local_response (i32.const ${status}) ${NONE} ${of} ${NONE} (i32.const -1)))`
  const status = script.text("status ?")
  const statusAt = Number(/const (\d+)/.exec(status)?.[1]) + 7
  const head = pairs([":method", method, ":path", path, ":authority", "check.example", "x-asked", "yes"])
  return guest({
    imports: [
      "proxy_log",
      "proxy_http_call",
      "proxy_get_status",
      "proxy_set_effective_context",
      "proxy_send_local_response",
      "proxy_get_header_map_value",
      "proxy_replace_header_map_value",
      "proxy_get_buffer_bytes",
      "proxy_continue_stream",
    ],
    memory: "40 80",
    allocator: `
      (global $top (mut i32) (i32.const 131072))
      (func (export "proxy_on_memory_allocate") (param $n i32) (result i32)
        (global.get $top)
        (global.set $top (i32.add (global.get $top) (local.get $n))))
      (func $slot (param $id i32) (result i32)
        (i32.add (i32.const 65536) (i32.and (local.get $id) (i32.const 4092))))`,
    code: `
      (func (export "proxy_on_${phase}_headers") (param i32 i32 i32) (result i32)
        (local $status i32)
        (local.set $status (call $proxy_http_call ${script.text(service)} ${script.text(head)} ${text(body)} ${text(pairs(trailers))}
          (i32.const ${timeout}) (i32.const 16)))
        (if (local.get $status) (then
          (i32.store8 (i32.const ${statusAt}) (i32.add (i32.const 48) (local.get $status)))
          ${reply(500, status)}))
        (i32.store (call $slot (i32.load (i32.const 16))) (local.get 0))
        (i32.const 1))
      (func (export "proxy_on_http_call_response") (param $root i32) (param $id i32) (param $headers i32) (param $length i32) (param $trailers i32)
        (if (call $proxy_set_effective_context (i32.load (call $slot (local.get $id)))) (then
          ${script.say("its exchange is gone")} (return)))
        (if (i32.eqz (local.get $headers)) (then
          (drop (call $proxy_get_status (i32.const 16) (i32.const 20) (i32.const 24)))
          ${reply(503, RESULT)} (return)))
        (drop (call $proxy_get_header_map_value (i32.const 6) ${script.text(":status")} (i32.const 20) (i32.const 24)))
        ${set(options.stamp ?? "x-check", RESULT)}
        (if (local.get $trailers) (then
          (drop (call $proxy_get_header_map_value (i32.const 7) ${script.text("x-sum")} (i32.const 20) (i32.const 24)))
          ${set("x-sum", RESULT)}))
        (if (local.get $length) (then
          (drop (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const -1) (i32.const 20) (i32.const 24)))
          ${options.answer === true ? `${reply(200, RESULT)} (return)` : set("x-body", RESULT)}))
        (drop (call $proxy_continue_stream (i32.const ${phase === "request" ? 0 : 1}))))`,
    // Last: all of the texts above are known.
    data: script.data,
  })
}

/** Calls out when it is configured, and again from every answer. */
const looping = (() => {
  const script = new Script()
  const head = pairs([":method", "GET", ":path", "/loop", ":authority", "loop"])
  const call = `(drop (call $proxy_http_call ${script.text("check")} ${script.text(head)} ${NONE} ${NONE} (i32.const 0) (i32.const 16)))`
  return guest({
    imports: ["proxy_http_call"],
    data: script.data,
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32) ${call.repeat(8)} (i32.const 1))
      (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) ${call.repeat(2)})`,
  })
})()

/** Calls out on every tick. */
const ticking = (() => {
  const script = new Script()
  const head = pairs([":method", "GET", ":path", "/tick", ":authority", "tick"])
  return guest({
    imports: ["proxy_http_call", "proxy_set_tick_period_milliseconds"],
    data: script.data,
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_set_tick_period_milliseconds (i32.const 20))) (i32.const 1))
      (func (export "proxy_on_tick") (param i32)
        (drop (call $proxy_http_call ${script.text("check")} ${script.text(head)} ${NONE} ${NONE} (i32.const 0) (i32.const 16))))`,
  })
})()

/** Ticks of a millisecond that use up all of their budget but a little. */
const busy = guest({
  imports: ["proxy_set_tick_period_milliseconds"],
  code: `
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_set_tick_period_milliseconds (i32.const 1))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32) (local $i i32)
      (loop $on (br_if $on (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000)))))`,
})

const MEBIBYTE = 1024 * 1024

/** Answers to callouts that a test gives when it likes. */
const held: (() => void)[] = []

const answer: OriginScript = (request, connection) => {
  switch (request.target) {
    case "/held":
      held.push(() => connection.reply(200, "held"))
      return
    case "/never":
      return
    case "/reset":
      return connection.reset()
    case "/big":
      return connection.reply(200, Buffer.alloc(MEBIBYTE, "big"))
    case "/too-big":
      return connection.reply(200, Buffer.alloc(MEBIBYTE + 1))
    case "/trailers":
      return connection.write("HTTP/1.1 203 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-sum: 3\r\n\r\n")
    default:
      return connection.reply(request.header("x-asked") === null ? 200 : 202, request.body)
  }
}

const tell: OriginScript = (request, connection) => connection.reply(200, JSON.stringify(Object.fromEntries(request.fields)))

const guests: Record<string, Uint8Array> = {
  pass: asking(),
  held: asking({ path: "/held" }),
  response: asking({ phase: "response" }),
  answer: asking({ method: "POST", path: "/answer", body: "said by the service", answer: true }),
  big: asking({ path: "/big", answer: true }),
  "too-big": asking({ path: "/too-big" }),
  trailers: asking({ path: "/trailers", method: "POST", body: "abc", trailers: ["x-end", "1"] }),
  never: asking({ path: "/never", timeout: 100 }),
  reset: asking({ path: "/reset", method: "POST" }),
  unknown: asking({ service: "nobody" }),
  down: asking({ service: "down" }),
  ticking,
  looping,
  busy,
}

let origin: Origin
let check: Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start(tell)
  check = await Origin.start(answer)
  const names = Object.keys(guests)
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      services: {
        origin: { endpoints: [origin.address] },
        check: { endpoints: [check.address] },
        down: { endpoints: [`127.0.0.1:${await freePort()}`] },
      },
      filters: Object.fromEntries(names.map((name) => [name, { module: `./${name}.wasm`, limits: { cpu: "50ms" } }])),
      routes: [
        { name: "plain", backends: "origin" },
        ...names.map((name) => ({ name, match: { path: `/${name}` }, filters: [name], backends: "origin" })),
      ],
    },
    files: Object.fromEntries(names.map((name) => [`${name}.wasm`, guests[name]])),
    startLimit: 60_000,
  })
}, 60_000)

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
  await check.stop()
})

const at = (path: string): ReturnType<typeof get> => get(gateway.port(), path)

const asked = (path: string): number => check.requests.filter(({ target }) => target === path).length

describe("a request that waits for a callout", () => {
  test("goes on with what was answered", async () => {
    const response = await at("/pass")
    expect(response.status).toBe(200)
    expect(JSON.parse(response.text())["x-check"]).toBe("202")
    expect(check.requests.find(({ target }) => target === "/check")?.header("host")).toBe("check.example")
  })

  test("goes on with its body, which had come meanwhile", async () => {
    const body = "b".repeat(200_000)
    const before = origin.requests.length
    const sent = `POST /held HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    const response = exchange(gateway.port(), sent, "POST")
    await until(() => held.length === 1, "the callout")
    expect(origin.requests.length).toBe(before)
    held.splice(0)[0]()
    expect((await response).status).toBe(200)
    expect(origin.requests[before].body.toString() === body).toBe(true)
    expect(origin.requests[before].header("x-body")).toBe("held")
  })

  test("is answered with what the service said, and never reaches the upstream", async () => {
    const before = origin.requests.length
    const response = await at("/answer")
    expect([response.status, response.text()]).toEqual([200, "said by the service"])
    expect(origin.requests.length).toBe(before)
  })

  test("gets a large answer whole", async () => {
    const response = await at("/big")
    expect(response.body.length).toBe(MEBIBYTE)
  })

  test("is told nothing of one that is too large", async () => {
    const response = await at("/too-big")
    expect([response.status, response.text()]).toEqual([503, "responseTooLarge"])
  })

  test("passes trailers there and back", async () => {
    const response = await at("/trailers")
    const fields = JSON.parse(response.text())
    expect([fields["x-check"], fields["x-body"], fields["x-sum"]]).toEqual(["203", "abc", "3"])
    const request = check.requests.find(({ target }) => target === "/trailers")
    expect([request?.body.toString(), request?.trailers]).toEqual(["abc", [["x-end", "1"]]])
  })

  test.each([
    ["/never", "responseTimeout"],
    ["/reset", "upstreamClosed"],
    ["/down", "connectFailure"],
  ])("hears of the failure of %s", async (path, why) => {
    const response = await at(path)
    expect([response.status, response.text()]).toEqual([503, why])
  })

  test("is told at once that there is no such service", async () => {
    const response = await at("/unknown")
    expect([response.status, response.text()]).toEqual([500, "status 2"])
  })

  test("whose client goes away ends; the answer finds nobody, and the filter goes on", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send("GET /held?gone HTTP/1.1\r\nhost: a\r\n\r\n")
    await until(() => held.length === 1, "the callout")
    client.reset()
    expect(await gateway.accessLine(({ path }) => path === "/held?gone", "it")).toMatchObject({ flag: "DC" })
    held.splice(0)[0]()
    await gateway.waitForLog(({ message }) => message === "its exchange is gone", "the answer")
    const next = at("/held")
    await until(() => held.length === 1, "the next callout")
    held.splice(0)[0]()
    expect((await next).status).toBe(200)
  })

  test("is one of many, each with its own answer", async () => {
    const clients = await Promise.all(Array.from({ length: 30 }, () => RawClient.connect(gateway.port())))
    for (const client of clients) client.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
    await until(() => held.length === 30, "30 callouts")
    for (const release of held.splice(0).reverse()) release()
    const responses = await Promise.all(clients.map((client) => client.readResponse()))
    expect(responses.map(({ status }) => status)).toEqual(Array(30).fill(200))
    for (const client of clients) client.destroy()
  })

  test("ends with the version of the filter it began with", async () => {
    const slow = at("/held")
    await until(() => held.length === 1, "the callout")
    const from = gateway.log.length
    gateway.writeFile("held.wasm", asking({ path: "/check", stamp: "x-second" }))
    await gateway.waitForLog(({ message }) => message === "filter swapped", "the swap", 20_000, from)
    expect(JSON.parse((await at("/held")).text())).toMatchObject({ "x-second": "202" })
    held.splice(0)[0]()
    const fields = JSON.parse((await slow).text())
    expect([fields["x-check"], fields["x-second"]]).toEqual(["200", undefined])
  })
})

test("a response that waits for a callout goes on with what was answered", async () => {
  const response = await at("/response")
  expect([response.status, response.header("x-check")]).toEqual([200, "202"])
})

test("ticks call out again and again", async () => {
  await until(() => asked("/tick") >= 3, "three ticks")
})

test("filters that call out without end, or keep ticking, leave the others alone", async () => {
  const before = asked("/loop")
  for (let i = 0; i < 50; i++) expect((await at("/")).status).toBe(200)
  await until(() => asked("/loop") > before + 50, "more callouts")
  const filters: { name: string; state: string }[] = JSON.parse((await get(gateway.adminPort, "/filters")).text()).filters
  for (const name of ["looping", "busy"]) expect(filters.find((filter) => filter.name === name)?.state).toBe("running")
})

test("callouts use the service's connections again, and count like its requests", async () => {
  const metrics = await readMetrics(gateway.adminPort)
  expect(metrics.sum("sluice_upstream_connections_reused_total", { service: "check" })).toBeGreaterThan(0)
})

test("nothing is left behind", async () => {
  await until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_requests_active") === 0, "no active exchange")
  expect(origin.problems).toEqual([])
  expect(check.problems).toEqual([])
  expect(gateway.log.filter(({ level }) => level === "critical")).toEqual([])
})

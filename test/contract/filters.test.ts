import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway, type LogLine } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginScript } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

const CONTINUE = "(i32.const 0)"
const PAUSE = "(i32.const 1)"

/** A module that runs `code` (its value: what the host is to do) on request headers. */
function onRequest(write: (script: Script) => string, imports: readonly string[] = []): Uint8Array {
  const script = new Script()
  const code = write(script)
  return guest({
    imports,
    data: script.data,
    code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${code})`,
  })
}

function stamp(value: string): Uint8Array {
  return onRequest(
    (script) => `(drop (call $proxy_replace_header_map_value (i32.const 0) ${script.text("x-stamp")} ${script.text(value)})) ${CONTINUE}`,
    ["proxy_replace_header_map_value"],
  )
}

const edit = (() => {
  const script = new Script()
  const set = (map: number, name: string, value: string): string =>
    `(drop (call $proxy_replace_header_map_value (i32.const ${map}) ${script.text(name)} ${script.text(value)}))`
  const code = `
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      ${set(0, "x-edited", "request")}
      ${set(0, ":path", "/edited?by=filter")}
      (drop (call $proxy_remove_header_map_value (i32.const 0) ${script.text("x-secret")}))
      ${CONTINUE})
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      ${set(2, "x-edited", "response")}
      (drop (call $proxy_remove_header_map_value (i32.const 2) ${script.text("server")}))
      ${CONTINUE})`
  return guest({ imports: ["proxy_replace_header_map_value", "proxy_remove_header_map_value"], data: script.data, code })
})()

const reply = (() => {
  const script = new Script()
  const code = `
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_send_local_response (i32.const 403) ${script.text("denied")} ${script.text("not for you")} (i32.const 0) (i32.const 0) (i32.const -1)))
      ${PAUSE})`
  return guest({ imports: ["proxy_send_local_response"], data: script.data, code })
})()

/** Waits for ever with the request, or with the response. */
const pauseRequest = onRequest(() => PAUSE)
const pauseResponse = guest({
  code: `
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) ${PAUSE})`,
})
const trap = onRequest(() => "(unreachable)")
const loop = onRequest(() => "(loop $for-ever (br $for-ever)) (unreachable)")
const recursion = guest({
  code: `
    (func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (drop (call $deeper (i32.const 0))) ${CONTINUE})`,
})

const greeter = (header: string): string => `
import { Config, Request, Response } from "sluice/sdk"

let greeting = "hello"

export function configure(config: Config): void {
  greeting = config.string("greeting", greeting)
}

export function onRequest(request: Request): void {
  request.headers.set("${header}", greeting)
}
`
const limiter = `
import { RateLimit, Reply, Request } from "sluice/sdk"

const limit = new RateLimit("test", 5, 60000)

export function onRequest(request: Request): Reply | null {
  return limit.take("all") > 0 ? new Reply(429, "slow down") : null
}
`

const tell: OriginScript = (request, connection) =>
  connection.reply(200, JSON.stringify({ target: request.target, fields: Object.fromEntries(request.fields) }), { server: "origin" })

let origin: Origin
let gateway: Gateway

function config(): object {
  const module = (name: string, settings: object = {}): object => ({ module: `./${name}`, limits: { cpu: "5ms" }, ...settings })
  const route = (path: string, filters: unknown, settings: object = {}): object => ({
    name: path.slice(1),
    match: { path },
    filters,
    backends: "origin",
    ...settings,
  })
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    accessLog: "all",
    listeners: [{ name: "main", address: "127.0.0.1:0" }],
    services: { origin: { endpoints: [origin.address] } },
    filters: {
      edit: module("edit.wasm"),
      reply: module("reply.wasm"),
      trap: module("trap.wasm"),
      "trap-skip": module("trap.wasm", { onError: "skip" }),
      loop: module("loop.wasm", { limits: { cpu: "20ms" } }),
      recursion: module("recursion.wasm"),
      "pause-request": module("pause-request.wasm"),
      "pause-response": module("pause-response.wasm"),
      stamp: module("stamp.wasm"),
      greet: module("greet.ts", { config: { greeting: "by default" } }),
      limit: module("limit.ts"),
    },
    routes: [
      { name: "plain", backends: "origin" },
      route("/edit", "edit"),
      route("/reply", ["edit", "reply"]),
      route("/trap", ["edit", "trap"]),
      route("/trap-skip", ["trap-skip", "edit"]),
      route("/loop", "loop"),
      route("/recursion", "recursion"),
      route("/pause-request", "pause-request", { timeout: "200ms" }),
      route("/pause-response", ["edit", "pause-response"], { timeout: "200ms" }),
      route("/stamp", "stamp"),
      route("/greet", "greet"),
      route("/greet/other", [{ use: "greet", with: { greeting: "other" } }]),
      route("/limit", "limit"),
      { name: "direct", match: { path: "/direct" }, filters: ["edit"], respond: { status: 200, body: "direct" } },
    ],
  }
}

beforeAll(async () => {
  origin = await Origin.start(tell)
  gateway = await Gateway.start({
    config: config(),
    files: {
      "edit.wasm": edit,
      "reply.wasm": reply,
      "trap.wasm": trap,
      "loop.wasm": loop,
      "recursion.wasm": recursion,
      "pause-request.wasm": pauseRequest,
      "pause-response.wasm": pauseResponse,
      "stamp.wasm": stamp("one"),
      "greet.ts": greeter("x-greeting"),
      "limit.ts": limiter,
    },
    startLimit: 60_000,
  })
}, 60_000)

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

const at = (path: string, fields: Record<string, string> = {}): ReturnType<typeof get> => get(gateway.port(), path, fields)

async function seen(path: string): Promise<Record<string, string>> {
  const response = await at(path)
  expect(response.status).toBe(200)
  return JSON.parse(response.text()).fields
}

async function logged(change: () => void, message: string): Promise<LogLine> {
  const from = gateway.log.length
  change()
  return gateway.waitForLog((line) => line.message === message, message, 20_000, from)
}

describe("what a filter does to an exchange", () => {
  test("edits of headers and path reach the other side, both ways", async () => {
    const response = await at("/edit/x", { "x-secret": "s" })
    const { target, fields } = JSON.parse(response.text())
    expect(target).toBe("/edited?by=filter")
    expect(fields["x-edited"]).toBe("request")
    expect(fields["x-secret"]).toBeUndefined()
    expect([response.header("x-edited"), response.header("server")]).toEqual(["response", null])
  })

  test("a reply by a filter never reaches the upstream, and passes the filters before it on its way back", async () => {
    const before = origin.requests.length
    const client = await RawClient.connect(gateway.port())
    client.send("POST /reply HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhelloGET /edit HTTP/1.1\r\nhost: a\r\n\r\n")
    const response = await client.readResponse("POST")
    expect([response.status, response.text(), response.header("x-edited")]).toEqual([403, "not for you", "response"])
    expect((await client.readResponse()).status).toBe(200)
    expect(origin.requests.length - before).toBe(1)
    client.destroy()
    expect(await gateway.accessLine(({ path }) => path === "/reply", "it")).toMatchObject({ status: 403, flagDetails: "denied" })
  })

  test("a route's own answer passes its filters too", async () => {
    const response = await at("/direct")
    expect([response.text(), response.header("x-edited")]).toEqual(["direct", "response"])
  })

  test("bodies pass a filter that doesn't look at them", async () => {
    const body = "b".repeat(300_000)
    const before = origin.requests.length
    const response = await exchange(
      gateway.port(),
      `POST /edit HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      "POST",
    )
    expect(response.status).toBe(200)
    expect(origin.requests[before].body.toString() === body).toBe(true)
  })

  test("one that never goes on with a request is ended by the route's time limit", async () => {
    const before = origin.requests.length
    expect((await at("/pause-request")).status).toBe(504)
    expect(origin.requests.length).toBe(before)
  })

  test("one that never goes on with a response is ended by the route's time limit", async () => {
    const response = await at("/pause-response")
    expect([response.status, response.text()]).toEqual([504, "upstream request timed out\n"])
  })

  test("a client that goes away while a filter has its request leaves nothing behind", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send("GET /pause-request?gone HTTP/1.1\r\nhost: a\r\n\r\n")
    client.reset()
    expect(await gateway.accessLine(({ path }) => path === "/pause-request?gone", "it")).toMatchObject({ flag: "DC" })
  })
})

describe("a filter that fails", () => {
  test("denies with 500 by default, with its flag, and no other route notices", async () => {
    const response = await at("/trap")
    expect([response.status, response.text()]).toEqual([500, "filter failed\n"])
    expect(await gateway.accessLine(({ path }) => path === "/trap", "it")).toMatchObject({ flag: "FT" })
    expect((await at("/edit")).status).toBe(200)
    expect((await readMetrics(gateway.adminPort)).sum("sluice_filter_traps_total", { filter: "trap" })).toBeGreaterThan(0)
  })

  test("with `onError: skip` isn't there for the exchange, and the filters after it are", async () => {
    const response = await at("/trap-skip")
    expect([response.status, response.header("x-edited")]).toEqual([200, "response"])
  })

  test.each([
    ["/loop", "FB"],
    ["/recursion", "FT"],
  ])("%s is stopped within its budget while others are served", async (path, flag) => {
    const started = performance.now()
    const stuck = at(path)
    const others = Promise.all(Array.from({ length: 20 }, () => at("/edit")))
    expect((await stuck).status).toBe(500)
    expect((await others).map(({ status }) => status)).toEqual(Array(20).fill(200))
    // The budget is 20 ms; a busy machine may stretch it, an endless loop would last for ever.
    expect(performance.now() - started).toBeLessThan(5000)
    const line = await gateway.accessLine((each) => each.path === path, "it")
    expect(["FT", flag]).toContain(line.flag)
  })

  test("goes on failing without end, and everything else goes on too", async () => {
    for (let i = 0; i < 20; i++) {
      expect((await at("/trap")).status).toBe(500)
      expect((await at("/edit")).status).toBe(200)
    }
    const filters: { name: string; state: string; traps: object }[] = JSON.parse((await get(gateway.adminPort, "/filters")).text()).filters
    expect(filters.find(({ name }) => name === "edit")).toMatchObject({ state: "running", traps: {} })
    expect(filters.find(({ name }) => name === "trap")?.traps).not.toEqual({})
  })
})

describe("settings of a route", () => {
  test("are laid over the filter's own", async () => {
    expect((await seen("/greet"))["x-greeting"]).toBe("by default")
    expect((await seen("/greet/other"))["x-greeting"]).toBe("other")
  })
})

describe("shared data", () => {
  test("is one for all workers: a limit of 5 is 5", async () => {
    const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(gateway.port())))
    for (const client of clients) client.send("GET /limit HTTP/1.1\r\nhost: a\r\n\r\n")
    const statuses = await Promise.all(clients.map(async (client) => (await client.readResponse()).status))
    for (const client of clients) client.destroy()
    expect(statuses.filter((status) => status === 200)).toHaveLength(5)
    expect(statuses.filter((status) => status === 429)).toHaveLength(35)
  })
})

describe("changing a filter while it serves", () => {
  test("a new .wasm takes over, without a failed request", async () => {
    const client = await RawClient.connect(gateway.port())
    let running = true
    const stamps: string[] = []
    const load = (async () => {
      while (running) {
        client.send("GET /stamp HTTP/1.1\r\nhost: a\r\n\r\n")
        const response = await client.readResponse()
        expect(response.status).toBe(200)
        stamps.push(JSON.parse(response.text()).fields["x-stamp"])
      }
    })()
    await until(() => stamps.length > 0, "the first stamp")
    for (const value of ["two", "three"]) {
      await logged(() => gateway.writeFile("stamp.wasm", stamp(value)), "filter swapped")
      await until(() => stamps.at(-1) === value, `stamp ${value}`)
    }
    running = false
    await load
    // In order, and never back.
    expect([...new Set(stamps)]).toEqual(["one", "two", "three"])
    client.destroy()
  })

  test("a broken .wasm is refused with the reason, the old one serves, and a good one takes over again", async () => {
    const refused = await logged(() => gateway.writeFile("stamp.wasm", "this is no module"), "filter refused; the version in force stays")
    expect(String(refused.reason)).toContain("stamp.wasm")
    expect((await seen("/stamp"))["x-stamp"]).toBe("three")
    const shown = JSON.parse((await get(gateway.adminPort, "/filters")).text()).filters
    expect(shown.find(({ name }: { name: string }) => name === "stamp").lastError.message).toContain("stamp.wasm")
    await logged(() => gateway.writeFile("stamp.wasm", stamp("four")), "filter swapped")
    expect((await seen("/stamp"))["x-stamp"]).toBe("four")
  })

  test("a .ts that doesn't compile is refused with its line, the old one serves, and a good one takes over", async () => {
    const broken = greeter("x-greeting").replace("request.headers.set", "request.heads.set")
    const refused = await logged(() => gateway.writeFile("greet.ts", broken), "filter refused; the version in force stays")
    expect(String(refused.reason)).toMatch(/greet\.ts:11:\d+/)
    expect((await seen("/greet"))["x-greeting"]).toBe("by default")
    const swapped = await logged(() => gateway.writeFile("greet.ts", greeter("x-hello")), "filter swapped")
    expect(swapped.filters).toEqual(["greet"])
    expect((await seen("/greet"))["x-hello"]).toBe("by default")
    expect((await seen("/greet/other"))["x-hello"]).toBe("other")
  })

  test("an exchange that began with the old version ends with it", async () => {
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    origin.script(async (request, connection) => {
      if (request.target === "/edited?by=filter") await held
      await tell(request, connection)
    })
    const before = origin.requests.length
    const slow = at("/edit")
    await origin.received(before + 1)
    // The new version does nothing, on either way.
    await logged(() => gateway.writeFile("edit.wasm", guest({})), "filter swapped")
    expect((await at("/edit")).header("x-edited")).toBeNull()
    release()
    expect((await slow).header("x-edited")).toBe("response")
    origin.script(tell)
  })
})

test("nothing is left behind", async () => {
  await until(async () => {
    const metrics = await readMetrics(gateway.adminPort)
    return metrics.sum("sluice_requests_active") === 0 && metrics.sum("sluice_downstream_connections_active") === 0
  }, "no active exchange")
  expect(origin.problems).toEqual([])
})

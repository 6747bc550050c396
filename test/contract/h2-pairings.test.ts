// HTTP/1.1 and HTTP/2 in every combination: what goes in on one side comes out on the other, and what is cut short never looks whole.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { H2Client } from "../support/h2-client.ts"
import { data } from "../support/h2-frames.ts"
import type { Field } from "../support/h2-hpack.ts"
import { value, values } from "../support/h2-peer.ts"
import { type Answer, ask, EchoServices, type Version } from "../support/pairing.ts"
import { RawClient } from "../support/raw-client.ts"
import { block } from "../support/traffic.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

const MIB = 1024 * 1024

/** Sets a header on requests and one on responses. */
const edit = (() => {
  const script = new Script()
  const set = (map: number, value: string): string =>
    `(drop (call $proxy_replace_header_map_value (i32.const ${map}) ${script.text("x-edited")} ${script.text(value)}))`
  const code = `
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${set(0, "request")} (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) ${set(2, "response")} (i32.const 0))`
  return guest({ imports: ["proxy_replace_header_map_value"], data: script.data, code })
})()

/** Looks at bodies, and holds both back to their end. */
const holdBodies = guest({
  code: `
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.eqz (local.get 2)))
    (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32) (i32.eqz (local.get 2)))`,
})

/** Pauses every request until the next tick but one. */
const pause = guest({
  imports: ["proxy_set_tick_period_milliseconds", "proxy_set_effective_context", "proxy_continue_stream"],
  code: `
    (global $from (mut i32) (i32.const 0))
    (global $to (mut i32) (i32.const 0))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_set_tick_period_milliseconds (i32.const 20))) (i32.const 1))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (i32.store (i32.add (i32.const 32768) (i32.shl (i32.and (global.get $to) (i32.const 1023)) (i32.const 2))) (local.get 0))
      (global.set $to (i32.add (global.get $to) (i32.const 1)))
      (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
      (loop $next
        (if (i32.lt_u (global.get $from) (global.get $to)) (then
          (if (i32.eqz (call $proxy_set_effective_context
            (i32.load (i32.add (i32.const 32768) (i32.shl (i32.and (global.get $from) (i32.const 1023)) (i32.const 2)))))) (then
              (drop (call $proxy_continue_stream (i32.const 0)))))
          (global.set $from (i32.add (global.get $from) (i32.const 1)))
          (br $next)))))`,
})

let services: EchoServices
let gateway: Gateway

beforeAll(async () => {
  services = await EchoServices.start()
  const filters = ["edit", "hold", "pause"]
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { h1: { endpoints: [services.h1.address] }, h2: { endpoints: [services.h2.address], protocol: "h2" } },
      filters: Object.fromEntries(filters.map((name) => [name, { module: `./${name}.wasm` }])),
      routes: ["h1", "h2"].flatMap((service) => [
        { match: { path: `/${service}` }, backends: service },
        ...filters.map((name) => ({ match: { path: `/${service}/${name}` }, filters: [name], backends: service })),
      ]),
    },
    files: { "edit.wasm": edit, "hold.wasm": holdBodies, "pause.wasm": pause },
  })
}, 60_000)

afterAll(async () => {
  await gateway?.kill()
  await services?.stop()
})

const pairings: readonly (readonly [Version, "h1" | "h2"])[] = [
  ["1.1", "h1"],
  ["1.1", "h2"],
  ["2", "h1"],
  ["2", "h2"],
]

let number = 0
/** A target nobody has asked for. */
const target = (service: string, query = ""): string => `/${service}/${++number}${query === "" ? "" : `?${query}`}`

const pattern = block("pairings")
const body = (octets: number): Buffer => Buffer.alloc(octets, pattern)

describe.each(pairings)("HTTP/%s to %s", (version, service) => {
  test.each([0, 1, 65_536, 5 * MIB])("a body of %i octets, both ways, with and without its length", async (octets) => {
    for (const length of [true, false]) {
      const path = target(service, length ? "length" : "")
      const sent = body(octets)
      const answer = await ask(version, gateway.port(), { path, body: sent, length })
      expect(answer.status).toBe(200)
      expect(answer.body.length).toBe(octets)
      expect(answer.body.equals(sent)).toBe(true)
      expect(value(answer.fields, "content-length")).toBe(
        length || (version === "1.1" && octets === 0 && value(answer.fields, "content-length") !== null) ? String(octets) : null,
      )
      expect(services.one(path).body.equals(sent)).toBe(true)
    }
    expect(services.problems).toEqual([])
  })

  test("trailers, both ways", async () => {
    for (const octets of [0, 10, 200_000]) {
      const path = target(service, "trailers")
      const trailers: Field[] = [
        ["x-first", "1"],
        ["x-second", "\xe4"],
      ]
      const answer = await ask(version, gateway.port(), { path, body: body(octets), length: false, trailers, fields: [["te", "trailers"]] })
      expect(answer.body.length).toBe(octets)
      expect(answer.trailers).toEqual([
        ["x-sum", "42"],
        ["x-after", "all"],
      ])
      const seen = services.one(path)
      expect(seen.trailers).toEqual(trailers)
      expect(values(seen.fields, "te")).toEqual(["trailers"])
    }
  })

  test("a response to HEAD has no body, and says how long it would be", async () => {
    const answer = await ask(version, gateway.port(), { method: "HEAD", path: target(service, "length") })
    expect([answer.status, value(answer.fields, "content-length"), answer.body.length]).toEqual([200, "1234", 0])
  })

  test.each([204, 304, 404])("a response without a body: %i", async (status) => {
    if (status === 404 && service === "h1") return
    const answer = await ask(version, gateway.port(), { path: target(service, `status=${status}`) })
    expect([answer.status, answer.body.length, value(answer.fields, "x-service")]).toEqual([status, 0, service])
  })

  test("103 comes before the response", async () => {
    const answer = await ask(version, gateway.port(), { path: target(service, "early"), body: body(100) })
    expect([answer.interim, answer.status, answer.body.length]).toEqual([[103], 200, 100])
  })

  test("what is forwarded: fields in order, cookies, obs-text; what is added", async () => {
    const path = target(service)
    const fields: Field[] = [
      ["x-one", "1"],
      ["cookie", "a=1; b=2"],
      ["x-two", "z\xe4\xff"],
      ["x-one", "3"],
      ["accept", "*/*"],
    ]
    const answer = await ask(version, gateway.port(), { path, fields })
    expect(answer.status).toBe(200)
    const seen = services.one(path)
    expect(seen.authority).toBe("a")
    const names = new Set(fields.map(([name]) => name))
    // Crumbs may have become one cookie, in a place of its own.
    const ordered = (of: readonly Field[]): Field[] => of.filter(([name]) => names.has(name) && name !== "cookie")
    expect(ordered(seen.fields)).toEqual(ordered(fields))
    expect(values(seen.fields, "cookie")).toEqual(["a=1; b=2"])
    expect(value(seen.fields, "x-forwarded-for")).toBe("127.0.0.1")
    expect(value(seen.fields, "x-forwarded-proto")).toBe("http")
    expect(value(seen.fields, "x-forwarded-host")).toBe("a")
    expect(value(seen.fields, "x-request-id")).toMatch(/^[\w-]{16,}$/)
    expect(value(seen.fields, "traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    if (service === "h2") {
      const arrival = services.h2.arrivals.find((each) => each.target === path)
      expect(arrival?.header(":scheme")).toBe("http")
      expect(arrival?.headers("host")).toEqual([])
      for (const name of ["connection", "transfer-encoding", "keep-alive", "upgrade"]) expect(arrival?.headers(name)).toEqual([])
    }
    expect(services.problems).toEqual([])
  })

  test("expect: 100-continue", async () => {
    const path = target(service, "length")
    const fields: Field[] = [
      ["expect", "100-continue"],
      ["content-length", "5"],
    ]
    if (version === "2") {
      const client = await H2Client.connect(gateway.port())
      const id = client.request({ method: "POST", path, fields, end: false })
      client.send(data(id, "hello", { end: true }))
      expect((await client.response(id)).text()).toBe("hello")
      client.destroy()
    } else {
      const client = await RawClient.connect(gateway.port())
      client.send(`POST ${path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n`)
      client.send("hello")
      expect((await client.readResponse("POST")).text()).toBe("hello")
      client.destroy()
    }
  })

  test("a filter that edits headers", async () => {
    const path = target(`${service}/edit`)
    const answer = await ask(version, gateway.port(), { path, body: body(1000) })
    expect([answer.body.length, value(answer.fields, "x-edited")]).toEqual([1000, "response"])
    expect(value(services.one(path).fields, "x-edited")).toBe("request")
  })

  test("a filter that holds bodies back to their end", async () => {
    for (const octets of [0, 1, 300_000]) {
      const path = target(`${service}/hold`)
      const sent = body(octets)
      const answer = await ask(version, gateway.port(), { path, body: sent, length: false })
      expect(answer.body.equals(sent)).toBe(true)
      expect(services.one(path).body.equals(sent)).toBe(true)
    }
  })

  test("a filter that pauses, with a body that doesn't wait", async () => {
    const answers = await Promise.all(
      [0, 1, 200_000, MIB].map((octets) => ask(version, gateway.port(), { path: target(`${service}/pause`), body: body(octets) })),
    )
    expect(answers.map((answer: Answer) => answer.body.length)).toEqual([0, 1, 200_000, MIB])
  })
})

describe("streams of one connection", () => {
  test.each(["h1", "h2"])("100 at once get their own answers (to %s)", async (service) => {
    const client = await H2Client.connect(gateway.port())
    const ids = Array.from({ length: 100 }, (_, i) => client.request({ path: target(service), body: body(100 + i * 37) }))
    for (const [i, id] of ids.entries()) expect((await client.response(id)).body.equals(body(100 + i * 37))).toBe(true)
    expect(client.problems).toEqual([])
    client.destroy()
  })

  test("100 of one client need few connections to a service of HTTP/2", async () => {
    const client = await H2Client.connect(gateway.port())
    await client.ask({ path: target("h2") })
    const from = services.h2.peers.length
    const ids = Array.from({ length: 100 }, () => client.request({ path: target("h2"), body: "x" }))
    for (const id of ids) await client.response(id)
    expect(services.h2.peers.length - from).toBeLessThanOrEqual(2)
    client.destroy()
  })

  test.each(["h1", "h2"])("one that is not read blocks no other (to %s)", async (service) => {
    const client = await H2Client.connect(gateway.port(), { settings: [[4, 1000]], updateWindows: false })
    const slow = client.request({ path: target(service), body: body(300_000) })
    await client.until(() => client.stream(slow).length === 1000, "the window's 1000 octets")
    for (let i = 0; i < 20; i++) expect((await client.ask({ path: target(service), body: body(500) })).body.length).toBe(500)
    expect(client.stream(slow).ended).toBe(false)
    client.destroy()
  })

  test.each(["h1", "h2"])("the crumbs of a cookie are one for HTTP/1.1, and mean the same for HTTP/2 (to %s)", async (service) => {
    const path = target(service)
    const client = await H2Client.connect(gateway.port())
    await client.ask({
      path,
      fields: [
        ["cookie", "a=1"],
        ["cookie", "b=2"],
        ["cookie", "c=3"],
      ],
    })
    const cookies = values(services.one(path).fields, "cookie")
    expect(cookies.join("; ")).toBe("a=1; b=2; c=3")
    if (service === "h1") expect(cookies.length).toBe(1)
    client.destroy()
  })
})

describe("random bodies in random pieces", () => {
  const seed = Number(process.env.SLUICE_SEED ?? 20_261_128)
  test(`seed ${seed}`, async () => {
    let state = seed >>> 0
    const random = (below: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * below)
    }
    /** Sends a body in pieces of any size, some empty, some padded, with pauses of a turn. */
    const send = async (client: H2Client, id: number, octets: number): Promise<void> => {
      const bytes = body(octets)
      let at = 0
      for (;;) {
        const pad = random(4) === 0 ? random(256) : undefined
        const extra = pad === undefined ? 0 : pad + 1
        const stream = client.stream(id)
        await client.until(() => stream.sendWindow > extra && client.sendWindow > extra, "window", 20_000)
        const most = Math.min(16_384, stream.sendWindow, client.sendWindow) - extra
        const length = Math.min(octets - at, random(10) === 0 ? 0 : 1 + random(random(2) === 0 ? most : Math.min(most, 50)))
        const last = at + length === octets && random(2) === 0
        client.take(length + extra, id)
        client.send(data(id, bytes.subarray(at, at + length), { pad, end: last }))
        at += length
        if (last) return
        if (random(3) === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
    for (let round = 0; round < 6; round++) {
      const client = await H2Client.connect(gateway.port())
      await client.until(() => client.settings.size > 0, "SETTINGS")
      const exchanges = Array.from({ length: 8 }, async () => {
        const octets = random(3) === 0 ? random(20) : random(60_000)
        const service = random(2) === 0 ? "h1" : "h2"
        const id = client.request({ method: "POST", path: target(service, random(2) === 0 ? "length" : "trailers"), end: false })
        await send(client, id, octets)
        const response = await client.response(id, 20_000)
        expect(response.body.equals(body(octets))).toBe(true)
      })
      await Promise.all(exchanges)
      expect(client.problems).toEqual([])
      client.destroy()
    }
    expect(services.problems).toEqual([])
  })
})

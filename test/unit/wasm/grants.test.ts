import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { Fields } from "../../../gateway/http/fields.ts"
import { narrowed } from "../../../gateway/wasm/grants.ts"
import type { Grants } from "../../../gateway/wasm/proxy-wasm/host.ts"
import { trialConfigure } from "../../../gateway/wasm/trial.ts"
import { Direct, OUT, OUT2, OUT3 } from "./support/direct.ts"
import { FakeClock, FakeStream, specOf, TestHost, UNITS_PER_MS } from "./support/host.ts"
import { guest, hostCallNames, Script } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INTERNAL_FAILURE = 10
const REQUEST = 0
const REQUEST_TRAILERS = 1
const RESPONSE = 2

const everything: Grants = { services: null, readHeaders: null, writeHeaders: null, shared: null, hostCalls: null }
const nothing: Grants = { services: [], readHeaders: [], writeHeaders: [], shared: [], hostCalls: null }

function granted(grants: Partial<Grants>, base: Grants = nothing): Direct {
  return new Direct({ spec: { grants: { ...base, ...grants } } })
}

function pairs(direct: Direct, map: number): string[] {
  expect(direct.call("proxy_get_header_map_pairs", map, OUT, OUT2)).toBe(OK)
  const bytes = Buffer.from(direct.result(), "latin1")
  if (bytes.length === 0) return []
  const count = bytes.readUInt32LE(0)
  const out: string[] = []
  let at = 4 + count * 8
  for (let i = 0; i < count * 2; i++) {
    const length = bytes.readUInt32LE(4 + i * 4)
    out.push(bytes.toString("latin1", at, at + length))
    at += length + 1
  }
  return out
}

function encode(...flat: string[]): Uint8Array {
  const head = Buffer.alloc(4 + flat.length * 4)
  head.writeUInt32LE(flat.length / 2, 0)
  for (const [i, text] of flat.entries()) head.writeUInt32LE(text.length, 4 + i * 4)
  return Buffer.concat([head, ...flat.map((text) => Buffer.from(`${text}\0`, "latin1"))])
}

const set = (direct: Direct, name: string, value: string, map = REQUEST): number =>
  direct.call("proxy_replace_header_map_value", map, ...direct.put(name), ...direct.put(value))

describe("headers", () => {
  test("that it may not read are not there", () => {
    const direct = granted({ readHeaders: ["x-one", ":path"] })
    expect(direct.get(REQUEST, "X-One")).toBe("1")
    expect(direct.get(REQUEST, ":path")).toBe("/a/b?x=1")
    expect(direct.get(REQUEST, "user-agent")).toBe(NOT_FOUND)
    expect(direct.get(REQUEST, ":method")).toBe(NOT_FOUND)
    expect(pairs(direct, REQUEST)).toEqual([":path", "/a/b?x=1", "x-one", "1"])
    expect(direct.call("proxy_get_header_map_size", REQUEST, OUT3)).toBe(OK)
    expect(direct.word(OUT3)).toBe(":path/a/b?x=1x-one1".length)
  })

  test("that it may not read are empty for 0.1.0", () => {
    const direct = new Direct({ abi: "0_1_0", spec: { grants: nothing } })
    expect(direct.get(REQUEST, "user-agent")).toBe("")
  })

  test("the authority has two names and one permission", () => {
    expect(granted({ readHeaders: ["host"] }).get(REQUEST, ":authority")).toBe("shop.example:8080")
    expect(granted({ readHeaders: [":authority"] }).get(REQUEST, "host")).toBe("shop.example:8080")
  })

  test("that it may not write stay as they are", () => {
    const direct = granted({ writeHeaders: ["x-mine"] })
    const { fields } = direct.stream.request
    expect(set(direct, "X-Mine", "yes")).toBe(OK)
    expect(direct.call("proxy_add_header_map_value", REQUEST, ...direct.put("x-mine"), ...direct.put("again"))).toBe(OK)
    expect(fields.getCombined("x-mine", ",")).toBe("yes,again")
    expect(set(direct, "x-one", "2")).toBe(BAD_ARGUMENT)
    expect(set(direct, ":path", "/admin")).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_add_header_map_value", REQUEST, ...direct.put("X-ONE"), ...direct.put("2"))).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_remove_header_map_value", REQUEST, ...direct.put("x-one"))).toBe(BAD_ARGUMENT)
    expect(fields.get("x-one")).toBe("1")
    expect(direct.stream.request.path).toBe("/a/b")
    expect(direct.call("proxy_remove_header_map_value", REQUEST, ...direct.put("x-mine"))).toBe(OK)
  })

  test("content-length is a body callback's own to take away, and nobody else's", () => {
    for (const [bodies, map] of [
      ["proxy_on_request_body", REQUEST],
      ["proxy_on_response_body", RESPONSE],
      ["", REQUEST],
      ["", RESPONSE],
      ["proxy_on_request_body", RESPONSE],
    ] as const) {
      const script = new Script()
      const from = map === REQUEST ? "proxy_on_request_headers" : "proxy_on_response_headers"
      const code = `
        ${bodies === "" ? "" : `(func (export "${bodies}") (param i32 i32 i32) (result i32) (i32.const 0))`}
        (func (export "${from}") (param i32 i32 i32) (result i32)
          (drop (call $proxy_remove_header_map_value (i32.const ${map}) ${script.text("content-length")}))
          (drop (call $proxy_remove_header_map_value (i32.const ${map}) ${script.text("x-one")}))
          (i32.const 0))`
      const host = new TestHost()
      const plugin = host.plugin(guest({ imports: ["proxy_remove_header_map_value"], data: script.data, code }), { grants: nothing })
      const stream = new FakeStream()
      stream.request.fields.set("content-length", "5")
      const filter = plugin.open(stream)
      filter?.onRequestHeaders(false)
      stream.respond()
      stream.response?.fields.set("content-length", "5")
      filter?.onResponseHeaders(false)
      const own = bodies !== "" && bodies.includes("request") === (map === REQUEST)
      const head = map === REQUEST ? stream.request : stream.response
      expect(head?.fields.has("content-length"), `${bodies} ${map}`).toBe(!own)
      const told = host.logs.map(({ message }) => message).filter((message) => message.includes("wrote header"))
      expect(told.map((message) => message.includes("content-length"))).toEqual(own ? [false] : [true, false])
    }
  })

  test("of responses and of trailers too", () => {
    const direct = new Direct({ response: true, spec: { grants: { ...nothing, readHeaders: ["a"], writeHeaders: ["a"] } } })
    expect(direct.get(RESPONSE, "server")).toBe(NOT_FOUND)
    expect(set(direct, "server", "x", RESPONSE)).toBe(BAD_ARGUMENT)
    expect(set(direct, "a", "x", RESPONSE)).toBe(OK)
    expect(pairs(direct, RESPONSE)).toEqual(["a", "x"])
    const trailers = new Fields()
    trailers.add("a", "1")
    trailers.add("b", "2")
    direct.stream.requestTrailers = trailers
    direct.context.shownRequest.trailersWritable = true
    expect(pairs(direct, REQUEST_TRAILERS)).toEqual(["a", "1"])
    expect(direct.get(REQUEST_TRAILERS, "b")).toBe(NOT_FOUND)
    expect(set(direct, "b", "3", REQUEST_TRAILERS)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_remove_header_map_value", REQUEST_TRAILERS, ...direct.put("b"))).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_header_map_pairs", REQUEST_TRAILERS, ...direct.put(encode("a", "9")))).toBe(OK)
    expect(trailers.entries()).toEqual(["b", "2", "a", "9"])
  })

  test("replaced all at once: those it may not write are kept, seen or not", () => {
    const direct = granted({ readHeaders: ["x-one", ":path"], writeHeaders: ["x-one", "x-new"] })
    const before = direct.stream.request.fields.entries()
    const put = (...flat: string[]): number => direct.call("proxy_set_header_map_pairs", REQUEST, ...direct.put(encode(...flat)))
    expect(put("x-one", "changed", "x-new", "1")).toBe(OK)
    const after = [...before.filter((_, i) => before[i - (i % 2)] !== "x-one"), "x-one", "changed", "x-new", "1"]
    expect(direct.stream.request.fields.entries()).toEqual(after)
    expect(direct.stream.request.path).toBe("/a/b")
    // As it is: no harm.
    expect(put("user-agent", "test/1", ":path", "/a/b?x=1")).toBe(OK)
    expect(direct.stream.request.fields.get("x-one")).toBeUndefined()
    expect(put("user-agent", "other")).toBe(BAD_ARGUMENT)
    expect(put(":path", "/admin")).toBe(BAD_ARGUMENT)
    expect(put("authorization", "me")).toBe(BAD_ARGUMENT)
    expect(direct.stream.request.fields.get("user-agent")).toBe("test/1")
  })

  test("of a local reply that it may not write are left out of it", () => {
    const direct = granted({ writeHeaders: ["x-reason"] })
    const headers = encode("Content-Type", "text/html", "x-reason", "no", "Set-Cookie", "a=1")
    const status = direct.call("proxy_send_local_response", 403, 0, 0, ...direct.put("no"), ...direct.put(headers), -1)
    expect(status).toBe(OK)
    expect(direct.context.reply?.headers).toEqual(["content-type", "text/html", "x-reason", "no"])
  })
})

describe("services", () => {
  test("that it may not call don't exist for it", () => {
    const direct = granted({ services: ["auth"] })
    const head = encode(":method", "GET", ":path", "/", ":authority", "a")
    const call = (name: string): number => direct.call("proxy_http_call", ...direct.put(name), ...direct.put(head), 0, 0, 0, 0, 100, OUT)
    expect(call("auth")).toBe(OK)
    expect(call("api")).toBe(BAD_ARGUMENT)
    expect(direct.host.services.calls.map(({ callout }) => callout.service)).toEqual(["auth"])
    const choose = (name: string): number =>
      direct.call("proxy_call_foreign_function", ...direct.put("sluice_set_service"), ...direct.put(name), OUT, OUT2)
    expect(choose("auth")).toBe(OK)
    expect(choose("api")).toBe(BAD_ARGUMENT)
    expect(direct.stream.events).toEqual(["service auth"])
  })
})

describe("shared keys and queues", () => {
  test("outside its prefixes are out of reach", () => {
    const direct = granted({ shared: ["mine/", "é"] })
    const write = (key: string): number => direct.call("proxy_set_shared_data", ...direct.put(key), ...direct.put("v"), 0)
    const read = (key: string): number => direct.call("proxy_get_shared_data", ...direct.put(key), OUT, OUT2, OUT3)
    expect(write("mine/a")).toBe(OK)
    expect(read("mine/a")).toBe(OK)
    expect(write(Buffer.from("é1").toString("latin1"))).toBe(OK)
    expect(write("mine")).toBe(BAD_ARGUMENT)
    expect(write("other")).toBe(BAD_ARGUMENT)
    direct.host.data.set(direct.vm.namespace, "other", new Uint8Array([1]), 0)
    expect(read("other")).toBe(NOT_FOUND)
  })

  test("a queue's id is worth nothing without its name", () => {
    const direct = granted({ shared: ["mine/"] })
    const other = direct.host.environment.queues.register("x", "theirs", () => undefined)?.id ?? 0
    expect(other).not.toBe(0)
    expect(direct.call("proxy_register_shared_queue", ...direct.put("theirs"), OUT)).toBe(INTERNAL_FAILURE)
    expect(direct.call("proxy_resolve_shared_queue", ...direct.put("x"), ...direct.put("theirs"), OUT)).toBe(NOT_FOUND)
    expect(direct.call("proxy_enqueue_shared_queue", other, ...direct.put("v"))).toBe(NOT_FOUND)
    expect(direct.call("proxy_dequeue_shared_queue", other, OUT, OUT2)).toBe(NOT_FOUND)
    expect(direct.call("proxy_register_shared_queue", ...direct.put("mine/q"), OUT)).toBe(OK)
    const mine = direct.word(OUT)
    expect(direct.call("proxy_enqueue_shared_queue", mine, ...direct.put("v"))).toBe(OK)
    expect(direct.call("proxy_resolve_shared_queue", ...direct.put("x"), ...direct.put("mine/r"), OUT)).toBe(OK)
    expect(direct.call("proxy_dequeue_shared_queue", direct.word(OUT), OUT, OUT2)).toBe(7)
  })
})

describe("host calls", () => {
  test("that it may not make answer a status, whatever they are given, and do nothing", () => {
    const direct = granted({ hostCalls: [] }, everything)
    const statuses = new Set<number>()
    for (const name of hostCallNames) {
      if (name === "proxy_get_header_map_pairs") continue
      const status = direct.call(name, REQUEST, ...direct.put("x-one"), ...direct.put("2"), 0, 0, 0, 0, 0, 0)
      expect(status, name).toBe(name === "proxy_log" ? OK : status)
      expect(name === "proxy_log" || status !== OK, name).toBe(true)
      statuses.add(status)
    }
    expect([...statuses].sort((a, b) => a - b)).toEqual([OK, NOT_FOUND, BAD_ARGUMENT, INTERNAL_FAILURE])
    expect(pairs(direct, REQUEST)).toEqual([])
    expect(direct.call("proxy_get_header_map_pairs", REQUEST, -1, OUT)).toBe(6)
    expect(direct.stream.request.fields.get("x-one")).toBe("1")
    expect(direct.stream.events).toEqual([])
    expect(direct.host.messages().filter((line) => !line.includes("permissions.hostCalls"))).toEqual([])
  })

  test("that it may make are the whole of them", () => {
    const direct = granted({ hostCalls: ["proxy_get_header_map_value"] }, everything)
    expect(direct.get(REQUEST, "x-one")).toBe("1")
    expect(set(direct, "x-one", "2")).toBe(BAD_ARGUMENT)
  })
})

describe("a refusal", () => {
  test("is counted each time and logged once, with what its author needs", () => {
    const direct = granted({ writeHeaders: ["x-a", "x-b"] })
    for (let i = 0; i < 5; i++) set(direct, "x-one", "2")
    expect(direct.host.messages()).toEqual([
      'filter probe wrote header "x-one"; its filter.json (or permissions in the configuration) grants x-a, x-b in permissions.headers.write',
    ])
    expect(direct.host.logs[0].level).toBe("warn")
    expect(direct.host.metricsOf("probe").refusals).toBe(5)
  })

  test("of ever new names fills no log", () => {
    const direct = granted({})
    for (let i = 0; i < 500; i++) {
      const [at] = [1024]
      direct.vm.memory.bytes.write(`x-${String(i).padStart(4, "0")}`, at, "latin1")
      direct.call("proxy_replace_header_map_value", REQUEST, at, 6, at, 6)
    }
    expect(direct.host.logs.length).toBe(32)
    expect(direct.host.metricsOf("probe").refusals).toBe(500)
  })

  test("in configure is in the reason a filter is refused for", () => {
    const script = new Script()
    const bytes = guest({
      imports: ["proxy_get_shared_data"],
      data: script.data,
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
        (i32.eqz (call $proxy_get_shared_data ${script.text("key")} (i32.const 0) (i32.const 4) (i32.const 8))))`,
    })
    const spec = specOf(bytes, { grants: nothing })
    const result = trialConfigure(spec, { unitsPerMs: UNITS_PER_MS, clock: new FakeClock() })
    expect(result).toEqual({
      ok: false,
      reason:
        'configure refused: filter probe used shared key "key"; its filter.json (or permissions in the configuration) grants none in permissions.shared',
    })
  })
})

describe("grants", () => {
  test("of two sources are what both allow", () => {
    expect(narrowed(null, null)).toBeNull()
    expect(narrowed(nothing, null)).toBe(nothing)
    expect(narrowed(null, nothing)).toBe(nothing)
    expect(
      narrowed(
        { ...everything, services: ["a", "b"], shared: ["a/", "b/c/", "d"] },
        { ...nothing, services: ["b", "c"], shared: ["a/x", "b/", "e"], hostCalls: ["proxy_log"] },
      ),
    ).toEqual({
      services: ["b"],
      readHeaders: [],
      writeHeaders: [],
      shared: ["b/c/", "a/x"],
      hostCalls: ["proxy_log"],
    })
  })

  test("that differ don't share an instance", () => {
    const host = new TestHost()
    const bytes = guest({})
    const a = host.plugin(bytes, { name: "a", grants: nothing, vmKey: "same" })
    const b = host.plugin(bytes, { name: "b", grants: null, vmKey: "same" })
    const c = host.plugin(bytes, { name: "c", grants: { ...nothing }, vmKey: "same" })
    expect(a.root?.vm).not.toBe(b.root?.vm)
    expect(a.root?.vm).toBe(c.root?.vm)
    expect(b.root?.vm.grants).toBeNull()
    expect(a.open(new FakeStream())).not.toBeNull()
  })
})

import { describe, expect, test } from "vitest"
import { OCTETS_PER_MICROSECOND } from "../../../gateway/wasm/proxy-wasm/results.ts"
import { Direct, OUT, OUT2 } from "./support/direct.ts"
import { encoded, pairsOf, remove, write } from "./support/header-calls.ts"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
const REQUEST = 0
const RESPONSE = 2

describe("reading headers", () => {
  test("a value by any spelling of its name", () => {
    const direct = new Direct()
    expect(direct.get(REQUEST, "x-one")).toBe("1")
    expect(direct.get(REQUEST, "X-ONE")).toBe("1")
  })

  test("a missing header is NOT_FOUND, in 0.1.0 empty", () => {
    expect(new Direct().get(REQUEST, "x-none")).toBe(NOT_FOUND)
    const old = new Direct({ abi: "0_1_0" })
    expect(old.get(REQUEST, "x-none")).toBe("")
    expect(old.word(OUT)).toBe(0)
  })

  test("repeats are joined, but for set-cookie", () => {
    const direct = new Direct({ response: true })
    expect(direct.get(REQUEST, "x-many")).toBe("a, b")
    expect(direct.get(RESPONSE, "set-cookie")).toBe("a=1")
    direct.stream.request.fields.add("cookie", "a=1")
    direct.stream.request.fields.add("cookie", "b=2")
    expect(direct.get(REQUEST, "cookie")).toBe("a=1; b=2")
  })

  test("octets above ASCII pass unchanged", () => {
    const direct = new Direct()
    expect(direct.get(REQUEST, "x-octets")).toBe("\xff\x80")
    const long = "\xe9\x80".repeat(50)
    direct.stream.request.fields.set("x-octets", long)
    expect(direct.get(REQUEST, "x-octets")).toBe(long)
  })

  test("pseudo-headers of a request", () => {
    const direct = new Direct()
    expect(direct.get(REQUEST, ":method")).toBe("GET")
    expect(direct.get(REQUEST, ":path")).toBe("/a/b?x=1")
    expect(direct.get(REQUEST, ":authority")).toBe("shop.example:8080")
    expect(direct.get(REQUEST, "Host")).toBe("shop.example:8080")
    expect(direct.get(REQUEST, ":scheme")).toBe("http")
    expect(direct.get(REQUEST, ":status")).toBe(NOT_FOUND)
  })

  test("the status of a response", () => {
    const direct = new Direct({ response: true })
    expect(direct.get(RESPONSE, ":status")).toBe("200")
    expect(direct.get(RESPONSE, ":path")).toBe(NOT_FOUND)
    expect(direct.get(RESPONSE, "content-length")).toBe("5")
  })

  test("all pairs, pseudo-headers first", () => {
    const direct = new Direct({ response: true })
    expect(pairsOf(direct, REQUEST)).toEqual([
      ...[":method", "GET", ":path", "/a/b?x=1", ":authority", "shop.example:8080", ":scheme", "http"],
      ...["user-agent", "test/1", "x-one", "1", "x-many", "a", "x-many", "b", "x-octets", "\xff\x80"],
    ])
    expect(pairsOf(direct, RESPONSE)?.slice(0, 4)).toEqual([":status", "200", "content-length", "5"])
  })

  test("the size of a map is that of its names and values", () => {
    const direct = new Direct({ response: true })
    expect(direct.call("proxy_get_header_map_size", RESPONSE, OUT)).toBe(OK)
    expect(direct.word(OUT)).toBe(":status200content-length5serverupstreamset-cookiea=1set-cookieb=2".length)
  })

  test("a map whose phase has not come has no pairs and no values", () => {
    const direct = new Direct()
    for (const map of [1, RESPONSE, 3, 4, 5, 6, 7]) {
      expect(pairsOf(direct, map)).toEqual([])
      expect(direct.get(map, ":status")).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(BAD_ARGUMENT)
    }
  })

  test("a map that does not exist is BAD_ARGUMENT", () => {
    const direct = new Direct()
    for (const map of [8, -1, 0x7fffffff]) {
      expect(direct.get(map, "x-one")).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_get_header_map_pairs", map, OUT, OUT2)).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(BAD_ARGUMENT)
      expect(write(direct, "add", map, "a", "b")).toBe(BAD_ARGUMENT)
      expect(write(direct, "replace", map, "a", "b")).toBe(BAD_ARGUMENT)
      expect(remove(direct, map, "a")).toBe(BAD_ARGUMENT)
    }
  })

  test("an empty value returns nothing and asks for no memory", () => {
    const direct = new Direct()
    direct.stream.request.fields.add("x-empty", "")
    // The test guest's allocator traps when asked for 0 octets.
    expect(direct.get(REQUEST, "x-empty")).toBe("")
    expect(direct.word(OUT)).toBe(0)
  })

  test("names that share a slot of the cache are told apart", () => {
    const direct = new Direct()
    for (let i = 0; i < 2000; i++) {
      const name = `x-${i}`
      direct.stream.request.fields.reset()
      direct.stream.request.fields.add(name, String(i))
      direct.vm.memory.bytes.write(name, 512, "latin1")
      expect(direct.call("proxy_get_header_map_value", REQUEST, 512, name.length, OUT, OUT2)).toBe(OK)
      expect(direct.result()).toBe(String(i))
    }
  })
})

describe("writing headers", () => {
  test("replace sets, adding what is absent", () => {
    const direct = new Direct()
    expect(write(direct, "replace", REQUEST, "X-Many", "c")).toBe(OK)
    expect(write(direct, "replace", REQUEST, "x-new", "n")).toBe(OK)
    expect(direct.stream.request.fields.getAll("x-many")).toEqual(["c"])
    expect(direct.stream.request.fields.get("x-new")).toBe("n")
  })

  test("add appends a field of its own", () => {
    const direct = new Direct()
    expect(write(direct, "add", REQUEST, "X-One", "2")).toBe(OK)
    expect(direct.stream.request.fields.getAll("x-one")).toEqual(["1", "2"])
  })

  test("remove takes all of a name, and is OK when there is none", () => {
    const direct = new Direct()
    expect(remove(direct, REQUEST, "X-Many")).toBe(OK)
    expect(remove(direct, REQUEST, "x-none")).toBe(OK)
    expect(direct.stream.request.fields.getAll("x-many")).toEqual([])
  })

  test("values are octets, as long as they like", () => {
    const direct = new Direct()
    for (const value of ["", "\xff", "\xe9".repeat(31), "\x80".repeat(32), "\xfe".repeat(33), "\xfd".repeat(500)]) {
      expect(write(direct, "replace", REQUEST, "x-new", value)).toBe(OK)
      expect(direct.stream.request.fields.get("x-new")).toBe(value)
    }
  })

  test.each(["a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f", " a", "a ", "a\x01"])(
    "a value that would split a message is refused: %j",
    (value) => {
      const direct = new Direct()
      const before = direct.stream.request.fields.entries()
      expect(write(direct, "replace", REQUEST, "x-one", value)).toBe(BAD_ARGUMENT)
      expect(write(direct, "add", REQUEST, "x-one", value)).toBe(BAD_ARGUMENT)
      expect(direct.stream.request.fields.entries()).toEqual(before)
    },
  )

  test.each(["", "a b", "a:", "a\r\nb", ":other", "x\xff", "x".repeat(257)])("a name that is none is refused: %j", (name) => {
    const direct = new Direct()
    expect(write(direct, "replace", REQUEST, name, "v")).toBe(BAD_ARGUMENT)
    expect(write(direct, "add", REQUEST, name, "v")).toBe(BAD_ARGUMENT)
  })

  test.each(["host", "Connection", "keep-alive", "proxy-connection", "te", "Transfer-Encoding", "upgrade", "expect", "http2-settings"])(
    "%s belongs to the codecs",
    (name) => {
      const direct = new Direct({ response: true })
      for (const map of [RESPONSE]) {
        expect(write(direct, "replace", map, name, "x")).toBe(BAD_ARGUMENT)
        expect(write(direct, "add", map, name, "x")).toBe(BAD_ARGUMENT)
      }
      const request = new Direct()
      expect(write(request, "replace", REQUEST, name, "x")).toBe(BAD_ARGUMENT)
      expect(write(request, "add", REQUEST, name, "x")).toBe(BAD_ARGUMENT)
      expect(request.stream.request.fields.has(name.toLowerCase())).toBe(false)
    },
  )

  test("content-length may be removed or repeated as it is, not changed", () => {
    const direct = new Direct({ response: true })
    expect(write(direct, "replace", RESPONSE, "content-length", "6")).toBe(BAD_ARGUMENT)
    expect(write(direct, "add", RESPONSE, "content-length", "5")).toBe(BAD_ARGUMENT)
    expect(write(direct, "replace", RESPONSE, "content-length", "5")).toBe(OK)
    expect(remove(direct, RESPONSE, "Content-Length")).toBe(OK)
    expect(direct.stream.response?.fields.has("content-length")).toBe(false)
  })

  test("a path takes effect in its normal form", () => {
    const direct = new Direct()
    expect(write(direct, "replace", REQUEST, ":path", "/x/../y//z?q=1?2")).toBe(OK)
    const { request } = direct.stream
    expect([request.path, request.query, request.target]).toEqual(["/y/z", "q=1?2", "/y/z?q=1?2"])
    expect(write(direct, "replace", REQUEST, ":path", "/plain")).toBe(OK)
    expect([request.path, request.query, request.target]).toEqual(["/plain", undefined, "/plain"])
  })

  test.each(["", "x", "*", "http://a/", "/a b", "/a#b", "/a\r\nb", "/a\0", "/%00", "/%zz", "/../x", "/a\x7f"])(
    "a path is refused: %j",
    (path) => {
      const direct = new Direct()
      expect(write(direct, "replace", REQUEST, ":path", path)).toBe(BAD_ARGUMENT)
      expect(direct.stream.request.target).toBe("/a/b?x=1")
      expect(direct.stream.request.path).toBe("/a/b")
    },
  )

  test("method, authority and scheme change the request", () => {
    const direct = new Direct()
    expect(write(direct, "replace", REQUEST, ":method", "POST")).toBe(OK)
    expect(write(direct, "replace", REQUEST, ":authority", "Other.example:81")).toBe(OK)
    expect(write(direct, "replace", REQUEST, ":scheme", "https")).toBe(OK)
    const { method, authority, host, scheme } = direct.stream.request
    expect([method, authority, host, scheme]).toEqual(["POST", "Other.example:81", "other.example", "https"])
  })

  test.each([
    [":method", "GE T"],
    [":method", ""],
    [":method", "CONNECT"],
    [":authority", "a b"],
    [":authority", "user@host"],
    [":authority", ""],
    [":scheme", "ftp"],
    [":status", "200"],
  ])("%s can't become %j", (name, value) => {
    const direct = new Direct()
    expect(write(direct, "replace", REQUEST, name, value)).toBe(BAD_ARGUMENT)
    const { method, authority, scheme } = direct.stream.request
    expect([method, authority, scheme]).toEqual(["GET", "shop.example:8080", "http"])
  })

  test("a status changes the response and its reason goes", () => {
    const direct = new Direct({ response: true })
    expect(write(direct, "replace", RESPONSE, ":status", "404")).toBe(OK)
    expect([direct.stream.response?.status, direct.stream.response?.reason]).toEqual([404, ""])
    for (const value of ["", "99", "101", "1000", "20x", "-200"])
      expect(write(direct, "replace", RESPONSE, ":status", value)).toBe(BAD_ARGUMENT)
    expect(direct.stream.response?.status).toBe(404)
  })

  test("pseudo-headers can't be added or removed", () => {
    const direct = new Direct()
    for (const name of [":method", ":path", ":authority", ":scheme"]) {
      expect(write(direct, "add", REQUEST, name, "/x")).toBe(BAD_ARGUMENT)
      expect(remove(direct, REQUEST, name)).toBe(BAD_ARGUMENT)
    }
  })

  test("the request can't be edited once it was passed on, but read", () => {
    const direct = new Direct({ response: true })
    expect(write(direct, "replace", REQUEST, "x-one", "2")).toBe(BAD_ARGUMENT)
    expect(remove(direct, REQUEST, "x-one")).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_header_map_pairs", REQUEST, 0, 0)).toBe(BAD_ARGUMENT)
    expect(direct.get(REQUEST, "x-one")).toBe("1")
  })

  test("fields end at a limit", () => {
    const direct = new Direct()
    const name = direct.put("x-more")
    const value = direct.put("v")
    let added = 0
    while (added < 5000 && direct.call("proxy_add_header_map_value", REQUEST, ...name, ...value) === OK) added++
    expect(direct.stream.request.fields.size).toBe(1024)
  })

  test("octets written end at a limit, whatever was kept of them", () => {
    const direct = new Direct()
    const name = direct.put("x-one")
    let written = 0
    while (written < 100 && direct.call("proxy_replace_header_map_value", REQUEST, ...name, 0, 60_000) !== INVALID_MEMORY_ACCESS) {
      direct.vm.memory.bytes.fill(0x61, 0, 60_000)
      if (direct.call("proxy_replace_header_map_value", REQUEST, ...name, 0, 60_000) !== OK) break
      direct.vm.memory.bytes.write("x-one", name[0], "latin1")
      written++
    }
    expect(written).toBeLessThan(20)
  })
})

describe("replacing all headers", () => {
  test("fields are replaced, pseudo-headers named are changed, others stay", () => {
    const direct = new Direct()
    expect(direct.call("proxy_set_header_map_pairs", REQUEST, ...direct.put(encoded(":path", "/new", "X-A", "1", "x-a", "2")))).toBe(OK)
    const { request } = direct.stream
    expect(request.fields.entries()).toEqual(["x-a", "1", "x-a", "2"])
    expect([request.method, request.path, request.query, request.authority]).toEqual(["GET", "/new", undefined, "shop.example:8080"])
  })

  test("what was read can be written back", () => {
    const direct = new Direct({ response: true })
    expect(direct.call("proxy_get_header_map_pairs", RESPONSE, OUT, OUT2)).toBe(OK)
    const before = direct.stream.response?.fields.entries()
    expect(direct.call("proxy_set_header_map_pairs", RESPONSE, direct.word(OUT), direct.word(OUT2))).toBe(OK)
    expect(direct.stream.response?.fields.entries()).toEqual(before)
  })

  test.each([
    ["a value", ["x-a", "1", "x-b", "1\r\n"]],
    ["a name", ["x-a", "1", "x b", "1"]],
    ["a framing field", ["x-a", "1", "transfer-encoding", "chunked"]],
    ["a length", ["x-a", "1", "content-length", "3"]],
    ["a repeated length", ["content-length", "0", "x-a", "1", "content-length", "0"]],
    ["a path", [":method", "POST", "x-a", "1", ":path", "nope"]],
    ["a status on a request", [":status", "200"]],
  ])("nothing changes when %s is refused", (_what, flat) => {
    const direct = new Direct()
    direct.stream.request.fields.set("content-length", "0")
    const before = [...direct.stream.request.fields.entries(), direct.stream.request.method]
    expect(direct.call("proxy_set_header_map_pairs", REQUEST, ...direct.put(encoded(...flat)))).toBe(BAD_ARGUMENT)
    expect([...direct.stream.request.fields.entries(), direct.stream.request.method]).toEqual(before)
  })

  test("a status is set with the rest", () => {
    const direct = new Direct({ response: true })
    expect(direct.call("proxy_set_header_map_pairs", RESPONSE, ...direct.put(encoded(":status", "503", "x-a", "1")))).toBe(OK)
    expect(direct.stream.response?.status).toBe(503)
    expect(direct.stream.response?.fields.entries()).toEqual(["x-a", "1"])
    expect(direct.call("proxy_set_header_map_pairs", RESPONSE, ...direct.put(encoded(":status", "12")))).toBe(BAD_ARGUMENT)
  })

  test("a malformed encoding counts as no pairs", () => {
    const direct = new Direct()
    expect(direct.call("proxy_set_header_map_pairs", REQUEST, ...direct.put("\x05\0\0\0junk"))).toBe(OK)
    expect(direct.stream.request.fields.entries()).toEqual([])
    expect(direct.stream.request.path).toBe("/a/b")
  })
})

describe("hostile pointers", () => {
  const wild: [number, number][] = [
    [0xffffffff, 1],
    [-1, 10],
    [0x7fffffff, 0x7fffffff],
    [1024, -1],
    [65_536 * 4, 1],
    [65_535, 2],
  ]

  test.each(wild)("arguments at %i, %i long", (pointer, length) => {
    const direct = new Direct()
    const good = direct.put("x-one")
    expect(direct.call("proxy_get_header_map_value", REQUEST, pointer, length, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_replace_header_map_value", REQUEST, pointer, length, ...good)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_replace_header_map_value", REQUEST, ...good, pointer, length)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_add_header_map_value", REQUEST, ...good, pointer, length)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_remove_header_map_value", REQUEST, pointer, length)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_header_map_pairs", REQUEST, pointer, length)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.stream.request.fields.get("x-one")).toBe("1")
  })

  test.each([0xffffffff, 65_533, -4, 65_536 * 4])("results to %i", (out) => {
    const direct = new Direct()
    const good = direct.put("x-one")
    const top = direct.vm.allocate(1)
    for (const outs of [
      [out, OUT],
      [OUT, out],
    ]) {
      expect(direct.call("proxy_get_header_map_value", REQUEST, ...good, ...outs)).toBe(INVALID_MEMORY_ACCESS)
      expect(direct.call("proxy_get_header_map_pairs", REQUEST, ...outs)).toBe(INVALID_MEMORY_ACCESS)
    }
    expect(direct.call("proxy_get_header_map_size", REQUEST, out)).toBe(INVALID_MEMORY_ACCESS)
    // Refused before anything was allocated.
    expect(direct.vm.allocate(1)).toBe(top + 1)
  })

  test("null with length 0 is an empty argument", () => {
    const direct = new Direct()
    expect(write(direct, "replace", REQUEST, "x-one", "")).toBe(OK)
    expect(direct.call("proxy_replace_header_map_value", REQUEST, ...direct.put("x-null"), 0, 0)).toBe(OK)
    expect(direct.stream.request.fields.get("x-null")).toBe("")
  })
})

describe("looking the route up anew", () => {
  const edits: [string, (direct: Direct) => number][] = [
    ["adding a header", (direct) => write(direct, "add", REQUEST, "x-new", "1")],
    ["replacing a header", (direct) => write(direct, "replace", REQUEST, ":path", "/other")],
    ["removing a header", (direct) => remove(direct, REQUEST, "x-one")],
    ["replacing all", (direct) => direct.call("proxy_set_header_map_pairs", REQUEST, ...direct.put(encoded("x-new", "1")))],
  ]

  test("happens when the guest asks for it", () => {
    for (const abi of ["0_1_0", "0_2_1"]) {
      const direct = new Direct({ abi })
      expect(direct.call("proxy_clear_route_cache")).toBe(OK)
      expect(direct.stream.events).toEqual(["clearRoute"])
      direct.context.ended = true
      expect(direct.call("proxy_clear_route_cache")).toBe(OK)
      direct.vm.stream = null
      expect(direct.call("proxy_clear_route_cache")).toBe(OK)
      expect(direct.stream.events).toEqual(["clearRoute"])
    }
  })

  test.each(edits)("%s is no reason for it", (_name, edit) => {
    const direct = new Direct()
    expect(edit(direct)).toBe(OK)
    expect(direct.stream.events).toEqual([])
  })

  test.each(edits)("%s is a reason for it when the filter is set to reroute onEdit", (_name, edit) => {
    const direct = new Direct({ spec: { reroute: "onEdit" } })
    expect(edit(direct)).toBe(OK)
    expect(direct.stream.events).toEqual(["clearRoute"])
  })

  test("refused edits, and those of responses, are no reason for it even then", () => {
    const direct = new Direct({ spec: { reroute: "onEdit" }, response: true })
    direct.stream.requestSent = false
    expect(write(direct, "add", RESPONSE, "x-new", "1")).toBe(OK)
    expect(write(direct, "replace", RESPONSE, ":status", "404")).toBe(OK)
    expect(remove(direct, RESPONSE, "server")).toBe(OK)
    expect(write(direct, "add", REQUEST, "x-new", "a\nb")).toBe(BAD_ARGUMENT)
    expect(write(direct, "replace", REQUEST, "connection", "close")).toBe(BAD_ARGUMENT)
    expect(remove(direct, REQUEST, ":path")).toBe(BAD_ARGUMENT)
    expect(direct.stream.events).toEqual([])
  })
})

describe("the response's headers", () => {
  test("can't be edited once they have left", () => {
    const direct = new Direct({ response: true })
    expect(write(direct, "replace", RESPONSE, "server", "x")).toBe(OK)
    direct.stream.responseSent = true
    expect(write(direct, "replace", RESPONSE, "server", "y")).toBe(BAD_ARGUMENT)
    expect(remove(direct, RESPONSE, "server")).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_header_map_pairs", RESPONSE, 0, 0)).toBe(BAD_ARGUMENT)
    expect(direct.get(RESPONSE, "server")).toBe("x")
  })
})

test("the host's work on pairs is paid for: a loop of it ends with the budget", () => {
  const loop = (call: string): Uint8Array =>
    guest({
      imports: ["proxy_get_header_map_pairs", "proxy_get_header_map_size"],
      memory: "3 3",
      allocator: `(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))`,
      code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (loop $l ${call} (br $l)) (i32.const 0))`,
    })
  const calls = [
    "(drop (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 16) (i32.const 20)))",
    "(drop (call $proxy_get_header_map_size (i32.const 0) (i32.const 16)))",
  ]
  for (const call of calls) {
    const host = new TestHost()
    const plugin = host.plugin(loop(call), { cpuMs: 10 })
    const stream = new FakeStream()
    for (let i = 0; i < 128; i++) stream.request.fields.add(`x-${i}`, "v".repeat(250))
    let asked = 0
    Object.defineProperty(stream.request, "method", {
      get: () => {
        asked++
        return "GET"
      },
    })
    plugin.open(stream)?.onRequestHeaders(true)
    expect(stream.events).toEqual(["fail filterBudget probe:budget"])
    // 10 ms pay for some 60; unpaid it would be some 10,000.
    expect(asked).toBeLessThan(200)
  }
})

test("the headers of a reply are paid for, refused or not", () => {
  for (const name of ["x-reply", "connection"]) {
    const direct = new Direct()
    const charged: number[] = []
    direct.vm.charge = (octets) => void charged.push(octets)
    const [pointer, length] = direct.put(encoded(name, "v".repeat(2500)))
    const status = direct.call("proxy_send_local_response", 200, 0, 0, 0, 0, pointer, length, -1)
    expect(status).toBe(name === "x-reply" ? OK : BAD_ARGUMENT)
    expect(charged).toEqual([OCTETS_PER_MICROSECOND + length * 8])
  }
})

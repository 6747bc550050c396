import { Buffer } from "node:buffer"
import { hostname } from "node:os"
import { describe, expect, test } from "vitest"
import { Fields } from "../../../gateway/http/fields.ts"
import { decodePairs } from "../../../gateway/wasm/proxy-wasm/pairs.ts"
import { Direct, OUT, OUT2 } from "./support/direct.ts"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
const INTERNAL_FAILURE = 10
const WILD = 0xfffffff0

function int(value: number | Buffer): bigint {
  if (typeof value === "number") throw new Error(`status ${value}`)
  expect(value.length).toBe(8)
  return value.readBigInt64LE()
}

function text(value: number | Buffer): string {
  return typeof value === "number" ? `status ${value}` : value.toString("latin1")
}

function pairs(value: number | Buffer): string[] | null {
  if (typeof value === "number") throw new Error(`status ${value}`)
  return decodePairs(value, 0, value.length)
}

describe("properties", () => {
  test("of the plugin", () => {
    const direct = new Direct({ spec: { name: "näme", rootId: "röot", vmKey: "vm-ü" } })
    expect(direct.property("plugin_name")).toEqual(Buffer.from("näme"))
    expect(direct.property("plugin_root_id")).toEqual(Buffer.from("röot"))
    expect(direct.property("plugin_vm_id")).toEqual(Buffer.from("vm-ü"))
  })

  test("an empty root id is found", () => {
    const direct = new Direct()
    expect(direct.property("plugin_root_id")).toEqual(Buffer.alloc(0))
    expect([direct.word(OUT), direct.word(OUT2)]).toEqual([0, 0])
  })

  test("of the node, whole and in parts", () => {
    const direct = new Direct()
    const id = hostname()
    for (const prefix of [[], ["xds"]]) {
      expect(text(direct.property(...prefix, "node", "id"))).toBe(id)
      expect(text(direct.property(...prefix, "node", "cluster"))).toBe("sluice")
      expect(direct.property(...prefix, "node", "metadata", "NAME")).toBe(NOT_FOUND)
      const message = direct.property(...prefix, "node") as Buffer
      expect(message.subarray(0, 2 + id.length)).toEqual(Buffer.from(`\x0a${String.fromCharCode(id.length)}${id}`))
    }
  })

  test("of the request", () => {
    const direct = new Direct()
    const { fields } = direct.stream.request
    fields.add("referer", "http://r/")
    expect(text(direct.property("request", "path"))).toBe("/a/b?x=1")
    expect(text(direct.property("request", "url_path"))).toBe("/a/b")
    expect(text(direct.property("request", "query"))).toBe("x=1")
    expect(text(direct.property("request", "host"))).toBe("shop.example:8080")
    expect(text(direct.property("request", "scheme"))).toBe("http")
    expect(text(direct.property("request", "method"))).toBe("GET")
    expect(text(direct.property("request", "referer"))).toBe("http://r/")
    expect(text(direct.property("request", "useragent"))).toBe("test/1")
    expect(text(direct.property("request", "id"))).toBe("req-1")
    expect(text(direct.property("request", "protocol"))).toBe("HTTP/1.1")
    fields.add("x-request-id", "given")
    expect(text(direct.property("request", "id"))).toBe("given")
    direct.stream.request.query = undefined
    expect(text(direct.property("request", "path"))).toBe("/a/b")
    expect(text(direct.property("request", "query"))).toBe("")
  })

  test("of the request's time and size", () => {
    const direct = new Direct()
    expect(int(direct.property("request", "time"))).toBe(1_700_000_000_000_500_000n)
    expect(direct.property("request", "duration")).toBe(NOT_FOUND)
    expect(int(direct.property("request", "size"))).toBe(11n)
    const head = int(direct.property("request", "headers_bytes"))
    expect(head).toBe(
      BigInt(
        Buffer.byteLength(":methodGET:path/a/b?x=1:authorityshop.example:8080:schemehttpuser-agenttest/1x-one1x-manyax-manybx-octetsff"),
      ),
    )
    expect(int(direct.property("request", "total_size"))).toBe(head + 11n)
    direct.stream.info = { ...direct.stream.info, elapsed: 12.5, requestBytes: 2 ** 40 + 7 }
    expect(int(direct.property("request", "duration"))).toBe(12_500_000n)
    expect(int(direct.property("request", "size"))).toBe(2n ** 40n + 7n)
    direct.stream.request.body = "length"
    direct.stream.request.contentLength = 99
    expect(int(direct.property("request", "size"))).toBe(99n)
  })

  test("headers, one and all", () => {
    const direct = new Direct()
    expect(text(direct.property("request", "headers", "x-many"))).toBe("a, b")
    expect(text(direct.property("request", "headers", "X-ONE"))).toBe("1")
    expect(text(direct.property("request", "headers", "x-octets"))).toBe("\xff\x80")
    expect(text(direct.property("request", "headers", ":path"))).toBe("/a/b?x=1")
    expect(direct.property("request", "headers", "x-none")).toBe(NOT_FOUND)
    expect(direct.property("request", "headers", "x-one", "more")).toBe(NOT_FOUND)
    expect(pairs(direct.property("request", "headers"))).toEqual([
      ":method",
      "GET",
      ":path",
      "/a/b?x=1",
      ":authority",
      "shop.example:8080",
      ":scheme",
      "http",
      ...direct.stream.request.fields.entries(),
    ])
  })

  test("trailers, once there are any", () => {
    const direct = new Direct({ response: true })
    const { stream } = direct
    for (const side of ["request", "response"]) {
      expect(direct.property(side, "trailers")).toBe(NOT_FOUND)
      expect(direct.property(side, "trailers", "grpc-status")).toBe(NOT_FOUND)
    }
    stream.requestTrailers = Fields.from([["x-sum", "1"]])
    stream.responseTrailers = Fields.from([
      ["grpc-status", "7"],
      ["x-sum", "2"],
      ["x-sum", "3"],
    ])
    expect(text(direct.property("request", "trailers", "x-sum"))).toBe("1")
    expect(text(direct.property("response", "trailers", "x-sum"))).toBe("2, 3")
    expect(pairs(direct.property("response", "trailers"))).toEqual(["grpc-status", "7", "x-sum", "2", "x-sum", "3"])
    expect(int(direct.property("response", "grpc_status"))).toBe(7n)
    stream.responseTrailers = new Fields()
    expect(direct.property("response", "trailers")).toEqual(Buffer.alloc(0))
  })

  test("of the response, once there is one", () => {
    const before = new Direct()
    for (const name of [
      "code",
      "code_details",
      "flags",
      "grpc_status",
      "size",
      "total_size",
      "headers_bytes",
      "backend_latency",
      "headers",
    ]) {
      expect(before.property("response", name)).toBe(NOT_FOUND)
    }
    const direct = new Direct({ response: true })
    direct.stream.response?.fields.add("grpc-status", "14")
    expect(int(direct.property("response", "code"))).toBe(200n)
    expect(text(direct.property("response", "code_details"))).toBe("via_upstream")
    expect(int(direct.property("response", "flags"))).toBe(0n)
    expect(int(direct.property("response", "size"))).toBe(22n)
    expect(int(direct.property("response", "grpc_status"))).toBe(14n)
    const head = int(direct.property("response", "headers_bytes"))
    expect(int(direct.property("response", "total_size"))).toBe(head + 22n)
    expect(text(direct.property("response", "headers", "server"))).toBe("upstream")
    expect(text(direct.property("response", "headers", ":status"))).toBe("200")
    expect(pairs(direct.property("response", "headers"))?.slice(0, 2)).toEqual([":status", "200"])
    expect(direct.property("response", "backend_latency")).toBe(NOT_FOUND)
    direct.stream.info = { ...direct.stream.info, timeToFirstByte: 3.25, responseFlag: "UH", responseDetails: "no endpoint" }
    expect(int(direct.property("response", "backend_latency"))).toBe(3_250_000n)
    expect(int(direct.property("response", "flags"))).toBe(2n)
    expect(text(direct.property("response", "code_details"))).toBe("no endpoint")
    direct.stream.info = { ...direct.stream.info, responseFlag: "FT", responseDetails: "" }
    expect(int(direct.property("response", "flags"))).toBe(0n)
    expect(text(direct.property("response", "code_details"))).toBe("FT")
  })

  test("of the connection, the upstream and the route", () => {
    const direct = new Direct()
    expect(text(direct.property("source", "address"))).toBe("10.1.2.3:40000")
    expect(int(direct.property("source", "port"))).toBe(40_000n)
    expect(text(direct.property("destination", "address"))).toBe("[::1]:8080")
    expect(int(direct.property("destination", "port"))).toBe(8080n)
    expect(int(direct.property("connection", "id"))).toBe(7n)
    expect(int(direct.property("connection_id"))).toBe(7n)
    expect(direct.property("connection", "mtls")).toEqual(Buffer.from([0]))
    expect(direct.property("connection", "requested_server_name")).toBe(NOT_FOUND)
    direct.stream.info = { ...direct.stream.info, requestedServerName: "db.example.com" }
    expect(text(direct.property("connection", "requested_server_name"))).toBe("db.example.com")
    expect(direct.property("upstream", "requested_server_name")).toBe(NOT_FOUND)
    expect(text(direct.property("upstream", "address"))).toBe("10.0.0.9:9001")
    expect(int(direct.property("upstream", "port"))).toBe(9001n)
    expect(int(direct.property("upstream", "request_attempt_count"))).toBe(1n)
    expect(direct.property("upstream", "transport_failure_reason")).toBe(NOT_FOUND)
    for (const prefix of [[], ["xds"]]) {
      expect(direct.property(...prefix, "route_name")).toEqual(Buffer.from("röute"))
      expect(text(direct.property(...prefix, "cluster_name"))).toBe("api")
      expect(text(direct.property(...prefix, "listener_name"))).toBe("edge")
      expect(int(direct.property(...prefix, "listener_direction"))).toBe(0n)
    }
    expect(text(direct.property("xds", "filter_chain_name"))).toBe("edge")
    direct.stream.info = { ...direct.stream.info, upstreamAddress: "", serviceName: "", responseFlag: "UF", responseDetails: "refused" }
    for (const path of ["upstream\0address", "upstream\0port", "cluster_name"]) expect(direct.property(path)).toBe(NOT_FOUND)
    expect(text(direct.property("upstream", "transport_failure_reason"))).toBe("refused")
  })

  test("of a connection's TLS are told as Envoy tells them", () => {
    const direct = new Direct()
    const local = { subject: "CN=edge", commonName: "edge", dnsNames: ["edge.test", "b.test"], uris: ["spiffe://x/edge"], sha256: "00" }
    const peer = { subject: "CN=alice", commonName: "alice", dnsNames: ["alice.test"], uris: ["spiffe://x/alice"], sha256: "ab".repeat(32) }
    const security = {
      version: "TLSv1.3",
      serverName: "edge.test",
      protocol: "h2",
      local,
      peer,
      peerIdentity: "spiffe://x/alice",
      forwardedClientCert: "",
      covers: () => true,
    }
    direct.stream.info = { ...direct.stream.info, security, requestedServerName: security.serverName }
    const expected = {
      requested_server_name: "edge.test",
      tls_version: "TLSv1.3",
      subject_local_certificate: "CN=edge",
      subject_peer_certificate: "CN=alice",
      dns_san_local_certificate: "edge.test",
      dns_san_peer_certificate: "alice.test",
      uri_san_local_certificate: "spiffe://x/edge",
      uri_san_peer_certificate: "spiffe://x/alice",
      sha256_peer_certificate_digest: "ab".repeat(32),
    }
    for (const [name, value] of Object.entries(expected)) expect(text(direct.property("connection", name))).toBe(value)
    expect(direct.property("connection", "mtls")).toEqual(Buffer.from([1]))
    direct.stream.info = { ...direct.stream.info, security: { ...security, peer: null } }
    for (const name of Object.keys(expected).filter((each) => each.includes("peer")))
      expect(direct.property("connection", name)).toBe(NOT_FOUND)
    expect(direct.property("connection", "mtls")).toEqual(Buffer.from([0]))
  })

  test.each(["connection", "upstream"])("of %s's TLS are absent, and no filter can make them up", (section) => {
    const direct = new Direct()
    for (const name of ["tls_version", "subject_peer_certificate", "uri_san_peer_certificate", "dns_san_local_certificate", "no_such"]) {
      expect(direct.property(section, name)).toBe(NOT_FOUND)
      expect(direct.call("proxy_set_property", ...direct.put(`${section}\0${name}`), ...direct.put("x"))).toBe(OK)
      expect(direct.property(section, name)).toBe(NOT_FOUND)
    }
  })

  test("empty segments and a final NUL don't count; unknown paths are NOT_FOUND", () => {
    const direct = new Direct()
    expect(text(direct.property("request", "", "path", ""))).toBe("/a/b?x=1")
    const unknown = [
      "",
      "nope",
      "request",
      "request\0nope",
      "request.path",
      "source\0address\0x",
      "__proto__",
      "constructor",
      "metadata\0filter_metadata\0a",
    ]
    for (const path of unknown) expect(direct.property(path)).toBe(NOT_FOUND)
  })

  test("outside an exchange there are those of the plugin and the node alone", () => {
    const direct = new Direct()
    direct.vm.enter(direct.context.root, null)
    expect(text(direct.property("plugin_name"))).toBe("probe")
    expect(text(direct.property("node", "cluster"))).toBe("sluice")
    for (const path of ["request\0path", "source\0address", "connection_id", "route_name", "mine"])
      expect(direct.property(path)).toBe(NOT_FOUND)
    expect(direct.call("proxy_set_property", ...direct.put("a"), 0, 0)).toBe(NOT_FOUND)
  })

  test("headers that the filter may not read are not there", () => {
    const grants = { services: null, readHeaders: ["x-one", ":path"], writeHeaders: null, shared: null, hostCalls: null }
    const direct = new Direct({ response: true, spec: { grants } })
    expect(text(direct.property("request", "headers", "x-one"))).toBe("1")
    expect(direct.property("request", "headers", "x-many")).toBe(NOT_FOUND)
    expect(direct.property("request", "useragent")).toBe(NOT_FOUND)
    expect(text(direct.property("request", "url_path"))).toBe("/a/b")
    for (const name of ["method", "host", "scheme"]) expect(direct.property("request", name), name).toBe(NOT_FOUND)
    expect(direct.property("response", "headers", "server")).toBe(NOT_FOUND)
    expect(pairs(direct.property("request", "headers"))).toEqual([":path", "/a/b?x=1", "x-one", "1"])
  })
})

describe("stored properties", () => {
  test("are seen by all filters of the exchange, and only there", () => {
    const direct = new Direct()
    expect(direct.call("proxy_set_property", ...direct.put("my\0key\0"), ...direct.put("v\xff"))).toBe(OK)
    expect(text(direct.property("my", "key"))).toBe("v\xff")
    const other = direct.plugin.open(direct.stream)
    other?.onRequestHeaders(true)
    direct.vm.enter(direct.context.root, other as never)
    expect(text(direct.property("my", "key"))).toBe("v\xff")
    const elsewhere = direct.plugin.open(new FakeStream())
    elsewhere?.onRequestHeaders(true)
    direct.vm.enter(direct.context.root, elsewhere as never)
    expect(direct.property("my", "key")).toBe(NOT_FOUND)
  })

  test("have the names filter state has", () => {
    const direct = new Direct()
    direct.call("proxy_set_property", ...direct.put("a"), ...direct.put("1"))
    direct.call("proxy_set_property", ...direct.put("filter_state\0b"), ...direct.put("2"))
    direct.call("proxy_set_property", ...direct.put("wasm.c"), ...direct.put("3"))
    expect([...direct.stream.stored.keys()]).toEqual(["wasm.a", "b", "wasm.c"])
    expect(text(direct.property("wasm.a"))).toBe("1")
    expect(text(direct.property("filter_state", "wasm.a"))).toBe("1")
    expect(text(direct.property("filter_state", "b"))).toBe("2")
    expect(direct.property("b")).toBe(NOT_FOUND)
    expect(text(direct.property("c"))).toBe("3")
  })

  test("never stand for what the host knows", () => {
    const direct = new Direct()
    for (const path of ["source\0address", "plugin_name", "request\0headers\0x-one"]) {
      expect(direct.call("proxy_set_property", ...direct.put(path), ...direct.put("forged"))).toBe(OK)
    }
    expect(text(direct.property("source", "address"))).toBe("10.1.2.3:40000")
    expect(text(direct.property("plugin_name"))).toBe("probe")
    expect(text(direct.property("request", "headers", "x-one"))).toBe("1")
    expect(direct.call("proxy_set_property", ...direct.put("request.path"), ...direct.put("mine"))).toBe(OK)
    expect(text(direct.property("request.path"))).toBe("mine")
  })

  test("may be empty, and are copies", () => {
    const direct = new Direct()
    expect(direct.call("proxy_set_property", ...direct.put("e"), 0, 0)).toBe(OK)
    expect(direct.property("e")).toEqual(Buffer.alloc(0))
    const value = direct.put("abc")
    direct.call("proxy_set_property", ...direct.put("k"), ...value)
    direct.vm.memory.bytes.fill(0, value[0], value[0] + 3)
    expect(text(direct.property("k"))).toBe("abc")
  })

  test("are bounded", () => {
    const direct = new Direct({ spec: { cpuMs: 1000 } })
    for (let i = 0; i < 64; i++) direct.stream.stored.set(`k${i}`, new Uint8Array(1))
    expect(direct.call("proxy_set_property", ...direct.put("a"), 0, 1)).toBe(INTERNAL_FAILURE)
    const large = new Direct({ spec: { memory: 1 << 20 } })
    large.vm.memory.refresh()
    expect(large.call("proxy_set_property", ...large.put("a"), 0, 65_536)).toBe(OK)
    expect(large.stream.stored.get("wasm.a")?.length).toBe(65_536)
  })

  test("hostile pointers and lengths", () => {
    const direct = new Direct()
    expect(direct.call("proxy_get_property", WILD, 32, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_property", -1, -1, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_property", 0, 65_536, OUT, OUT2)).toBe(NOT_FOUND)
    for (const path of ["plugin_name", "source\0port", "request\0headers", "route_name", "connection\0mtls"]) {
      expect(direct.call("proxy_get_property", ...direct.put(path), WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
      expect(direct.call("proxy_get_property", ...direct.put(path), OUT, WILD)).toBe(INVALID_MEMORY_ACCESS)
    }
    expect(direct.call("proxy_set_property", WILD, 32, 0, 0)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_property", ...direct.put("a"), WILD, 32)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_property", 0, 0, 0, 0)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_property", ...direct.put("\0\0"), 0, 0)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_property", 0, 65_536, 0, 0)).toBe(BAD_ARGUMENT)
  })

  test("paths that share a slot of the table don't take each other's meaning", () => {
    const direct = new Direct()
    const key = direct.put("k0000")
    for (let i = 0; i < 600; i++) {
      direct.vm.memory.bytes.write(`k${String(i).padStart(4, "0")}`, key[0], "latin1")
      direct.stream.stored.clear()
      expect(direct.call("proxy_set_property", ...key, ...key)).toBe(OK)
      expect([...direct.stream.stored.keys()]).toEqual([`wasm.k${String(i).padStart(4, "0")}`])
    }
  })
})

test("a guest reads and stores properties through its imports", () => {
  const script = new Script()
  const code = `
    (func (export "proxy_on_context_create") (param i32 i32)
      (if (i32.eqz (local.get 1)) (then
        ${script.sayDigit("root id ?", `(call $proxy_get_property ${script.text("plugin_root_id")} (i32.const 16) (i32.const 20))`)})))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      ${script.sayDigit("get ?", `(call $proxy_get_property ${script.text("request\0method")} (i32.const 16) (i32.const 20))`)}
      (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))
      ${script.sayDigit("set ?", `(call $proxy_set_property ${script.text("mine")} (i32.load (i32.const 16)) (i32.load (i32.const 20)))`)}
      ${script.sayDigit("none ?", `(call $proxy_get_property ${script.text("nope")} (i32.const 16) (i32.const 20))`)}
      (i32.const 0))`
  const host = new TestHost()
  const plugin = host.plugin(guest({ imports: ["proxy_log", "proxy_get_property", "proxy_set_property"], data: script.data, code }))
  const stream = new FakeStream()
  plugin.open(stream)?.onRequestHeaders(true)
  expect(host.messages()).toEqual(["root id 0", "get 0", "GET", "set 0", "none 1"])
  expect(Buffer.from(stream.stored.get("wasm.mine") ?? []).toString()).toBe("GET")
})

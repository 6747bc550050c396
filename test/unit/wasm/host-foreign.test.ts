import { Buffer } from "node:buffer"
import { createHash, createHmac } from "node:crypto"
import { deflateSync, inflateSync } from "node:zlib"
import { describe, expect, test } from "vitest"
import { OUT, OUT2 } from "./support/direct.ts"
import { Foreign, message, u32 } from "./support/foreign.ts"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const SERIALIZATION_FAILURE = 3
const INVALID_MEMORY_ACCESS = 6
const INTERNAL_FAILURE = 10
const WILD = 0xfffffff0
const EMPTY = Buffer.alloc(0)

const names = [
  ...["compress", "uncompress", "verify_signature", "sign", "clear_route_cache", "set_envoy_filter_state", "declare_property"],
  ...["expr_create", "expr_evaluate", "expr_delete", "sluice_set_service", "sluice_hash", "sluice_hmac", "sluice_verify", "sluice_random"],
]

describe("foreign functions", () => {
  test("unknown ones are NOT_FOUND", () => {
    const foreign = new Foreign()
    for (const name of ["", "nope", "Compress", "compress\0", "constructor", "x".repeat(65)]) expect(foreign.foreign(name)).toBe(NOT_FOUND)
  })

  test("hostile pointers and lengths", () => {
    const foreign = new Foreign()
    const call = (...args: number[]): number => foreign.call("proxy_call_foreign_function", ...args)
    const name = foreign.put("compress")
    expect(call(WILD, 32, 0, 0, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(call(...name, WILD, 32, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(call(...name, 0, -1, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(call(...name, 0, 0, WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(call(...name, 0, 0, OUT, WILD)).toBe(INVALID_MEMORY_ACCESS)
    expect(call(...name, 0, 1024 * 1024 + 1, OUT, OUT2)).toBe(BAD_ARGUMENT)
    expect(call(0, 65, 0, 0, OUT, OUT2)).toBe(NOT_FOUND)
  })

  test("both addresses of the result may be 0, and each alone", () => {
    const foreign = new Foreign()
    const before = Buffer.from(foreign.vm.memory.bytes.subarray(0, 8))
    expect(foreign.foreignStatus("sluice_hash", "md5\0", 0, 0)).toBe(OK)
    expect(foreign.foreignStatus("sluice_hash", "md5\0", 0, OUT2)).toBe(OK)
    expect(foreign.word(OUT2)).toBe(16)
    expect(foreign.foreignStatus("sluice_hash", "md5\0", OUT, 0)).toBe(OK)
    const at = foreign.word(OUT)
    expect(foreign.vm.memory.copy(at, 16)).toEqual(new Uint8Array(createHash("md5").digest()))
    expect(foreign.vm.memory.bytes.subarray(0, 8)).toEqual(before)
  })

  test("an empty result is no allocation", () => {
    const foreign = new Foreign()
    expect(foreign.foreign("clear_route_cache")).toEqual(EMPTY)
    expect([foreign.word(OUT), foreign.word(OUT2)]).toEqual([0, 0])
  })

  test("nothing throws, whatever it is given", () => {
    const foreign = new Foreign()
    let seed = 99
    const next = (): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
      return seed >>> 16
    }
    const heads = ["", "sha256\0", "HS256\0", "ES256\0", "md5\0\x01\0\0\0", "\x0a\x04", "\x12\xff\xff\xff\xff\x0f", "\x08"]
    for (let round = 0; round < 60; round++) {
      const noise = Buffer.from(Array.from({ length: next() % 40 }, () => next() & 0xff))
      const argument = Buffer.concat([Buffer.from(heads[next() % heads.length], "latin1"), noise])
      for (const name of names) {
        foreign.vm.enter(foreign.context.root, foreign.context)
        const result = foreign.foreign(name, argument)
        if (typeof result === "number") expect([NOT_FOUND, BAD_ARGUMENT, SERIALIZATION_FAILURE, INTERNAL_FAILURE]).toContain(result)
      }
    }
    expect(foreign.vm.dead).toBe(false)
  })

  test("what they cost is taken from the budget", () => {
    const script = new Script()
    const code = `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (loop $again
        (drop (call $proxy_call_foreign_function ${script.text("sluice_set_service")} ${script.text("x")} (i32.const 0) (i32.const 0)))
        (drop (call $proxy_call_foreign_function ${script.text("compress")} (i32.const 0) (i32.const 60000) (i32.const 0) (i32.const 0)))
        (br $again))
      (i32.const 0))`
    const host = new TestHost()
    const stream = new FakeStream()
    const plugin = host.plugin(guest({ imports: ["proxy_call_foreign_function"], data: script.data, code }), { cpuMs: 100 })
    plugin.open(stream)?.onRequestHeaders(true)
    expect(host.metricsOf("probe").traps).toEqual(["budget"])
    // 60 kB are about a millisecond's work; the budget's 10,000,000 units would pay for 80,000 calls of nothing.
    expect(stream.events.filter((event) => event === "service x").length).toBeLessThan(30)
  })

  test("a guest calls one through its import", () => {
    const script = new Script()
    const code = `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      ${script.sayDigit(
        "status ?",
        `(call $proxy_call_foreign_function ${script.text("sluice_set_service")} ${script.text("canary")} (i32.const 0) (i32.const 0))`,
      )}
      (i32.const 0))`
    const host = new TestHost()
    const stream = new FakeStream()
    const plugin = host.plugin(guest({ imports: ["proxy_log", "proxy_call_foreign_function"], data: script.data, code }))
    plugin.open(stream)?.onRequestHeaders(true)
    expect(host.messages()).toEqual(["status 0"])
    expect(stream.events).toEqual(["service canary"])
  })
})

describe("compress and uncompress", () => {
  test("are zlib's format", () => {
    const foreign = new Foreign()
    const text = Buffer.from("hello ".repeat(1000))
    const packed = foreign.foreign("compress", text) as Buffer
    expect(inflateSync(packed)).toEqual(text)
    expect(foreign.foreign("uncompress", packed)).toEqual(text)
    expect(foreign.foreign("uncompress", deflateSync(EMPTY))).toEqual(EMPTY)
    expect(inflateSync(foreign.foreign("compress") as Buffer)).toEqual(EMPTY)
  })

  test("what is no zlib, or cut off, is refused", () => {
    const foreign = new Foreign()
    const packed = deflateSync("hello hello hello")
    for (const bad of [EMPTY, Buffer.from("plain"), packed.subarray(0, 8), Buffer.concat([packed.subarray(0, -1), Buffer.from([0])])]) {
      expect(foreign.foreign("uncompress", bad)).toBe(SERIALIZATION_FAILURE)
    }
  })

  test("a bomb is refused at 4 MiB", () => {
    const foreign = new Foreign()
    const most = foreign.foreign("uncompress", deflateSync(Buffer.alloc(4 << 20))) as Buffer
    expect(most.length).toBe(4 << 20)
    foreign.vm.enter(foreign.context.root, foreign.context)
    expect(foreign.foreign("uncompress", deflateSync(Buffer.alloc((4 << 20) + 1)))).toBe(SERIALIZATION_FAILURE)
  })
})

describe("digests and random octets", () => {
  test.each(["sha256", "sha384", "sha512", "sha1", "md5"])("%s and its code", (name) => {
    const foreign = new Foreign()
    expect(foreign.foreign("sluice_hash", `${name}\0a\0b`)).toEqual(createHash(name).update("a\0b").digest())
    const keyed = Buffer.concat([Buffer.from(`${name}\0`), u32(3), Buffer.from("keydata")])
    expect(foreign.foreign("sluice_hmac", keyed)).toEqual(createHmac(name, "key").update("data").digest())
    const keyless = Buffer.concat([Buffer.from(`${name}\0`), u32(0), Buffer.from("data")])
    expect(foreign.foreign("sluice_hmac", keyless)).toEqual(createHmac(name, "").update("data").digest())
  })

  test("malformed arguments are refused", () => {
    const foreign = new Foreign()
    for (const bad of ["", "sha256", "sha3\0x", "SHA256\0x", "__proto__\0"]) {
      expect(foreign.foreign("sluice_hash", bad)).toBe(BAD_ARGUMENT)
      expect(foreign.foreign("sluice_hmac", bad)).toBe(BAD_ARGUMENT)
    }
    for (const bad of ["sha256\0", "sha256\0\x04\0\0\0abc", "sha256\0\xff\xff\xff\xffabc"])
      expect(foreign.foreign("sluice_hmac", bad)).toBe(BAD_ARGUMENT)
  })

  test("random octets differ", () => {
    const foreign = new Foreign()
    const one = foreign.foreign("sluice_random", u32(32)) as Buffer
    const two = foreign.foreign("sluice_random", u32(32)) as Buffer
    expect([one.length, two.length]).toEqual([32, 32])
    expect(one.equals(two)).toBe(false)
    expect(foreign.foreign("sluice_random", u32(0))).toEqual(EMPTY)
    expect((foreign.foreign("sluice_random", u32(65_536)) as Buffer).length).toBe(65_536)
    for (const bad of [EMPTY, u32(65_537), u32(0xffffffff), Buffer.alloc(5)])
      expect(foreign.foreign("sluice_random", bad)).toBe(BAD_ARGUMENT)
  })
})

describe("what acts on the exchange", () => {
  test("clear_route_cache asks for the route anew", () => {
    const foreign = new Foreign()
    expect(foreign.foreign("clear_route_cache")).toEqual(EMPTY)
    expect(foreign.stream.events).toEqual(["clearRoute"])
    foreign.vm.enter(foreign.context.root, null)
    expect(foreign.foreign("clear_route_cache")).toEqual(EMPTY)
  })

  test("sluice_set_service chooses a service there is", () => {
    const foreign = new Foreign()
    expect(foreign.foreign("sluice_set_service", "canary")).toEqual(EMPTY)
    expect(foreign.foreign("sluice_set_service", "nowhere")).toBe(BAD_ARGUMENT)
    expect(foreign.stream.events).toEqual(["service canary", "service nowhere"])
    expect(foreign.foreign("sluice_set_service", "x".repeat(2000))).toBe(BAD_ARGUMENT)
    foreign.vm.enter(foreign.context.root, null)
    expect(foreign.foreign("sluice_set_service", "canary")).toBe(NOT_FOUND)
  })

  test("set_envoy_filter_state is read under its key", () => {
    const foreign = new Foreign()
    expect(foreign.foreign("set_envoy_filter_state", message({ 1: "envoy.x", 2: "value", 3: 2 }))).toEqual(EMPTY)
    expect((foreign.property("filter_state", "envoy.x") as Buffer).toString()).toBe("value")
    expect(foreign.foreign("set_envoy_filter_state", message({ 2: "value" }))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("set_envoy_filter_state", "\x0a\xff")).toBe(BAD_ARGUMENT)
    foreign.vm.enter(foreign.context.root, null)
    expect(foreign.foreign("set_envoy_filter_state", message({ 1: "k", 2: "v" }))).toBe(NOT_FOUND)
  })

  test("a property declared read-only is written once an exchange", () => {
    const foreign = new Foreign()
    const set = (value: string): number => foreign.call("proxy_set_property", ...foreign.put("once"), ...foreign.put(value))
    expect(foreign.foreign("declare_property", message({ 1: "once", 2: 1, 3: 1 }))).toEqual(EMPTY)
    expect(foreign.foreign("declare_property", message({ 1: "once" }))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("declare_property", message({ 2: 1 }))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("declare_property", "\x0a")).toBe(BAD_ARGUMENT)
    expect([set("1"), set("2")]).toEqual([OK, BAD_ARGUMENT])
    expect((foreign.property("once") as Buffer).toString()).toBe("1")
    foreign.foreign("declare_property", message({ 1: "often" }))
    for (const value of ["1", "2"]) expect(foreign.call("proxy_set_property", ...foreign.put("often"), ...foreign.put(value))).toBe(OK)
  })

  test("declarations are bounded", () => {
    const foreign = new Foreign()
    let declared = 0
    while (declared < 1000 && foreign.foreign("declare_property", message({ 1: `p${declared}` })) !== BAD_ARGUMENT) declared++
    expect(declared).toBe(256)
  })

  test("malformed messages are refused", () => {
    const foreign = new Foreign()
    const bad = ["\x0a", "\x0a\x05ab", "\x00\x00", "\x0b", "\x09\0\0", "\x0d\0", "\x08", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
    for (const each of bad) expect(foreign.foreign("declare_property", each)).toBe(BAD_ARGUMENT)
    const many = Buffer.concat(Array.from({ length: 100 }, (_, i) => Buffer.from([0x80 | ((i & 15) << 3), 1 + (i >> 4), 0])))
    expect(foreign.foreign("declare_property", many)).toBe(BAD_ARGUMENT)
    // Fields nobody knows, of every wire type, are skipped.
    const extra = Buffer.concat([Buffer.from("\x49\0\0\0\0\0\0\0\0\x4d\0\0\0\0\x50\x01\x5a\x01x", "latin1"), message({ 1: "known" })])
    expect(foreign.foreign("declare_property", extra)).toEqual(EMPTY)
  })
})

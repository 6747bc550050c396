import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { BodyBuffer } from "../../../gateway/filter/body-buffer.ts"
import { Direct, OUT, OUT2 } from "./support/direct.ts"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
/** Outside of every memory, with length 32. */
const WILD = -16
const REQUEST_BODY = 0
const RESPONSE_BODY = 1
const CALL_BODY = 4
const FOREIGN = 8

function body(text: string): BodyBuffer {
  const buffer = new BodyBuffer()
  const bytes = Buffer.from(text, "latin1")
  buffer.append(bytes, 0, bytes.length)
  return buffer
}

function read(direct: Direct, type: number, start = 0, max = -1): string | number {
  const status = direct.call("proxy_get_buffer_bytes", type, start, max, OUT, OUT2)
  return status === OK ? direct.result() : status
}

describe("buffers", () => {
  test("types that aren't readable in this callback are NOT_FOUND, others BAD_ARGUMENT", () => {
    const direct = new Direct({ spec: { vmConfig: "vmconf" } })
    for (const type of [0, 1, 2, 3, 4, 5, 7, 8]) {
      expect(direct.call("proxy_get_buffer_bytes", type, 0, 10, OUT, OUT2)).toBe(NOT_FOUND)
      expect(direct.call("proxy_get_buffer_status", type, OUT, OUT2)).toBe(NOT_FOUND)
    }
    for (const type of [9, -1]) {
      expect(direct.call("proxy_get_buffer_bytes", type, 0, 10, OUT, OUT2)).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_get_buffer_status", type, OUT, OUT2)).toBe(BAD_ARGUMENT)
    }
    for (const type of [0, 1, 2, 3]) expect(direct.call("proxy_set_buffer_bytes", type, 0, 0, 0, 0)).toBe(NOT_FOUND)
    for (const type of [4, 5, 6, 7, 8, 9, -1]) expect(direct.call("proxy_set_buffer_bytes", type, 0, 0, 0, 0)).toBe(BAD_ARGUMENT)
  })

  test("ranges are clamped", () => {
    const direct = new Direct({ spec: { vmConfig: "vmconf" } })
    const read = (start: number, max: number): string | number => {
      const status = direct.call("proxy_get_buffer_bytes", 6, start, max, OUT, OUT2)
      return status === OK ? direct.result() : status
    }
    expect(read(0, -1)).toBe("vmconf")
    expect(read(0, 2)).toBe("vm")
    expect(read(2, 100)).toBe("conf")
    expect(read(6, 1)).toBe("")
    expect(read(100, 1)).toBe("")
    expect(direct.word(OUT)).toBe(0)
    expect(read(1, -1)).toBe(BAD_ARGUMENT)
    expect(read(-1, 1)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_get_buffer_bytes", 6, 0, 10, WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_buffer_status", 6, OUT, OUT2)).toBe(OK)
    expect([direct.word(OUT), direct.word(OUT2)]).toEqual([6, 0])
    expect(direct.call("proxy_get_buffer_status", 6, WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
  })

  test("0.1.0 modules ask for the configuration otherwise", () => {
    const direct = new Direct({ abi: "0_1_0", spec: { vmConfig: "vmconf" } })
    expect(direct.call("proxy_get_buffer_bytes", 6, 0, 10, OUT, OUT2)).toBe(NOT_FOUND)
    expect(direct.call("proxy_get_configuration", OUT, OUT2)).toBe(OK)
    expect(direct.result()).toBe("vmconf")
  })
})

describe("bodies", () => {
  test.each([
    ["request", REQUEST_BODY],
    ["response", RESPONSE_BODY],
  ])("the %s's is read in ranges", (_name, type) => {
    const direct = new Direct()
    if (type === REQUEST_BODY) direct.context.shownRequest.body = body("hello\xff")
    else direct.context.shownResponse.body = body("hello\xff")
    expect(read(direct, type)).toBe("hello\xff")
    expect(read(direct, type, 1, 3)).toBe("ell")
    expect(read(direct, type, 4, 100)).toBe("o\xff")
    expect(read(direct, type, 6, 1)).toBe("")
    expect(read(direct, type, 1, -1)).toBe(BAD_ARGUMENT)
    expect(read(direct, 1 - type)).toBe(NOT_FOUND)
    expect(direct.call("proxy_get_buffer_status", type, OUT, OUT2)).toBe(OK)
    expect([direct.word(OUT), direct.word(OUT2)]).toEqual([6, 0])
  })

  test("an empty one is there, and nothing is allocated for it", () => {
    const direct = new Direct()
    direct.context.shownRequest.body = new BodyBuffer()
    expect(read(direct, REQUEST_BODY)).toBe("")
    expect(direct.word(OUT)).toBe(0)
  })

  test.each([
    ["prepended to", 0, 0, "> ", "> hello"],
    ["appended to", 5, 0, "!", "hello!"],
    ["appended to from beyond its end", 99, 99, "!", "hello!"],
    ["replaced", 0, 5, "bye", "bye"],
    ["replaced with a length beyond its own", 0, -1, "bye", "bye"],
    ["replaced by nothing", 0, -1, "", ""],
    ["given another beginning", 0, 1, "J", "Jello"],
    ["given another middle", 1, 3, "alt", "halto"],
    ["cut in the middle", 1, 3, "", "ho"],
    ["cut at its end", 2, -1, "", "he"],
  ])("can be %s", (_name, start, count, data, expected) => {
    for (const type of [REQUEST_BODY, RESPONSE_BODY]) {
      const direct = new Direct()
      const buffer = body("hello")
      if (type === REQUEST_BODY) direct.context.shownRequest.body = buffer
      else direct.context.shownResponse.body = buffer
      expect(direct.call("proxy_set_buffer_bytes", type, start, count, ...direct.put(data))).toBe(OK)
      expect(buffer.bytes.toString("latin1")).toBe(expected)
      expect(read(direct, type)).toBe(expected)
    }
  })

  test("an edit leaves alone the octets it was made from, and those it replaced", () => {
    const direct = new Direct()
    const wire = Buffer.from("hello")
    const buffer = new BodyBuffer()
    buffer.append(wire, 0, 5)
    direct.context.shownRequest.body = buffer
    const data = direct.put("J")
    expect(direct.call("proxy_set_buffer_bytes", REQUEST_BODY, 0, 1, ...data)).toBe(OK)
    direct.vm.memory.bytes.fill(0, data[0], data[0] + 1)
    expect([wire.toString(), buffer.bytes.toString()]).toEqual(["hello", "Jello"])
  })

  test("growth ends at what the filter may keep, 1 MiB at least", () => {
    for (const bodyLimit of [1000, 2 << 20]) {
      const direct = new Direct({ spec: { bodyLimit } })
      const buffer = new BodyBuffer()
      direct.context.shownRequest.body = buffer
      const page: [number, number] = [0, 65_536]
      let calls = 0
      while (calls < 100 && direct.call("proxy_set_buffer_bytes", REQUEST_BODY, -1, 0, ...page) === OK) calls++
      expect(calls).toBe(bodyLimit === 1000 ? 16 : 32)
      expect(direct.call("proxy_set_buffer_bytes", REQUEST_BODY, -1, 0, 0, 1)).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_set_buffer_bytes", REQUEST_BODY, 0, 10, 0, 10)).toBe(OK)
      expect(direct.call("proxy_set_buffer_bytes", REQUEST_BODY, 0, -1, 0, 1)).toBe(OK)
      expect(buffer.length).toBe(1)
    }
  })

  test("hostile pointers and lengths", () => {
    const direct = new Direct()
    const buffer = body("hello")
    direct.context.shownRequest.body = buffer
    expect(direct.call("proxy_set_buffer_bytes", REQUEST_BODY, 0, 0, WILD, 32)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_buffer_bytes", REQUEST_BODY, 0, 0, 0, -1)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_buffer_bytes", REQUEST_BODY, 0, -1, WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_buffer_bytes", REQUEST_BODY, 0, -1, OUT, WILD)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_buffer_status", REQUEST_BODY, OUT, WILD)).toBe(INVALID_MEMORY_ACCESS)
    expect(buffer.bytes.toString()).toBe("hello")
  })

  test("copies are paid for: a loop of them ends with the budget", () => {
    // An allocator that always gives the same address costs the guest nothing.
    const loop = (call: string): Uint8Array =>
      guest({
        imports: ["proxy_get_buffer_bytes", "proxy_set_buffer_bytes"],
        memory: "32 32",
        allocator: `(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))`,
        code: `(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (loop $l ${call} (br $l)) (i32.const 0))`,
      })
    const get = "(drop (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 16) (i32.const 20)))"
    const set = "(drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 0) (i32.const 1)))"
    for (const call of [get, set]) {
      const host = new TestHost()
      const plugin = host.plugin(loop(call), { memory: 4 << 20, cpuMs: 50 })
      const stream = new FakeStream()
      const context = plugin.open(stream)
      context?.onRequestHeaders(false)
      const buffer = new BodyBuffer()
      let copied = 0
      const large = Buffer.alloc(1 << 20)
      buffer.append(large, 0, large.length)
      const counted = Object.create(buffer) as BodyBuffer
      Object.defineProperties(counted, {
        length: { get: () => buffer.length },
        bytes: {
          get: () => {
            copied++
            return buffer.bytes
          },
        },
        splice: {
          value: (start: number, count: number, data: Uint8Array) => {
            copied++
            buffer.splice(start, count, data)
          },
        },
      })
      context?.onRequestBody(counted, false)
      expect(stream.events).toEqual(["fail filterBudget probe:budget"])
      // 50 ms pay for some 80 of them; unpaid it would be some 20,000.
      expect(copied).toBeLessThan(200)
    }
  })
})

describe("other buffers", () => {
  test("a callout's answer is read in its callback, and can't be written", () => {
    const direct = new Direct()
    direct.vm.callout = { response: { status: 200, headers: [], body: Buffer.from("answer"), trailers: [] } }
    expect(read(direct, CALL_BODY)).toBe("answer")
    expect(read(direct, CALL_BODY, 2, 3)).toBe("swe")
    expect(direct.call("proxy_set_buffer_bytes", CALL_BODY, 0, 0, 0, 1)).toBe(BAD_ARGUMENT)
    direct.vm.callout = { response: null }
    expect(read(direct, CALL_BODY)).toBe(NOT_FOUND)
    direct.vm.callout = null
    expect(read(direct, CALL_BODY)).toBe(NOT_FOUND)
  })

  test("a foreign function's arguments are read in its callback", () => {
    const direct = new Direct()
    direct.vm.foreignArguments = Buffer.from("arguments")
    expect(read(direct, FOREIGN)).toBe("arguments")
    direct.vm.foreignArguments = null
    expect(read(direct, FOREIGN)).toBe(NOT_FOUND)
    const old = new Direct({ abi: "0_1_0" })
    old.vm.foreignArguments = Buffer.from("arguments")
    expect(read(old, FOREIGN)).toBe(NOT_FOUND)
  })
})

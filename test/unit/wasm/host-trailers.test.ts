import { describe, expect, test } from "vitest"
import type { CalloutResponse } from "../../../gateway/filter/filter.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { ChainExchange } from "./support/chain.ts"
import { Direct, OUT, OUT2 } from "./support/direct.ts"
import { encoded, pairsOf, remove, write } from "./support/header-calls.ts"
import { TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
const REQUEST_TRAILERS = 1
const RESPONSE_TRAILERS = 3
const CALL_HEADERS = 6
const CALL_TRAILERS = 7

describe.each([
  ["request", REQUEST_TRAILERS],
  ["response", RESPONSE_TRAILERS],
])("%s trailers", (which, map) => {
  /** In the trailer callback, with some trailers. */
  function inTrailers(): { direct: Direct; fields: Fields } {
    const direct = new Direct({ response: which === "response" })
    const fields = Fields.from([
      ["x-sum", "1"],
      ["grpc-status", "0"],
      ["x-sum", "2"],
    ])
    if (which === "request") {
      direct.stream.requestTrailers = fields
      direct.context.shownRequest.trailersWritable = true
    } else {
      direct.stream.responseTrailers = fields
      direct.context.shownResponse.trailersWritable = true
    }
    return { direct, fields }
  }

  /** In the body callback that sees the end of a message without trailers. */
  function atEnd(): Direct {
    const direct = new Direct({ response: which === "response" })
    direct.stream.ending = true
    if (which === "request") direct.context.shownRequest.ends = true
    else direct.context.shownResponse.ends = true
    return direct
  }

  const made = (direct: Direct): Fields | null => (which === "request" ? direct.stream.requestTrailers : direct.stream.responseTrailers)

  test("are read", () => {
    const { direct } = inTrailers()
    expect(pairsOf(direct, map)).toEqual(["x-sum", "1", "grpc-status", "0", "x-sum", "2"])
    expect(direct.get(map, "X-Sum")).toBe("1, 2")
    expect(direct.get(map, "x-none")).toBe(NOT_FOUND)
    expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(OK)
    expect(direct.word(OUT)).toBe(24)
  })

  test("are edited", () => {
    const { direct, fields } = inTrailers()
    expect(write(direct, "add", map, "X-More", "a")).toBe(OK)
    expect(write(direct, "replace", map, "x-sum", "3")).toBe(OK)
    expect(remove(direct, map, "grpc-status")).toBe(OK)
    expect(remove(direct, map, "x-none")).toBe(OK)
    expect(fields.entries()).toEqual(["x-sum", "3", "x-more", "a"])
    expect(direct.call("proxy_set_header_map_pairs", map, ...direct.put(encoded("A", "1", "b", "2")))).toBe(OK)
    expect(fields.entries()).toEqual(["a", "1", "b", "2"])
    expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(OK)
    expect(fields.entries()).toEqual([])
  })

  test.each([
    ["split the message", "x-sum", "a\r\nb: c"],
    ["are no names", "x sum", "1"],
    ["are pseudo-headers", ":path", "/"],
    ["frame it", "content-length", "1"],
    ["frame it otherwise", "transfer-encoding", "chunked"],
    ["belong to its connection", "connection", "close"],
    ["route it", "host", "other.example"],
    ["authenticate it", "authorization", "Basic eA=="],
    ["set cookies", "set-cookie", "a=1"],
  ])("fields that %s are refused", (_name, name, value) => {
    const { direct, fields } = inTrailers()
    const before = fields.entries()
    expect(write(direct, "add", map, name, value)).toBe(BAD_ARGUMENT)
    expect(write(direct, "replace", map, name, value)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_header_map_pairs", map, ...direct.put(encoded("x-good", "1", name, value)))).toBe(BAD_ARGUMENT)
    expect(fields.entries()).toEqual(before)
    const end = atEnd()
    expect(write(end, "add", map, name, value)).toBe(BAD_ARGUMENT)
    expect(made(end)).toBeNull()
  })

  test("are made by writing to them at the message's end", () => {
    for (const how of ["add", "replace"] as const) {
      const direct = atEnd()
      expect(direct.get(map, "x-sum")).toBe(BAD_ARGUMENT)
      expect(remove(direct, map, "x-sum")).toBe(OK)
      expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(OK)
      expect(made(direct)).toBeNull()
      expect(write(direct, how, map, "x-sum", "1")).toBe(OK)
      expect(write(direct, "add", map, "x-more", "2")).toBe(OK)
      expect(made(direct)?.entries()).toEqual(["x-sum", "1", "x-more", "2"])
      expect(direct.get(map, "x-sum")).toBe("1")
    }
    const direct = atEnd()
    expect(direct.call("proxy_set_header_map_pairs", map, ...direct.put(encoded("x-a", "1")))).toBe(OK)
    expect(made(direct)?.entries()).toEqual(["x-a", "1"])
  })

  test("that have not come are no pairs, and BAD_ARGUMENT for the rest", () => {
    const direct = new Direct({ response: true })
    expect(pairsOf(direct, map)).toEqual([])
    expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(BAD_ARGUMENT)
    expect(direct.get(map, "x-sum")).toBe(BAD_ARGUMENT)
    expect(write(direct, "add", map, "x-sum", "1")).toBe(BAD_ARGUMENT)
    expect(write(direct, "replace", map, "x-sum", "1")).toBe(BAD_ARGUMENT)
    expect(remove(direct, map, "x-sum")).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(BAD_ARGUMENT)
  })

  test("are read-only outside of their callback, and when the stream has ended", () => {
    const { direct, fields } = inTrailers()
    if (which === "request") direct.context.shownRequest.trailersWritable = false
    else direct.context.shownResponse.trailersWritable = false
    const refused = (): void => {
      expect(write(direct, "add", map, "x-more", "1")).toBe(BAD_ARGUMENT)
      expect(remove(direct, map, "x-sum")).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(BAD_ARGUMENT)
      expect(direct.get(map, "x-sum")).toBe("1, 2")
    }
    refused()
    direct.context.ended = true
    if (which === "request") direct.context.shownRequest.trailersWritable = true
    else direct.context.shownResponse.trailersWritable = true
    refused()
    expect(fields.size).toBe(3)
  })

  test("that are absent read as empty once the stream has ended", () => {
    const direct = new Direct({ response: true })
    direct.context.ended = true
    expect(pairsOf(direct, map)).toEqual([])
    expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(OK)
    expect(direct.word(OUT)).toBe(0)
    expect(direct.get(map, "x-sum")).toBe(NOT_FOUND)
  })

  test("are bounded", () => {
    const { direct, fields } = inTrailers()
    let status = OK
    let added = 0
    const name = direct.put("x")
    while (added < 2000 && (status = direct.call("proxy_add_header_map_value", map, ...name, ...name)) === OK) added++
    expect([status, added, fields.size]).toEqual([BAD_ARGUMENT, 1021, 1024])
    const large = inTrailers().direct
    const key = large.put("x")
    let octets = 0
    while (octets < 1 << 21 && large.call("proxy_replace_header_map_value", map, ...key, 5000, 60_000) === OK) octets += 60_001
    expect(octets).toBeLessThanOrEqual(1 << 20)
    expect(large.call("proxy_add_header_map_value", map, ...key, -16, 32)).toBe(INVALID_MEMORY_ACCESS)
    expect(large.call("proxy_add_header_map_value", map, -16, 32, ...key)).toBe(INVALID_MEMORY_ACCESS)
  })
})

describe("a callout's answer", () => {
  function answered(response: CalloutResponse | null, abi?: string): Direct {
    const direct = new Direct(abi === undefined ? {} : { abi })
    direct.vm.callout = { response }
    return direct
  }
  const response: CalloutResponse = {
    status: 207,
    headers: ["content-type", "text/plain", "x-many", "a", "x-many", "b", "set-cookie", "c=1", "set-cookie", "d=2", "connection", "close"],
    body: new Uint8Array(),
    trailers: ["x-sum", "9"],
  }

  test("has its status first", () => {
    const direct = answered(response)
    expect(pairsOf(direct, CALL_HEADERS)).toEqual([":status", "207", ...response.headers])
    expect(pairsOf(direct, CALL_TRAILERS)).toEqual(["x-sum", "9"])
    expect(direct.get(CALL_HEADERS, ":status")).toBe("207")
    expect(direct.get(CALL_HEADERS, "Content-Type")).toBe("text/plain")
    expect(direct.get(CALL_HEADERS, "x-many")).toBe("a, b")
    expect(direct.get(CALL_HEADERS, "set-cookie")).toBe("c=1")
    expect(direct.get(CALL_HEADERS, "connection")).toBe("close")
    expect(direct.get(CALL_HEADERS, "x-sum")).toBe(NOT_FOUND)
    expect(direct.get(CALL_TRAILERS, "x-sum")).toBe("9")
    expect(direct.get(CALL_TRAILERS, ":status")).toBe(NOT_FOUND)
    expect(direct.call("proxy_get_header_map_size", CALL_TRAILERS, OUT)).toBe(OK)
    expect(direct.word(OUT)).toBe(6)
  })

  test("can't be written", () => {
    const direct = answered(response)
    for (const map of [CALL_HEADERS, CALL_TRAILERS]) {
      expect(write(direct, "add", map, "x-more", "1")).toBe(BAD_ARGUMENT)
      expect(write(direct, "replace", map, "x-more", "1")).toBe(BAD_ARGUMENT)
      expect(remove(direct, map, "x-sum")).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(BAD_ARGUMENT)
    }
  })

  test("that failed reads as empty", () => {
    const direct = answered(null)
    for (const map of [CALL_HEADERS, CALL_TRAILERS]) {
      expect(pairsOf(direct, map)).toEqual([])
      expect(direct.get(map, ":status")).toBe(NOT_FOUND)
      expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(OK)
      expect(direct.word(OUT)).toBe(0)
    }
    expect(answered(null, "0_1_0").get(CALL_HEADERS, ":status")).toBe("")
  })

  test("is not there in other callbacks, and gRPC's never", () => {
    const direct = new Direct()
    for (const map of [4, 5, CALL_HEADERS, CALL_TRAILERS]) {
      expect(pairsOf(direct, map)).toEqual([])
      expect(direct.get(map, ":status")).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_get_header_map_size", map, OUT)).toBe(BAD_ARGUMENT)
    }
    for (const map of [8, -1]) {
      expect(direct.call("proxy_get_header_map_pairs", map, OUT, OUT2)).toBe(BAD_ARGUMENT)
      expect(direct.get(map, ":status")).toBe(BAD_ARGUMENT)
    }
  })

  test("is read without a stream, and the stream's maps are not there", () => {
    const direct = answered(response)
    direct.vm.stream = null
    expect(direct.get(CALL_HEADERS, ":status")).toBe("207")
    for (const map of [0, 1, 2, 3]) {
      expect(direct.get(map, ":path")).toBe(BAD_ARGUMENT)
      expect(pairsOf(direct, map)).toEqual([])
      expect(write(direct, "add", map, "x", "1")).toBe(BAD_ARGUMENT)
      expect(remove(direct, map, "x")).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_set_header_map_pairs", map, 0, 0)).toBe(BAD_ARGUMENT)
    }
  })
})

describe.each([
  ["request", REQUEST_TRAILERS],
  ["response", RESPONSE_TRAILERS],
])("the trailer callback of the %s", (which, map) => {
  const type = which === "request" ? 0 : 1
  const imports = [
    "proxy_log",
    "proxy_add_header_map_value",
    "proxy_continue_stream",
    "proxy_close_stream",
    "proxy_set_effective_context",
    "proxy_set_tick_period_milliseconds",
    "proxy_send_local_response",
    "proxy_get_buffer_bytes",
    "proxy_set_buffer_bytes",
  ]

  function begun(host: TestHost, script: Script, code: string): ChainExchange {
    const exchange = new ChainExchange(host.plugin(guest({ imports, data: script.data, code }))).begin(which === "response")
    if (which === "response") exchange.respond()
    exchange.take()
    return exchange
  }
  const feed = (exchange: ChainExchange, text: string): unknown => (type === 0 ? exchange.body(text) : exchange.responseBody(text))
  const end = (exchange: ChainExchange, trailers: Record<string, string> | null): unknown =>
    type === 0 ? exchange.end(trailers) : exchange.endResponse(trailers)
  const callback = (name: string, signature: string, body: string): string =>
    `(func (export "proxy_on_${which}_${name}") ${signature} ${body})`
  const trailers = (body: string): string => callback("trailers", "(param i32 i32) (result i32)", body)
  const onBody = (body: string): string => callback("body", "(param i32 i32 i32) (result i32)", body)
  const add = (script: Script, name: string): string =>
    `(call $proxy_add_header_map_value (i32.const ${map}) ${script.text(name)} ${script.text("1")})`

  test("comes with their number, after a body whose end is not shown as the message's", () => {
    const host = new TestHost()
    const script = new Script()
    const exchange = begun(
      host,
      script,
      `${onBody(`${script.sayDigit("body end ?", "(local.get 2)")} (i32.const 0)`)}
       ${trailers(`${script.sayDigit("context ?", "(local.get 0)")} ${script.sayDigit("trailers ?", "(local.get 1)")} (drop ${add(script, "x-more")}) (i32.const 0)`)}`,
    )
    feed(exchange, "a")
    end(exchange, { "x-a": "1", "x-b": "2" })
    expect(host.messages()).toEqual(["body end 0", "context 2", "trailers 2"])
    expect(exchange.take()).toEqual([`${which} body a`, `${which} end x-a 1 x-b 2 x-more 1`])
  })

  test("keeps body and trailers back with 1, whatever else with, until it is continued", () => {
    for (const action of [1, 2, 7]) {
      const host = new TestHost()
      const script = new Script()
      const exchange = begun(
        host,
        script,
        `(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1))
         (func (export "proxy_on_tick") (param i32) (drop (call $proxy_set_effective_context (i32.const 2)))
           ${script.sayDigit("edit ?", add(script, "x-late"))}
           ${script.sayDigit("body ?", `(call $proxy_set_buffer_bytes (i32.const ${type}) (i32.const 0) (i32.const 0) ${script.text("+")})`)}
           (drop (call $proxy_continue_stream (i32.const ${type}))))
         ${onBody("(i32.const 1)")} ${trailers(`(i32.const ${action})`)}`,
      )
      feed(exchange, "a")
      end(exchange, { "x-a": "1" })
      expect(exchange.take()).toEqual([])
      host.clock.advance(10)
      expect(exchange.take()).toEqual([`${which} body +a`, `${which} end x-a 1 x-late 1`])
      host.clock.advance(10)
      expect(host.messages()).toEqual(["edit 0", "body 0", "edit 2", "body 1"])
      expect(exchange.take()).toEqual([])
    }
  })

  test("lets a kept body go with 0", () => {
    const exchange = begun(new TestHost(), new Script(), `${onBody("(i32.const 1)")} ${trailers("(i32.const 0)")}`)
    feed(exchange, "a")
    end(exchange, { "x-a": "1" })
    expect(exchange.take()).toEqual([`${which} body a`, `${which} end x-a 1`])
  })

  test("can continue, reply and close", () => {
    const reply = `(drop (call $proxy_send_local_response (i32.const 418) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))`
    const cases: [string, string][] = [
      [`(drop (call $proxy_continue_stream (i32.const ${type})))`, `${which} end x-a 1`],
      [reply, "reply 418"],
      [`(drop (call $proxy_close_stream (i32.const ${type})))`, "reset"],
    ]
    for (const [what, event] of cases) {
      const exchange = begun(new TestHost(), new Script(), trailers(`${what} (i32.const 1)`))
      end(exchange, { "x-a": "1" })
      expect(exchange.take()[0]).toBe(event)
    }
  })

  test("trailers are made in the body callback that sees the end, and only there", () => {
    const host = new TestHost()
    const script = new Script()
    const exchange = begun(host, script, onBody(`${script.sayDigit("add ?", add(script, "x-new"))} (i32.const 0)`))
    feed(exchange, "a")
    end(exchange, null)
    expect(host.messages()).toEqual(["add 2", "add 0"])
    expect(exchange.take()).toEqual([`${which} body a`, `${which} end x-new 1`])
  })

  test("what a filter without it adds at the end stands beside the trailers that come", () => {
    const host = new TestHost()
    const script = new Script()
    const exchange = begun(
      host,
      script,
      onBody(`${script.sayDigit("end ?", "(local.get 2)")} ${script.sayDigit("add ?", add(script, "x-new"))} (i32.eqz (local.get 2))`),
    )
    feed(exchange, "a")
    end(exchange, { "x-a": "1" })
    expect(host.messages()).toEqual(["end 0", "add 2", "end 1", "add 0"])
    expect(exchange.take()).toEqual([`${which} body a`, `${which} end x-a 1 x-new 1`])
  })

  test("they are read when the stream is logged, and not written", () => {
    const host = new TestHost()
    const script = new Script()
    const exchange = begun(
      host,
      script,
      `${trailers("(i32.const 0)")} (func (export "proxy_on_log") (param i32) ${script.sayDigit("add ?", add(script, "x-late"))})`,
    )
    end(exchange, { "x-a": "1" })
    exchange.done()
    expect(host.messages()).toEqual(["add 2"])
  })
})

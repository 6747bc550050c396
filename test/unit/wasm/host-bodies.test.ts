import { describe, expect, test } from "vitest"
import { REQUEST_BODY, REQUEST_TRAILERS, RESPONSE_BODY, RESPONSE_TRAILERS } from "../../../gateway/filter/filter.ts"
import type { Plugin } from "../../../gateway/wasm/plugin.ts"
import { ChainExchange } from "./support/chain.ts"
import { TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const BODY = "(param i32 i32 i32) (result i32)"
const TRAILERS = "(param i32 i32) (result i32)"

/** Code that logs what a buffer holds, if it is there. */
function sayBuffer(type: number): string {
  return `(if (i32.eqz (call $proxy_get_buffer_bytes (i32.const ${type}) (i32.const 0) (i32.const -1) (i32.const 16) (i32.const 20)))
    (then (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))))`
}

/** Code that puts `text` into a buffer. */
function put(script: Script, type: number, start: number, count: number, text: string): string {
  return `(drop (call $proxy_set_buffer_bytes (i32.const ${type}) (i32.const ${start}) (i32.const ${count}) ${script.text(text)}))`
}

const imports = [
  "proxy_log",
  "proxy_get_buffer_bytes",
  "proxy_set_buffer_bytes",
  "proxy_continue_stream",
  "proxy_close_stream",
  "proxy_send_local_response",
  "proxy_set_effective_context",
  "proxy_replace_header_map_value",
  "proxy_get_header_map_value",
  "proxy_add_header_map_value",
  "proxy_set_tick_period_milliseconds",
]
const reply = (status: number): string =>
  `(drop (call $proxy_send_local_response (i32.const ${status}) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))`

/** A plugin of callbacks, by the end of their export's name. Bodies are shown to both directions alike. */
function plugin(
  host: TestHost,
  script: Script,
  callbacks: { readonly [name: string]: string },
  more = "",
  overrides: Parameters<TestHost["plugin"]>[1] = {},
): Plugin {
  const signatures: Readonly<Record<string, string>> = {
    request_headers: BODY,
    request_body: BODY,
    request_trailers: TRAILERS,
    response_headers: BODY,
    response_body: BODY,
    response_trailers: TRAILERS,
    tick: "(param i32)",
    vm_start: TRAILERS,
    done: "(param i32) (result i32)",
    log: "(param i32)",
    delete: "(param i32)",
  }
  const code = Object.entries(callbacks).map(([name, body]) => `(func (export "proxy_on_${name}") ${signatures[name]} ${body})`)
  return host.plugin(guest({ imports, data: script.data, code: `${more} ${code.join("\n")}` }), overrides)
}

/** Pauses until the end: what a filter that wants the whole body does. */
const untilEnd = "(i32.eqz (local.get 2))"

describe("interests", () => {
  test("are those of the exports, before anything runs", () => {
    const host = new TestHost()
    const interests = (callbacks: Record<string, string>): number => plugin(host, new Script(), callbacks).interests
    expect(interests({ request_headers: "(i32.const 0)", response_headers: "(i32.const 0)" })).toBe(0)
    expect(interests({ request_body: "(i32.const 0)" })).toBe(REQUEST_BODY)
    expect(interests({ response_trailers: "(i32.const 0)", request_trailers: "(i32.const 0)" })).toBe(REQUEST_TRAILERS | RESPONSE_TRAILERS)
    expect(interests({ response_body: "(i32.const 0)" })).toBe(RESPONSE_BODY)
  })

  test("a global of a callback's name is none", () => {
    const bytes = guest({ code: `(global (export "proxy_on_request_body") i32 (i32.const 0))` })
    expect(new TestHost().plugin(bytes).interests).toBe(0)
  })

  test("limits come from the specification, 1 MiB by default", () => {
    const host = new TestHost()
    expect(plugin(host, new Script(), {}).bodyLimit).toBe(1 << 20)
    expect(plugin(host, new Script(), {}, "", { bodyLimit: 0 }).bodyLimit).toBe(0)
  })
})

describe.each([
  ["request", 0],
  ["response", 1],
])("the %s's body", (which, type) => {
  /** An exchange with its head through, and what it is fed by. */
  function begun(...plugins: Plugin[]): { exchange: ChainExchange; feed(...chunks: string[]): void; end(): void; got(): string } {
    const exchange = new ChainExchange(...plugins).begin(type === 1)
    if (type === 1) exchange.respond()
    exchange.take()
    return {
      exchange,
      feed: (...chunks) => void (type === 0 ? exchange.body(...chunks) : exchange.responseBody(...chunks)),
      end: () => void (type === 0 ? exchange.end() : exchange.endResponse()),
      got: () => (type === 0 ? exchange.request : exchange.response),
    }
  }

  /** One callback of this direction, which logs its arguments and what it sees. */
  const shown = (script: Script, body: string): string =>
    `${script.sayDigit("context ?", "(local.get 0)")} ${script.sayDigit("length ?", "(local.get 1)")} ${script.sayDigit("end ?", "(local.get 2)")} ${sayBuffer(type)} ${body}`

  test("is shown as it comes, and goes on with 0", () => {
    const host = new TestHost()
    const script = new Script()
    const { exchange, feed, end } = begun(plugin(host, script, { [`${which}_body`]: shown(script, "(i32.const 0)") }))
    feed("one", "three")
    expect(exchange.take()).toEqual([`${which} body one`, `${which} body three`])
    end()
    expect(exchange.take()).toEqual([`${which} end`])
    const each = (length: number, last: number, text: string): string[] => ["context 2", `length ${length}`, `end ${last}`, text]
    expect(host.messages()).toEqual([...each(3, 0, "one"), ...each(5, 0, "three"), ...each(0, 1, "")])
  })

  test("is kept with 1, and grows until it goes on", () => {
    const host = new TestHost()
    const script = new Script()
    const { exchange, feed, end } = begun(plugin(host, script, { [`${which}_body`]: `${sayBuffer(type)} ${untilEnd}` }))
    feed("a", "b", "c")
    expect(exchange.take()).toEqual([])
    end()
    expect(exchange.take()).toEqual([`${which} body abc`, `${which} end`])
    expect(host.messages()).toEqual(["a", "ab", "abc", "abc"])
  })

  test("an edit in a callback that pauses lasts", () => {
    const host = new TestHost()
    const script = new Script()
    const body = `${sayBuffer(type)} (if (i32.eqz (local.get 2)) (then ${put(script, type, 0, 0, "<")} ${put(script, type, 99, 0, ">")})) ${untilEnd}`
    const { feed, end, got } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("a", "b")
    end()
    expect(host.messages()).toEqual(["a", "<a>b", "<<a>b>"])
    expect(got()).toBe("<<a>b>")
  })

  test("is replaced, grown and cut on its way", () => {
    const host = new TestHost()
    const script = new Script()
    const body = `${put(script, type, 0, -1, "another body")} ${put(script, type, 7, 1, "-")} (i32.const 0)`
    const { feed, got } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("x", "y")
    expect(got()).toBe("another-bodyanother-body")
  })

  test("at its end, octets can be added where none were", () => {
    const host = new TestHost()
    const script = new Script()
    const body = `(if (local.get 2) (then ${put(script, type, 0, 0, "tail")})) (i32.const 0)`
    const { exchange, feed, end } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("head ")
    end()
    expect(exchange.take()).toEqual([`${which} body head `, `${which} body tail`, `${which} end`])
  })

  test("2 stops reading until it goes on", () => {
    const host = new TestHost()
    const script = new Script()
    const { exchange, feed } = begun(
      plugin(host, script, {
        [`${which}_body`]: `${sayBuffer(type)} (select (i32.const 0) (i32.const 2) (i32.ge_u (local.get 1) (i32.const 2)))`,
      }),
    )
    feed("a")
    expect(exchange.take()).toEqual([`hold ${which}`])
    feed("b")
    expect(exchange.take()).toEqual([`${which} body ab`, `release ${which}`])
    expect(host.messages()).toEqual(["a", "ab"])
  })

  test.each([3, 4, 99, -1])("%i keeps nothing", (action) => {
    const host = new TestHost()
    const script = new Script()
    const body = `${sayBuffer(type)} (select (i32.const 0) (i32.const ${action}) (local.get 2))`
    const { exchange, feed, end } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("a", "b")
    end()
    expect(exchange.take()).toEqual([`${which} end`])
    expect(host.messages()).toEqual(["a", "b", ""])
  })

  test("continuing in the callback that pauses means going on, with nothing when nothing was to be kept", () => {
    for (const action of [1, 2, 3]) {
      const host = new TestHost()
      const script = new Script()
      const body = `(drop (call $proxy_continue_stream (i32.const ${type}))) (i32.const ${action})`
      const { exchange, feed, end } = begun(plugin(host, script, { [`${which}_body`]: body }))
      feed("a")
      end()
      expect(exchange.take()).toEqual(action === 3 ? [`${which} end`] : [`${which} body a`, `${which} end`])
    }
  })

  test("over its limit the exchange ends, and the guest isn't called with it again", () => {
    const host = new TestHost()
    const script = new Script()
    const each = { [`${which}_body`]: `${sayBuffer(type)} ${untilEnd}` }
    const { exchange, feed } = begun(plugin(host, script, each, "", { bodyLimit: 4 }))
    feed("1234", "5", "6")
    expect(host.messages()).toEqual(["1234", "12345"])
    expect(exchange.take()[0]).toBe(type === 0 ? "fail bodyTooLarge kept by a filter" : "fail responseTooLarge kept by a filter")
    expect(exchange.take()).toEqual([])
  })

  test("each filter sees what the one before has made of it", () => {
    const host = new TestHost()
    const filters = ["a", "b"].map((name) => {
      const script = new Script()
      const body = `${sayBuffer(type)} ${put(script, type, 99, 0, name)} (i32.const 0)`
      return plugin(host, script, { [`${which}_body`]: body }, "", { name })
    })
    const { feed, got } = begun(...filters)
    feed("x")
    // In list order on the request, in reverse on the response.
    expect(got()).toBe(type === 0 ? "xab" : "xba")
    expect(host.messages()).toEqual(["x", type === 0 ? "xa" : "xb"])
  })

  test("is readable and editable while it is kept, through the effective context, and goes on when continued from outside", () => {
    const host = new TestHost()
    const script = new Script()
    // Stream 2 keeps its body. The tick edits it, then continues it.
    const callbacks = {
      vm_start: "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1)",
      [`${which}_body`]: "(i32.const 1)",
      tick: `(drop (call $proxy_set_effective_context (i32.const 2)))
        ${sayBuffer(type)} ${put(script, type, 0, 0, "+")}
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (if (i32.eq (global.get $n) (i32.const 3)) (then (drop (call $proxy_continue_stream (i32.const ${type})))))`,
    }
    const { exchange, feed, end } = begun(plugin(host, script, callbacks, "(global $n (mut i32) (i32.const 0))"))
    feed("a")
    host.clock.advance(10)
    feed("b")
    host.clock.advance(10)
    end()
    expect(exchange.take()).toEqual([])
    host.clock.advance(10)
    expect(exchange.take()).toEqual([`${which} body +++ab`, `${which} end`])
    expect(host.messages()).toEqual(["a", "+ab", "++ab"])
    // It has gone on: there is nothing of it to read or write any more.
    host.logs.length = 0
    host.clock.advance(10)
    expect(host.messages()).toEqual([])
    expect(exchange.take()).toEqual([])
  })

  test("continuing what isn't paused does nothing", () => {
    const host = new TestHost()
    const script = new Script()
    const body = `(drop (call $proxy_continue_stream (i32.const ${1 - type}))) (i32.const 0)`
    const { exchange, feed } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("a", "b")
    expect(exchange.take()).toEqual([`${which} body a`, `${which} body b`])
  })

  test("a reply in its callback ends the exchange, whatever the callback returns", () => {
    for (const action of [0, 1, 2, 3]) {
      const host = new TestHost()
      const script = new Script()
      const { exchange, feed, end, got } = begun(plugin(host, script, { [`${which}_body`]: `${reply(403)} (i32.const ${action})` }))
      feed("a", "b")
      end()
      expect(exchange.take()[0]).toBe("reply 403")
      expect(got()).toBe("")
      expect(host.metricsOf("probe").count).toBe(0)
      exchange.done()
      // Heads, and one callback with the body: what came after the reply was not shown.
      expect(host.metricsOf("probe").count).toBe(2)
    }
  })

  test("closing in its callback resets the exchange", () => {
    const host = new TestHost()
    const script = new Script()
    const body = `(drop (call $proxy_close_stream (i32.const ${type}))) (i32.const 0)`
    const { exchange, feed } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("a", "b")
    expect(exchange.take()).toEqual(["reset"])
  })

  test("a reply from outside ends an exchange that is paused in it", () => {
    const host = new TestHost()
    const script = new Script()
    const callbacks = {
      vm_start: "(drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1)",
      [`${which}_body`]: "(i32.const 1)",
      tick: `(drop (call $proxy_set_effective_context (i32.const 2))) ${reply(429)} ${sayBuffer(type)}`,
    }
    const { exchange, feed, got } = begun(plugin(host, script, callbacks))
    feed("a")
    host.clock.advance(10)
    expect(exchange.take()[0]).toBe("reply 429")
    host.clock.advance(10)
    expect(got()).toBe("")
    exchange.done()
    expect(host.metricsOf("probe").traps).toEqual([])
  })

  test("a head is editable while nothing of its message has been sent", () => {
    const host = new TestHost()
    const script = new Script()
    const name = script.text("x-size")
    const body = `${script.sayDigit("edit ?", `(call $proxy_replace_header_map_value (i32.const ${type === 0 ? 0 : 2}) ${name} ${name})`)} ${untilEnd}`
    const { exchange, feed, end } = begun(plugin(host, script, { [`${which}_body`]: body }))
    feed("a")
    end()
    expect(host.messages()).toEqual(["edit 0", "edit 0"])
    const head = type === 0 ? exchange.run.request : exchange.run.response
    expect(head?.fields.get("x-size")).toBe("x-size")
    const streaming = new TestHost()
    const open = begun(plugin(streaming, script, { [`${which}_body`]: body.replace(untilEnd, "(i32.const 0)") }))
    open.feed("a", "b")
    expect(streaming.messages()).toEqual(["edit 0", "edit 2"])
  })

  test("is not there in other callbacks, nor once it has gone on", () => {
    const host = new TestHost()
    const script = new Script()
    const status = script.sayDigit(
      "?",
      `(call $proxy_get_buffer_bytes (i32.const ${type}) (i32.const 0) (i32.const -1) (i32.const 16) (i32.const 20))`,
    )
    const write = script.sayDigit(
      "?",
      `(call $proxy_set_buffer_bytes (i32.const ${type}) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 4))`,
    )
    const both = `${status} ${write}`
    const { exchange, feed, end } = begun(
      plugin(host, script, {
        request_headers: `${both} (i32.const 0)`,
        response_headers: `${both} (i32.const 0)`,
        [`${which}_body`]: "(i32.const 0)",
        [`${type === 0 ? "response" : "request"}_body`]: `${both} (i32.const 0)`,
        log: both,
      }),
    )
    feed("a")
    end()
    if (type === 0) exchange.respond().responseBody("b")
    exchange.done()
    const times = type === 0 ? 4 : 3
    expect(host.messages()).toEqual(new Array(times * 2).fill("1"))
  })
})

test("a body kept in one direction does not stop the other", () => {
  const host = new TestHost()
  const script = new Script()
  const exchange = new ChainExchange(
    plugin(host, script, {
      request_body: "(i32.gt_u (local.get 1) (i32.const 1))",
      response_body: `(drop (call $proxy_continue_stream (i32.const 0))) (i32.const 0)`,
    }),
  )
  exchange.begin().body("a", "bc").respond()
  expect(exchange.take()).toEqual(["request", "request body a", "response 200"])
  exchange.responseBody("x")
  // The response's callback has continued the request.
  expect(exchange.take()).toEqual(["response body x", "request body bc"])
})

test("body and trailer callbacks are counted and measured like those of heads", () => {
  const host = new TestHost()
  const script = new Script()
  const names = ["request_headers", "request_body", "request_trailers", "response_headers", "response_body", "response_trailers"]
  const callbacks = Object.fromEntries(names.map((name) => [name, "(i32.const 0)"]))
  const one = plugin(host, script, callbacks)
  for (let i = 0; i < 16; i++) {
    const exchange = new ChainExchange(one)
    exchange.begin().body("a").end({ t: "1" }).respond().responseBody("b").endResponse({ t: "2" }).done()
  }
  expect([host.metricsOf("probe").count, host.metricsOf("probe").durations.length]).toEqual([96, 6])
})

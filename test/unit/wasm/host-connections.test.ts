import { describe, expect, test } from "vitest"
import { DOWNSTREAM_DATA, UPSTREAM_DATA } from "../../../gateway/filter/network-filter.ts"
import type { Plugin } from "../../../gateway/wasm/plugin.ts"
import { TestConnection } from "./support/connection.ts"
import { TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const imports = [
  "proxy_log",
  "proxy_get_buffer_bytes",
  "proxy_get_buffer_status",
  "proxy_set_buffer_bytes",
  "proxy_continue_stream",
  "proxy_close_stream",
  "proxy_set_effective_context",
  "proxy_set_tick_period_milliseconds",
  "proxy_http_call",
  "proxy_send_local_response",
  "proxy_get_header_map_value",
  "proxy_get_header_map_pairs",
  "proxy_replace_header_map_value",
  "proxy_get_property",
  "proxy_set_property",
  "proxy_call_foreign_function",
  "proxy_clear_route_cache",
]

const NEW = "(param i32) (result i32)"
const DATA = "(param i32 i32 i32) (result i32)"
const CLOSE = "(param i32 i32)"
const signatures: Readonly<Record<string, string>> = {
  context_create: CLOSE,
  new_connection: NEW,
  downstream_data: DATA,
  upstream_data: DATA,
  downstream_connection_close: CLOSE,
  upstream_connection_close: CLOSE,
  http_call_response: "(param i32 i32 i32 i32 i32)",
  tick: "(param i32)",
  done: NEW,
  log: "(param i32)",
  delete: "(param i32)",
}

/** A plugin of callbacks, by the end of their export's name. */
function plugin(
  host: TestHost,
  script: Script,
  callbacks: { readonly [name: string]: string },
  more = "",
  overrides: Parameters<TestHost["plugin"]>[1] = {},
): Plugin {
  const code = Object.entries(callbacks).map(([name, body]) => `(func (export "proxy_on_${name}") ${signatures[name]} ${body})`)
  return host.plugin(guest({ imports, data: script.data, code: `${more} ${code.join("\n")}` }), overrides)
}

/** Logs what a buffer holds, if it is there. */
function sayBuffer(type: number): string {
  return `(if (i32.eqz (call $proxy_get_buffer_bytes (i32.const ${type}) (i32.const 0) (i32.const -1) (i32.const 16) (i32.const 20)))
    (then (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))))`
}

function put(script: Script, type: number, start: number, count: number, text: string): string {
  return `(drop (call $proxy_set_buffer_bytes (i32.const ${type}) (i32.const ${start}) (i32.const ${count}) ${script.text(text)}))`
}

/** Logs the status that `call` answers, one digit. */
function sayStatus(script: Script, what: string, call: string): string {
  return script.sayDigit(`${what} ?`, call)
}

const GO = "(i32.const 0)"
const PAUSE = "(i32.const 1)"

describe("a connection in a guest", () => {
  test("has its callbacks in order, done, log and delete last", () => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(host, script, {
      context_create: `(if (local.get 1) (then ${script.say("create")}))`,
      new_connection: `${script.say("new")} ${GO}`,
      downstream_data: `${script.sayDigit("down ?", "(local.get 1)")} ${script.sayDigit("end ?", "(local.get 2)")} ${sayBuffer(2)} ${GO}`,
      upstream_data: `${script.sayDigit("up ?", "(local.get 1)")} ${script.sayDigit("end ?", "(local.get 2)")} ${sayBuffer(3)} ${GO}`,
      downstream_connection_close: script.sayDigit("down closed ?", "(local.get 1)"),
      upstream_connection_close: script.sayDigit("up closed ?", "(local.get 1)"),
      done: `${script.say("done")} (i32.const 1)`,
      log: script.say("log"),
      delete: `(if (i32.ne (local.get 0) (i32.const 1)) (then ${script.say("delete")}))`,
    })
    const connection = new TestConnection([filter]).start()
    connection.client("abc")
    connection.service("hi")
    connection.clientEnd()
    connection.serviceEnd()
    connection.finish()
    expect(connection.take()).toEqual(["accepted", ">abc", "<hi", ">end", "<end"])
    expect(host.messages()).toEqual([
      "create",
      "new",
      "down 3",
      "end 0",
      "abc",
      "up 2",
      "end 0",
      "hi",
      "down 0",
      "end 1",
      "",
      "up 0",
      "end 1",
      "",
      "down closed 2",
      "up closed 1",
      "done",
      "log",
      "delete",
    ])
    expect(host.metricsOf("probe").exchanges).toEqual([0])
    expect(filter.root?.vm.contexts.size).toBe(1)
  })

  test("tells which octets it wants by its exports, and costs nothing on others", () => {
    const host = new TestHost()
    const interests = (callbacks: Record<string, string>): number => plugin(host, new Script(), callbacks).dataInterests
    expect(interests({ new_connection: GO })).toBe(0)
    expect(interests({ downstream_data: GO })).toBe(DOWNSTREAM_DATA)
    expect(interests({ downstream_data: GO, upstream_data: GO })).toBe(DOWNSTREAM_DATA | UPSTREAM_DATA)
    expect(new TestConnection([plugin(host, new Script(), { new_connection: GO })]).start().chain.wants(false)).toBe(false)
  })

  test("edits octets at the front, at the end, in the middle and all of them", () => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(host, script, {
      downstream_data: `${put(script, 2, 0, 0, "<")} ${put(script, 2, 99, 0, ">")} ${put(script, 2, 1, 1, "XY")} ${GO}`,
      upstream_data: `${put(script, 3, 0, 99, "all")} ${GO}`,
    })
    const connection = new TestConnection([filter]).start()
    connection.client("abc")
    connection.service("whatever")
    expect(connection.take()).toEqual(["accepted", "><XYbc>", "<all"])
  })

  test("keeps what it pauses with, edits included, and is shown it with what follows", () => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(host, script, {
      downstream_data: `${sayBuffer(2)} ${put(script, 2, 0, 0, "+")} (i32.lt_u (local.get 1) (i32.const 6))`,
    })
    const connection = new TestConnection([filter]).start()
    connection.client("abc")
    connection.client("def")
    connection.client("g")
    expect(host.messages()).toEqual(["abc", "+abcdef", "g"])
    expect(connection.take()).toEqual(["accepted", ">++abcdef"])
  })

  test("pauses a new connection, and continues it from a tick", () => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(
      host,
      script,
      {
        new_connection: `(global.set $id (local.get 0)) (drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) ${PAUSE}`,
        tick: `(drop (call $proxy_set_effective_context (global.get $id))) (drop (call $proxy_continue_stream (i32.const 2)))
               (drop (call $proxy_set_tick_period_milliseconds (i32.const 0)))`,
      },
      "(global $id (mut i32) (i32.const 0))",
    )
    const connection = new TestConnection([filter]).start()
    expect(connection.take()).toEqual([])
    host.clock.advance(10)
    expect(connection.take()).toEqual(["accepted"])
  })

  test("waits for a callout with octets from either side", () => {
    const host = new TestHost()
    const script = new Script()
    const pairs = (list: readonly [string, string][]): string => {
      const words = [list.length, ...list.flatMap(([name, value]) => [name.length, value.length])]
      const bytes = new Uint8Array(new Uint32Array(words).buffer)
      return Buffer.concat([bytes, ...list.map(([name, value]) => Buffer.from(`${name}\0${value}\0`))]).toString("latin1")
    }
    const headers = pairs([
      [":method", "GET"],
      [":path", "/check"],
      [":authority", "auth"],
    ])
    const call = `(drop (call $proxy_http_call ${script.text("auth")} ${script.text(headers)} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 8)))`
    const filter = plugin(
      host,
      script,
      {
        new_connection: `(global.set $id (local.get 0)) ${GO}`,
        downstream_data: `${call} ${PAUSE}`,
        upstream_data: PAUSE,
        http_call_response: `(drop (call $proxy_set_effective_context (global.get $id))) ${sayBuffer(2)} ${put(script, 2, 0, 0, "ok:")}
          (drop (call $proxy_continue_stream (i32.const 2))) (drop (call $proxy_continue_stream (i32.const 3)))`,
      },
      "(global $id (mut i32) (i32.const 0))",
    )
    const connection = new TestConnection([filter]).start()
    connection.service("greeting")
    connection.client("login")
    expect(connection.take()).toEqual(["accepted"])
    expect(host.services.calls).toHaveLength(1)
    host.services.calls[0].handler.onCalloutResponse({ status: 200, headers: [], body: new Uint8Array(0), trailers: [] })
    expect(host.messages()).toEqual(["login"])
    expect(connection.take()).toEqual([">ok:login", "<greeting"])
  })

  test("continues in the callback that pauses", () => {
    const host = new TestHost()
    const filter = plugin(host, new Script(), {
      new_connection: `(drop (call $proxy_continue_stream (i32.const 2))) ${PAUSE}`,
      upstream_data: `(drop (call $proxy_continue_stream (i32.const 3))) ${PAUSE}`,
    })
    const connection = new TestConnection([filter]).start()
    connection.service("x")
    expect(connection.take()).toEqual(["accepted", "<x"])
  })

  test("is read no further while it keeps its limit of octets", () => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(
      host,
      script,
      {
        new_connection: `(global.set $id (local.get 0)) (drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) ${GO}`,
        downstream_data: PAUSE,
        tick: `(drop (call $proxy_set_effective_context (global.get $id))) (drop (call $proxy_continue_stream (i32.const 2)))`,
      },
      "(global $id (mut i32) (i32.const 0))",
      { bodyLimit: 4 },
    )
    const connection = new TestConnection([filter]).start()
    connection.client("abc")
    expect(connection.take()).toEqual(["accepted"])
    connection.client("d")
    expect(connection.take()).toEqual([">hold"])
    // Of what a runtime has read ahead nothing is lost.
    connection.client("e")
    host.clock.advance(10)
    expect(connection.take()).toEqual([">abcde", ">go on"])
  })

  test.each([
    ["the client's side", 2],
    ["the service's side", 3],
  ])("closes %s, and with it the connection", (_, type) => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(host, script, {
      downstream_data: `(drop (call $proxy_close_stream (i32.const ${type}))) ${GO}`,
      done: `${script.say("done")} (i32.const 1)`,
    })
    const connection = new TestConnection([filter]).start()
    connection.client("x")
    connection.client("y")
    expect(connection.take()).toEqual(["accepted", "close"])
    connection.finish()
    expect(host.messages()).toEqual(["done"])
  })

  test("closes a new connection before it goes anywhere", () => {
    const filter = plugin(new TestHost(), new Script(), { new_connection: `(drop (call $proxy_close_stream (i32.const 2))) ${GO}` })
    expect(new TestConnection([filter]).start().take()).toEqual(["close"])
  })

  test("passes several filters in order, and back in reverse", () => {
    const host = new TestHost()
    const mark = (text: string): Plugin => {
      const script = new Script()
      const filter = plugin(
        host,
        script,
        {
          new_connection: `${script.say(`new ${text}`)} ${GO}`,
          downstream_data: `${put(script, 2, 99, 0, text)} ${GO}`,
          upstream_data: `${put(script, 3, 99, 0, text)} ${GO}`,
        },
        "",
        { name: text },
      )
      return filter
    }
    const connection = new TestConnection([mark("a"), mark("b"), mark("c")]).start()
    connection.client("1")
    connection.service("2")
    connection.clientEnd()
    expect(host.messages()).toEqual(["new a", "new b", "new c"])
    expect(connection.take()).toEqual(["accepted", ">1abc", "<2cba", ">abc", ">end"])
  })

  test("a filter that pauses keeps those behind it from the connection, not those before", () => {
    const host = new TestHost()
    const script = new Script()
    const first = plugin(host, script, { new_connection: `${script.say("first")} ${PAUSE}` }, "", { name: "first" })
    const other = new Script()
    const second = plugin(host, other, { new_connection: `${other.say("second")} ${GO}` }, "", { name: "second" })
    const connection = new TestConnection([first, second]).start()
    expect(host.messages()).toEqual(["first"])
    expect(connection.take()).toEqual([])
    connection.finish()
    expect(host.metricsOf("first").exchanges).toEqual([0])
    expect(host.metricsOf("second").exchanges).toEqual([])
  })

  test("knows nothing of requests", () => {
    const host = new TestHost()
    const script = new Script()
    const key = script.text(":path")
    const zero = "(i32.const 0)"
    const filter = plugin(host, script, {
      new_connection: `
        ${sayStatus(script, "get", `(call $proxy_get_header_map_value ${zero} ${key} (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "pairs", `(call $proxy_get_header_map_pairs ${zero} (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "replace", `(call $proxy_replace_header_map_value ${zero} ${key} ${script.text("/x")})`)}
        ${sayStatus(script, "reply", `(call $proxy_send_local_response (i32.const 403) ${zero} ${zero} ${zero} ${zero} ${zero} ${zero} (i32.const -1))`)}
        ${sayStatus(script, "body", `(call $proxy_get_buffer_bytes ${zero} ${zero} (i32.const -1) (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "data", `(call $proxy_get_buffer_bytes (i32.const 2) ${zero} (i32.const -1) (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "request.path", `(call $proxy_get_property ${script.text("request\0path")} (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "response.code", `(call $proxy_get_property ${script.text("response\0code")} (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "clear", "(call $proxy_clear_route_cache)")}
        ${sayStatus(script, "continue request", `(call $proxy_continue_stream ${zero})`)}
        ${sayStatus(script, "close response", "(call $proxy_close_stream (i32.const 1))")}
        ${GO}`,
    })
    const connection = new TestConnection([filter]).start()
    expect(host.messages()).toEqual([
      "get 2",
      "pairs 0",
      "replace 2",
      "reply 2",
      "body 1",
      "data 1",
      "request.path 1",
      "response.code 1",
      "clear 0",
      "continue request 0",
      "close response 0",
    ])
    expect(connection.take()).toEqual(["accepted"])
  })

  test("reads properties of the connection, and keeps those it sets", () => {
    const host = new TestHost()
    const script = new Script()
    const read = (path: string): string =>
      `(if (i32.eqz (call $proxy_get_property ${script.text(path)} (i32.const 16) (i32.const 20)))
        (then (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))))`
    const filter = plugin(host, script, {
      new_connection: `
        ${read("source\0address")} ${read("destination\0address")} ${read("upstream\0address")} ${read("plugin_name")} ${read("cluster_name")}
        (drop (call $proxy_set_property ${script.text("mine")} ${script.text("kept")})) ${GO}`,
      downstream_data: `${read("mine")} ${GO}`,
    })
    const connection = new TestConnection([filter]).start()
    connection.client("x")
    expect(host.messages()).toEqual(["10.1.2.3:40000", "[::1]:8080", "10.0.0.9:9001", "probe", "api", "kept"])
  })

  test("chooses the service of a new connection", () => {
    const host = new TestHost()
    const script = new Script()
    const choose = (name: string): string =>
      `(call $proxy_call_foreign_function ${script.text("sluice_set_service")} ${script.text(name)} (i32.const 16) (i32.const 20))`
    const filter = plugin(host, script, {
      new_connection: `${sayStatus(script, "api", choose("api"))} ${sayStatus(script, "nowhere", choose("nowhere"))} ${GO}`,
    })
    expect(new TestConnection([filter]).start().take()).toEqual(["service api", "service nowhere", "accepted"])
    expect(host.messages()).toEqual(["api 0", "nowhere 2"])
  })

  test("sees buffers in its data callbacks only, and sets none but its own", () => {
    const host = new TestHost()
    const script = new Script()
    const filter = plugin(host, script, {
      downstream_data: `
        ${sayStatus(script, "own", `(call $proxy_get_buffer_status (i32.const 2) (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "other", `(call $proxy_get_buffer_status (i32.const 3) (i32.const 16) (i32.const 20))`)}
        ${sayStatus(script, "set other", `(call $proxy_set_buffer_bytes (i32.const 3) (i32.const 0) (i32.const 0) ${script.text("x")})`)}
        ${GO}`,
      downstream_connection_close: sayStatus(script, "late", `(call $proxy_get_buffer_status (i32.const 2) (i32.const 16) (i32.const 20))`),
    })
    const connection = new TestConnection([filter]).start()
    connection.client("x")
    connection.finish()
    expect(host.messages()).toEqual(["own 0", "other 1", "set other 1", "late 1"])
  })
})

describe("a connection whose filter fails", () => {
  const trap = "(unreachable)"

  test.each(["new_connection", "downstream_data", "upstream_data"])("in %s is closed, or passed on without it", (callback) => {
    for (const onError of ["deny", "skip"] as const) {
      const host = new TestHost()
      const filter = plugin(host, new Script(), { [callback]: trap }, "", { onError })
      const connection = new TestConnection([filter]).start()
      if (callback === "downstream_data") connection.client("x")
      if (callback === "upstream_data") connection.service("x")
      const before = callback === "new_connection" ? [] : ["accepted"]
      const skipped = callback === "new_connection" ? "accepted" : callback === "downstream_data" ? ">x" : "<x"
      expect(connection.take()).toEqual([...before, onError === "skip" ? skipped : "fail filterTrap probe:trap"])
      connection.finish()
      expect(host.metricsOf("probe").exchanges).toEqual([-1])
      expect(host.metricsOf("probe").traps).toEqual(["trap"])
    }
  })

  test("in another connection follows onError as well", () => {
    for (const onError of ["deny", "skip"] as const) {
      const host = new TestHost()
      const filter = plugin(
        host,
        new Script(),
        { downstream_data: `(if (i32.eq (local.get 1) (i32.const 9)) (then ${trap})) ${PAUSE}` },
        "",
        {
          onError,
        },
      )
      const waiting = new TestConnection([filter]).start()
      waiting.client("kept")
      const broken = new TestConnection([filter]).start()
      broken.client("123456789")
      expect(waiting.take()).toEqual(["accepted", onError === "skip" ? ">kept" : "fail filterTrap probe:trap"])
      waiting.finish()
      broken.finish()
      const next = new TestConnection([filter]).start()
      next.client("a")
      expect(next.take()).toEqual(["accepted"])
    }
  })

  test("that has no more say in it goes on", () => {
    const host = new TestHost()
    const filter = plugin(host, new Script(), { new_connection: GO, downstream_connection_close: trap })
    const one = new TestConnection([filter]).start()
    const two = new TestConnection([filter]).start()
    one.finish()
    two.client("x")
    expect(two.take()).toEqual(["accepted", ">x"])
  })

  test("out of CPU is closed, and says so", () => {
    const host = new TestHost()
    const filter = plugin(host, new Script(), { new_connection: `(loop $forever (br $forever)) ${GO}` }, "", { cpuMs: 1 })
    expect(new TestConnection([filter]).start().take()).toEqual(["fail filterBudget probe:budget"])
  })

  test("in its last callbacks is over all the same", () => {
    const host = new TestHost()
    const filter = plugin(host, new Script(), { log: trap })
    const connection = new TestConnection([filter]).start()
    connection.finish()
    expect(host.metricsOf("probe").exchanges).toEqual([-1])
    expect(filter.idle).toBe(true)
  })
})

import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { CONTINUE, PAUSE } from "../../../gateway/filter/filter.ts"
import { trialConfigure } from "../../../gateway/wasm/trial.ts"
import { FakeStream, specOf, TestHost, UNITS_PER_MS } from "./support/host.ts"
import { type GuestParts, guest, Script } from "./support/wat.ts"

const id = "(local.get 0)"

/** A guest that logs every callback with its context's id, and every context's parent. */
function talking(extra: (script: Script) => string = () => "", parts: GuestParts = {}): Uint8Array {
  const script = new Script()
  const code = `
  (func (export "_initialize") ${script.say("initialize")})
  (func (export "main") (param i32 i32) (result i32) ${script.say("main")} (i32.const 0))
  (func (export "_start") (unreachable))
  (func (export "proxy_on_context_create") (param i32 i32) ${script.sayDigit("create ?", id)} ${script.sayDigit("under ?", "(local.get 1)")})
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) ${script.sayDigit("vm start ?", id)} (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) ${script.sayDigit("configure ?", id)} ${script.sayDigit("length ?", "(local.get 1)")} (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    ${script.sayDigit("request ?", id)} ${script.sayDigit("fields ?", "(local.get 1)")} ${script.sayDigit("end ?", "(local.get 2)")} (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) ${script.sayDigit("response ?", id)} ${script.sayDigit("end ?", "(local.get 2)")} (i32.const 0))
  (func (export "proxy_on_done") (param i32) (result i32) ${script.sayDigit("done ?", id)} (i32.const 1))
  (func (export "proxy_on_log") (param i32) ${script.sayDigit("log ?", id)})
  (func (export "proxy_on_delete") (param i32) ${script.sayDigit("delete ?", id)})
  ${extra(script)}`
  return guest({ imports: ["proxy_log", ...(parts.imports ?? [])], data: script.data, code })
}

describe("the life of a stream", () => {
  test("callbacks come in the specified order, each once", () => {
    const host = new TestHost()
    const plugin = host.plugin(talking(), { config: '{"a":1}' })
    expect(host.messages()).toEqual(["initialize", "main", "create 1", "under 0", "vm start 1", "configure 1", "length 7"])
    host.logs.length = 0
    const stream = new FakeStream()
    const context = plugin.open(stream)
    expect(host.messages()).toEqual([])
    expect(context?.onRequestHeaders(true)).toBe(CONTINUE)
    stream.respond()
    expect(context?.onResponseHeaders(false)).toBe(CONTINUE)
    context?.onDone()
    expect(host.messages()).toEqual([
      ...["create 2", "under 1", "request 2", "fields 9", "end 1", "response 2", "end 0"],
      ...["done 2", "log 2", "delete 2"],
    ])
    expect(stream.events).toEqual([])
    expect(plugin.root?.vm.contexts.size).toBe(1)
  })

  test("ids are new for each stream, and contexts start clean when objects are used again", () => {
    const host = new TestHost()
    const plugin = host.plugin(talking())
    host.logs.length = 0
    for (let i = 0; i < 3; i++) {
      const context = plugin.open(new FakeStream())
      context?.onRequestHeaders(false)
      context?.onDone()
    }
    expect(host.messages().filter((message) => message.startsWith("create"))).toEqual(["create 2", "create 3", "create 4"])
    expect(host.messages().filter((message) => message.startsWith("delete"))).toEqual(["delete 2", "delete 3", "delete 4"])
  })

  test("an exchange that never reached the request phase leaves no trace", () => {
    const host = new TestHost()
    const plugin = host.plugin(talking())
    host.logs.length = 0
    const stream = new FakeStream()
    const context = plugin.open(stream)
    stream.respond()
    expect(context?.onResponseHeaders(true)).toBe(CONTINUE)
    context?.onDone()
    expect(host.messages()).toEqual([])
  })

  test("an exchange that ends before its response is done, logged and deleted", () => {
    const host = new TestHost()
    const plugin = host.plugin(talking())
    const context = plugin.open(new FakeStream())
    context?.onRequestHeaders(true)
    host.logs.length = 0
    context?.onDone()
    expect(host.messages()).toEqual(["done 2", "log 2", "delete 2"])
  })

  test("a module without callbacks runs", () => {
    const plugin = new TestHost().plugin(guest({}))
    const stream = new FakeStream()
    const context = plugin.open(stream)
    expect(context?.onRequestHeaders(true)).toBe(CONTINUE)
    stream.respond()
    expect(context?.onResponseHeaders(true)).toBe(CONTINUE)
    context?.onDone()
    expect(stream.events).toEqual([])
  })

  test("in log, absent maps are empty and nothing can be written or answered", () => {
    const host = new TestHost()
    const script = new Script()
    const name = script.text("x-one")
    const none = script.text(":status")
    const plugin = host.plugin(
      guest({
        imports: [
          "proxy_log",
          "proxy_get_header_map_value",
          "proxy_replace_header_map_value",
          "proxy_get_header_map_size",
          "proxy_send_local_response",
          "proxy_continue_stream",
          "proxy_close_stream",
        ],
        code: `
        (func (export "proxy_on_log") (param i32)
          ${script.sayDigit("absent ?", `(call $proxy_get_header_map_value (i32.const 2) ${none} (i32.const 0) (i32.const 4))`)}
          ${script.sayDigit("size ?", "(call $proxy_get_header_map_size (i32.const 2) (i32.const 0))")}
          ${script.sayDigit("read ?", `(call $proxy_get_header_map_value (i32.const 0) ${name} (i32.const 0) (i32.const 4))`)}
          ${script.sayDigit("write ?", `(call $proxy_replace_header_map_value (i32.const 0) ${name} ${name})`)}
          ${script.sayDigit("reply ?", `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))`)}
          ${script.sayDigit("continue ?", "(call $proxy_continue_stream (i32.const 0))")}
          ${script.sayDigit("close ?", "(call $proxy_close_stream (i32.const 0))")})`,
        data: script.data,
      }),
    )
    const stream = new FakeStream()
    const context = plugin.open(stream)
    context?.onRequestHeaders(true)
    context?.onDone()
    expect(host.messages()).toEqual(["absent 1", "size 0", "read 0", "write 2", "reply 0", "continue 0", "close 0"])
    expect(stream.events).toEqual([])
  })
})

describe("starting", () => {
  test("_start runs when there is no _initialize, and may end with exit code 0", () => {
    const host = new TestHost()
    const script = new Script()
    const plugin = host.plugin(
      guest({
        imports: ["proxy_log"],
        more: `(import "wasi_unstable" "proc_exit" (func $exit (param i32)))`,
        code: `(func (export "_start") ${script.say("start")} (call $exit (i32.const 0)))
          (func (export "proxy_on_configure") (param i32 i32) (result i32) ${script.say("configure")} (i32.const 1))`,
        data: script.data,
      }),
    )
    expect(host.messages()).toEqual(["start", "configure"])
    expect(plugin.root).not.toBeNull()
  })

  test("another exit code is a failure", () => {
    const bytes = guest({
      more: `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`,
      code: `(func (export "_start") (call $exit (i32.const 3)))`,
    })
    expect(trial(bytes)).toMatchObject({ ok: false, reason: expect.stringMatching(/^start failed: exit code 3/) })
  })

  test.each([
    "proxy_get_header_map_size",
    "proxy_set_shared_data",
    "proxy_get_property",
    "proxy_done",
    "proxy_http_call",
    "proxy_get_status",
    "proxy_set_effective_context",
  ])("%s is not allowed during start", (name) => {
    const count = {
      proxy_get_header_map_size: 2,
      proxy_set_shared_data: 5,
      proxy_get_property: 4,
      proxy_done: 0,
      proxy_http_call: 10,
      proxy_get_status: 3,
      proxy_set_effective_context: 1,
    }[name]
    const bytes = guest({
      imports: [name],
      code: `(func (export "_initialize") (drop (call $${name} ${"(i32.const 0) ".repeat(count ?? 0)})))`,
    })
    expect(trial(bytes)).toMatchObject({ ok: false, reason: expect.stringContaining("not allowed during start") })
  })

  test("the allocator may log but make no other host call", () => {
    const allocator = (body: string): string =>
      `(func (export "malloc") (param i32) (result i32) ${body} (i32.const 8192))
       (func (export "proxy_on_configure") (param i32 i32) (result i32)
         (drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 4)))
         (i32.eqz (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 4))))`
    const imports = ["proxy_get_buffer_bytes", "proxy_log", "proxy_get_property"]
    expect(trial(guest({ imports, allocator: allocator("(drop (call $proxy_log (i32.const 0) (i32.const 0) (i32.const 1)))") }))).toEqual({
      ok: true,
    })
    const bad = allocator("(drop (call $proxy_get_property (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))")
    expect(trial(guest({ imports, allocator: bad }))).toMatchObject({ ok: false, reason: expect.stringContaining("allocation") })
  })

  test("an allocator that returns 0 or points outside makes the call fail, not the guest", () => {
    for (const pointer of [0, 65_530, -8]) {
      const bytes = guest({
        imports: ["proxy_get_buffer_bytes"],
        allocator: `(func (export "malloc") (param i32) (result i32) (i32.const ${pointer}))`,
        code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
          (i32.eq (i32.const 6) (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4))))`,
      })
      expect(trial(bytes, { config: '{"long enough":1}' })).toEqual({ ok: true })
    }
  })

  test("memory that grows in the allocator is followed", () => {
    const bytes = guest({
      imports: ["proxy_get_buffer_bytes"],
      allocator: `(func (export "malloc") (param i32) (result i32) (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))`,
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
        (i32.and (i32.eq (i32.load (i32.const 0)) (i32.const 65536)) (i32.eq (i32.load8_u (i32.const 65536)) (i32.const 123))))`,
    })
    expect(trial(bytes)).toEqual({ ok: true })
  })

  test("plugin_root_id can be read while the root context is made", () => {
    const host = new TestHost()
    const script = new Script()
    const path = script.text("plugin_root_id")
    host.plugin(
      guest({
        imports: ["proxy_get_property", "proxy_log"],
        code: `(func (export "proxy_on_context_create") (param i32 i32)
          (drop (call $proxy_get_property ${path} (i32.const 0) (i32.const 4)))
          (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4)))))`,
        data: script.data,
      }),
      { rootId: "my_root" },
    )
    expect(host.messages()).toEqual(["my_root"])
  })

  test("an empty configuration reads as OK and nothing", () => {
    const bytes = guest({
      imports: ["proxy_get_buffer_bytes"],
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
        (i32.eqz (i32.or (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4))
          (i32.or (i32.load (i32.const 0)) (i32.load (i32.const 4))))))`,
      data: { 0: "12345678" },
    })
    expect(trial(bytes, { config: "" })).toEqual({ ok: true })
  })
})

function trial(bytes: Uint8Array, overrides: Parameters<typeof specOf>[1] = {}) {
  return trialConfigure(specOf(bytes, overrides), { unitsPerMs: UNITS_PER_MS, clock: { now: () => 1, monotonic: () => 1 } })
}

describe("a trial", () => {
  test("passes what starts and accepts its configuration", () => {
    expect(trial(talking())).toEqual({ ok: true })
  })

  test("says what the filter logged when it refused", () => {
    const script = new Script()
    const bytes = guest({
      imports: ["proxy_log"],
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) ${script.say("fine so far")} ${script.say('missing key "keys"', 4)} (i32.const 0))`,
      data: script.data,
    })
    expect(trial(bytes)).toEqual({ ok: false, reason: 'configure refused: missing key "keys"' })
    const vmStart = guest({ code: `(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 0))` })
    expect(trial(vmStart)).toEqual({ ok: false, reason: "vm start refused" })
  })

  test("says where a filter trapped, and its last words", () => {
    const script = new Script()
    const bytes = guest({
      imports: ["proxy_log"],
      code: `(func $parse (unreachable)) (func (export "proxy_on_configure") (param i32 i32) (result i32) ${script.say("panicked at 'no'", 5)} (call $parse) (i32.const 1))`,
      data: script.data,
    })
    expect(trial(bytes)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^configure failed: .*unreachable.*proxy_on_configure.*: panicked at 'no'$/i),
    })
  })

  test("says that a start took too long", () => {
    const bytes = guest({ code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (loop $l (br $l)) (unreachable))` })
    expect(trial(bytes)).toMatchObject({ ok: false, reason: expect.stringContaining("out of CPU budget") })
  })

  test("ends a start section that never ends", () => {
    const bytes = guest({ code: "(func $s (loop $l (br $l))) (start $s)" })
    expect(trial(bytes)).toMatchObject({ ok: false })
  })

  test("shows the message of an AssemblyScript abort", () => {
    const bytes = guest({
      more: `(import "env" "abort" (func $abort (param i32 i32 i32 i32)))`,
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (call $abort (i32.const 300) (i32.const 0) (i32.const 7) (i32.const 9)) (i32.const 1))`,
      data: { 296: "\x08\0\0\0b\0a\0d\0!\0" },
    })
    expect(trial(bytes)).toMatchObject({ ok: false, reason: expect.stringContaining("abort: bad! at :7:9") })
  })
})

describe("acting on a stream", () => {
  function acting(request: string, response = "(i32.const 0)", parts: Partial<GuestParts> = {}): Uint8Array {
    return guest({
      imports: [
        "proxy_log",
        "proxy_send_local_response",
        "proxy_continue_stream",
        "proxy_close_stream",
        "proxy_set_effective_context",
        "proxy_continue_request",
        "proxy_replace_header_map_value",
      ],
      code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${request})
        (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) ${response})`,
      ...parts,
    })
  }

  const reply = (code: string, headers = "(i32.const 0) (i32.const 0)"): string =>
    `(drop (call $proxy_send_local_response (i32.const ${code}) (i32.const 512) (i32.const 10) (i32.const 530) (i32.const 4) ${headers} (i32.const 7)))`
  const data = { 512: "why it\r\nis", 530: "body", 540: "x-one" }

  test.each([
    [0, CONTINUE],
    [1, PAUSE],
    [2, CONTINUE],
    [3, PAUSE],
    [4, PAUSE],
    [99, PAUSE],
    [-1, PAUSE],
  ])("a headers result of %i", (result, action) => {
    const plugin = new TestHost().plugin(acting(`(i32.const ${result})`, `(i32.const ${result})`))
    const stream = new FakeStream()
    const context = plugin.open(stream)
    expect(context?.onRequestHeaders(true)).toBe(action)
    stream.respond()
    expect(context?.onResponseHeaders(true)).toBe(action)
    context?.onDone()
  })

  test("a local reply ends the request whatever the guest returns", () => {
    const plugin = new TestHost().plugin(acting(`${reply("403")} ${reply("404")} (i32.const 0)`, "(i32.const 0)", { data }))
    const stream = new FakeStream()
    const context = plugin.open(stream)
    expect(context?.onRequestHeaders(true)).toBe(PAUSE)
    expect(stream.events).toEqual(["reply 403"])
    expect(stream.reply).toMatchObject({ status: 403, headers: [], details: "why_it_is", grpcStatus: 7 })
    expect(Buffer.from(stream.reply?.body ?? []).toString()).toBe("body")
    // The guest sees its own reply as a response.
    stream.respond()
    expect(context?.onResponseHeaders(false)).toBe(CONTINUE)
    context?.onDone()
  })

  test("a local reply from the response phase", () => {
    const plugin = new TestHost().plugin(acting("(i32.const 0)", `${reply("502")} (i32.const 0)`, { data }))
    const stream = new FakeStream()
    const context = plugin.open(stream)
    expect(context?.onRequestHeaders(true)).toBe(CONTINUE)
    stream.respond()
    expect(context?.onResponseHeaders(false)).toBe(PAUSE)
    expect(stream.events).toEqual(["reply 502"])
    context?.onDone()
  })

  test.each(["199", "0", "-1", "1000"])("a local reply with the code %s is refused", (code) => {
    const plugin = new TestHost().plugin(acting(`${reply(code)} (i32.const 0)`, "(i32.const 0)", { data }))
    const stream = new FakeStream()
    expect(plugin.open(stream)?.onRequestHeaders(true)).toBe(CONTINUE)
    expect(stream.events).toEqual([])
  })

  test("headers of a local reply are checked", () => {
    const encoded = (name: string, value: string): string =>
      `\x01\0\0\0${String.fromCharCode(name.length)}\0\0\0${String.fromCharCode(value.length)}\0\0\0${name}\0${value}\0`
    const attempt = (name: string, value: string): FakeStream => {
      const headers = encoded(name, value)
      const bytes = acting(`${reply("200", `(i32.const 600) (i32.const ${headers.length})`)} (i32.const 0)`, "(i32.const 0)", {
        data: { ...data, 600: headers },
      })
      const stream = new FakeStream()
      new TestHost().plugin(bytes).open(stream)?.onRequestHeaders(true)
      return stream
    }
    expect(attempt("X-Why", "so").reply?.headers).toEqual(["x-why", "so"])
    expect(attempt("content-length", "4").reply?.headers).toEqual([])
    for (const [name, value] of [
      ["content-length", "9"],
      ["transfer-encoding", "chunked"],
      ["x-a", "b\r\nc: d"],
      ["x a", "b"],
      [":status", "200"],
    ]) {
      expect(attempt(name, value).reply).toBeNull()
    }
  })

  test("a pause ends when the stream is continued, and edits last until then", () => {
    const host = new TestHost()
    const script = new Script()
    // The second stream continues the first, whose id is 2, and edits it.
    const name = script.text("x-late")
    const bytes = acting(
      `(if (i32.eq (local.get 0) (i32.const 2)) (then (return (i32.const 1))))
       ${script.sayDigit("choose ?", "(call $proxy_set_effective_context (i32.const 2))")}
       ${script.sayDigit("edit ?", `(call $proxy_replace_header_map_value (i32.const 0) ${name} ${name})`)}
       ${script.sayDigit("continue ?", "(call $proxy_continue_stream (i32.const 0))")}
       ${script.sayDigit("unknown ?", "(call $proxy_set_effective_context (i32.const 99))")}
       (i32.const 0)`,
      "(i32.const 0)",
      { data: script.data },
    )
    const plugin = host.plugin(bytes)
    const first = new FakeStream()
    const second = new FakeStream()
    const waiting = plugin.open(first)
    expect(waiting?.onRequestHeaders(true)).toBe(PAUSE)
    expect(plugin.open(second)?.onRequestHeaders(true)).toBe(CONTINUE)
    expect(host.messages()).toEqual(["choose 0", "edit 0", "continue 0", "unknown 2"])
    expect(first.events).toEqual(["continueRequest"])
    expect(first.request.fields.get("x-late")).toBe("x-late")
    expect(second.request.fields.get("x-late")).toBeUndefined()
    // Not paused any more: nothing to continue, nothing to edit.
    host.logs.length = 0
    plugin.open(new FakeStream())?.onRequestHeaders(true)
    expect(host.messages()).toEqual(["choose 0", "edit 2", "continue 0", "unknown 2"])
    expect(first.events).toEqual(["continueRequest"])
  })

  test("continuing in the callback that pauses means going on", () => {
    const both = acting(
      "(drop (call $proxy_continue_stream (i32.const 0))) (i32.const 1)",
      "(drop (call $proxy_continue_stream (i32.const 1))) (i32.const 1)",
    )
    const stream = new FakeStream()
    const context = new TestHost().plugin(both).open(stream)
    expect(context?.onRequestHeaders(true)).toBe(CONTINUE)
    stream.respond()
    expect(context?.onResponseHeaders(true)).toBe(CONTINUE)
    expect(stream.events).toEqual([])
  })

  test("0.1.0 modules continue requests by name", () => {
    const bytes = acting("(drop (call $proxy_continue_request)) (i32.const 1)", "(i32.const 0)", { abi: "0_1_0" })
    const stream = new FakeStream()
    expect(new TestHost().plugin(bytes).open(stream)?.onRequestHeaders(true)).toBe(CONTINUE)
  })

  test("closing resets the exchange", () => {
    const stream = new FakeStream()
    const context = new TestHost().plugin(acting("(drop (call $proxy_close_stream (i32.const 0))) (i32.const 0)")).open(stream)
    expect(context?.onRequestHeaders(true)).toBe(PAUSE)
    expect(stream.events).toEqual(["reset"])
  })

  test("stream types that don't exist are BAD_ARGUMENT, those of TCP are not there to act on", () => {
    const host = new TestHost()
    const script = new Script()
    const each = [-1, 4, 2, 3].map(
      (type) =>
        `${script.sayDigit("continue ?", `(i32.rem_u (call $proxy_continue_stream (i32.const ${type})) (i32.const 11))`)}
         ${script.sayDigit("close ?", `(call $proxy_close_stream (i32.const ${type}))`)}`,
    )
    const stream = new FakeStream()
    host
      .plugin(acting(`${each.join("\n")} (i32.const 0)`, "(i32.const 0)", { data: script.data }))
      .open(stream)
      ?.onRequestHeaders(true)
    expect(host.messages()).toEqual(["continue 2", "close 2", "continue 2", "close 2", "continue 0", "close 0", "continue 1", "close 0"])
    expect(stream.events).toEqual([])
  })

  test("a reply can be made for another stream", () => {
    const bytes = acting(
      `(if (i32.eq (local.get 0) (i32.const 2)) (then (return (i32.const 1))))
       (drop (call $proxy_set_effective_context (i32.const 2))) ${reply("401")} (i32.const 0)`,
      "(i32.const 0)",
      { data },
    )
    const plugin = new TestHost().plugin(bytes)
    const first = new FakeStream()
    plugin.open(first)?.onRequestHeaders(true)
    const second = new FakeStream()
    expect(plugin.open(second)?.onRequestHeaders(true)).toBe(CONTINUE)
    expect([first.events, second.events]).toEqual([["reply 401"], []])
  })
})

describe("sharing", () => {
  const echo = (): Uint8Array =>
    guest({
      imports: ["proxy_log", "proxy_get_buffer_bytes"],
      code: `(global $n (mut i32) (i32.const 48))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 4)))
        (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
        (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (i32.store8 (i32.const 8) (global.get $n))
        (drop (call $proxy_log (i32.const 2) (i32.const 8) (i32.const 1)))
        (i32.const 0))`,
    })

  test("configurations of one module are root contexts of one instance", () => {
    const host = new TestHost()
    const bytes = echo()
    const a = host.plugin(bytes, { name: "a", config: "config a" })
    const b = host.plugin(bytes, { name: "b", config: "config b" })
    expect(host.logs).toEqual([
      { level: "info", message: "config a", fields: { filter: "a" } },
      { level: "info", message: "config b", fields: { filter: "b" } },
    ])
    expect(a.root?.vm).toBe(b.root?.vm)
    host.logs.length = 0
    a.open(new FakeStream())?.onRequestHeaders(true)
    b.open(new FakeStream())?.onRequestHeaders(true)
    expect(host.messages()).toEqual(["1", "2"])
  })

  test("other limits, code or vm configuration are another instance", () => {
    const host = new TestHost()
    const bytes = echo()
    const a = host.plugin(bytes)
    const others = [
      host.plugin(bytes, { memory: 2 << 20 }),
      host.plugin(bytes, { cpuMs: 6 }),
      host.plugin(bytes, { vmConfig: "x" }),
      host.plugin(bytes, { vmKey: "x" }),
      host.plugin(guest({})),
    ]
    expect(new Set([a, ...others].map((each) => each.root?.vm)).size).toBe(6)
  })

  test("the same specification is the same plugin, and ends with its last release", () => {
    const host = new TestHost()
    const bytes = talking()
    const plugin = host.plugin(bytes)
    expect(host.plugin(bytes, { generation: 2 })).toBe(plugin)
    expect(host.runtime.status()).toMatchObject([{ name: "probe", generation: 2, state: "running", instances: 1, memoryBytes: 65_536 }])
    host.logs.length = 0
    host.runtime.release(plugin)
    expect(host.messages()).toEqual([])
    host.runtime.release(plugin)
    expect(host.messages()).toEqual(["done 1", "delete 1"])
    expect(host.runtime.status()).toEqual([])
    expect(host.metricsOf("probe").live).toBe(0)
    expect(() => host.runtime.release(plugin)).toThrow(/released/)
  })

  test("a released plugin waits for its exchanges", () => {
    const host = new TestHost()
    const plugin = host.plugin(talking())
    const stream = new FakeStream()
    const context = plugin.open(stream)
    context?.onRequestHeaders(true)
    host.runtime.release(plugin)
    host.logs.length = 0
    stream.respond()
    expect(context?.onResponseHeaders(true)).toBe(CONTINUE)
    context?.onDone()
    expect(host.messages()).toEqual(["response 2", "end 1", "done 2", "log 2", "delete 2", "done 1", "delete 1"])
  })

  test("a root that is not done yet is deleted once it says so", () => {
    const host = new TestHost()
    const script = new Script()
    // Root 1 asks to wait; root 2 exists as well. A request under root 2 finishes root 1.
    const bytes = guest({
      imports: ["proxy_log", "proxy_done", "proxy_set_effective_context"],
      code: `(func (export "proxy_on_done") (param i32) (result i32) ${script.sayDigit("done ?", id)} (i32.const 0))
        (func (export "proxy_on_delete") (param i32) ${script.sayDigit("delete ?", id)})
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (drop (call $proxy_set_effective_context (i32.const 1)))
          ${script.sayDigit("proxy_done ?", "(call $proxy_done)")} ${script.sayDigit("proxy_done ?", "(call $proxy_done)")} (i32.const 0))`,
      data: script.data,
    })
    const first = host.plugin(bytes, { name: "first" })
    const second = host.plugin(bytes, { name: "second" })
    host.runtime.release(first)
    expect(host.messages()).toEqual(["done 1"])
    second.open(new FakeStream())?.onRequestHeaders(true)
    expect(host.messages()).toEqual(["done 1", "proxy_done 0", "proxy_done 1", "delete 1"])
  })
})

test("calls are counted, and one stream in sixteen is measured", () => {
  const host = new TestHost()
  const plugin = host.plugin(talking())
  for (let i = 0; i < 32; i++) {
    const stream = new FakeStream()
    const context = plugin.open(stream)
    context?.onRequestHeaders(true)
    stream.respond()
    context?.onResponseHeaders(true)
    context?.onDone()
  }
  const metrics = host.metricsOf("probe")
  expect([metrics.count, metrics.durations.length, metrics.live]).toEqual([64, 4, 1])
  expect(metrics.units).toBeGreaterThan(0)
})

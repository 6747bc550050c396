import { describe, expect, test } from "vitest"
import type { RootContext } from "../../../gateway/wasm/root-context.ts"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

/** A guest whose foreign-function callback does `body` in the contexts it is called in. */
function foreign(body: string, script = new Script(), more = ""): Uint8Array {
  return guest({
    imports: [
      "proxy_log",
      "proxy_get_buffer_bytes",
      "proxy_get_header_map_value",
      "proxy_set_effective_context",
      "proxy_continue_stream",
      "proxy_close_stream",
      "proxy_send_local_response",
      "proxy_set_buffer_bytes",
    ],
    data: script.data,
    code: `(func (export "proxy_on_foreign_function") (param i32 i32 i32) ${body})
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1)) ${more}`,
  })
}

function rootOf(host: TestHost, bytes: Uint8Array): RootContext {
  const { root } = host.plugin(bytes, { cpuMs: 1 })
  if (root === null) throw new Error("the guest did not start")
  return root
}

function call(root: RootContext): boolean {
  const { vm } = root
  return vm.run(root, "proxy_on_foreign_function", () => {
    vm.foreignArguments = new TextEncoder().encode("arguments")
    vm.callout = { response: null }
    vm.exports.foreignFunction?.(root.id, 7, 9)
  })
}

describe("a callback of a root context", () => {
  test("sees what it is called with, and leaves nothing behind", () => {
    const host = new TestHost()
    const script = new Script()
    const bytes = foreign(
      `${script.sayDigit("context ?", "(local.get 0)")} ${script.sayDigit("function ?", "(local.get 1)")}
       (drop (call $proxy_get_buffer_bytes (i32.const 8) (i32.const 0) (local.get 2) (i32.const 16) (i32.const 20)))
       (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20))))
       ${script.sayDigit("answer ?", `(call $proxy_get_header_map_value (i32.const 6) ${script.text("x")} (i32.const 16) (i32.const 20))`)}`,
      script,
    )
    const root = rootOf(host, bytes)
    expect(call(root)).toBe(true)
    expect(host.messages()).toEqual(["context 1", "function 7", "arguments", "answer 1"])
    const { vm } = root
    expect([vm.root, vm.stream, vm.callout, vm.foreignArguments]).toEqual([null, null, null, null])
  })

  test("acts on streams once it has returned", () => {
    const host = new TestHost()
    const script = new Script()
    const plugin = host.plugin(
      foreign(
        `(drop (call $proxy_set_effective_context (i32.const 2)))
         (drop (call $proxy_continue_stream (i32.const 0))) ${script.say("returns")}`,
        script,
      ),
    )
    const stream = new FakeStream()
    stream.continueRequest = () => void stream.events.push(`continued after ${host.messages().join()}`)
    plugin.open(stream)?.onRequestHeaders(true)
    expect(plugin.root === null ? null : call(plugin.root)).toBe(true)
    expect(stream.events).toEqual(["continued after returns"])
  })

  test("has no stream of its own: what it asks of one is done already, or not there", () => {
    const host = new TestHost()
    const script = new Script()
    const reply = `(call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))`
    const bytes = foreign(
      `${script.sayDigit("continue ?", "(call $proxy_continue_stream (i32.const 0))")} ${script.sayDigit("close ?", "(call $proxy_close_stream (i32.const 1))")}
       ${script.sayDigit("reply ?", reply)} ${script.sayDigit("body ?", "(call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))")}`,
      script,
    )
    expect(call(rootOf(host, bytes))).toBe(true)
    expect(host.messages()).toEqual(["continue 0", "close 0", "reply 0", "body 1"])
  })

  test.each([
    ["trap", "(unreachable)", "trap"],
    ["endless loop", "(loop $l (br $l))", "budget"],
  ])("that ends in a %s fails the instance, its streams and that filter's count alone", (_name, body, reason) => {
    const host = new TestHost()
    const bytes = foreign(body)
    const root = rootOf(host, bytes)
    const other = host.plugin(bytes, { name: "other", cpuMs: 1 })
    const stream = new FakeStream()
    other.open(stream)?.onRequestHeaders(true)
    expect(root.vm).toBe(other.root?.vm)
    expect(call(root)).toBe(false)
    expect(root.vm.dead).toBe(true)
    expect([host.metricsOf("probe").traps, host.metricsOf("other").traps]).toEqual([[reason], []])
    expect(stream.events).toEqual([`fail ${reason === "trap" ? "filterTrap" : "filterBudget"} other:${reason}`])
    // A fresh instance is there, and the dead one is called no more.
    expect(other.root?.vm.dead).toBe(false)
    expect(call(root)).toBe(false)
    expect(host.metricsOf("probe").traps).toEqual([reason])
  })

  test("of a context that has ended is not called", () => {
    const host = new TestHost()
    const script = new Script()
    const bytes = foreign(script.say("called"), script)
    const plugin = host.plugin(bytes)
    const keep = host.plugin(bytes, { name: "keep" })
    const root = plugin.root as RootContext
    host.runtime.release(plugin)
    expect(call(root)).toBe(false)
    expect(host.messages()).toEqual([])
    expect(call(keep.root as RootContext)).toBe(true)
  })
})

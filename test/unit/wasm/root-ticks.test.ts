import { describe, expect, test } from "vitest"
import { pairs, RootHost } from "./support/root.ts"
import { guest, Script } from "./support/wat.ts"

/** Sets its period on configure, logs each tick, and runs `onTick` in it. */
function ticking(ms: number, onTick: (script: Script) => string = () => "", more = ""): Uint8Array {
  const script = new Script()
  const code = `
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_set_tick_period_milliseconds (i32.const ${ms}))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32)
      ${script.sayDigit("tick ?", "(local.get 0)")}
      ${onTick(script)})
    ${more}`
  return guest({ imports: ["proxy_log", "proxy_set_tick_period_milliseconds", "proxy_done"], data: script.data, code })
}

const period = (ms: number): string => `(drop (call $proxy_set_tick_period_milliseconds (i32.const ${ms})))`

describe("a tick", () => {
  test("comes once in every period, for the root context that asked", () => {
    const host = new RootHost()
    host.root(ticking(100))
    host.clock.pass(99)
    expect(host.take()).toEqual([])
    host.clock.pass(1)
    expect(host.take()).toEqual(["tick 1"])
    host.clock.pass(350)
    expect(host.take()).toEqual(["tick 1", "tick 1", "tick 1"])
  })

  test("of two root contexts of one instance has two periods", () => {
    const host = new RootHost()
    const bytes = ticking(100)
    host.root(bytes, { config: "one" })
    host.clock.pass(50)
    host.root(bytes, { config: "two" })
    host.clock.pass(100)
    expect(host.take()).toEqual(["tick 1", "tick 2"])
  })

  test("stops when its handler sets the period to 0", () => {
    const host = new RootHost()
    host.root(ticking(10, () => period(0)))
    host.clock.pass(1000)
    expect(host.take()).toEqual(["tick 1"])
    expect(host.clock.timers.size).toBe(0)
  })

  test("takes its handler's new period from the handler's return on", () => {
    const host = new RootHost()
    host.root(ticking(10, () => period(300)))
    host.clock.pass(10)
    host.take()
    host.clock.pass(299)
    expect(host.take()).toEqual([])
    host.clock.pass(1)
    expect(host.take()).toEqual(["tick 1"])
  })

  test("has the longest period there is when it asks for more", () => {
    const host = new RootHost()
    host.root(ticking(-1))
    expect([...host.clock.timers].map(({ at }) => at - host.clock.ms)).toEqual([0x7fffffff])
  })

  test("is not armed in a guest without a handler", () => {
    const host = new RootHost()
    host.root(
      guest({
        imports: ["proxy_set_tick_period_milliseconds"],
        code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) ${period(5)} (i32.const 1))`,
      }),
    )
    expect(host.clock.timers.size).toBe(0)
  })

  test("that takes long is followed by nine times as long a pause, whatever the period", () => {
    const host = new RootHost()
    host.costOfLog = 5
    host.root(ticking(1))
    host.clock.pass(1000)
    // 5 ms of work, 45 ms of pause.
    expect(host.messages.length).toBeGreaterThanOrEqual(19)
    expect(host.messages.length).toBeLessThanOrEqual(21)
  })

  test("can't shorten its pause by setting the period anew", () => {
    const host = new RootHost()
    host.costOfLog = 5
    host.root(ticking(1, () => period(1) + period(1)))
    host.clock.pass(1000)
    expect(host.messages.length).toBeLessThanOrEqual(21)
  })

  test("no longer comes when the filter is released", () => {
    const host = new RootHost()
    const plugin = host.plugin(ticking(10))
    host.clock.pass(10)
    host.runtime.release(plugin)
    host.take()
    host.clock.pass(100)
    expect(host.take()).toEqual([])
    expect(host.clock.timers.size).toBe(0)
  })

  test("that traps ends its instance's timers, and the next instance has its own", () => {
    const host = new RootHost()
    const plugin = host.plugin(ticking(10, () => "(unreachable)"))
    const first = plugin.root?.vm
    host.clock.pass(10)
    expect(host.take()).toEqual(["tick 1", expect.stringContaining("proxy_on_tick")])
    expect(first?.dead).toBe(true)
    expect(plugin.root?.vm).not.toBe(first)
    expect(host.clock.timers.size).toBe(1)
    host.clock.pass(10)
    expect(host.take()[0]).toBe("tick 1")
  })

  test("out of its budget is stopped and costs the instance", () => {
    const host = new RootHost()
    const plugin = host.plugin(
      ticking(10, () => "(loop $on (br $on))"),
      { cpuMs: 1 },
    )
    host.clock.pass(10)
    expect(plugin.lastError).toContain("budget")
  })

  test("of a guest that refuses its configuration never comes", () => {
    const host = new RootHost()
    const script = new Script()
    const code = `
      (func (export "proxy_on_vm_start") (param i32 i32) (result i32) ${period(5)} (i32.const 0))
      (func (export "proxy_on_tick") (param i32) ${script.say("tick")})`
    host.plugin(guest({ imports: ["proxy_log", "proxy_set_tick_period_milliseconds"], data: script.data, code }))
    host.take()
    host.clock.pass(100)
    expect(host.take()).toEqual([])
    expect(host.clock.timers.size).toBe(0)
  })
})

test("callbacks outside exchanges count, and one in sixteen is measured", () => {
  const host = new RootHost()
  host.root(ticking(10))
  host.clock.pass(320)
  expect(host.metrics.count).toBe(32)
  expect(host.metrics.durations.length).toBe(2)
  expect(host.metrics.units).toBeGreaterThan(0)
})

describe("a root context that waits for proxy_done", () => {
  const waiting = (onTick: string): Uint8Array => {
    const script = new Script()
    return guest({
      imports: ["proxy_log", "proxy_set_tick_period_milliseconds", "proxy_done"],
      data: script.data,
      code: `
        (func (export "proxy_on_done") (param i32) (result i32) ${script.say("done?")} ${period(100)} (i32.const 0))
        (func (export "proxy_on_tick") (param i32) ${onTick})
        (func (export "proxy_on_delete") (param i32) ${script.say("deleted")})`,
    })
  }

  test("goes on until it calls it", () => {
    const host = new RootHost()
    const plugin = host.plugin(waiting("(drop (call $proxy_done))"))
    const vm = plugin.root?.vm
    host.runtime.release(plugin)
    expect(host.take()).toEqual(["done?"])
    expect(vm?.dead).toBe(false)
    host.clock.pass(100)
    expect(host.take()).toEqual(["deleted"])
    expect(vm?.dead).toBe(true)
    expect(host.clock.timers.size).toBe(0)
  })

  test("is ended after ten seconds when it never does", () => {
    const host = new RootHost()
    const plugin = host.plugin(waiting(""))
    const vm = plugin.root?.vm
    host.runtime.release(plugin)
    host.clock.pass(9_999)
    expect(host.take()).toEqual(["done?"])
    host.clock.pass(1)
    expect(host.take()).toEqual(["deleted"])
    expect(vm?.dead).toBe(true)
    expect(host.clock.timers.size).toBe(0)
  })

  test("is still told how its callouts went", () => {
    const host = new RootHost()
    const script = new Script()
    const head = pairs(":method", "GET", ":path", "/", ":authority", "a").toString("latin1")
    const plugin = host.plugin(
      guest({
        imports: ["proxy_log", "proxy_http_call", "proxy_done"],
        data: script.data,
        code: `
          (func (export "proxy_on_done") (param i32) (result i32)
            (drop (call $proxy_http_call ${script.text("api")} ${script.text(head)}
              (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 16)))
            (i32.const 0))
          (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) ${script.say("flushed")} (drop (call $proxy_done)))
          (func (export "proxy_on_delete") (param i32) ${script.say("deleted")})`,
      }),
    )
    host.runtime.release(plugin)
    expect(host.services.calls.length).toBe(1)
    host.services.calls[0].answer()
    expect(host.take()).toEqual(["flushed", "deleted"])
    expect(host.clock.timers.size).toBe(0)
  })
})

import { describe, expect, test } from "vitest"
import { RootHost } from "./support/root.ts"
import { guest, Script } from "./support/wat.ts"

function receiver(): Uint8Array {
  const script = new Script()
  return guest({
    imports: ["proxy_log"],
    data: script.data,
    code: `(func (export "proxy_on_queue_ready") (param i32 i32)
      ${script.sayDigit("root ?", "(local.get 0)")} ${script.sayDigit("queue ?", "(local.get 1)")})`,
  })
}

describe("a queue", () => {
  test("tells the root context that registered it of each item", () => {
    const host = new RootHost()
    const root = host.root(receiver())
    expect(root.registerQueue("vm", "jobs")).toBe(1)
    host.queues.receivers.get("jobs")?.()
    host.queues.receivers.get("jobs")?.()
    expect(host.take()).toEqual(["root 1", "queue 1", "root 1", "queue 1"])
  })

  test("registered again has one receiver", () => {
    const host = new RootHost()
    const root = host.root(receiver())
    expect([root.registerQueue("vm", "jobs"), root.registerQueue("vm", "jobs")]).toEqual([1, 1])
    expect(host.queues.events).toEqual(["register jobs", "register jobs", "release jobs"])
    host.queues.receivers.get("jobs")?.()
    expect(host.take()).toEqual(["root 1", "queue 1"])
  })

  test("that can't be made has the id 0, and so has one too many", () => {
    const host = new RootHost()
    const root = host.root(receiver())
    expect(root.registerQueue("vm", "refused")).toBe(0)
    for (let i = 1; i <= 64; i++) expect(root.registerQueue("vm", `q${i}`)).toBe(i)
    expect(root.registerQueue("vm", "q65")).toBe(0)
    expect(host.queues.receivers.has("q65")).toBe(false)
    expect(root.registerQueue("vm", "q64")).toBe(64)
  })

  test("is released with its root context, which hears nothing more", () => {
    const host = new RootHost()
    const plugin = host.plugin(receiver())
    plugin.root?.registerQueue("vm", "jobs")
    const ready = host.queues.receivers.get("jobs")
    host.runtime.release(plugin)
    expect(host.queues.events).toEqual(["register jobs", "release jobs"])
    ready?.()
    expect(host.take()).toEqual([])
    expect(plugin.root).toBe(null)
  })

  test("full of items leaves no timer behind when its instance goes", () => {
    const host = new RootHost()
    host.costOfLog = 10
    const plugin = host.plugin(receiver())
    plugin.root?.registerQueue("vm", "jobs")
    for (let i = 0; i < 60; i++) host.queues.receivers.get("jobs")?.()
    expect(host.clock.timers.size).toBe(1)
    host.runtime.release(plugin)
    host.take()
    expect(host.clock.timers.size).toBe(0)
  })

  test("full of items leaves the thread to others", () => {
    const host = new RootHost()
    host.costOfLog = 10
    const root = host.root(receiver())
    root.registerQueue("vm", "jobs")
    for (let i = 0; i < 60; i++) host.queues.receivers.get("jobs")?.()
    expect(host.take().length / 2).toBe(1)
    host.clock.pass(1000)
    // A quarter of the time, at 20 ms a callback.
    const called = host.take().length / 2
    expect(called).toBeGreaterThanOrEqual(11)
    expect(called).toBeLessThanOrEqual(14)
    host.clock.pass(60_000)
    expect(host.take().length / 2).toBe(59 - called)
  })
})

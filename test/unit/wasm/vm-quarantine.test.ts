import { describe, expect, test } from "vitest"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const HEADERS = `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)`
const trapping = guest({ code: `${HEADERS} (unreachable))` })

function request(plugin: ReturnType<TestHost["plugin"]>): string {
  const stream = new FakeStream()
  const context = plugin.open(stream)
  if (context === null) return "skipped"
  context.onRequestHeaders(true)
  context.onDone()
  return stream.failure ?? "passed"
}

/** Requests, with the time between them that back-off asks for, until it is in quarantine. */
function exhaust(host: TestHost, plugin: ReturnType<TestHost["plugin"]>): number {
  let failures = 0
  for (let i = 0; i < 1000 && plugin.status(host.now).state !== "quarantined"; i++) {
    if (request(plugin) === "filterTrap") failures++
    host.clock.advance(100)
  }
  return failures
}

describe("a filter that keeps trapping", () => {
  test("is in quarantine after 8 traps, whatever comes", () => {
    const host = new TestHost()
    const plugin = host.plugin(trapping)
    expect(exhaust(host, plugin)).toBe(8)
    expect(host.runtime.status()).toMatchObject([
      { state: "quarantined", instances: 0, traps: 8, lastError: expect.stringMatching(/unreachable/i) },
    ])
    expect(host.metricsOf("probe").inQuarantine).toBe(1)
    const told = host.logs.filter(({ message }) => message.includes("quarantine"))
    expect(told).toHaveLength(1)
    expect(told[0]).toMatchObject({
      level: "error",
      message: expect.stringMatching(/^filter probe is in quarantine: it failed 8 times in 60 s, .*unreachable/i),
    })
    host.clock.advance(3_600_000)
    expect(request(plugin)).toBe("filterUnavailable")
    expect(plugin.root).toBeNull()
    expect(host.clock.pending).toBe(0)
  })

  test("is passed over when errors are skipped", () => {
    const host = new TestHost()
    const plugin = host.plugin(trapping, { onError: "skip" })
    for (let i = 0; i < 300; i++) {
      request(plugin)
      host.clock.advance(100)
    }
    expect(plugin.status(host.now).state).toBe("quarantined")
    expect(request(plugin)).toBe("skipped")
  })

  test("takes part again when it is released", () => {
    const host = new TestHost()
    const plugin = host.plugin(trapping)
    exhaust(host, plugin)
    host.runtime.lift("other")
    expect(plugin.status(host.now).state).toBe("quarantined")
    host.runtime.lift("probe")
    expect(plugin.status(host.now).state).toBe("running")
    expect(host.metricsOf("probe").inQuarantine).toBe(0)
    expect(request(plugin)).toBe("filterTrap")
    expect(request(plugin)).toBe("filterTrap")
    expect(exhaust(host, plugin)).toBe(6)
  })

  test("takes part again as something else when its configuration changes, at once", () => {
    const host = new TestHost()
    const plugin = host.plugin(trapping)
    exhaust(host, plugin)
    const changed = host.plugin(trapping, { config: "2" })
    expect(changed.status(host.now).state).toBe("running")
    host.runtime.release(plugin)
    expect(host.metricsOf("probe").inQuarantine).toBe(0)
    expect(host.runtime.status()).toMatchObject([{ state: "running" }])
  })

  test("leaves those it shares an instance with", () => {
    const host = new TestHost()
    // Traps for the plugin whose configuration is two octets long.
    const bytes = guest({
      imports: ["proxy_get_property"],
      data: { 256: "plugin_name" },
      code: `${HEADERS}
        (drop (call $proxy_get_property (i32.const 256) (i32.const 11) (i32.const 0) (i32.const 4)))
        (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 98)) (then (unreachable)))
        (i32.const 0))`,
    })
    const good = host.plugin(bytes, { name: "a" })
    const bad = host.plugin(bytes, { name: "b" })
    expect(good.slot).toBe(bad.slot)
    exhaust(host, bad)
    expect(bad.status(host.now).state).toBe("quarantined")
    expect(good.status(host.now)).toMatchObject({ state: "running", traps: 0 })
    expect(request(good)).toBe("passed")
    expect(request(bad)).toBe("filterUnavailable")
    host.runtime.lift("b")
    expect(bad.status(host.now).state).toBe("running")
    expect(request(good)).toBe("passed")
  })

  test("but seldom is not in quarantine", () => {
    const host = new TestHost()
    const plugin = host.plugin(trapping)
    for (let i = 0; i < 100; i++) {
      expect(request(plugin)).toBe("filterTrap")
      host.clock.advance(9000)
    }
    expect(plugin.status(host.now).state).toBe("running")
  })
})

describe("a filter whose start fails", () => {
  // The first start passes; each later one finds what the first has left, and traps.
  function once(): { bytes: Uint8Array } {
    const script = new Script()
    const key = script.text("was-here")
    const bytes = guest({
      imports: ["proxy_set_shared_data", "proxy_get_shared_data"],
      data: script.data,
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
          (if (i32.eqz (call $proxy_get_shared_data ${key} (i32.const 64) (i32.const 68) (i32.const 72))) (then (unreachable)))
          (drop (call $proxy_set_shared_data ${key} ${key} (i32.const 0)))
          (i32.const 1))
        ${HEADERS} (unreachable))`,
    })
    return { bytes }
  }

  test("is tried again without an exchange, and in quarantine after the fifth", () => {
    const host = new TestHost()
    const plugin = host.plugin(once().bytes)
    expect(request(plugin)).toBe("filterTrap")
    expect(plugin.root).toBeNull()
    host.clock.advance(120_000)
    expect(plugin.status(host.now)).toMatchObject({ state: "quarantined", traps: 6 })
    expect(host.messages().filter((message) => message.includes("5 starts in a row failed"))).toHaveLength(1)
    host.data.entries.clear()
    host.runtime.lift("probe")
    expect(plugin.status(host.now).state).toBe("running")
  })

  test("comes back by itself once it can", () => {
    const host = new TestHost()
    const plugin = host.plugin(once().bytes)
    request(plugin)
    host.clock.advance(600)
    expect(plugin.root).toBeNull()
    host.data.entries.clear()
    host.clock.advance(30_000)
    expect(plugin.root).not.toBeNull()
  })

  test("is not tried any more once nobody uses it", () => {
    const host = new TestHost()
    const plugin = host.plugin(once().bytes)
    request(plugin)
    expect(host.clock.pending).toBe(1)
    host.runtime.release(plugin)
    expect(host.clock.pending).toBe(0)
  })
})

test("a filter that works by ticks alone comes back after back-off", () => {
  const host = new TestHost()
  // Ticks trap until there is a key.
  const script = new Script()
  const plugin = host.plugin(
    guest({
      imports: ["proxy_set_tick_period_milliseconds", "proxy_get_shared_data"],
      data: script.data,
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
          (drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1))
        (func (export "proxy_on_tick") (param i32)
          (if (call $proxy_get_shared_data ${script.text("calm")} (i32.const 0) (i32.const 4) (i32.const 8)) (then (unreachable))))`,
    }),
  )
  host.clock.advance(2000)
  expect(plugin.traps).toBeGreaterThan(2)
  const { traps } = plugin
  host.data.set(plugin.spec.digest, "calm", new Uint8Array(1), 0)
  host.clock.advance(60_000)
  expect(plugin.root).not.toBeNull()
  expect(plugin.traps).toBeLessThanOrEqual(traps + 1)
})

test("a start that takes long waits for long after the second failure", () => {
  const host = new TestHost()
  // What a start takes: the clock moves while shared data is written.
  const { set } = host.data
  host.data.set = function (...args) {
    host.now += 200
    return set.apply(this, args)
  }
  const script = new Script()
  const plugin = host.plugin(
    guest({
      imports: ["proxy_set_shared_data"],
      data: script.data,
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
          (drop (call $proxy_set_shared_data ${script.text("k")} (i32.const 0) (i32.const 1) (i32.const 0))) (i32.const 1))
        ${HEADERS} (unreachable))`,
    }),
  )
  expect(request(plugin)).toBe("filterTrap")
  expect(plugin.root).not.toBeNull()
  expect(request(plugin)).toBe("filterTrap")
  expect(plugin.root).toBeNull()
  host.clock.advance(19_000)
  expect(plugin.status(host.now).state).toBe("backoff")
  host.clock.advance(1500)
  expect(plugin.status(host.now).state).toBe("running")
})

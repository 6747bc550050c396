import { describe, expect, test } from "vitest"
import { CONTINUE, PAUSE } from "../../../gateway/filter/filter.ts"
import { FakeStream, TestHost } from "./support/host.ts"
import { guest } from "./support/wat.ts"

const callbacks: Readonly<Record<string, string>> = {
  proxy_on_context_create: "(param i32 i32)",
  proxy_on_request_headers: "(param i32 i32 i32) (result i32)",
  proxy_on_response_headers: "(param i32 i32 i32) (result i32)",
  proxy_on_done: "(param i32) (result i32)",
  proxy_on_log: "(param i32)",
  proxy_on_delete: "(param i32)",
}

/** A guest whose `name` does `body` for stream contexts; `others` are the callbacks it has besides. */
function failing(name: string, body: string, extra = "", more = ""): Uint8Array {
  const result = callbacks[name].includes("result") ? "(i32.const 0)" : ""
  return guest({
    more,
    code: `(func (export "${name}") ${callbacks[name]} (if (i32.gt_u (local.get 0) (i32.const 1)) (then ${body})) ${result}) ${extra}`,
  })
}

function exchange(plugin: ReturnType<TestHost["plugin"]>): { stream: FakeStream; actions: number[] } {
  const stream = new FakeStream()
  const context = plugin.open(stream)
  const actions: number[] = []
  if (context === null) return { stream, actions }
  actions.push(context.onRequestHeaders(true))
  if (stream.failure === null) {
    stream.respond()
    actions.push(context.onResponseHeaders(true))
  }
  context.onDone()
  return { stream, actions }
}

describe("a trap", () => {
  test.each(["proxy_on_context_create", "proxy_on_request_headers"])("in %s denies the request", (name) => {
    const host = new TestHost()
    const plugin = host.plugin(failing(name, "(unreachable)"))
    const { stream, actions } = exchange(plugin)
    expect(actions).toEqual([PAUSE])
    expect(stream.events).toEqual(["fail filterTrap probe:trap"])
    expect(host.metricsOf("probe").traps).toEqual(["trap"])
    expect(host.logs.at(-1)).toMatchObject({
      level: "error",
      message: expect.stringMatching(/^filter probe failed: .*unreachable/i),
      fields: { filter: "probe", reason: "trap", callback: name },
    })
  })

  test("of a filter with several versions is told with the version", () => {
    const host = new TestHost()
    const title = "probe (canary)"
    exchange(host.plugin(failing("proxy_on_request_headers", "(unreachable)"), { version: "canary", title }))
    expect(host.logs.at(-1)).toMatchObject({
      message: expect.stringMatching(/^filter probe \(canary\) failed: /),
      fields: { filter: "probe", version: "canary" },
    })
  })

  test("in proxy_on_response_headers denies the response", () => {
    const host = new TestHost()
    const { stream, actions } = exchange(host.plugin(failing("proxy_on_response_headers", "(unreachable)")))
    expect(actions).toEqual([CONTINUE, PAUSE])
    expect(stream.events).toEqual(["fail filterTrap probe:trap"])
  })

  test.each(["proxy_on_context_create", "proxy_on_request_headers", "proxy_on_response_headers"])(
    "in %s is passed over when errors are skipped",
    (name) => {
      const host = new TestHost()
      const { stream, actions } = exchange(host.plugin(failing(name, "(unreachable)"), { onError: "skip" }))
      expect(actions).toEqual([CONTINUE, CONTINUE])
      expect(stream.events).toEqual([])
      expect(host.metricsOf("probe").traps).toEqual(["trap"])
    },
  )

  test.each(["proxy_on_done", "proxy_on_log", "proxy_on_delete"])("in %s leaves the exchange alone", (name) => {
    for (const onError of ["deny", "skip"] as const) {
      const host = new TestHost()
      const plugin = host.plugin(failing(name, "(unreachable)"), { onError })
      const { stream, actions } = exchange(plugin)
      expect(actions).toEqual([CONTINUE, CONTINUE])
      expect(stream.events).toEqual([])
      expect(host.metricsOf("probe").traps).toEqual(["trap"])
      expect(plugin.root).not.toBeNull()
    }
  })

  test("names the function it happened in", () => {
    const host = new TestHost()
    exchange(host.plugin(failing("proxy_on_request_headers", "(call $deep)", `(func $deep (export "deep") (unreachable))`)))
    expect(host.logs.at(-1)?.fields.function).not.toBe("")
  })

  test("costs one instance: the next exchange meets a fresh one", () => {
    const host = new TestHost()
    // Traps in its second request only.
    const plugin = host.plugin(
      failing(
        "proxy_on_request_headers",
        `(global.set $n (i32.add (global.get $n) (i32.const 1))) (if (i32.eq (global.get $n) (i32.const 2)) (then (unreachable)))`,
        "(global $n (mut i32) (i32.const 0))",
      ),
    )
    const before = plugin.root?.vm
    expect(exchange(plugin).stream.failure).toBeNull()
    expect(exchange(plugin).stream.failure).toBe("filterTrap")
    expect(before?.dead).toBe(true)
    expect(plugin.root?.vm).not.toBe(before)
    expect(exchange(plugin).stream.failure).toBeNull()
    expect(host.runtime.status()).toMatchObject([
      { state: "running", traps: 1, instances: 1, lastError: expect.stringMatching(/unreachable/i) },
    ])
    expect(host.metricsOf("probe").live).toBe(1)
  })

  test("what the guest asked for before is void", () => {
    const imports = `(import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))`
    const body = `(drop (call $reply (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (unreachable)`
    const { stream } = exchange(new TestHost().plugin(failing("proxy_on_request_headers", body, "", imports)))
    expect(stream.events).toEqual(["fail filterTrap probe:trap"])
  })
})

describe("limits", () => {
  test("an endless loop is stopped by the budget", () => {
    const host = new TestHost()
    const { stream } = exchange(host.plugin(failing("proxy_on_request_headers", "(loop $l (br $l))")))
    expect(stream.events).toEqual(["fail filterBudget probe:budget"])
    expect(host.metricsOf("probe").traps).toEqual(["budget"])
  })

  test("the budget is there anew for each callback", () => {
    const spin = (name: string) =>
      `(func (export "${name}") ${callbacks[name]} (local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 40000)))) (i32.const 0))`
    const plugin = new TestHost().plugin(guest({ code: spin("proxy_on_request_headers") + spin("proxy_on_response_headers") }), {
      cpuMs: 5,
    })
    for (let i = 0; i < 20; i++) expect(exchange(plugin).stream.failure).toBeNull()
  })

  test("deep recursion is a trap", () => {
    const host = new TestHost()
    const recurse = "(func $r (param i32) (result i32) (i32.add (i32.const 1) (call $r (i32.add (local.get 0) (i32.const 1)))))"
    const plugin = host.plugin(failing("proxy_on_request_headers", "(drop (call $r (i32.const 0)))", recurse), { cpuMs: 10_000 })
    const { stream } = exchange(plugin)
    expect(stream.events).toEqual(["fail filterTrap probe:stack"])
    expect(plugin.root).not.toBeNull()
  })

  test("memory stops growing at its limit", () => {
    const grow = `(block $done (loop $l (br_if $done (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br $l))) (if (i32.ne (memory.size) (i32.const 16)) (then (unreachable)))`
    const bytes = guest({
      memory: "1",
      code: `(func (export "proxy_on_request_headers") ${callbacks.proxy_on_request_headers} ${grow} (i32.const 0))`,
    })
    const plugin = new TestHost().plugin(bytes, { memory: 1 << 20 })
    expect(exchange(plugin).stream.failure).toBeNull()
    expect(plugin.status(0).memoryBytes).toBe(1 << 20)
  })

  test("an access outside memory is a trap", () => {
    const host = new TestHost()
    const { stream } = exchange(host.plugin(failing("proxy_on_request_headers", "(drop (i32.load (i32.const -4)))")))
    expect(stream.events).toEqual(["fail filterTrap probe:trap"])
  })

  test("ending the process ends the instance", () => {
    const host = new TestHost()
    const exit = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`
    const { stream } = exchange(host.plugin(failing("proxy_on_request_headers", "(call $exit (i32.const 0))", "", exit)))
    expect(stream.events).toEqual(["fail filterTrap probe:exit"])
    expect(host.logs.at(-1)?.message).toContain("exit code 0")
  })

  test("an exit that the guest catches ends it all the same", () => {
    const exit = `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`
    const body = "(try (do (call $exit (i32.const 1))) (catch_all))"
    const host = new TestHost()
    const { stream } = exchange(host.plugin(failing("proxy_on_request_headers", body, "", exit)))
    expect(stream.events).toEqual(["fail filterTrap probe:exit"])
  })

  test("an allocator that traps fails the instance", () => {
    const bytes = guest({
      imports: ["proxy_get_header_map_pairs"],
      allocator: `(func (export "malloc") (param i32) (result i32) (unreachable))`,
      code: `(func (export "proxy_on_request_headers") ${callbacks.proxy_on_request_headers} (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 0) (i32.const 4)))`,
    })
    expect(exchange(new TestHost().plugin(bytes)).stream.events).toEqual(["fail filterTrap probe:trap"])
  })
})

describe("other exchanges of a failed instance", () => {
  // Stream 2 pauses in its request; stream 3 passes and pauses in its response; stream 4 passes; 5 traps.
  const bytes = (): Uint8Array =>
    guest({
      code: `(func (export "proxy_on_request_headers") ${callbacks.proxy_on_request_headers}
          (if (i32.eq (local.get 0) (i32.const 5)) (then (unreachable)))
          (i32.eq (local.get 0) (i32.const 2)))
        (func (export "proxy_on_response_headers") ${callbacks.proxy_on_response_headers} (i32.eq (local.get 0) (i32.const 3)))`,
    })

  function four(onError: "deny" | "skip") {
    const plugin = new TestHost().plugin(bytes(), { onError })
    const streams = [0, 1, 2].map(() => new FakeStream())
    const contexts = streams.map((stream) => plugin.open(stream))
    const actions = contexts.map((context) => context?.onRequestHeaders(true))
    streams[1].respond()
    actions.push(contexts[1]?.onResponseHeaders(true))
    streams[2].respond()
    actions.push(contexts[2]?.onResponseHeaders(true))
    expect(actions).toEqual([PAUSE, CONTINUE, CONTINUE, PAUSE, CONTINUE])
    const early = new FakeStream()
    const undecided = plugin.open(early)
    const trap = new FakeStream()
    expect(plugin.open(trap)?.onRequestHeaders(true)).toBe(onError === "deny" ? PAUSE : CONTINUE)
    return { streams: [...streams, trap], contexts, undecided, early }
  }

  test("are denied while the filter still had a say in them", () => {
    const { streams, undecided, early } = four("deny")
    const failed = ["fail filterTrap probe:trap"]
    expect(streams.map((stream) => stream.events)).toEqual([failed, failed, [], failed])
    // One that had not begun meets the new instance.
    expect(undecided?.onRequestHeaders(true)).toBe(PAUSE)
    expect(early.events).toEqual([])
  })

  test("go on when errors are skipped, and the filter is absent from then on", () => {
    const { streams, contexts } = four("skip")
    expect(streams.map((stream) => stream.events)).toEqual([["continueRequest"], ["continueResponse"], [], []])
    streams[0].respond()
    expect(contexts[0]?.onResponseHeaders(true)).toBe(CONTINUE)
    for (const context of contexts) context?.onDone()
  })
})

describe("a filter that keeps failing", () => {
  test("has to wait from the third trap in ten seconds on", () => {
    const host = new TestHost()
    const plugin = host.plugin(failing("proxy_on_request_headers", "(unreachable)"))
    for (let i = 0; i < 3; i++) {
      expect(exchange(plugin).stream.failure).toBe("filterTrap")
      host.now += 1000
    }
    host.now -= 1000
    expect(host.runtime.status()).toMatchObject([{ state: "backoff", instances: 0, traps: 3, memoryBytes: 0 }])
    const { stream, actions } = exchange(plugin)
    expect([actions, stream.events]).toEqual([[PAUSE], ["fail filterUnavailable probe:unavailable"]])
    host.now += 500
    expect(exchange(plugin).stream.failure).toBe("filterTrap")
    host.now += 500
    expect(exchange(plugin).stream.failure).toBe("filterUnavailable")
    host.now += 500
    expect(exchange(plugin).stream.failure).toBe("filterTrap")
  })

  test("is absent meanwhile when errors are skipped", () => {
    const host = new TestHost()
    const plugin = host.plugin(failing("proxy_on_request_headers", "(unreachable)"), { onError: "skip" })
    for (let i = 0; i < 3; i++) exchange(plugin)
    expect(plugin.open(new FakeStream())).toBeNull()
    host.now += 500
    expect(plugin.open(new FakeStream())).not.toBeNull()
  })

  test("is reported a few times, then counted", () => {
    const host = new TestHost()
    const plugin = host.plugin(failing("proxy_on_log", "(unreachable)"))
    for (let i = 0; i < 8; i++) {
      exchange(plugin)
      host.now += 900
    }
    expect(host.logs.filter((each) => each.message.includes("failed")).length).toBeLessThanOrEqual(5)
  })

  test("that refuses its configuration stays failed and answers as unavailable", () => {
    const host = new TestHost()
    const plugin = host.plugin(guest({ code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))` }))
    expect(host.runtime.status()).toMatchObject([{ state: "failed", instances: 0, lastError: "configure refused" }])
    expect(exchange(plugin).stream.failure).toBe("filterUnavailable")
    expect(host.messages()).toEqual(["filter probe: configure refused; its log says why"])
  })

  test("in its start is tried again when it is needed, and waits as well", () => {
    const host = new TestHost()
    const plugin = host.plugin(guest({ code: `(func (export "_initialize") (unreachable))` }))
    expect(plugin.traps).toBe(1)
    exchange(plugin)
    exchange(plugin)
    expect(host.runtime.status()).toMatchObject([{ state: "backoff", traps: 3 }])
  })

  test("in configure does not take its neighbours down with it", () => {
    const host = new TestHost()
    const bytes = guest({
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (if (i32.eq (local.get 1) (i32.const 3)) (then (unreachable))) (i32.const 1))
        (func (export "proxy_on_request_headers") ${callbacks.proxy_on_request_headers} (i32.const 0))`,
    })
    const good = host.plugin(bytes, { name: "good", config: "{}" })
    const bad = host.plugin(bytes, { name: "bad", config: "bad" })
    expect(exchange(good).stream.failure).toBeNull()
    expect(exchange(bad).stream.failure).toBe("filterUnavailable")
    expect(exchange(good).stream.failure).toBeNull()
    expect(host.runtime.status()).toMatchObject([
      { name: "good", state: "running" },
      { name: "bad", state: "failed" },
    ])
  })

  test("does not touch plugins of other modules", () => {
    const host = new TestHost()
    const other = host.plugin(
      guest({ code: `(func (export "proxy_on_request_headers") ${callbacks.proxy_on_request_headers} (i32.const 1))` }),
      { name: "other" },
    )
    const stream = new FakeStream()
    const context = other.open(stream)
    context?.onRequestHeaders(true)
    exchange(host.plugin(failing("proxy_on_request_headers", "(unreachable)")))
    expect(stream.events).toEqual([])
    expect(other.status(host.now)).toMatchObject({ state: "running", traps: 0 })
  })

  test("that is being released is not started again", () => {
    const host = new TestHost()
    const plugin = host.plugin(failing("proxy_on_response_headers", "(unreachable)"))
    const stream = new FakeStream()
    const context = plugin.open(stream)
    context?.onRequestHeaders(true)
    host.runtime.release(plugin)
    stream.respond()
    expect(context?.onResponseHeaders(true)).toBe(PAUSE)
    expect(plugin.root).toBeNull()
    context?.onDone()
    expect(host.runtime.status()).toEqual([])
  })
})

import { describe, expect, test } from "vitest"
import { ChainExchange } from "./support/chain.ts"
import { TestHost } from "./support/host.ts"
import { guest } from "./support/wat.ts"

const signatures: Readonly<Record<string, string>> = {
  request_headers: "(param i32 i32 i32) (result i32)",
  request_body: "(param i32 i32 i32) (result i32)",
  request_trailers: "(param i32 i32) (result i32)",
  response_headers: "(param i32 i32 i32) (result i32)",
  response_body: "(param i32 i32 i32) (result i32)",
  response_trailers: "(param i32 i32) (result i32)",
  done: "(param i32) (result i32)",
  log: "(param i32)",
  delete: "(param i32)",
}

function bytes(callbacks: Readonly<Record<string, string>>): Uint8Array {
  return guest({
    imports: ["proxy_set_buffer_bytes", "proxy_send_local_response", "proxy_log"],
    code: Object.entries(callbacks)
      .map(([name, body]) => `(func (export "proxy_on_${name}") ${signatures[name]} ${body})`)
      .join("\n"),
  })
}

/** Traps in stream `id` only. */
const trapIn = (id: number): string => `(if (i32.eq (local.get 0) (i32.const ${id})) (then (unreachable)))`

/** Feeds a whole exchange with trailers both ways; stops where it ended. */
function all(exchange: ChainExchange): string[] {
  const over = (): boolean => exchange.events.some((event) => /^(fail|reset|reply)/.test(event))
  const steps = [
    () => exchange.begin(),
    () => exchange.body("a", "b"),
    () => exchange.end({ t: "1" }),
    () => exchange.respond(),
    () => exchange.responseBody("c", "d"),
    () => exchange.endResponse({ t: "2" }),
  ]
  for (const step of steps) if (!over()) step()
  exchange.done()
  return exchange.take()
}

describe.each(["request_body", "request_trailers", "response_body", "response_trailers"])("a trap in proxy_on_%s", (name) => {
  const response = name.startsWith("response")

  test("denies the exchange, and costs one instance", () => {
    const host = new TestHost()
    const plugin = host.plugin(bytes({ [name]: `${trapIn(2)} (i32.const 0)` }))
    const exchange = new ChainExchange(plugin)
    const events = all(exchange)
    expect(events).toContain("fail filterTrap probe:trap")
    const passed = { request_body: "", request_trailers: "ab", response_body: "", response_trailers: "cd" }[name]
    expect(response ? exchange.response : exchange.request).toBe(passed)
    expect(host.metricsOf("probe").traps).toEqual(["trap"])
    expect(host.logs.at(-1)).toMatchObject({ level: "error", fields: { reason: "trap", callback: `proxy_on_${name}` } })
    expect(plugin.root).not.toBeNull()
    expect(plugin.idle).toBe(true)
  })

  test("is passed over when errors are skipped, with all that was kept and is to come", () => {
    const host = new TestHost()
    const direction = response ? "response" : "request"
    // Keeps the first octets, and fails over the next.
    const callbacks: Record<string, string> = { [`${direction}_body`]: "(i32.const 1)" }
    callbacks[name] = name.endsWith("body")
      ? `(if (i32.ge_u (local.get 1) (i32.const 2)) (then ${trapIn(2)})) (i32.const 1)`
      : `${trapIn(2)} (i32.const 0)`
    const exchange = new ChainExchange(host.plugin(bytes(callbacks), { onError: "skip" }))
    // The other direction's body passes the filters by.
    expect(all(exchange)).toEqual(
      response
        ? ["request", "response 200", "response body cd", "response end t 2"]
        : ["request", "request body ab", "request end t 1", "response 200"],
    )
    expect(host.metricsOf("probe").traps).toEqual(["trap"])
  })

  test("runs out of budget by itself", () => {
    const host = new TestHost()
    const plugin = host.plugin(bytes({ [name]: "(loop $l (br $l)) (i32.const 0)" }), { cpuMs: 1 })
    expect(all(new ChainExchange(plugin))).toContain("fail filterBudget probe:budget")
  })

  test("what the guest asked for before is void", () => {
    const host = new TestHost()
    const reply = `(drop (call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))`
    expect(all(new ChainExchange(host.plugin(bytes({ [name]: `${reply} (unreachable)` }))))).toContain("fail filterTrap probe:trap")
  })
})

describe("octets that were taken out of a body to be replaced", () => {
  test("are missing when the guest fails: the exchange fails even if errors are skipped", () => {
    for (const direction of ["request", "response"]) {
      const host = new TestHost()
      const callbacks = { [`${direction}_body`]: "(if (local.get 2) (then (unreachable))) (i32.const 3)" }
      const exchange = new ChainExchange(host.plugin(bytes(callbacks), { onError: "skip" }))
      exchange.begin(direction === "response")
      if (direction === "request") exchange.body("a").end()
      else exchange.respond().responseBody("a").endResponse()
      expect(exchange.take()).toContain("fail filterTrap probe:trap")
    }
  })

  test("are missed no more once the guest has gone on", () => {
    const host = new TestHost()
    // Drops the first, passes the second, fails over the third.
    const body = `(global.set $n (i32.add (global.get $n) (i32.const 1)))
      (if (i32.eq (global.get $n) (i32.const 3)) (then (unreachable)))
      (select (i32.const 3) (i32.const 0) (i32.eq (global.get $n) (i32.const 1)))`
    const code = `(global $n (mut i32) (i32.const 0)) (func (export "proxy_on_request_body") ${signatures.request_body} ${body})`
    const exchange = new ChainExchange(host.plugin(guest({ code }), { onError: "skip" }))
    exchange.begin().body("a", "b", "c").end()
    expect(exchange.take()).toEqual(["request", "request body b", "request body c", "request end"])
  })
})

describe("exchanges of an instance that failed in another's callback", () => {
  /** The third stream's head traps; the others' bodies do what the code says. */
  function withVictim(callbacks: Readonly<Record<string, string>>, onError: "deny" | "skip") {
    const host = new TestHost()
    const plugin = host.plugin(bytes({ request_headers: `${trapIn(3)} (i32.const 0)`, ...callbacks }), { onError })
    const exchange = new ChainExchange(plugin)
    return {
      exchange,
      trap: (): string[] => {
        new ChainExchange(plugin).begin(true).done()
        expect(host.metricsOf("probe").traps).toEqual(["trap"])
        return exchange.take()
      },
    }
  }

  test("paused in a body are denied", () => {
    for (const direction of ["request", "response"]) {
      const { exchange, trap } = withVictim({ [`${direction}_body`]: "(i32.const 1)" }, "deny")
      exchange.begin(direction === "response")
      if (direction === "request") exchange.body("a")
      else exchange.respond().responseBody("a")
      exchange.take()
      expect(trap()[0]).toBe("fail filterTrap probe:trap")
      exchange.done()
    }
  })

  test("paused in a body go on when errors are skipped, with what was kept and what comes", () => {
    for (const [direction, action] of [
      ["request", 1],
      ["response", 1],
      ["request", 2],
      ["response", 2],
    ]) {
      const { exchange, trap } = withVictim({ [`${direction}_body`]: `(i32.const ${action})` }, "skip")
      exchange.begin(direction === "response")
      if (direction === "request") exchange.body("a")
      else exchange.respond().responseBody("a")
      exchange.take()
      const released = action === 2 ? [`release ${direction}`] : []
      expect(trap()).toEqual([`${direction} body a`, ...released])
      if (direction === "request") exchange.body("b").end()
      else exchange.responseBody("b").endResponse()
      expect(exchange.take()).toEqual([`${direction} body b`, `${direction} end`])
      exchange.done()
    }
  })

  test("paused in trailers go on when errors are skipped", () => {
    const { exchange, trap } = withVictim({ request_trailers: "(i32.const 1)" }, "skip")
    exchange.begin().body("a").end({ t: "1" })
    expect(exchange.take()).toEqual(["request", "request body a"])
    expect(trap()).toEqual(["request end t 1"])
  })

  test("whose body is still to be seen are denied", () => {
    for (const direction of ["request", "response"]) {
      const { exchange, trap } = withVictim({ [`${direction}_body`]: "(i32.const 0)" }, "deny")
      exchange.begin(direction === "response")
      if (direction === "request") exchange.body("a")
      else exchange.respond().responseBody("a")
      exchange.take()
      expect(trap()[0]).toBe("fail filterTrap probe:trap")
    }
  })

  test("whose messages were seen to their end are left alone", () => {
    const body = { request_body: "(i32.const 0)" }
    const both = { request_body: "(i32.const 0)", response_body: "(i32.const 0)", response_trailers: "(i32.const 0)" }
    const first = withVictim(body, "deny")
    first.exchange.begin().body("a").end().take()
    expect(first.trap()).toEqual([])
    const bodyless = withVictim(body, "deny")
    bodyless.exchange.begin(true).take()
    expect(bodyless.trap()).toEqual([])
    const second = withVictim(both, "deny")
    second.exchange.begin().body("a").end().respond().responseBody("b").endResponse({ t: "1" }).take()
    expect(second.trap()).toEqual([])
    const undecided = withVictim(both, "deny")
    undecided.exchange.begin().body("a").end().take()
    expect(undecided.trap()[0]).toBe("fail filterTrap probe:trap")
  })

  test("that took octets out of a body fail even if errors are skipped", () => {
    const { exchange, trap } = withVictim({ request_body: "(i32.const 3)" }, "skip")
    exchange.begin().body("a").take()
    expect(trap()[0]).toBe("fail filterTrap probe:trap")
  })

  test("that were answered while their request was paused are left alone", () => {
    const { exchange, trap } = withVictim({ request_body: "(i32.const 1)" }, "deny")
    exchange.begin().body("a")
    exchange.onFilterReply({ status: 429, body: new Uint8Array(), headers: [], details: "", grpcStatus: -1 })
    exchange.take()
    expect(trap()).toEqual([])
  })
})

describe("the end of a stream", () => {
  /** Logs the digit at that address, for stream contexts. */
  const say = (at: number): string =>
    `(if (i32.gt_u (local.get 0) (i32.const 1)) (then (drop (call $proxy_log (i32.const 2) (i32.const ${at}) (i32.const 1)))))`

  function ending(callbacks: Record<string, string>, drive: (exchange: ChainExchange) => unknown): string {
    const host = new TestHost()
    const all = { ...callbacks, done: `${say(1)} (i32.const 1)`, log: say(2), delete: say(3) }
    const code = Object.entries(all).map(([name, body]) => `(func (export "proxy_on_${name}") ${signatures[name]} ${body})`)
    const imports = ["proxy_log", "proxy_close_stream", "proxy_send_local_response"]
    const exchange = new ChainExchange(host.plugin(guest({ imports, data: { 1: "123" }, code: code.join("\n") })))
    drive(exchange)
    exchange.done()
    return host.messages().join("")
  }

  test.each<[string, Record<string, string>, (exchange: ChainExchange) => unknown]>([
    ["after everything", {}, (exchange) => exchange.begin().body("a").end().respond().responseBody("b").endResponse()],
    ["paused in its head", { request_headers: "(i32.const 1)" }, (exchange) => exchange.begin()],
    ["paused in its body", { request_body: "(i32.const 1)" }, (exchange) => exchange.begin().body("a")],
    ["paused in its trailers", { request_trailers: "(i32.const 1)" }, (exchange) => exchange.begin().end({ t: "1" })],
    ["paused in its response's body", { response_body: "(i32.const 1)" }, (exchange) => exchange.begin(true).respond().responseBody("a")],
    ["in the middle of its body", { request_body: "(i32.const 0)" }, (exchange) => exchange.begin().body("a")],
    ["before its response", {}, (exchange) => exchange.begin(true)],
    [
      "closed in its body",
      { request_body: "(drop (call $proxy_close_stream (i32.const 0))) (i32.const 0)" },
      (exchange) => exchange.begin().body("a"),
    ],
    [
      "answered by the guest in its body",
      {
        request_body:
          "(drop (call $proxy_send_local_response (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))) (i32.const 0)",
      },
      (exchange) => exchange.begin().body("a"),
    ],
  ])("%s is told once: done, log, delete", (_name, callbacks, drive) => {
    expect(ending(callbacks, drive)).toBe("123")
  })
})

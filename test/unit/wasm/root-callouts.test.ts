import { Buffer } from "node:buffer"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Status } from "../../../gateway/wasm/proxy-wasm/enums.ts"
import { calloutHead } from "../../../gateway/wasm/proxy-wasm/host-calls-callouts.ts"
import { pairs, RootCalls, RootHost } from "./support/root.ts"
import { guest, hostCallNames, Script } from "./support/wat.ts"

const { OK, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE } = Status

/**
 * A guest that writes down what it is called with: the arguments of the last answer from 32 on, how many there were at 52,
 * and what proxy_get_status said at 56, 60 and 64. With 1 at 68 it calls out again from the answer; with 2 it traps.
 */
const listener = guest({
  imports: hostCallNames,
  data: { 256: "api", 272: pairs(":method", "GET", ":path", "/again", ":authority", "a").toString("latin1") },
  code: `
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
      (i32.store (i32.const 32) (local.get 0))
      (i32.store (i32.const 36) (local.get 1))
      (i32.store (i32.const 40) (local.get 2))
      (i32.store (i32.const 44) (local.get 3))
      (i32.store (i32.const 48) (local.get 4))
      (i32.store (i32.const 52) (i32.add (i32.const 1) (i32.load (i32.const 52))))
      (drop (call $proxy_get_status (i32.const 56) (i32.const 60) (i32.const 64)))
      (if (i32.eq (i32.load (i32.const 68)) (i32.const 1)) (then
        (drop (call $proxy_http_call (i32.const 256) (i32.const 3) (i32.const 272)
          (i32.const ${pairs(":method", "GET", ":path", "/again", ":authority", "a").length})
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 72)))))
      (if (i32.eq (i32.load (i32.const 68)) (i32.const 2)) (then (unreachable))))`,
})

function start(): { host: RootHost; calls: RootCalls; words: (...at: number[]) => number[]; set: (at: number, value: number) => void } {
  const host = new RootHost()
  const plugin = host.plugin(listener)
  const { root } = plugin
  if (root === null) throw new Error("the guest did not start")
  const calls = new RootCalls(root, plugin.spec.module)
  const set = (at: number, value: number): void => root.vm.memory.view.setUint32(at, value, true)
  return { host, calls, words: (...at) => at.map((each) => calls.word(each)), set }
}

describe("proxy_http_call", () => {
  test("sends what the guest gave, under an id that is a multiple of 4", () => {
    const { host, calls, words } = start()
    const headers = pairs(
      ":method",
      "POST",
      ":path",
      "/a?b=c",
      ":authority",
      "api.example:81",
      ":scheme",
      "https",
      "X-One",
      "1",
      "x-one",
      "2",
    )
    expect(calls.httpCall({ headers, body: "body", trailers: pairs("x-end", "e"), timeout: 250 })).toBe(OK)
    expect(words(16)).toEqual([4])
    expect(host.services.calls[0].callout).toEqual({
      service: "api",
      method: "POST",
      path: "/a?b=c",
      authority: "api.example:81",
      headers: ["x-one", "1", "x-one", "2"],
      body: new Uint8Array(Buffer.from("body")),
      trailers: ["x-end", "e"],
      timeout: 250,
      filter: "probe",
    })
    calls.httpCall()
    expect(words(16)).toEqual([8])
  })

  test("takes the host field for a missing authority", () => {
    const { host, calls } = start()
    expect(calls.httpCall({ headers: pairs(":method", "GET", ":path", "/", "host", "h.example") })).toBe(OK)
    expect(host.services.calls[0].callout).toMatchObject({ authority: "h.example", headers: [] })
  })

  test("leaves out what frames a message and what belongs to a connection", () => {
    const { host, calls } = start()
    const framing = [
      "content-length",
      "999",
      "transfer-encoding",
      "chunked",
      "connection",
      "x-kept",
      "te",
      "trailers",
      "upgrade",
      "h2c",
      "expect",
      "100-continue",
    ]
    const headers = pairs(":method", "GET", ":path", "/", ":authority", "a", "host", "b", ...framing, "x-kept", "yes")
    expect(calls.httpCall({ headers, trailers: pairs("content-length", "1", "authorization", "x", "x-t", "1") })).toBe(OK)
    expect(host.services.calls[0].callout).toMatchObject({ authority: "a", headers: ["x-kept", "yes"], trailers: ["x-t", "1"] })
  })

  test.each<[string, string[]]>([
    ["no method", [":path", "/", ":authority", "a"]],
    ["no path", [":method", "GET", ":authority", "a"]],
    ["no authority", [":method", "GET", ":path", "/"]],
    ["two paths", [":method", "GET", ":path", "/", ":path", "/x", ":authority", "a"]],
    ["a method that is no token", [":method", "GET /", ":path", "/", ":authority", "a"]],
    ["CONNECT", [":method", "CONNECT", ":path", "/", ":authority", "a"]],
    ["a path with a space", [":method", "GET", ":path", "/ HTTP/1.1", ":authority", "a"]],
    ["a path with CR LF", [":method", "GET", ":path", "/\r\nx: y", ":authority", "a"]],
    ["a path without a slash", [":method", "GET", ":path", "x", ":authority", "a"]],
    ["an authority with CR LF", [":method", "GET", ":path", "/", ":authority", "a\r\nx: y"]],
    ["an authority with user information", [":method", "GET", ":path", "/", ":authority", "me@a"]],
    ["a value with CR LF", [":method", "GET", ":path", "/", ":authority", "a", "x", "1\r\ny: 2"]],
    ["a name with a colon", [":method", "GET", ":path", "/", ":authority", "a", "x:y", "1"]],
    ["a name with CR LF", [":method", "GET", ":path", "/", ":authority", "a", "x\r\ny", "1"]],
    ["a status", [":method", "GET", ":path", "/", ":authority", "a", ":status", "200"]],
    ["an unknown pseudo-header", [":method", "GET", ":path", "/", ":authority", "a", ":protocol", "x"]],
  ])("refuses a request with %s", (_what, flat) => {
    const { host, calls } = start()
    expect(calls.httpCall({ headers: pairs(...flat) })).toBe(BAD_ARGUMENT)
    expect(host.services.calls).toEqual([])
  })

  test("refuses malformed pairs, bad trailers, a negative time and an unknown service", () => {
    const { host, calls } = start()
    expect(calls.httpCall({ headers: Buffer.from("\xff\xff\xff\xff not pairs", "latin1") })).toBe(BAD_ARGUMENT)
    expect(calls.httpCall({ trailers: pairs("x", "1\r\n") })).toBe(BAD_ARGUMENT)
    expect(calls.httpCall({ trailers: pairs(":path", "/") })).toBe(BAD_ARGUMENT)
    expect(calls.httpCall({ timeout: -1 })).toBe(BAD_ARGUMENT)
    expect(calls.httpCall({ service: "nobody" })).toBe(BAD_ARGUMENT)
    expect(calls.httpCall({ service: "" })).toBe(BAD_ARGUMENT)
    expect(host.services.calls).toEqual([])
  })

  test("refuses addresses outside of the memory", () => {
    const { calls } = start()
    const [at, length] = calls.put("api")
    const good = [at, length, 0, 0, 0, 0, 0, 0, 0, 16]
    for (const [i, value] of [
      [1, 0x7fffffff],
      [2, -8],
      [5, -1],
      [7, -1],
      [9, -2],
    ]) {
      const args = [...good]
      args[i] = value
      if (i === 2) args[3] = 16
      expect(calls.call("proxy_http_call", ...args)).toBe(INVALID_MEMORY_ACCESS)
    }
  })

  test("answers INTERNAL_FAILURE when the callout can't be made, and no id is used up", () => {
    const { host, calls, words } = start()
    host.services.full = true
    expect(calls.httpCall()).toBe(INTERNAL_FAILURE)
    host.services.full = false
    expect(calls.httpCall()).toBe(OK)
    expect(words(16)).toEqual([4])
  })

  test("allows one root context so many callouts at a time and no more", () => {
    const { host, calls } = start()
    let made = 0
    while (calls.httpCall() === OK) made++
    expect(made).toBe(256)
    expect(calls.httpCall()).toBe(INTERNAL_FAILURE)
    host.services.calls[7].answer()
    expect(calls.httpCall()).toBe(OK)
    expect(calls.httpCall()).toBe(INTERNAL_FAILURE)
  })
})

describe("an answer", () => {
  test("is told to the root context with its counts, and the status is 0", () => {
    const { host, calls, words } = start()
    calls.httpCall()
    host.services.calls[0].answer({ headers: ["a", "1", "b", "2"], body: Buffer.from("12345"), trailers: ["t", "3"] })
    expect(words(32, 36, 40, 44, 48, 52)).toEqual([1, 4, 3, 5, 1, 1])
    expect(words(56, 64)).toEqual([0, 0])
  })

  test("that failed has no headers, no body and the status of a broken connection", () => {
    const { host, calls, words } = start()
    calls.httpCall()
    host.services.calls[0].fail()
    expect(words(32, 36, 40, 44, 48, 52)).toEqual([1, 4, 0, 0, 0, 1])
    expect(words(56, 64)).toEqual([11, "connectFailure".length])
    expect(calls.text(60)).toBe("connectFailure")
    calls.httpCall()
    host.services.calls[1].answer()
    expect(words(56, 64)).toEqual([0, 0])
  })

  test("may make the guest call out again, under another id", () => {
    const { host, calls, words, set } = start()
    calls.httpCall()
    set(68, 1)
    host.services.calls[0].answer()
    expect(words(72)).toEqual([8])
    expect(host.services.calls[1].callout.path).toBe("/again")
  })

  test("is no longer visible when the callback has returned", () => {
    const { host, calls } = start()
    calls.httpCall()
    host.services.calls[0].answer({ body: Buffer.from("12345") })
    calls.httpCall()
    expect(calls.call("proxy_get_buffer_bytes", 4, 0, 100, 16, 20)).not.toBe(OK)
  })

  test("in which the guest traps fails the instance and gives its other callouts up", () => {
    const { host, calls, set } = start()
    calls.httpCall()
    calls.httpCall()
    set(68, 2)
    host.services.calls[0].answer()
    expect(host.services.calls.map((call) => call.cancelled)).toEqual([false, true])
    expect(host.messages.join()).toContain("proxy_on_http_call_response")
  })

  test("for a context that was finished is not told to anyone", () => {
    const host = new RootHost()
    const plugin = host.plugin(listener)
    const { root } = plugin
    if (root === null) throw new Error("the guest did not start")
    new RootCalls(root, plugin.spec.module).httpCall()
    host.runtime.release(plugin)
    expect(host.services.calls[0].cancelled).toBe(true)
    // What was on its way already finds nobody.
    host.services.calls[0].answer()
    host.services.calls[0].fail()
    expect(host.take()).toEqual([])
  })
})

describe("answers that keep a guest busy", () => {
  test("wait for their turn, and are all told", () => {
    const host = new RootHost()
    host.costOfLog = 5
    const script = new Script()
    const code = `(func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) ${script.say("answer")})`
    const plugin = host.plugin(guest({ imports: [...hostCallNames], data: script.data, code }))
    if (plugin.root === null) throw new Error("the guest did not start")
    const calls = new RootCalls(plugin.root, plugin.spec.module)
    for (let i = 0; i < 20; i++) calls.httpCall()
    for (const call of host.services.calls) call.answer()
    // Half of the time, at 5 ms each, after 15 ms at once.
    expect(host.take().length).toBe(3)
    host.clock.pass(100)
    expect(host.take().length).toBe(10)
    host.clock.pass(1000)
    expect(host.take().length).toBe(7)
  })
})

describe("a guest that answers every answer with a callout", () => {
  test("makes so many in a second and no more", () => {
    const { host, calls, set } = start()
    let answered = 0
    const answerAll = (): void => {
      while (answered < host.services.calls.length) host.services.calls[answered++].answer()
    }
    calls.httpCall()
    set(68, 1)
    answerAll()
    // 5 ms of work at once, at 0.1 ms each; then a quarter of the time.
    expect(answered).toBeGreaterThanOrEqual(50)
    expect(answered).toBeLessThanOrEqual(52)
    for (let ms = 0; ms < 300; ms++) {
      host.clock.pass(1)
      answerAll()
    }
    expect(answered).toBeGreaterThan(850)
    expect(answered).toBeLessThan(1200)
  })
})

describe("ids", () => {
  test("are unique among two root contexts of one instance", () => {
    const host = new RootHost()
    const [first, second] = ["one", "two"].map((config) => {
      const plugin = host.plugin(listener, { config })
      if (plugin.root === null) throw new Error("the guest did not start")
      return { root: plugin.root, module: plugin.spec.module }
    })
    expect(first.root.vm).toBe(second.root.vm)
    const a = new RootCalls(first.root, first.module)
    a.httpCall()
    const b = new RootCalls(second.root, second.module)
    b.httpCall()
    expect(b.word(16)).toBe(8)
    host.services.calls[1].answer()
    expect([b.word(32), b.word(36)]).toEqual([second.root.id, 8])
    host.services.calls[0].answer()
    expect([b.word(32), b.word(36)]).toEqual([first.root.id, 4])
  })
})

describe("proxy_get_status", () => {
  test("is 0 without a message before there was a callout, and checks its addresses", () => {
    const { calls, words } = start()
    expect(calls.call("proxy_get_status", 16, 20, 24)).toBe(OK)
    expect(words(16, 20, 24)).toEqual([0, 0, 0])
    expect(calls.call("proxy_get_status", -1, 20, 24)).toBe(INVALID_MEMORY_ACCESS)
    expect(calls.call("proxy_get_status", 16, -1, 24)).toBe(INVALID_MEMORY_ACCESS)
  })
})

test("no pairs make a callout whose head could be read as another", () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ":method",
      ":path",
      ":authority",
      ":scheme",
      "host",
      "content-length",
      "te",
      "x",
      "GET",
      "/",
      "a",
      "1",
      "\r\n",
      " ",
      "",
    ),
    fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 6 }),
  )
  const base = [":method", "GET", ":path", "/", ":authority", "a"]
  fc.assert(
    fc.property(fc.array(fc.tuple(piece, piece), { maxLength: 4 }), fc.boolean(), (more, whole) => {
      const head = calloutHead([...(whole ? base : []), ...more.flat()])
      if (head === null) return
      expect(`${head.method} ${head.path} HTTP/1.1`).toMatch(/^[!-~]+ [!-~\x80-\xff]+ HTTP\/1\.1$/)
      expect(head.authority).toMatch(/^[!-~]+$/)
      for (let i = 0; i < head.headers.length; i += 2) {
        expect(head.headers[i]).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
        expect(head.headers[i]).not.toMatch(/^(?:host|content-length|transfer-encoding|connection|te|upgrade)$/)
        expect(head.headers[i + 1]).not.toMatch(/[\r\n\0]/)
      }
    }),
    { numRuns: 2000 },
  )
})

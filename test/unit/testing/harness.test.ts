import { afterAll, describe, expect, test } from "vitest"
import { bench } from "../../../gateway/testing/bench.ts"
import { FilterLoadError, loadFilter, loadFilters, SharedState } from "../../../gateway/testing/testing.ts"
import { buffering, calling, counting, marking, refusing, removeGuests, replying, waiting } from "./guests.ts"

afterAll(removeGuests)

describe("a filter under test", () => {
  test("edits what goes upstream and what comes back", async () => {
    const filter = await loadFilter(marking())
    const exchange = await filter.request(
      { method: "PUT", path: "/a//b?x=1", authority: "shop.example", headers: { "X-Many": ["1", "2"], "x-text": "ü" }, body: "hello" },
      { upstream: { status: 201, headers: { server: "up" }, json: { ok: true } } },
    )
    const { upstream, response } = exchange
    expect([upstream?.method, upstream?.path, upstream?.authority, upstream?.service]).toEqual([
      "PUT",
      "/a/b?x=1",
      "shop.example",
      "upstream",
    ])
    expect([upstream?.headers.all("x-many"), upstream?.headers.get("x-text")]).toEqual([["1", "2"], "ü"])
    expect([upstream?.headers.get("x-seen"), upstream?.headers.get("content-length"), upstream?.body.text]).toEqual(["yes", "5", "hello"])
    expect([response?.status, response?.headers.get("server"), response?.headers.get("x-seen"), response?.body.json]).toEqual([
      201,
      "up",
      "yes",
      { ok: true },
    ])
    expect([exchange.reply, exchange.pending, exchange.aborted, exchange.flag]).toEqual([false, false, false, ""])
    filter.close()
  })

  test("sees the fields the gateway adds to a request", async () => {
    const filter = await loadFilter(marking())
    const { upstream } = await filter.request({ peer: { address: "10.1.2.3" } })
    expect(upstream?.headers.get("x-forwarded-for")).toBe("10.1.2.3")
    expect(upstream?.headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/)
    filter.close()
  })

  test("gets a body in its pieces, and may keep it to its end", async () => {
    const filter = await loadFilter(buffering())
    const exchange = await filter.request({ chunks: ["ab", "c", "de"] })
    expect(exchange.logs.map((line) => line.message)).toEqual(["body 2/0", "body 3/0", "body 5/1"])
    expect([exchange.upstream?.body.text, exchange.upstream?.headers.get("content-length")]).toEqual(["<abcde", "6"])
    const late = await filter.request({ chunks: ["ab", ""] })
    expect(late.logs.map((line) => line.message)).toEqual(["body 2/0", "body 2/1"])
    filter.close()
  })

  test("whose body limit is exceeded ends the exchange with 413", async () => {
    const filter = await loadFilter(buffering(), { limits: { body: 4 } })
    const exchange = await filter.request({ chunks: ["abc", "def", "g"] })
    expect([exchange.upstream, exchange.response?.status, exchange.reply]).toEqual([null, 413, true])
    filter.close()
  })

  test("that answers keeps the request from the upstream", async () => {
    const filter = await loadFilter(replying())
    let asked = 0
    const exchange = await filter.request({}, { upstream: () => ({ status: 200 + asked++ }) })
    expect([exchange.upstream, exchange.response?.status, exchange.response?.body.text, exchange.flag, exchange.details]).toEqual([
      null,
      418,
      "tea",
      "LR",
      "teapot",
    ])
    expect([asked, exchange.reply]).toEqual([0, true])
    filter.close()
  })

  test("that traps ends its exchange as onError says, and serves the next", async () => {
    const deny = await loadFilter(counting())
    const trapped = await deny.request({ headers: { "x-trap": "1" } })
    expect([trapped.response?.status, trapped.flag, trapped.upstream]).toEqual([500, "FT", null])
    expect(trapped.logs.map((line) => line.message).join()).toContain("proxy_on_request_headers")
    expect((await deny.request()).response?.status).toBe(200)
    deny.close()
    const skip = await loadFilter(counting(), { onError: "skip" })
    const skipped = await skip.request({ headers: { "x-trap": "1" } })
    expect([skipped.response?.status, skipped.flag]).toEqual([200, ""])
    skip.close()
  })

  test("that refuses its configuration is an error with what it said", async () => {
    await expect(loadFilter(refusing())).rejects.toThrow(FilterLoadError)
    await expect(loadFilter(refusing())).rejects.toThrow(/refused.*needs a key/)
  })

  test("stores data, defines metrics, and finds what the test has put there", async () => {
    const state = new SharedState()
    const filter = await loadFilter(counting(), { shared: { last: "3", other: "ü" }, state })
    expect(Buffer.from(filter.shared("last") ?? []).toString()).toBe("3")
    expect(Buffer.from(filter.shared("other") ?? []).toString()).toBe("ü")
    await filter.request()
    await filter.request()
    expect(Buffer.from(filter.shared("last") ?? []).toString()).toBe("7")
    expect(filter.metrics).toEqual({ seen: 2 })
    const second = await loadFilter(counting(), { state, name: "second" })
    expect(second.shared("last")).toBeUndefined()
    await second.request()
    expect([filter.metrics.seen, state.get("second", "last")?.length]).toEqual([3, 1])
    filter.close()
    second.close()
  })

  test("that asks for more than one kind of body is refused", async () => {
    const filter = await loadFilter(marking())
    await expect(filter.request({ body: "a", json: {} })).rejects.toThrow("one of body, json and chunks")
    await expect(filter.request({ headers: { "a b": "c" } })).rejects.toThrow('"a b" can\'t name a header')
    await expect(filter.request({ headers: { a: "b\r\nc" } })).rejects.toThrow("can't be a header's value")
    await expect(filter.request({ path: "/%00" })).rejects.toThrow("refused with 400")
    filter.close()
    await expect(filter.request()).rejects.toThrow("closed")
  })
})

describe("a callout", () => {
  test("is answered by the service, and resumes the exchange", async () => {
    const filter = await loadFilter(calling(), { services: { idp: { status: 200, headers: { a: "1" }, body: "k", after: 20 } } })
    const from = filter.now
    const exchange = await filter.request()
    expect(exchange.response?.status).toBe(200)
    expect(exchange.calls).toMatchObject([
      { service: "idp", method: "GET", path: "/keys", authority: "idp.internal", timeout: 500, outcome: "200" },
    ])
    // :status, a and content-length.
    expect(exchange.logs.map((line) => line.message)).toEqual(["answer 3"])
    expect(filter.now - from).toBe(20)
    filter.close()
  })

  test("times out at its deadline, and fails when the service cuts it off", async () => {
    const filter = await loadFilter(calling(), {
      services: { idp: [{ fail: "timeout" }, { fail: "reset", after: 5 }, { status: 200, after: 9999 }] },
    })
    const took: number[] = []
    for (let i = 0; i < 3; i++) {
      const from = filter.now
      expect((await filter.request()).response?.status).toBe(200)
      took.push(filter.now - from)
    }
    expect(took).toEqual([500, 5, 500])
    expect(filter.calls.map((call) => call.outcome)).toEqual(["timeout", "reset", "timeout"])
    expect(filter.logs.map((line) => line.message)).toEqual(["answer 0", "answer 0", "answer 0"])
    filter.close()
  })

  test("is answered by a function, also by one that takes its time", async () => {
    const filter = await loadFilter(calling(), { services: { idp: async (call) => ({ status: call.path === "/keys" ? 204 : 500 }) } })
    await filter.request()
    expect(filter.calls.map((call) => call.outcome)).toEqual(["204"])
    filter.setService("idp", () => {
      throw new Error("not today")
    })
    await filter.request()
    expect([filter.calls[1].outcome, filter.problems]).toEqual(["reset", ["service idp: not today"]])
    filter.close()
  })

  test("to a service that does not exist can't be made, and the test is told", async () => {
    const filter = await loadFilter(calling())
    const exchange = await filter.request()
    expect([exchange.response?.status, exchange.calls.length]).toEqual([200, 0])
    // BAD_ARGUMENT
    expect(exchange.logs.map((line) => line.message)).toEqual(["call 2"])
    expect(filter.problems).toEqual(['the filter called service "idp", which is not among the test\'s services'])
    filter.setService("idp", null)
    await filter.request()
    expect(filter.problems).toHaveLength(1)
    filter.close()
  })

  test("of which answers have run out fails, and the test is told", async () => {
    const filter = await loadFilter(calling(), { services: { idp: [{ status: 200 }] } })
    await filter.request()
    await filter.request()
    expect([filter.calls[1].outcome, filter.problems]).toEqual(["reset", ["service idp was asked 2 times, and there are 1 answers"]])
    filter.close()
  })
})

describe("time", () => {
  test("stands still until it is told to go on; ticks run on the way", async () => {
    const filter = await loadFilter(waiting(), { clock: "2026-05-01T10:00:00Z" })
    expect(filter.now).toBe(Date.parse("2026-05-01T10:00:00Z"))
    const exchange = await filter.request()
    expect([exchange.pending, exchange.upstream, exchange.response]).toEqual([true, null, null])
    await filter.advance(999)
    expect(exchange.pending).toBe(true)
    await filter.advance(1)
    expect([exchange.pending, exchange.response?.status]).toEqual([false, 200])
    filter.close()
  })

  test("ends an exchange that waits when the filter is closed", async () => {
    const filter = await loadFilter(waiting())
    const exchange = await filter.request()
    filter.close()
    expect([exchange.pending, exchange.aborted, exchange.flag]).toEqual([false, true, "DC"])
  })
})

describe("a chain", () => {
  test("runs its filters in order, and back in reverse", async () => {
    const filter = await loadFilters([marking(), { module: replying(), name: "tea" }])
    const exchange = await filter.request()
    // The reply of the second passes the first on its way back.
    expect([exchange.response?.status, exchange.response?.headers.get("x-seen")]).toEqual([418, "yes"])
    filter.close()
  })

  test("whose upstream is a function answers each request by what it got", async () => {
    const filter = await loadFilters([marking()], { backends: ["api"] })
    const exchange = await filter.request(
      { path: "/x", chunks: ["a", "b"], trailers: { "x-sum": "2" } },
      {
        upstream: async ({ path, headers, body, trailers, service }) => ({
          body: [path, headers.get("x-seen"), body.text, trailers.get("x-sum"), service].join(),
        }),
      },
    )
    expect(exchange.response?.body.text).toBe("/x,yes,ab,2,api")
    filter.close()
  })
})

test("a measurement tells the phases in which the guest was called, with their budget", async () => {
  const filter = await loadFilter(counting())
  const { phases, statuses, exchanges, ns } = await bench(filter, { path: "/" }, { status: 201 }, 5, { duration: 10 })
  expect(phases).toMatchObject([{ phase: "request headers", calls: 1, units: expect.any(Number) }])
  expect([phases[0].units > 0, phases[0].budget > 0 && phases[0].budget < 0.1, ns >= phases[0].ns * 0.5]).toEqual([true, true, true])
  expect(statuses).toEqual({ 201: expect.any(Number) })
  expect(statuses[201]).toBeGreaterThanOrEqual(exchanges)
})

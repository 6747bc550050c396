import { Buffer } from "node:buffer"
import { afterEach, describe, expect, test } from "vitest"
import { LEAST_REQUEST } from "../../../gateway/config/balancing-model.ts"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import type { ErrorCode } from "../../../gateway/errors.ts"
import type { Callout, CalloutHandler, CalloutResponse } from "../../../gateway/filter/filter.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { Caller } from "../../../gateway/upstream/caller.ts"
import { Services } from "../../../gateway/upstream/services.ts"
import { silentCounters } from "../../support/counters.ts"
import { until, within } from "../../support/deadline.ts"
import { circuitBreaker } from "../../support/limits.ts"
import { Origin, type OriginOptions, type OriginScript } from "../../support/origin.ts"
import { freePort } from "../../support/ports.ts"

class Answer implements CalloutHandler {
  response: CalloutResponse | null = null
  failure: string | null = null
  calls = 0
  #wake: () => void = () => {}

  onCalloutResponse(response: CalloutResponse): void {
    this.calls++
    this.response = response
    this.#wake()
  }

  onCalloutFailed(code: ErrorCode, details: string): void {
    this.calls++
    this.failure = `${code} ${details}`
    this.#wake()
  }

  settled(): Promise<this> {
    if (this.calls > 0) return Promise.resolve(this)
    return within(
      new Promise((resolve) => {
        this.#wake = () => resolve(this)
      }),
      "the end of a callout",
    )
  }
}

const origins: Origin[] = []

async function origin(script: OriginScript, options?: OriginOptions): Promise<Origin> {
  const started = await Origin.start(script, options)
  origins.push(started)
  return started
}

function service(ports: readonly number[], pool: Partial<ServiceConfig["pool"]> = {}): ServiceConfig {
  return {
    endpoints: ports.map((port) => ({ address: { host: "127.0.0.1", port }, weight: 1 })) as ServiceConfig["endpoints"],
    loadBalancing: { ...LEAST_REQUEST, policy: "roundRobin" },
    protocol: "http1",
    proxyProtocol: "",
    tls: null,
    connectTimeout: 5000,
    pool: { maxConnections: 1024, maxPending: 1024, idleTimeout: 60_000, maxAge: 0, ...pool },
    limits: { head: 65_536, fields: 200 },
    circuitBreaker,
  }
}

class Bench {
  readonly counted: string[] = []
  readonly faults: unknown[] = []
  readonly wheel = new TimerWheel()
  readonly services = new Services({
    wheel: this.wheel,
    random: () => 0,
    workers: 1,
    counters: () => silentCounters((error) => this.faults.push(error)),
  })
  readonly caller = new Caller({
    wheel: this.wheel,
    services: this.services,
    count: (name, what) => this.counted.push(`${name} ${what}`),
    fault: (error) => this.faults.push(error),
  })

  swap(config: Readonly<Record<string, ServiceConfig>>): void {
    this.services.retire(this.services.build(config, {}).endpoints)
  }

  /** Attempts under way at the service's endpoints: what balancers go by. */
  get active(): number {
    return this.services.find("api")?.endpoints.reduce((sum, endpoint) => sum + endpoint.active, 0) ?? -1
  }

  /** Null when it could not be made. */
  call(changed: Partial<Callout> = {}, handler = new Answer()): { answer: Answer; cancel: () => void } | null {
    const cancel = this.caller.call({ ...callout, ...changed }, handler)
    return cancel === null ? null : { answer: handler, cancel }
  }

  async ask(changed: Partial<Callout> = {}): Promise<Answer> {
    const made = this.call(changed)
    if (made === null) throw new Error("the callout could not be made")
    return made.answer.settled()
  }
}

const callout: Callout = {
  service: "api",
  method: "GET",
  path: "/",
  authority: "api.example",
  headers: [],
  body: new Uint8Array(0),
  trailers: [],
  timeout: 5000,
}

const benches: Bench[] = []

async function bench(script: OriginScript, pool: Partial<ServiceConfig["pool"]> = {}): Promise<{ bench: Bench; peer: Origin }> {
  const peer = await origin(script)
  const made = new Bench()
  benches.push(made)
  made.swap({ api: service([peer.port], pool) })
  return { bench: made, peer }
}

afterEach(async () => {
  for (const each of benches.splice(0)) {
    each.swap({})
    expect(each.faults).toEqual([])
  }
  for (const each of origins.splice(0)) await each.stop()
})

describe("a callout", () => {
  test("sends its head and reads the response", async () => {
    const { bench: made, peer } = await bench((_request, connection) => connection.reply(201, "hello", { "x-a": "1" }))
    const { response } = await made.ask({ path: "/p?q=1", headers: ["x-one", "1", "x-one", "2"] })
    expect(response).toMatchObject({ status: 201, headers: ["content-length", "5", "x-a", "1"], trailers: [] })
    expect(Buffer.from(response?.body ?? []).toString()).toBe("hello")
    expect(peer.requests[0].rawHead).toBe("GET /p?q=1 HTTP/1.1\r\nhost: api.example\r\nx-one: 1\r\nx-one: 2\r\n\r\n")
    expect([made.caller.underWay, made.active]).toEqual([0, 0])
  })

  test("sends its body with its length", async () => {
    const { bench: made, peer } = await bench((request, connection) => connection.reply(200, request.body))
    const body = Buffer.alloc(300_000, "x")
    const { response } = await made.ask({ method: "POST", body })
    expect(peer.requests[0].header("content-length")).toBe("300000")
    expect(Buffer.from(response?.body ?? []).equals(body)).toBe(true)
  })

  test("without a body says so where its method expects one", async () => {
    const { bench: made, peer } = await bench((_request, connection) => connection.reply(200))
    await made.ask({ method: "POST" })
    await made.ask({ method: "DELETE" })
    expect(peer.requests.map((request) => request.header("content-length"))).toEqual(["0", null])
  })

  test.each(["", "body"])("sends trailers after the body %j, and reads those of the response", async (body) => {
    const { bench: made, peer } = await bench((_request, connection) =>
      connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-sum: 5\r\n\r\n"),
    )
    const { response } = await made.ask({ method: "POST", body: Buffer.from(body), trailers: ["x-end", "1"] })
    expect(peer.requests[0].body.toString()).toBe(body)
    expect(peer.requests[0].trailers).toEqual([["x-end", "1"]])
    expect(Buffer.from(response?.body ?? []).toString()).toBe("abcde")
    expect(response?.trailers).toEqual(["x-sum", "5"])
    expect(peer.problems).toEqual([])
  })

  test("uses the service's pool", async () => {
    const { bench: made, peer } = await bench((_request, connection) => connection.reply(200))
    await made.ask()
    await made.ask()
    expect(peer.accepted).toBe(1)
    expect(made.counted).toEqual(["api reused"])
  })

  test("passes over informational responses, and reads one that the connection's end ends", async () => {
    const { bench: made } = await bench((_request, connection) => {
      connection.write("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall of it")
      connection.end()
    })
    const { response } = await made.ask()
    expect(response?.status).toBe(200)
    expect(Buffer.from(response?.body ?? []).toString()).toBe("all of it")
  })

  test("reads a large response in pieces, up to 1 MiB", async () => {
    const bytes = Buffer.alloc(1024 * 1024, "0123456789")
    const { bench: made } = await bench((_request, connection) => connection.reply(200, bytes))
    const { response } = await made.ask()
    expect(Buffer.from(response?.body ?? []).equals(bytes)).toBe(true)
  })

  test("fails over that, whether the response says so or not", async () => {
    const { bench: made } = await bench((request, connection) => {
      if (request.target === "/length") connection.reply(200, Buffer.alloc(1024 * 1024 + 1))
      else {
        connection.write("HTTP/1.1 200 OK\r\n\r\n")
        connection.write(Buffer.alloc(1024 * 1024 + 1))
      }
    })
    expect((await made.ask({ path: "/length" })).failure).toMatch(/^responseTooLarge /)
    expect((await made.ask({ path: "/close" })).failure).toMatch(/^responseTooLarge /)
    expect(made.caller.underWay).toBe(0)
  })

  test("fails when its time is over, and its connection is closed", async () => {
    const { bench: made, peer } = await bench(() => undefined)
    expect((await made.ask({ timeout: 50 })).failure).toMatch(/^responseTimeout /)
    await until(() => peer.open === 0, "the connection's end")
    expect(made.caller.underWay).toBe(0)
  })

  test.each<[string, string, string]>([
    ["is cut short", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "upstreamTruncated"],
    ["breaks the protocol", "HTTP/1.1 200 OK\nx: y\r\n\r\n", "upstreamProtocol"],
    ["switches protocols", "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "upstreamProtocol"],
  ])("fails when the response %s", async (_what, text, code) => {
    const { bench: made } = await bench((_request, connection) => {
      connection.write(text)
      connection.end()
    })
    expect((await made.ask()).failure?.split(" ")[0]).toBe(code)
  })

  test("goes on to another endpoint when one can't be reached", async () => {
    const peer = await origin((_request, connection) => connection.reply(200, "here"))
    const made = new Bench()
    benches.push(made)
    made.swap({ api: service([await freePort(), peer.port]) })
    expect((await made.ask()).response?.status).toBe(200)
    expect(made.counted).toEqual(["api retries"])
  })

  test("fails when no endpoint can be reached", async () => {
    const made = new Bench()
    benches.push(made)
    made.swap({ api: service([await freePort(), await freePort()]) })
    expect((await made.ask()).failure).toMatch(/^connectFailure /)
    expect([made.caller.underWay, made.active]).toEqual([0, 0])
  })

  test("is sent again when a pooled connection was closing, if it may be repeated", async () => {
    const { bench: made, peer } = await bench((request, connection) => {
      if (request.connection === 0 && request.index === 1) connection.end()
      else connection.reply(200, String(request.connection))
    })
    await made.ask()
    const again = await made.ask({ method: "PUT", body: Buffer.from("x") })
    expect(Buffer.from(again.response?.body ?? []).toString()).toBe("1")
    expect(peer.requests.map((request) => request.body.toString())).toEqual(["", "x", "x"])
  })

  test("that may not be repeated fails instead", async () => {
    const { bench: made, peer } = await bench((request, connection) => {
      if (request.index === 1) connection.end()
      else connection.reply(200)
    })
    await made.ask()
    expect((await made.ask({ method: "POST", body: Buffer.from("x") })).failure).toMatch(/^upstreamClosed /)
    expect(peer.requests.length).toBe(2)
  })

  test("that is given up is never answered, and its connection is closed", async () => {
    const { bench: made, peer } = await bench(() => undefined)
    const call = made.call({ timeout: 100 })
    await peer.received(1)
    expect([made.caller.underWay, made.active]).toEqual([1, 1])
    call?.cancel()
    call?.cancel()
    await until(() => peer.open === 0, "the connection's end")
    const waiting = made.call({ timeout: 100 })
    waiting?.cancel()
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect([call?.answer.calls, waiting?.answer.calls]).toEqual([0, 0])
    expect([made.caller.underWay, made.active]).toEqual([0, 0])
  })

  test("can be made from within an answer", async () => {
    const { bench: made } = await bench((request, connection) => connection.reply(200, request.target))
    const second = new Answer()
    const first = new Answer()
    const respond = first.onCalloutResponse.bind(first)
    first.onCalloutResponse = (response) => {
      made.call({ path: "/second" }, second)
      respond(response)
    }
    made.call({ path: "/first" }, first)
    expect(Buffer.from((await second.settled()).response?.body ?? []).toString()).toBe("/second")
    expect(first.calls).toBe(1)
  })

  test("whose handler throws harms no one else", async () => {
    const { bench: made } = await bench((_request, connection) => connection.reply(200, "ok"))
    const broken = new Answer()
    broken.onCalloutResponse = () => {
      throw new Error("broken")
    }
    made.call({}, broken)
    await until(() => made.faults.length > 0, "the fault")
    expect(made.faults.splice(0).map(String)).toEqual(["Error: broken"])
    expect((await made.ask()).response?.status).toBe(200)
  })
})

describe("callouts that can't be made", () => {
  test("go to services that don't exist or have no endpoint", async () => {
    const made = new Bench()
    benches.push(made)
    made.swap({ empty: service([]) })
    expect(made.caller.has("api")).toBe(false)
    expect(made.caller.has("empty")).toBe(true)
    expect(made.call()).toBeNull()
    expect(made.call({ service: "empty" })).toBeNull()
    expect(made.caller.underWay).toBe(0)
  })

  test("are beyond a thousand under way, or beyond a filter's quarter of them", async () => {
    const { bench: made } = await bench(() => undefined, { maxPending: 10_000 })
    const calls = ["a", "b", "c", "d"].flatMap((filter) => {
      const own = Array.from({ length: 256 }, () => made.call({ filter }))
      expect(made.call({ filter })).toBeNull()
      return own
    })
    expect(calls.includes(null)).toBe(false)
    expect(made.call({ filter: "e" })).toBeNull()
    calls[3]?.cancel()
    expect(made.call({ filter: "b" })).toBeNull()
    calls.push(made.call({ filter: "e" }))
    expect(calls.at(-1)).not.toBeNull()
    expect(made.call({ filter: "a" })).toBeNull()
    made.services.abandon()
    for (const call of calls) call?.cancel()
    expect(made.caller.underWay).toBe(0)
  })

  test("hold more octets than all callouts may together, or than a filter's quarter of that", async () => {
    const { bench: made } = await bench(() => undefined)
    const body = Buffer.alloc(1024 * 1024)
    const calls = ["a", "b", "c", "d"].flatMap((filter) => {
      const own = Array.from({ length: 16 }, () => made.call({ filter, method: "POST", body }))
      expect(made.call({ filter, method: "POST", body })).toBeNull()
      return own
    })
    expect(calls.includes(null)).toBe(false)
    expect(made.call({ filter: "e", method: "POST", body })).toBeNull()
    expect(made.call()).not.toBeNull()
    for (const call of calls) call?.cancel()
    expect(made.call({ filter: "a", method: "POST", body })).not.toBeNull()
  })

  test("find the pool's queue full, without a word to the handler", async () => {
    const { bench: made } = await bench(() => undefined, { maxConnections: 1, maxPending: 0 })
    const first = made.call({ timeout: 50 })
    const second = new Answer()
    expect(made.call({}, second)).toBeNull()
    expect(made.counted).toEqual(["api overflows"])
    await first?.answer.settled()
    expect(second.calls).toBe(0)
  })
})

describe("a new snapshot's services", () => {
  test("are found while it is being made, if their names are new", async () => {
    const { bench: made, peer } = await bench((_request, connection) => connection.reply(200))
    const other = await origin((_request, connection) => connection.reply(202))
    const built = made.services.build({ api: service([other.port]), fresh: service([other.port]) }, {})
    expect((await made.ask()).response?.status).toBe(200)
    expect((await made.ask({ service: "fresh" })).response?.status).toBe(202)
    made.services.retire(built.endpoints)
    expect((await made.ask()).response?.status).toBe(202)
    expect(peer.requests.length).toBe(1)
  })

  test("are forgotten when it never comes into force", async () => {
    const { bench: made, peer } = await bench((_request, connection) => connection.reply(200))
    made.services.build({ fresh: service([peer.port]) }, {})
    made.services.abandon()
    expect([made.caller.has("fresh"), made.caller.has("api")]).toEqual([false, true])
  })

  test("leave callouts that run on the old ones alone", async () => {
    let answer: () => void = () => {}
    const { bench: made, peer } = await bench((_request, connection) => {
      answer = () => connection.reply(200, "old")
    })
    const call = made.call()
    await peer.received(1)
    made.swap({})
    expect(made.call()).toBeNull()
    answer()
    expect(Buffer.from((await call?.answer.settled())?.response?.body ?? []).toString()).toBe("old")
    await until(() => peer.open === 0, "the old connection's end")
  })
})

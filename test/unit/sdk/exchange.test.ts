// Requests, replies, routes, peers and what belongs to no exchange: timers, queues, metrics, limits.

import { afterAll, describe, expect, it } from "vitest"
import { loadFilters, SharedState } from "../../../gateway/testing/testing.ts"
import { FakeHost } from "./fake-host.ts"
import { FilterBench } from "./run-filter.ts"

const bench = new FilterBench()
afterAll(() => bench.close())

const SDK = `import { Body, Config, Cookie, Counter, every, FixedWindow, Gauge, hex, Histogram, Json, log, properties, Queue, Quota, RateLimit, Reply, Request, Response, seconds, shared, SharedCounter, SlidingWindow } from "sluice/sdk"\n`

describe("the request", () => {
  it.each([
    ["/p", "/p?x=1"],
    ["/p?", "/p?x=1"],
    ["/p?a=1", "/p?a=1&x=1"],
    ["/p?x=0&a=%zz&x=2", "/p?x=1&a=%zz"],
    ["/p?%78=0&b", "/p?x=1&b"],
    ["/p?xx=1&&", "/p?xx=1&x=1"],
  ])("query of %s with x set is %s", async (path, expected) => {
    const filter = await bench.load(`${SDK}export function onRequest(request: Request): void { request.setQuery("x", "1") }`)
    expect((await filter.request({ path })).upstream?.path).toBe(expected)
  })
  it.each([
    ["/p", "/p"],
    ["/p?x+y=1", "/p"],
    ["/p?a=1&x%20y=2&b=3&x+y", "/p?a=1&b=3"],
  ])("query of %s without a name is %s", async (path, expected) => {
    const filter = await bench.load(`${SDK}export function onRequest(request: Request): void { request.removeQuery("x y") }`)
    expect((await filter.request({ path })).upstream?.path).toBe(expected)
  })
  it("query values are encoded", async () => {
    const filter = await bench.load(`${SDK}export function onRequest(request: Request): void { request.setQuery("ü&", "a b=€") }`)
    expect((await filter.request()).upstream?.path).toBe("/?%C3%BC%26=a%20b%3D%E2%82%AC")
  })
  it("cookies are found by name, also in several fields", async () => {
    const filter = await bench.load(`${SDK}
export function onRequest(request: Request): void { const a = request.cookie("a"); request.headers.set("x-a", a === null ? "null" : "'" + a + "'") }`)
    const ask = async (cookie: string | string[]): Promise<string | null | undefined> =>
      (await filter.request({ headers: { cookie } })).upstream?.headers.get("x-a")
    expect(await ask("a=1")).toBe("'1'")
    expect(await ask("b=2; a=1;c=3")).toBe("'1'")
    expect(await ask('b=2;  a="x y" ;c=1')).toBe("'x y'")
    expect(await ask("a=")).toBe("''")
    expect(await ask("aa=1; b=a=2; A=3; a")).toBe("null")
    expect(await ask(["b=2", "c=3; a=4"])).toBe("'4'")
    expect((await filter.request()).upstream?.headers.get("x-a")).toBe("null")
  })
  it("peer says who the client is", async () => {
    const peer = `${SDK}
export function onRequest(request: Request): void {
  const p = request.peer
  request.headers.set("x-out", [p.address, p.port.toString(), p.mtls.toString(), p.identity, p.dnsName, p.subject, p.digest, p.serverName, p.tlsVersion].join("|"))
}`
    const filter = await bench.load(peer)
    const ask = async (address: string): Promise<string | null | undefined> =>
      (await filter.request({ peer: { address, port: 1234 } })).upstream?.headers.get("x-out")
    expect(await ask("10.0.0.7")).toBe("10.0.0.7|1234|false||||||")
    expect((await ask("2001:db8::7"))?.split("|").slice(0, 2)).toEqual(["2001:db8::7", "1234"])
    const host = new FakeHost(await bench.workbench.module(peer))
    const set = (path: string, value: string | number[]): void =>
      void host.properties.set(path.replaceAll(".", "\0"), Buffer.from(value as string))
    set("source.address", "[2001:db8::7]:5")
    set("connection.mtls", [1])
    set("connection.uri_san_peer_certificate", "spiffe://a/b")
    set("connection.dns_san_peer_certificate", "b.a")
    set("connection.subject_peer_certificate", "CN=b")
    set("connection.sha256_peer_certificate_digest", "00ff")
    set("connection.requested_server_name", "sni")
    set("connection.tls_version", "TLSv1.3")
    host.onRequest(host.open())
    expect(host.header("x-out")).toBe("2001:db8::7|0|true|spiffe://a/b|b.a|CN=b|00ff|sni|TLSv1.3")
  })
  it("its service is chosen, where it exists", async () => {
    const filter = await bench.load(
      `${SDK}
export function onRequest(request: Request): void {
  request.headers.set("x-route", request.route.name + " " + request.route.service)
  request.headers.set("x-chosen", request.route.choose("none").toString() + request.route.choose("canary").toString())
  request.route.service = "nowhere"
  request.headers.set("x-service", request.route.service)
  if (request.headers.has("x-refresh")) request.headers.set("x-refreshed", request.route.refresh().toString())
}`,
      { backends: ["stable", "canary"], route: "api" },
    )
    const exchange = await filter.request()
    expect(exchange.upstream?.service).toBe("canary")
    expect(exchange.upstream?.headers.get("x-route")).toBe("api stable")
    expect(exchange.upstream?.headers.get("x-chosen")).toBe("falsetrue")
    expect(exchange.upstream?.headers.get("x-service")).toBe("canary")
    expect(exchange.logs.map((line) => line.message)).toEqual(['the service "nowhere" can\'t be chosen here'])
    const refreshed = await filter.request({ headers: { "x-refresh": "1" } })
    expect([refreshed.rerouted, refreshed.upstream?.headers.get("x-refreshed")]).toEqual([true, "true"])
  })
  it("properties are stored for other filters of the exchange", async () => {
    const source = `${SDK}
let key = ""
export function configure(config: Config): void { key = config.string("set", "") }
export function onRequest(request: Request): void {
  if (key != "") { request.headers.set("x-set", properties.set(key, "grün").toString()); return }
  const tenant = properties.text("shop.tenant")
  request.headers.set("x-tenant", tenant === null ? "null" : tenant)
}`
    await bench.load(source)
    const path = bench.path(source)
    const chain = await loadFilters([
      { module: path, config: { set: "shop.tenant" }, name: "a" },
      { module: path, name: "b" },
    ])
    const { upstream } = await chain.request()
    chain.close()
    expect([upstream?.headers.get("x-set"), upstream?.headers.get("x-tenant")]).toEqual(["true", "grün"])
  })
})

describe("replies", () => {
  it("of several kinds", async () => {
    const source = `${SDK}
export function onRequest(request: Request): Reply | null {
  if (request.path == "/json") return Reply.json(403, Json.object().set("error", "no"))
  if (request.path == "/bytes") return Reply.bytes(200, hex.decode("00ff80")!, "image/x")
  if (request.path == "/to") return Reply.redirect("https://" + request.host + "/x", 308)
  if (request.path == "/cookie") { const reply = new Reply(204).cookie(new Cookie("a", "1")).cookie(new Cookie("b", "2")); return reply }
  const reply = new Reply(429, "slow"); reply.grpcStatus = 8; reply.details = "too_fast"; return reply
}`
    const filter = await bench.load(source)
    const ask = async (path: string, headers = {}) => {
      const exchange = await filter.request({ path, headers })
      return { exchange, response: exchange.response }
    }
    const json = (await ask("/json")).response
    expect([json?.status, json?.body.text, json?.headers.get("content-type")]).toEqual([403, '{"error":"no"}', "application/json"])
    const bytes = (await ask("/bytes")).response
    expect([bytes?.body.bytes.toString("hex"), bytes?.headers.get("content-type")]).toEqual(["00ff80", "image/x"])
    const to = (await ask("/to")).response
    expect([to?.status, to?.headers.get("location"), to?.body.text]).toEqual([308, "https://example.com/x", ""])
    expect((await ask("/cookie")).response?.headers.all("set-cookie")).toEqual([
      "a=1; Path=/; HttpOnly; SameSite=Lax",
      "b=2; Path=/; HttpOnly; SameSite=Lax",
    ])
    expect((await ask("/grpc")).exchange.details).toBe("too_fast")
    const host = new FakeHost(await bench.workbench.module(source))
    host.onRequest(host.open())
    expect(host.reply).toMatchObject({ status: 429, details: "too_fast", grpcStatus: 8 })
    host.onRequest(host.open(), { ":path": "/json" })
    expect(host.reply?.grpcStatus).toBe(-1)
  })
})

describe("outside of exchanges", () => {
  it("onTick is called at the interval, until it is stopped", async () => {
    const filter = await bench.load(
      `${SDK}
let ticks = 0
export function configure(config: Config): void { every(config.duration("every")) }
export function onTick(): void { log.info("tick " + (++ticks).toString()); if (ticks == 3) every(0) }`,
      { config: { every: "2s" } },
    )
    await filter.advance(1999)
    expect(filter.logs.length).toBe(0)
    await filter.advance(1)
    expect(filter.logs.length).toBe(1)
    await filter.advance(60_000)
    expect(filter.logs.map((line) => line.message)).toEqual(["tick 1", "tick 2", "tick 3"])
  })
  it("a queue brings items to another filter, in order", async () => {
    const listener = `${SDK}
const jobs = new Queue("jobs")
export function configure(config: Config): void { log.info("listening " + jobs.listen().toString()) }
export function onQueue(queue: Queue, item: string): void { log.info(queue.name + ": " + item) }`
    const sender = `${SDK}
const jobs = new Queue("jobs", "listener")
const none = new Queue("none")
export function onRequest(request: Request): void {
  request.headers.set("x-sent", jobs.send(request.path).toString() + jobs.send(new Uint8Array(2)).toString() + none.send("x").toString() + (none.receive() === null).toString() + (jobs.receiveBytes() === null).toString())
}`
    const state = new SharedState()
    const first = await bench.load(sender, { name: "sender", state })
    expect((await first.request({ path: "/a" })).upstream?.headers.get("x-sent")).toBe("falsefalsefalsetruetrue")
    const second = await bench.load(listener, { name: "listener", state })
    expect((await first.request({ path: "/b" })).upstream?.headers.get("x-sent")).toBe("truetruefalsetruefalse")
    await second.advance(1)
    expect(second.logs.map((line) => line.message)).toEqual(["listening true", "jobs: \0\0"])
  })
  it("metrics are defined once and count for all", async () => {
    const filter = await bench.load(`${SDK}
const hits = new Counter("hits")
const size = new Gauge("size")
const lengths = new Histogram("lengths")
export function onRequest(request: Request): void {
  hits.increment(); hits.increment(5); hits.increment(0); hits.increment(-3)
  size.set(10); size.add(-4); lengths.record(request.path.length)
  request.headers.set("x-out", hits.value.toString() + " " + size.value.toString())
}`)
    expect((await filter.request()).upstream?.headers.get("x-out")).toBe("6 6")
    expect((await filter.request()).upstream?.headers.get("x-out")).toBe("12 6")
    expect(filter.logs).toEqual([])
    expect(Object.keys(filter.metrics).sort()).toEqual(["hits", "lengths", "size"])
  })
  it("a shared counter counts for all", async () => {
    const filter = await bench.load(`${SDK}
const hits = new SharedCounter("hits")
export function onRequest(request: Request): void { request.headers.set("x-out", hits.value.toString() + hits.increment().toString() + hits.increment(-5).toString()) }`)
    expect((await filter.request()).upstream?.headers.get("x-out")).toBe("01-4")
    expect((await filter.request()).upstream?.headers.get("x-out")).toBe("-4-3-8")
  })
})

describe("windows", () => {
  const LIMITS = `${SDK}
const fixed = new FixedWindow("q", 3, 10000)
const sliding = new SlidingWindow("q", 10, 10000)
const slots = new FixedWindow("slots", 1000, 10000, 4)
function say(quota: Quota): string { return (quota.allowed ? "+" : "-") + quota.remaining.toString() + "/" + quota.limit.toString() + " " + quota.reset.toString() }
export function onRequest(request: Request): void {
  const key = request.headers.get("x-key") || "k"
  const cost = request.headers.has("x-cost") ? i64.parse(request.headers.get("x-cost")!) : 1
  let out = ""
  if (request.path == "/fixed") out = say(fixed.take(key, cost))
  else if (request.path == "/peek") out = say(fixed.peek(key)) + " " + say(sliding.peek(key))
  else if (request.path == "/sliding") out = say(sliding.take(key, cost))
  else for (let i = 0; i < 100; i++) slots.take(i.toString())
  request.headers.set("x-out", out)
}`
  const load = () => bench.load(LIMITS, { clock: 1_000_000_000_000, limits: { cpu: 1000 } })
  const asker =
    (filter: Awaited<ReturnType<typeof load>>) =>
    async (path: string, headers = {}): Promise<string | null | undefined> =>
      (await filter.request({ path, headers })).upstream?.headers.get("x-out")

  it("a fixed one lets so many through and begins anew", async () => {
    const filter = await load()
    const ask = asker(filter)
    await filter.advance(2000)
    expect([await ask("/fixed"), await ask("/fixed"), await ask("/fixed")]).toEqual(["+2/3 8000", "+1/3 8000", "+0/3 8000"])
    expect([await ask("/fixed"), await ask("/peek")]).toEqual(["-0/3 8000", "-0/3 8000 +10/10 8000"])
    expect(await ask("/fixed", { "x-key": "other" })).toBe("+2/3 8000")
    await filter.advance(7999)
    expect(await ask("/fixed")).toBe("-0/3 1")
    await filter.advance(1)
    expect([await ask("/fixed", { "x-cost": "4" }), await ask("/fixed", { "x-cost": "3" })]).toEqual(["-3/3 10000", "+0/3 10000"])
    await filter.advance(3_600_000)
    expect(await ask("/fixed")).toBe("+2/3 10000")
  })
  it("a sliding one has no burst at its edge, and its wait is as long as it says", async () => {
    const filter = await load()
    const ask = asker(filter)
    await filter.advance(9000)
    expect(await ask("/sliding", { "x-cost": "10" })).toBe("+0/10 1000")
    await filter.advance(1000)
    expect(await ask("/sliding")).toBe("-0/10 1000")
    await filter.advance(999)
    expect((await ask("/sliding"))?.[0]).toBe("-")
    await filter.advance(1)
    expect(await ask("/sliding")).toBe("+0/10 9000")
    await filter.advance(4000)
    expect(await ask("/peek")).toBe("+3/3 5000 +4/10 5000")
    await filter.advance(100_000)
    expect(await ask("/sliding", { "x-cost": "10" })).toMatch(/^\+0\/10 /)
  })
  it("slots bound the number of keys", async () => {
    const filter = await load()
    await asker(filter)("/slots")
    const there = [0, 1, 2, 3, 4].map((slot) => filter.shared(`window/slots/#${slot}`) !== undefined)
    expect(there).toEqual([true, true, true, true, false])
    expect(filter.shared("window/slots/7")).toBe(undefined)
  })
})

describe("settings", () => {
  const SETTINGS = `${SDK}
export function configure(config: Config): void {
  config.allowOnly(["n", "size", "mode", "map", "groups", "nets", "paths"])
  const map = config.map("map")
  const groups = config.groups("groups")
  let out = config.int("n", 5, 1, 9).toString() + " " + config.size("size", 7).toString() + " " + config.oneOf("mode", ["a", "b"], "a") + " " + map.keys().join(",") + map.values().join(",")
  for (let i = 0; i < groups.length; i++) out += " " + groups[i].string("name") + groups[i].int("n", 0).toString()
  log.info(out + " " + config.cidrs("nets").contains("10.1.1.1").toString() + config.patterns("paths", true).matches("/A/b").toString() + " " + config.group("x").path("y"))
}`
  const configure = async (config: unknown): Promise<string> => {
    try {
      return (await bench.load(SETTINGS, { config })).logs.map((line) => line.message).join("\n")
    } catch (error) {
      return String(error)
    }
  }
  it("are read", async () => {
    expect(await configure({})).toBe("5 7 a  falsefalse x.y")
    const all = {
      n: 9,
      size: "2KiB",
      mode: "b",
      map: { x: "1", y: "2" },
      groups: [{ name: "g" }, { name: "h", n: 3 }],
      nets: ["10.0.0.0/8"],
      paths: ["/a/*"],
    }
    expect(await configure(all)).toBe("9 2048 b x,y1,2 g0 h3 truetrue x.y")
    for (const [size, octets] of [
      ["5B", 5],
      [4096, 4096],
      ["3MiB", 3 << 20],
      ["1GiB", 1 << 30],
    ]) {
      expect((await configure({ size })).split(" ")[1]).toBe(String(octets))
    }
  })
  it.each([
    [{ n: 0 }, '"n" must be at least 1'],
    [{ n: 10 }, '"n" must be at most 9'],
    [{ size: "5 KB" }, '"size" must be a size such as 500B, 64KiB or 1MiB'],
    [{ size: -1 }, '"size" must be a size such as 64KiB, but it is of type number'],
    [{ mode: "c" }, '"mode" must be one of a, b'],
    [{ map: { x: 1 } }, '"map.x" must be a string, but it is of type number'],
    [{ groups: [{ name: "a" }, {}] }, 'missing key "groups[1].name" (string)'],
    [{ groups: [5] }, '"groups[0]" must be an object, but it is of type number'],
    [{ nets: ["10.0.0.0/8", "x"] }, '"nets[1]" must be an address or range such as 10.0.0.0/8, not "x"'],
    [{ moed: "a" }, 'unknown key "moed"; there are n, size, mode, map, groups, nets, paths'],
  ])("are refused with the key: %j", async (config, message) => {
    expect(await configure(config)).toContain(message)
  })
})

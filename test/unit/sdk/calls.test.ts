// Callouts in the SDK's words, in the gateway's own host.

import { afterAll, describe, expect, it } from "vitest"
import { loadFilters } from "../../../gateway/testing/testing.ts"
import { FilterBench } from "./run-filter.ts"

const bench = new FilterBench()
afterAll(() => bench.close())

const SDK = `import { Answer, Body, Call, Config, every, Headers, HttpFilter, Json, log, Reply, Request, Response, shared } from "sluice/sdk"\n`

describe("a call from onRequest", () => {
  const CHECK = `${SDK}
export function onRequest(request: Request): Reply | null {
  const call = new Call("auth", "POST", "/check?x=1").header("X-Token", "t").json(Json.object().set("path", request.path))
  call.context = request.path
  call.timeout = 250
  call.send(checked)
  return null
}
function checked(request: Request, answer: Answer): Reply | null {
  if (answer.failure.length > 0) return new Reply(503, answer.failure + " " + answer.status.toString() + answer.text() + answer.bytes().length.toString() + answer.json().valid.toString())
  if (!answer.ok) return new Reply(403, answer.text())
  request.headers.set("x-user", answer.json().string("user") + answer.headers.get("x-extra")! + (answer.trailers.get("x-end") || "") + answer.call.context)
  return null
}`
  it("waits for the answer and goes on with it", async () => {
    const filter = await bench.load(CHECK, {
      services: { auth: { json: { user: "ü" }, headers: { "x-extra": "e" }, trailers: { "x-end": "!" }, after: 20 } },
    })
    const start = filter.now
    const exchange = await filter.request({ path: "/p", chunks: ["a", "b"] })
    expect(filter.now - start).toBe(20)
    expect(exchange.upstream?.headers.get("x-user")).toBe("üe!/p")
    expect(exchange.upstream?.body.text).toBe("ab")
    const [call] = filter.calls
    expect([call.method, call.path, call.authority, call.timeout]).toEqual(["POST", "/check?x=1", "auth", 250])
    expect([call.headers.get("x-token"), call.headers.get("content-type"), call.body.json]).toEqual([
      "t",
      "application/json",
      { path: "/p" },
    ])
  })
  it("may answer the request", async () => {
    const filter = await bench.load(CHECK, { services: { auth: { status: 401, body: "who?" } } })
    const exchange = await filter.request()
    expect([exchange.response?.status, exchange.response?.body.text, exchange.upstream]).toEqual([403, "who?", null])
  })
  it("hears of failures: a service that is down, slow or unknown", async () => {
    const down = await (await bench.load(CHECK, { services: { auth: { fail: "reset" } } })).request()
    expect([down.response?.status, down.response?.body.text]).toEqual([503, "upstreamClosed 00false"])
    const filter = await bench.load(CHECK, { services: { auth: { fail: "timeout" } } })
    const start = filter.now
    const slow = await filter.request()
    expect([slow.response?.status, filter.now - start]).toEqual([503, 250])
    const unknown = await (await bench.load(CHECK)).request()
    expect([unknown.response?.status, unknown.response?.body.text]).toEqual([503, "it could not be sent 00false"])
    expect(unknown.logs.map((line) => line.message)).toEqual(['call to "auth": refused as invalid, or not allowed in this phase'])
  })
})

describe("several calls", () => {
  const MANY = `${SDK}
export function onRequest(request: Request): Reply | null {
  const how = request.headers.get("x-how")!
  if (how == "chain") step(request, "1")
  else if (how == "both") { new Call("a").send(mark); new Call("b").send(mark) }
  else if (how == "mixed") { new Call("none").send(mark); new Call("a").send(mark) }
  else if (how == "endless") new Call("none").send(again)
  else if (how == "replied") { new Call("a").send(mark); return new Reply(418) }
  return null
}
function step(request: Request, context: string): void { const call = new Call("a", "GET", "/" + context); call.context = context; call.send(stepped) }
function stepped(request: Request, answer: Answer): Reply | null {
  request.headers.add("x-step", answer.call.context)
  if (answer.call.context.length < 3) step(request, answer.call.context + "1")
  return null
}
function mark(request: Request, answer: Answer): Reply | null {
  if (answer.status == 500) return new Reply(500, "from " + answer.call.service)
  request.headers.add("x-mark", answer.call.service + answer.status.toString())
  return null
}
function again(request: Request, answer: Answer): Reply | null { new Call("none").send(again); return null }
export function onResponse(response: Response): void { response.headers.set("x-seen", "1") }`
  const ask = async (how: string, services = {}) => {
    const filter = await bench.load(MANY, { services: { a: { after: 10 }, b: { after: 5 }, ...services } })
    const exchange = await filter.request({ headers: { "x-how": how } })
    return exchange
  }
  it("one after the other keep the exchange waiting", async () => {
    const exchange = await ask("chain")
    expect(exchange.upstream?.headers.all("x-step")).toEqual(["1", "11", "111"])
    expect(exchange.response?.headers.get("x-seen")).toBe("1")
  })
  it("side by side are all waited for", async () => {
    expect((await ask("both")).upstream?.headers.all("x-mark")).toEqual(["b200", "a200"])
  })
  it("one that answers the exchange ends it, and the other's answer is dropped", async () => {
    const exchange = await ask("both", { b: { status: 500, after: 5 } })
    expect([exchange.response?.status, exchange.response?.body.text, exchange.upstream]).toEqual([500, "from b", null])
    expect(exchange.logs).toEqual([])
  })
  it("one that can't be sent is told so, after the callback", async () => {
    expect((await ask("mixed")).upstream?.headers.all("x-mark")).toEqual(["none0", "a200"])
  })
  it("that are tried again without end end the exchange", async () => {
    expect((await ask("endless")).response?.status).toBe(503)
  })
  it("a reply beside a call ends the exchange at once", async () => {
    expect((await ask("replied")).response?.status).toBe(418)
  })
})

describe("calls in other phases", () => {
  it("hold a body back, and its callback may still edit it", async () => {
    const filter = await bench.load(
      `${SDK}
let held: Body | null = null
export function onRequestBody(request: Request, body: Body): Reply | null { held = body; new Call("scan", "POST").body(body.bytes()).send(scanned); return null }
function scanned(request: Request, answer: Answer): Reply | null {
  if (!answer.ok) return new Reply(422, "infected")
  const body = held
  if (body !== null) body.append(" (" + answer.text() + ")")
  return null
}
export function onRequestTrailers(request: Request, trailers: Headers): void { trailers.set("x-done", "1") }`,
      { services: { scan: (call) => (call.body.text === "virus" ? { status: 400 } : { body: "clean", after: 3 }) } },
    )
    const exchange = await filter.request({ chunks: ["he", "llo"] })
    expect(exchange.upstream?.body.text).toBe("hello (clean)")
    expect((await filter.request({ body: "virus" })).response?.status).toBe(422)
    const trailed = await filter.request({ chunks: ["x"], trailers: { "x-t": "1" } })
    expect(trailed.upstream?.body.text).toBe("x (clean)")
    expect(trailed.upstream?.trailers.toJSON()).toEqual({ "x-t": "1", "x-done": "1" })
  })
  it("hold a response back", async () => {
    const filter = await bench.load(
      `${SDK}
export function onResponse(response: Response): Reply | null { new Call("a").sendForResponse(added); return null }
function added(response: Response, answer: Answer): Reply | null {
  if (response.status == 404) return new Reply(410, "gone")
  response.headers.set("x-added", answer.text())
  return null
}
export function onResponseBody(response: Response, body: Body): Reply | null { new Call("a").sendForResponse(bodyAdded); return null }
function bodyAdded(response: Response, answer: Answer): Reply | null { response.headers.add("x-added", "body"); return null }`,
      { services: { a: { body: "yes", after: 1 } } },
    )
    const exchange = await filter.request({}, { upstream: { chunks: ["a", "b"] } })
    expect(exchange.response?.headers.all("x-added")).toEqual(["yes", "body"])
    expect(exchange.response?.body.text).toBe("ab")
    const gone = await filter.request({}, { upstream: { status: 404 } })
    expect(gone.response?.status).toBe(410)
  })
  it("hold pieces of a body back, each seen once", async () => {
    const filter = await bench.load(
      `${SDK}
export function onRequestChunk(request: Request, body: Body, end: bool): void { log.info(body.text()); new Call("a").send(next) }
function next(request: Request, answer: Answer): Reply | null { return null }`,
      { services: { a: { after: 1 } } },
    )
    const exchange = await filter.request({ chunks: ["a", "b", "c"] })
    expect(exchange.upstream?.body.text).toBe("abc")
    expect(exchange.logs.map((line) => line.message)).toEqual(["a", "b", "c"])
  })
})

describe("the class form", () => {
  it("gets answers as a method, with the state of its exchange", async () => {
    const filter = await bench.load(
      `${SDK}
export class Auth extends HttpFilter {
  private who: string = ""
  onRequest(request: Request): Reply | null { this.who = request.path; new Call("auth", "GET", request.path).sendTo(this); return null }
  onAnswer(call: Call, answer: Answer): Reply | null {
    if (!answer.ok) return new Reply(403, this.who)
    this.request.headers.set("x-who", this.who + call.path + answer.text())
    return null
  }
  onResponse(response: Response): Reply | null { response.headers.set("x-who", this.who); return null }
}`,
      { services: { auth: (call) => (call.path === "/no" ? { status: 404 } : { body: "?", after: call.path === "/1" ? 20 : 10 }) } },
    )
    const [first, second, refused] = await Promise.all(["/1", "/2", "/no"].map((path) => filter.request({ path })))
    expect([first.upstream?.headers.get("x-who"), first.response?.headers.get("x-who")]).toEqual(["/1/1?", "/1"])
    expect([second.upstream?.headers.get("x-who"), second.response?.headers.get("x-who")]).toEqual(["/2/2?", "/2"])
    expect([refused.response?.status, refused.response?.body.text]).toEqual([403, "/no"])
  })
})

describe("calls outside of exchanges", () => {
  it("are fired from configure and onTick, and their answers come to the plugin", async () => {
    const filter = await bench.load(
      `${SDK}
let keys = "none"
export function configure(config: Config): void { every(1000); load() }
export function onTick(): void { load() }
function load(): void { if (!new Call("keys", "GET", "/keys").fire(loaded)) log.warn("not sent") }
function loaded(answer: Answer): void { if (answer.ok) keys = answer.text(); else log.warn(answer.failure) }
export function onRequest(request: Request): void { request.headers.set("x-keys", keys); new Call("audit").fire() }`,
      { services: { keys: [{ body: "one" }, { body: "two", after: 1 }, { fail: "reset" }], audit: {} } },
    )
    const seen = async (): Promise<string | null | undefined> => (await filter.request()).upstream?.headers.get("x-keys")
    await filter.advance(1)
    expect(await seen()).toBe("one")
    await filter.advance(1010)
    expect(await seen()).toBe("two")
    await filter.advance(1000)
    expect(await seen()).toBe("two")
    expect(filter.logs.map((line) => line.message)).toEqual(["upstreamClosed"])
    expect(filter.calls.filter((call) => call.service === "audit").map((call) => call.outcome)).toEqual(["200", "200", "200"])
  })
  it("can't be waited for", async () => {
    const filter = await bench.load(
      `${SDK}
export function onLog(request: Request, response: Response): void { new Call("a").send(never) }
function never(request: Request, answer: Answer): Reply | null { log.error("never"); return null }`,
      { services: { a: {} } },
    )
    const exchange = await filter.request()
    expect(exchange.logs.map((line) => line.message)).toEqual(['call to "a": only a message\'s callback can wait for it, use fire here'])
    expect(filter.calls.length).toBe(0)
  })
})

describe("several uses of a filter in one VM", () => {
  it("get their own answers, with their own variables", async () => {
    const source = `${SDK}
let name = ""
let answers = 0
export function configure(config: Config): void { name = config.string("name"); new Call("a", "GET", "/" + name).fire(configured) }
function configured(answer: Answer): void { name += answer.text() }
export function onRequest(request: Request): Reply | null { new Call("a", "GET", "/" + name).send(answered); return null }
function answered(request: Request, answer: Answer): Reply | null { answers++; request.headers.add("x-" + name, answers.toString() + answer.call.path + answer.text()); return null }`
    await bench.load(source, { config: { name: "none" }, services: { a: {} } })
    const use = (name: string) => ({ module: bench.path(source), vmId: "shared", name: "f", config: { name } })
    const filter = await loadFilters([use("one"), use("two")], {
      services: { a: (call) => ({ body: call.path === "/one" ? "1" : call.path === "/two" ? "2" : "", after: 5 }) },
    })
    await filter.advance(5)
    await filter.request()
    const { upstream } = await filter.request()
    filter.close()
    expect([upstream?.headers.get("x-one1"), upstream?.headers.get("x-two2")]).toEqual(["2/one1", "2/two2"])
  })
})

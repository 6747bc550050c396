// What the SDK's words do, each through a compiled filter.

import { afterAll, describe, expect, it } from "vitest"
import { FakeHost } from "./fake-host.ts"
import { Workbench } from "./workbench.ts"

const workbench = new Workbench()
afterAll(() => workbench.close())

const SDK = `import { Config, Header, Headers, HttpFilter, Json, log, now, properties, Query, RateLimit, Reply, Request, Response, seconds, shared, SharedValue } from "sluice/sdk"\n`

/** Compiled once: `x-do` says what the filter does, `x-out` is what came of it. */
const KITCHEN = `${SDK}
function list(values: string[]): string { return "[" + values.join("|") + "]" }
function or(value: string | null): string { return value === null ? "null" : "'" + value + "'" }
export function onRequest(request: Request): Reply | null {
  const what = request.headers.get("X-Do")
  if (what === null) return null
  const arg = request.headers.get("x-arg")
  let out = ""
  if (what == "get") out = or(request.headers.get(arg!))
  else if (what == "getAll") out = list(request.headers.getAll(arg!))
  else if (what == "has") out = request.headers.has(arg!).toString()
  else if (what == "names") out = list(request.headers.names())
  else if (what == "entries") { const all = request.headers.entries(); const s: string[] = []; for (let i = 0; i < all.length; i++) s.push(all[i].name + "=" + all[i].value); out = list(s) }
  else if (what == "remove") { request.headers.remove("X-Gone"); request.headers.remove("x-never"); out = request.headers.has("x-gone").toString() }
  else if (what == "add") { request.headers.add("X-Many", "3"); out = list(request.headers.getAll("x-many")) }
  else if (what == "bad") { for (let i = 0; i < 150; i++) request.headers.set("x-bad", "a\\r\\nb"); out = or(request.headers.get("x-bad")) }
  else if (what == "echo") out = arg!
  else if (what == "length") out = arg!.length.toString()
  else if (what == "unicode") out = "grüße € 😀 " + String.fromCharCode(0xd800) + "."
  else if (what == "query") { const q = request.query; out = list([or(q.get("a")), or(q.get("b c")), list(q.getAll("m")), q.has("empty").toString(), or(q.get("empty")), or(q.get("none")), or(q.get("bad"))]) }
  else if (what == "url") { out = list([request.method, request.path, request.target, request.host, request.scheme, request.id, request.clientAddress]) }
  else if (what == "seturl") { request.method = "PUT"; request.path = "/new"; request.host = "other"; out = request.target }
  else if (what == "now") out = now().toString()
  else if (what == "property") out = list([or(properties.text("plugin_name")), or(properties.text("none")), properties.int("response.code", -1).toString(), properties.bool("connection.mtls").toString()])
  else if (what == "log") { log.trace("t"); log.debug("d"); log.info("i €"); log.warn("w"); log.error("e") }
  else if (what == "shared") { out = or(shared.get("k")); shared.set("k", "v1"); const old = shared.read("k"); out += or(old!.value); out += shared.compareAndSet("k", "v2", old).toString() + shared.compareAndSet("k", "v3", old).toString() + or(shared.get("k")) + shared.compareAndSet("k", "v4", null).toString() + shared.compareAndSet("fresh", "", null).toString() + or(shared.get("fresh")) }
  else if (what == "count") out = shared.increment("n", 2).toString() + shared.count("n").toString() + shared.count("none").toString()
  else if (what == "random") out = (Math.random() != Math.random()).toString()
  else if (what == "reply") { const r = new Reply(i32(parseInt(arg!)), "body €").header("X-Why", "because"); r.details = "why_not"; return r }
  else if (what == "badreply") return new Reply(403, "no").header("x bad", "1")
  else if (what == "trap") { const none: i32[] = []; out = none[3].toString() }
  else if (what == "assert") assert(arg == "fine", "not fine")
  request.headers.set("x-out", out)
  return null
}
export function onResponse(response: Response): Reply | null {
  if (response.headers.has("x-replace")) return new Reply(503, "replaced")
  response.headers.set("x-status", response.status.toString())
  response.status = 201
  return null
}
export function onLog(request: Request, response: Response): void { log.info("done " + request.path + " " + response.status.toString()) }
`

let kitchen: WebAssembly.Module | null = null

async function cook(): Promise<FakeHost> {
  kitchen ??= await workbench.module(KITCHEN)
  const host = new FakeHost(kitchen)
  host.configure("")
  return host
}

async function run(what: string, headers: Record<string, string> = {}, prepare: (host: FakeHost) => void = () => {}): Promise<FakeHost> {
  const host = await cook()
  prepare(host)
  host.onRequest(host.open(), { "x-do": what, ...headers })
  return host
}

const out = async (...run_: Parameters<typeof run>): Promise<string | undefined> => (await run(...run_)).header("x-out")

describe("headers", () => {
  it("get answers the value or null, whatever the case of the name", async () => {
    expect(await out("get", { "x-arg": "X-ABC", "x-abc": "1" })).toBe("'1'")
    expect(await out("get", { "x-arg": "x-none" })).toBe("null")
    expect(await out("get", { "x-arg": "x-empty", "x-empty": "" })).toBe("''")
  })
  it("has, remove, add, getAll, names and entries see repeated fields", async () => {
    expect(await out("has", { "x-arg": "x-do" })).toBe("true")
    expect(await out("has", { "x-arg": "x-none" })).toBe("false")
    expect(await out("remove", { "x-gone": "1" })).toBe("false")
    expect(await out("add", { "x-many": "1" })).toBe("[1|3]")
    expect(await out("names", {})).toBe("[:method|:path|:authority|:scheme|x-do]")
    expect(await out("entries", { "x-e": "" })).toBe("[:method=GET|:path=/|:authority=example.com|:scheme=http|x-do=entries|x-e=]")
  })
  it("a refused value is logged a bounded number of times and the filter goes on", async () => {
    const host = await run("bad")
    expect(host.header("x-out")).toBe("null")
    expect(host.logs[0]).toBe('warn: headers.set("x-bad"): refused as invalid, or not allowed in this phase')
    expect(host.logs.length).toBe(100)
  })
})

describe("text", () => {
  const latin1 = (text: string): string => Buffer.from(text).toString("latin1")
  it.each([
    "a",
    "abc",
    "abcd",
    "abcde",
    "abcdefgh",
    "é",
    "abcdé",
    "abcdefg€",
    "😀",
    "a😀b",
    "x".repeat(4095),
    "x".repeat(4096),
    "x".repeat(5000),
    "é".repeat(3000),
  ])("UTF-8 survives the way in and out (%#)", async (text) => {
    const host = await run("echo", { "x-arg": latin1(text) })
    expect(host.header("x-out")).toBe(latin1(text))
    expect((await run("length", { "x-arg": latin1(text) })).header("x-out")).toBe(String(text.length))
  })
  it.each(["\xff", "abc\xe9", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82", "ok\x80"])(
    "bytes that are not UTF-8 are read as latin1 (%#)",
    async (text) => {
      const host = await run("echo", { "x-arg": text })
      expect(Buffer.from(host.header("x-out") ?? "", "latin1").toString()).toBe(text)
    },
  )
  it("a lone surrogate becomes the replacement character", async () => {
    expect(Buffer.from((await out("unicode")) ?? "", "latin1").toString()).toBe("grüße € 😀 \ufffd.")
  })
})

describe("request", () => {
  it("query is decoded and never traps", async () => {
    const target = "/p?a=1&b%20c=x+y&m=1&m=%E2%82%AC&&empty&=v&bad=%zz%4"
    const text = Buffer.from((await out("query", { ":path": target })) ?? "", "latin1").toString()
    expect(text).toBe("['1'|'x y'|[1|€]|true|''|null|'%zz%4']")
    expect(await out("query", { ":path": "/p?" })).toBe("[null|null|[]|false|null|null|null]")
  })
  it("parts of the target are read and written", async () => {
    const address = (host: FakeHost): void => void host.properties.set("source\0address", Buffer.from("10.0.0.1:5"))
    expect(await out("url", { ":path": "/a/b?c", "x-request-id": "i" }, address)).toBe("[GET|/a/b|/a/b?c|example.com|http|i|10.0.0.1:5]")
    const host = await run("seturl", { ":path": "/old?q=1" })
    expect(host.header("x-out")).toBe("/new?q=1")
    expect([host.header(":method"), host.header(":authority")]).toEqual(["PUT", "other"])
  })
})

describe("host services", () => {
  it("now, properties and randomness", async () => {
    expect(await out("now")).toBe("1000000")
    const give = (host: FakeHost): void => {
      host.properties.set("plugin_name", Buffer.from("p"))
      host.properties.set("response\0code", new Uint8Array([0xc8, 0, 0, 0, 0, 0, 0, 0]))
      host.properties.set("connection\0mtls", new Uint8Array([1]))
    }
    expect(await out("property", {}, give)).toBe("['p'|null|200|true]")
    expect(await out("property")).toBe("[null|null|-1|false]")
    expect(await out("random")).toBe("true")
  })
  it("log respects the level for trace and debug", async () => {
    expect((await run("log")).logs).toEqual(["trace: t", "debug: d", "info: i €", "warn: w", "error: e"])
    const quiet = await run("log", {}, (host) => {
      host.logLevel = 2
    })
    expect(quiet.logs).toEqual(["info: i €", "warn: w", "error: e"])
  })
  it("shared data compares and swaps, also against absence", async () => {
    expect(await out("shared")).toBe("null'v1'truefalse'v2'falsetrue''")
  })
  it("a counter loses no increment to another thread", async () => {
    let others = 3
    const host = await run("count", {}, (fake) => {
      fake.beforeSharedWrite = () => {
        if (others-- <= 0) return
        const old = fake.shared.get("n")?.value
        const value = old === undefined ? 0n : Buffer.from(old).readBigInt64LE()
        const bytes = Buffer.alloc(8)
        bytes.writeBigInt64LE(value + 10n)
        fake.shared.set("n", { value: bytes, cas: 1000 + others })
      }
    })
    expect(host.header("x-out")).toBe("32320")
  })
})

describe("reply", () => {
  it("carries status, body, details and headers, and stops the exchange", async () => {
    const host = await cook()
    expect(host.onRequest(host.open(), { "x-do": "reply", "x-arg": "429" })).toBe(false)
    expect(host.reply).toEqual({ status: 429, body: "body €", details: "why_not", headers: [["x-why", "because"]], grpcStatus: -1 })
  })
  it("an impossible status or header never lets the request through", async () => {
    for (const status of ["0", "199", "1000", "-5"]) expect((await run("reply", { "x-arg": status })).reply?.status).toBe(500)
    const host = await cook()
    expect(host.onRequest(host.open(), { "x-do": "badreply" })).toBe(false)
    expect(host.reply).toMatchObject({ status: 403, body: "no", details: "", headers: [] })
  })
  it("may take the place of a response; status is read and written", async () => {
    const host = await cook()
    const id = host.open()
    host.onRequest(id, { ":path": "/x" })
    expect(host.onResponse(id)).toBe(true)
    expect([host.header("x-status", host.response), host.header(":status", host.response)]).toEqual(["200", "201"])
    host.close(id)
    expect(host.logs).toEqual(["info: done /x 201"])
    expect(host.onResponse(host.open(), { "x-replace": "1" })).toBe(false)
    expect(host.reply?.status).toBe(503)
  })
})

describe("a trap", () => {
  it("says why and where in the author's file", async () => {
    const host = await cook()
    expect(() => host.onRequest(host.open(), { "x-do": "trap" })).toThrow(WebAssembly.RuntimeError)
    expect(host.logs[0]).toMatch(/^critical: Index out of range/)
    const other = await cook()
    expect(() => other.onRequest(other.open(), { "x-do": "assert", "x-arg": "no" })).toThrow(WebAssembly.RuntimeError)
    expect(other.logs[0]).toMatch(/^critical: not fine \(filter\.ts:\d+:\d+\)$/)
  })
})

describe("config", () => {
  const SETTINGS = `${SDK}
export function configure(config: Config): void {
  const list = config.strings("list", ["x"])
  const group = config.group("group")
  log.info([config.string("text"), config.int("int", 7).toString(), config.number("number", 0.5).toString(), config.bool("bool").toString(), config.duration("time", 5).toString(), list.join(","), group.string("inner", "-"), config.has("null").toString(), config.keys().length.toString()].join(";"))
  const json = config.json("json")
  if (json !== null) log.info(json.type + json.length.toString() + json.at(0)!.asNumber().toString() + json.at(1)!.string("k") + (json.at(9) === null).toString())
  if (config.has("fail")) config.fail("because I say so")
}`
  let settings: WebAssembly.Module | null = null
  async function configure(configuration: unknown): Promise<{ ok: boolean; logs: string[] }> {
    settings ??= await workbench.module(SETTINGS)
    const host = new FakeHost(settings)
    return { ok: host.configure(configuration), logs: host.logs }
  }

  it("reads every type, with defaults", async () => {
    expect(await configure({ text: "t" })).toEqual({ ok: true, logs: ["info: t;7;0.5;false;5;x;-;false;1"] })
    const all = { text: 'é"\\\n😀', int: -12, number: 1.25e3, bool: true, time: "2m", list: ["a", "b"], group: { inner: "in" }, null: null }
    expect(await configure(all)).toEqual({ ok: true, logs: [`info: é"\\\n😀;-12;1250.0;true;120000;a,b;in;false;8`] })
    expect((await configure({ text: "", json: [1.5, { k: "v" }] })).logs[1]).toBe("info: array21.5vtrue")
    expect((await configure('{"text":"\\u00e9\\ud83d\\ude00\\/\\b\\f\\r\\t"}')).logs[0]).toMatch(/^info: é😀\/\x08\f\r\t;/)
  })
  it.each([
    [{}, 'missing key "text" (string)'],
    ["", 'missing key "text" (string)'],
    [{ text: 1 }, '"text" must be a string, but it is of type number'],
    [{ text: "t", int: 1.5 }, '"int" must be a whole number'],
    [{ text: "t", int: 3e9 }, '"int" must be a whole number'],
    [{ text: "t", time: "5 s" }, '"time" must be a duration such as 250ms, 5s, 10m or 1h'],
    [{ text: "t", list: ["a", 1] }, '"list" must be a list of strings, but item 1 is of type number'],
    [{ text: "t", group: { inner: 5 } }, '"group.inner" must be a string, but it is of type number'],
    [{ text: "t", fail: true }, "because I say so"],
    ["[]", "must be an object with keys, but it is of type array"],
    ['{"text":"t",}', "not JSON: a field name in quotes is expected at line 1, column 13"],
    ['{\n "text": "t"\n "a": 1}', "not JSON: a comma or closing brace is expected at line 3, column 2"],
    ['{"text":"t"} x', "not JSON: something follows the end at line 1, column 14"],
    ['{"text":"t', "not JSON: unexpected end in a string at line 1, column 11"],
    ['{"text":"\\x"}', "not JSON: unknown escape at line 1, column 11"],
    ['{"text":01}', "not JSON: a number can't begin with 0 at line 1, column 11"],
    ['{"text":1.}', "not JSON: a digit is expected at line 1, column 11"],
    ['{"text":tru}', "not JSON: unexpected character at line 1, column 9"],
    [`${"[".repeat(100_000)}`, "not JSON: nested too deeply at line 1, column 66"],
    [`"${"x".repeat(1 << 20)}"`, "not JSON: longer than 1048576 characters at line 1, column 1"],
  ])("refuses and says why (%#)", async (configuration, message) => {
    const { ok, logs } = await configure(configuration)
    expect(ok).toBe(false)
    expect(logs.filter((line) => line.startsWith("error"))[0]).toBe(`error: config: ${message}`)
  })
  it("reports all problems at once", async () => {
    expect((await configure({ int: "1", bool: 0 })).logs.filter((line) => line.startsWith("error")).length).toBe(3)
  })
})

describe("rate limit", () => {
  it("lets the burst through, then the rate, and ends the wait when it said", async () => {
    const host = await workbench.host(`${SDK}
const limit = new RateLimit("t", 5, 10000)
export function onRequest(request: Request): Reply | null {
  const wait = limit.take(request.path)
  return wait > 0 ? new Reply(429, wait.toString()).header("retry-after", seconds(wait)) : null
}`)
    const ask = (path = "/a"): string | undefined => {
      host.onRequest(host.open(), { ":path": path })
      return host.reply?.body
    }
    for (let i = 0; i < 5; i++) expect(ask()).toBeUndefined()
    expect(ask()).toBe("2000")
    expect(host.reply?.headers).toEqual([["retry-after", "2"]])
    expect(ask("/b")).toBeUndefined()
    host.time += 1999
    expect(ask()).toBe("1")
    host.time += 1
    expect(ask()).toBeUndefined()
    expect(ask()).toBe("2000")
    host.time -= 3_600_000
    expect(ask()).toBe("2000")
    host.time += 3_610_000
    for (let i = 0; i < 5; i++) expect(ask()).toBeUndefined()
    expect(ask()).toBe("2000")
    expect(host.shared.size).toBe(2)
  })
})

describe("several plugins in one VM", () => {
  it("each has the author's module variables to itself", async () => {
    const module = await workbench.module(
      `${SDK}
import { total, count } from "./other"
let name = "nobody"
let hits = 0
let ratio: f64 = 1.5
let big: i64 = 1
const seen = new Map<string, i32>()
class Statics { static last: string = "-" }
export function configure(config: Config): void { name = config.string("name"); count() }
export function onRequest(request: Request): void {
  hits++
  ratio *= 2
  big += 1 << 20
  seen.set(request.path, hits)
  Statics.last = name + Statics.last
  count()
  request.headers.set("x-out", [name, hits.toString(), ratio.toString(), seen.size.toString(), Statics.last, total.toString(), (big >> 20).toString()].join(" "))
}`,
      { "other.ts": "export let total: i32 = 10\nexport function count(): void { total++ }\n" },
    )
    const host = new FakeHost(module)
    const ask = (plugin: number, path: string, id = host.open(plugin)): string | undefined => {
      host.onRequest(id, { ":path": path })
      return host.header("x-out")
    }
    expect(host.configure({ name: "one" }, 1)).toBe(true)
    const early = host.open(1)
    expect(ask(1, "/1")).toBe("one 1 3.0 1 one- 12 1")
    expect(host.configure({ name: "two" }, 2)).toBe(true)
    expect(ask(2, "/1")).toBe("two 1 3.0 1 two- 12 1")
    expect(ask(1, "/2")).toBe("one 2 6.0 2 oneone- 13 2")
    expect(ask(2, "/1")).toBe("two 2 6.0 1 twotwo- 13 2")
    expect(ask(1, "/3", early)).toBe("one 3 12.0 3 oneoneone- 14 3")
    for (let i = 0; i < 2000; i++) ask(1 + (i % 2), "/3")
    host.exports.proxy_on_delete(1)
    expect(ask(2, "/4")?.split(" ").slice(0, 2)).toEqual(["two", "1003"])
    expect(host.configure({ name: "three" }, 3)).toBe(true)
    expect(ask(3, "/1")).toBe("three 1 3.0 1 three- 12 1")
  })
})

describe("the class form", () => {
  it("keeps state per exchange and forgets it at the end", async () => {
    const host = await workbench.host(`${SDK}
let prefix = ""
export function configure(config: Config): void { prefix = config.string("prefix", "p") }
export class Timer extends HttpFilter {
  private path: string = ""
  onRequest(request: Request): Reply | null { this.path = request.path; return this.path == "/no" ? new Reply(403) : null }
  onResponse(response: Response): Reply | null { response.headers.set("x-path", prefix + this.path); return null }
}`)
    const first = host.open()
    const second = host.open()
    host.onRequest(first, { ":path": "/1" })
    host.onRequest(second, { ":path": "/2" })
    host.onResponse(first)
    expect(host.header("x-path", host.response)).toBe("p/1")
    host.close(first)
    for (let i = 0; i < 1000; i++) host.close(host.open())
    host.onResponse(second)
    expect(host.header("x-path", host.response)).toBe("p/2")
    expect(host.onRequest(host.open(), { ":path": "/no" })).toBe(false)
  })
})

describe("memory", () => {
  it("stays flat over 100 000 exchanges", async () => {
    const host = await workbench.host(`${SDK}
let last = ""
export function onRequest(request: Request): Reply | null {
  last = request.headers.get("x-api-key")!
  request.headers.set("x-client", last.slice(0, 4) + request.path)
  return null
}
export function onResponse(response: Response): void { response.headers.set("x-last", last) }`)
    const once = (): void => {
      const id = host.open()
      host.onRequest(id, { "x-api-key": "k".repeat(200) })
      host.onResponse(id)
      host.close(id)
    }
    for (let i = 0; i < 2000; i++) once()
    const size = host.exports.memory.buffer.byteLength
    for (let i = 0; i < 100_000; i++) once()
    expect(host.exports.memory.buffer.byteLength).toBe(size)
    expect(size).toBeLessThanOrEqual(512 * 1024)
    expect(host.header("x-last", host.response)).toBe("k".repeat(200))
  })
})

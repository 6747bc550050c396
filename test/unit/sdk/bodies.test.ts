// Bodies and trailers in the SDK's words, in the gateway's own host.

import { afterAll, describe, expect, it } from "vitest"
import { FakeHost } from "./fake-host.ts"
import { FilterBench } from "./run-filter.ts"

const bench = new FilterBench()
afterAll(() => bench.close())

const SDK = `import { Body, Headers, HttpFilter, Json, log, Reply, Request, Response } from "sluice/sdk"\n`

describe("a whole body", () => {
  const EDIT = `${SDK}
export function onRequest(request: Request): void { request.headers.set("x-length", request.headers.get("content-length") || "none"); request.headers.set("x-has-body", request.hasBody.toString()) }
export function onRequestBody(request: Request, body: Body): Reply | null {
  const edit = request.headers.get("x-edit")
  if (edit === null) return null
  if (edit == "replace") body.replace("[" + body.text() + "]")
  else if (edit == "bytes") { const bytes = body.bytes(); bytes.reverse(); body.replace(bytes) }
  else if (edit == "append") { body.append("€"); body.append(new Uint8Array(1)) }
  else if (edit == "prepend") { body.prepend("€") }
  else if (edit == "empty") body.replace("")
  else if (edit == "length") body.replace(body.length.toString())
  else if (edit == "json") { const json = body.json(); if (!json.valid) return new Reply(400, json.error); json.set("seen", true); body.setJson(json) }
  else if (edit == "headers") { request.headers.set("x-size", body.length.toString()); request.path = "/moved"; request.route.service = "other" }
  else if (edit == "refuse") return new Reply(422, "no")
  return null
}
export function onResponseBody(response: Response, body: Body): Reply | null {
  if (response.headers.has("x-refuse")) return new Reply(502, "bad answer")
  body.append("!")
  response.headers.set("x-response-size", body.length.toString())
  return null
}`
  const send = async (edit: string, body: string, upstream = {}) => {
    const filter = await bench.load(EDIT, { backends: ["test", "other"] })
    return await filter.request(
      { method: "POST", headers: { "x-edit": edit }, chunks: [...(body.match(/.{1,3}/gsu) ?? []), ""] },
      { upstream },
    )
  }

  it.each([
    ["replace", "hello", "[hello]"],
    ["bytes", "hello", "olleh"],
    ["append", "hello", "hello€\0"],
    ["prepend", "hello", "€hello"],
    ["empty", "hello", ""],
    ["length", "hello€", "8"],
    ["json", '{"a":1}', '{"a":1,"seen":true}'],
    ["none", "hello", "hello"],
  ])("%s", async (edit, body, expected) => {
    const { upstream } = await send(edit, body)
    expect(upstream?.body.text).toBe(expected)
    expect(upstream?.headers.get("content-length")).toBe(String(Buffer.byteLength(expected)))
  })
  it("headers, path and service can be chosen by it", async () => {
    const { upstream } = await send("headers", "hello")
    expect([upstream?.path, upstream?.service, upstream?.headers.get("x-size")]).toEqual(["/moved", "other", "5"])
  })
  it("a reply ends the exchange", async () => {
    const exchange = await send("refuse", "hello")
    expect([exchange.upstream, exchange.response?.status]).toEqual([null, 422])
    const bad = await send("json", "{")
    expect(bad.response?.body.text).toBe("a field name in quotes is expected at line 1, column 2!")
  })
  it("of a response is edited, and a reply takes its place", async () => {
    const { response } = await send("none", "x", { chunks: ["he", "llo"] })
    expect([response?.body.text, response?.headers.get("x-response-size")]).toEqual(["hello!", "6"])
    const refused = await send("none", "x", { body: "hello", headers: { "x-refuse": "1" } })
    expect([refused.response?.status, refused.response?.body.text]).toEqual([502, "bad answer"])
  })
  it("is announced in onRequest, with the length the client said; without one there is no callback", async () => {
    const filter = await bench.load(EDIT)
    const { upstream } = await filter.request({ method: "PUT", body: "hello", headers: { "x-edit": "replace" } })
    expect([upstream?.headers.get("x-length"), upstream?.headers.get("x-has-body"), upstream?.body.text]).toEqual(["5", "true", "[hello]"])
    const none = await filter.request({ method: "POST", headers: { "x-edit": "append" } })
    expect([none.upstream?.body.text, none.upstream?.headers.get("x-has-body")]).toEqual(["", "false"])
  })
  it("that turns out to be empty is seen all the same", async () => {
    const filter = await bench.load(EDIT)
    const { upstream } = await filter.request({ method: "POST", chunks: [], headers: { "x-edit": "append" } })
    expect(upstream?.body.text).toBe("€\0")
  })
  it("is complete before trailers", async () => {
    const filter = await bench.load(EDIT)
    const { upstream } = await filter.request({ chunks: ["he", "llo"], trailers: { "x-sum": "1" }, headers: { "x-edit": "replace" } })
    expect([upstream?.body.text, upstream?.trailers.get("x-sum")]).toEqual(["[hello]", "1"])
    const refused = await filter.request({ chunks: ["he", "llo"], trailers: { "x-sum": "1" }, headers: { "x-edit": "refuse" } })
    expect(refused.response?.status).toBe(422)
  })
  it("may change its size in hosts that send the headers first", async () => {
    const host = new FakeHost(
      await bench.workbench.module(`${SDK}
export function onRequest(request: Request): void { if (request.path == "/skip") request.skipBody() }
export function onRequestBody(request: Request, body: Body): void {}`),
    )
    const length = (path: string, end: boolean): string | undefined => {
      host.onRequest(host.open(), { ":path": path, "content-length": "5" }, end)
      return host.header("content-length")
    }
    expect([length("/", false), length("/", true), length("/skip", false)]).toEqual([undefined, "5", "5"])
  })
  it("over the limit is refused by the gateway", async () => {
    const filter = await bench.load(EDIT, { limits: { body: 1024 } })
    const exchange = await filter.request({ chunks: ["x".repeat(1000), "x".repeat(1000), ""] })
    expect(exchange.response?.status).toBe(413)
  })
})

describe("skipBody", () => {
  it("lets a body pass as it comes, one direction and one exchange at a time", async () => {
    const filter = await bench.load(`${SDK}
export function onRequest(request: Request): void { if (request.headers.has("x-skip")) request.skipBody() }
export function onRequestBody(request: Request, body: Body): void { body.append("+") }
export function onResponse(response: Response): void { if (response.headers.get("content-type") != "text/plain") response.skipBody() }
export function onResponseBody(response: Response, body: Body): void { body.append("+") }`)
    const ask = async (headers: Record<string, string>, type: string): Promise<unknown[]> => {
      const request = { method: "POST", body: "a", headers }
      const exchange = await filter.request(request, { upstream: { chunks: ["x", "y"], headers: { "content-type": type } } })
      return [exchange.upstream?.body.text, exchange.response?.body.text]
    }
    expect(await ask({}, "text/plain")).toEqual(["a+", "xy+"])
    expect(await ask({ "x-skip": "1" }, "text/plain")).toEqual(["a", "xy+"])
    expect(await ask({ "x-skip": "1" }, "image/png")).toEqual(["a", "xy"])
    expect(await ask({}, "image/png")).toEqual(["a+", "xy"])
    expect(await ask({}, "text/plain")).toEqual(["a+", "xy+"])
  })
})

describe("pieces of a body", () => {
  const PIECES = `${SDK}
export class Pieces extends HttpFilter {
  private count: i32 = 0
  onRequestChunk(request: Request, body: Body, end: bool): Reply | null {
    this.count++
    if (body.text() == "bad") return new Reply(400, "bad piece")
    if (body.length > 0) body.replace("<" + body.text() + ">")
    if (end) body.append(this.count.toString())
    return null
  }
  onResponseChunk(response: Response, body: Body, end: bool): Reply | null {
    if (end) body.append(".")
    return null
  }
}`
  it("pass on as they are left", async () => {
    const filter = await bench.load(PIECES)
    const { upstream, response } = await filter.request({ chunks: ["a", "b", "c"] }, { upstream: { chunks: ["x", "y"] } })
    expect(upstream?.body.text).toBe("<a><b><c>3")
    expect(upstream?.body.chunks.length).toBe(3)
    expect(response?.body.text).toBe("xy.")
  })
  it("a reply is possible before anything has been sent", async () => {
    const filter = await bench.load(PIECES)
    const exchange = await filter.request({ chunks: ["bad", "b"] })
    expect([exchange.upstream, exchange.response?.status]).toEqual([null, 400])
  })
})

describe("trailers", () => {
  it("are read and edited both ways", async () => {
    const filter = await bench.load(`${SDK}
export function onRequestTrailers(request: Request, trailers: Headers): void { trailers.set("x-path", request.path + trailers.get("x-a")!); trailers.remove("x-a") }
export function onResponseTrailers(response: Response, trailers: Headers): void { trailers.add("x-status", response.status.toString()) }`)
    const { upstream, response } = await filter.request(
      { path: "/p", chunks: ["x"], trailers: { "x-a": "1" } },
      { upstream: { chunks: ["y"], trailers: { "x-b": "2" } } },
    )
    expect(upstream?.trailers.toJSON()).toEqual({ "x-path": "/p1" })
    expect(response?.trailers.toJSON()).toEqual({ "x-b": "2", "x-status": "200" })
  })
})

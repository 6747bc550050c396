// gRPC callouts in the SDK's words, in the gateway's own host.

import { Buffer } from "node:buffer"
import { afterAll, describe, expect, it } from "vitest"
import { FilterBench } from "./run-filter.ts"

const bench = new FilterBench()
afterAll(() => bench.close())

const SDK = `import { Call, Answer, GrpcAnswer, GrpcCall, HttpFilter, log, Reply, Request, Response } from "sluice/sdk"\n`

describe("a gRPC call from onRequest", () => {
  const CHECK = `${SDK}
export function onRequest(request: Request): Reply | null {
  const call = new GrpcCall("auth", "auth.v1.Auth", "Check").metadata("X-Token", "t").message(request.path)
  call.context = request.path
  call.timeout = 250
  call.send(checked)
  return null
}
function checked(request: Request, answer: GrpcAnswer): Reply | null {
  if (!answer.ok) return new Reply(403, answer.code.toString() + " " + answer.failure + answer.text() + answer.bytes().length.toString())
  request.headers.set("x-user", answer.text() + answer.call.context + answer.bytes().length.toString())
  return null
}`

  it("waits for the answer and goes on with it", async () => {
    const filter = await bench.load(CHECK, { services: { auth: { body: "alice", after: 20 } } })
    const start = filter.now
    const exchange = await filter.request({ path: "/p" })
    expect(filter.now - start).toBe(20)
    expect(exchange.upstream?.headers.get("x-user")).toBe("alice/p5")
    const [call] = filter.calls
    expect([call.method, call.path, call.timeout, call.headers.get("x-token"), call.body.text]).toEqual([
      "POST",
      "/auth.v1.Auth/Check",
      250,
      "t",
      "/p",
    ])
  })

  it("hears of a status, of silence and of a service that is not there", async () => {
    const refused = await (
      await bench.load(CHECK, { services: { auth: { trailers: { "grpc-status": "7", "grpc-message": "not%20you" } } } })
    ).request()
    expect([refused.response?.status, refused.response?.body.text]).toEqual([403, "7 not you0"])
    const filter = await bench.load(CHECK, { services: { auth: { fail: "timeout" } } })
    const start = filter.now
    const slow = await filter.request()
    expect([slow.response?.body.text, filter.now - start]).toEqual(["4 responseTimeout0", 250])
    const down = await (await bench.load(CHECK, { services: { auth: { fail: "reset" } } })).request()
    expect(down.response?.body.text).toBe("14 upstreamClosed0")
    const unknown = await (await bench.load(CHECK)).request()
    expect(unknown.response?.body.text).toBe("14 it could not be sent0")
    expect(unknown.logs.map((line) => line.message)).toEqual(['gRPC call to "auth": there is no such service'])
  })
})

describe("gRPC calls", () => {
  it("and others can be waited for together, from requests and responses", async () => {
    const filter = await bench.load(
      `${SDK}
export function onRequest(request: Request): Reply | null {
  new GrpcCall("a", "s.S", "M").send(grpc)
  new Call("b").send(http)
  return null
}
function grpc(request: Request, answer: GrpcAnswer): Reply | null { request.headers.add("x-from", "grpc"); return null }
function http(request: Request, answer: Answer): Reply | null { request.headers.add("x-from", "http"); return null }
export function onResponse(response: Response): Reply | null {
  new GrpcCall("a", "s.S", "M").sendForResponse(late)
  return null
}
function late(response: Response, answer: GrpcAnswer): Reply | null { response.headers.set("x-late", answer.text()); return null }`,
      { services: { a: { body: "from a", after: 10 }, b: { after: 5 } } },
    )
    const exchange = await filter.request()
    expect(exchange.upstream?.headers.get("x-from")).toBe("http, grpc")
    expect(exchange.response?.headers.get("x-late")).toBe("from a")
  })

  it("bring their answers to the class form, octets and all", async () => {
    const filter = await bench.load(
      `${SDK}
export class Check extends HttpFilter {
  onRequest(request: Request): Reply | null {
    const message = new Uint8Array(3)
    message[0] = 255
    new GrpcCall("a", "s.S", "M").message(message).sendTo(this)
    return null
  }
  onGrpcAnswer(call: GrpcCall, answer: GrpcAnswer): Reply | null {
    this.request.headers.set("x-octets", answer.bytes()[1].toString())
    return null
  }
}`,
      { services: { a: { body: Buffer.from([0, 254]) } } },
    )
    const exchange = await filter.request()
    expect(exchange.upstream?.headers.get("x-octets")).toBe("254")
    expect([...filter.calls[0].body.bytes]).toEqual([255, 0, 0])
  })

  it("can be sent without a wait", async () => {
    const filter = await bench.load(
      `${SDK}
export function onRequest(request: Request): Reply | null {
  new GrpcCall("a", "s.S", "M").fire(told)
  return null
}
function told(answer: GrpcAnswer): void { log.info("told " + answer.code.toString()) }`,
      { services: { a: { trailers: { "grpc-status": "5" }, after: 50 } } },
    )
    const exchange = await filter.request()
    expect(exchange.upstream).not.toBeNull()
    await filter.advance(100)
    expect(filter.logs.map((line) => line.message)).toContain("told 5")
  })
})

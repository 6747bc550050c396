// gRPC between a client and services of @grpc/grpc-js: over HTTP/2 from end to end.

import { status } from "@grpc/grpc-js"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { frame, framesOf } from "../support/grpc-messages.ts"
import { TextClient, TextService } from "../support/grpc-service.ts"
import { readMetrics } from "../support/metrics.ts"
import { exchange } from "../support/raw-client.ts"

let first: TextService
let second: TextService
let gateway: Gateway
let client: TextClient

beforeAll(async () => {
  first = await TextService.start()
  second = await TextService.start()
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: {
        text: { endpoints: [first.address], protocol: "h2" },
        pair: { endpoints: [first.address, second.address], protocol: "h2", loadBalancing: "roundRobin" },
        auto: { endpoints: [first.address], protocol: "auto" },
      },
      routes: [
        { name: "retried", match: { headers: { "x-route": "retried" } }, backends: "pair", retry: { attempts: 1, on: "unavailable" } },
        { name: "short", match: { headers: { "x-route": "short" } }, backends: "text", timeout: "150ms" },
        { name: "auto", match: { headers: { "x-route": "auto" } }, backends: "auto" },
        { name: "nowhere", match: { headers: { "x-route": "nowhere" } }, backends: "nowhere" },
        { name: "text", backends: "text", grpcWeb: true },
      ],
    },
  })
  client = new TextClient(gateway.port("edge"))
})

beforeEach(() => {
  for (const service of [first, second]) service.say = (call, answer) => answer(null, call.request)
})

afterAll(async () => {
  client.close()
  await gateway.kill()
  first.stop()
  second.stop()
})

describe("a call", () => {
  test("of one message is answered", async () => {
    expect(await client.say("hello")).toEqual({ code: status.OK, details: "", messages: ["hello"] })
    expect((await client.say("x".repeat(300_000))).messages[0]?.length).toBe(300_000)
  })

  test("goes over HTTP/2 to a service that speaks either", async () => {
    expect(await client.say("hello", 5000, { "x-route": "auto" })).toMatchObject({ code: status.OK })
  })

  test("has the status and the text it was answered with", async () => {
    first.say = (_, answer) => answer({ code: status.NOT_FOUND, details: "none — here" })
    expect(await client.say("x")).toMatchObject({ code: status.NOT_FOUND, details: "none — here" })
  })

  test("with a stream of answers gets all of them", async () => {
    const { code, messages } = await client.count(500)
    expect([code, messages.length, messages.at(-1)]).toEqual([status.OK, 500, "500"])
  })

  test("with streams both ways is a conversation", async () => {
    expect(await client.chat(["a", "b", "c"])).toEqual({ code: status.OK, details: "OK", messages: ["re: a", "re: b", "re: c"] })
  })

  test("the gateway answers itself has a status", async () => {
    expect(await client.say("x", 5000, { "x-route": "nowhere" })).toMatchObject({
      code: status.INTERNAL,
      details: "the route has no such backend",
    })
  })
})

describe("a deadline", () => {
  test("reaches the service", async () => {
    let left = 0
    first.say = (call, answer) => {
      left = Number(call.getDeadline()) - Date.now()
      answer(null, "")
    }
    await client.say("x", 8000)
    expect(left).toBeGreaterThan(1000)
    expect(left).toBeLessThanOrEqual(8000)
  })

  test("of the route ends a call before the client's does", async () => {
    first.say = () => {}
    // The service was told, and may be the first to say so.
    expect(await client.say("x", 60_000, { "x-route": "short" })).toMatchObject({ code: status.DEADLINE_EXCEEDED, messages: [] })
  })
})

describe("UNAVAILABLE", () => {
  test("is tried again on another endpoint where the route says so", async () => {
    let failed = 0
    for (const service of [first, second]) {
      service.say = (call, answer) => (failed++ === 0 ? answer({ code: status.UNAVAILABLE, details: "busy" }) : answer(null, call.request))
    }
    const before = first.calls + second.calls
    expect(await client.say("again", 5000, { "x-route": "retried" })).toMatchObject({ code: status.OK, messages: ["again"] })
    expect(first.calls + second.calls - before).toBe(2)
  })

  test("reaches the client where it doesn't", async () => {
    first.say = (_, answer) => answer({ code: status.UNAVAILABLE, details: "busy" })
    expect(await client.say("x")).toMatchObject({ code: status.UNAVAILABLE, details: "busy" })
  })
})

test("calls are counted by their status", async () => {
  const count = async (): Promise<number> =>
    (await readMetrics(gateway.adminPort)).sum("sluice_grpc_requests_total", { route: "text", service: "text", code: "ABORTED" })
  const before = await count()
  first.say = (_, answer) => answer({ code: status.ABORTED, details: "" })
  await client.say("x")
  expect((await count()) - before).toBe(1)
})

describe("gRPC-Web", () => {
  const send = async (method: string, message: string): Promise<string[]> => {
    const body = frame(message)
    const head = `POST /test.Text/${method} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc-web+proto\r\ncontent-length: ${body.length}\r\n\r\n`
    const response = await exchange(gateway.port("edge"), Buffer.concat([Buffer.from(head), body]), "POST")
    return framesOf(response.body).map(({ flags, text }) => (flags === 0x80 ? `trailers ${/grpc-status: (\d+)/.exec(text)?.[1]}` : text))
  }

  test("calls a service of gRPC", async () => {
    expect(await send("Say", "hello")).toEqual(["hello", "trailers 0"])
  })

  test("gets a stream of answers", async () => {
    expect(await send("Count", "3")).toEqual(["1", "2", "3", "trailers 0"])
  })
})

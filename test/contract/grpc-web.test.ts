// gRPC-Web through a gateway, with a client written by hand: what a browser sends and gets.

import { Buffer } from "node:buffer"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { answer, beginAnswer, chunk, endAnswer, frame, framesOf, fromBase64, messagesOf, refuse } from "../support/grpc-messages.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection, type OriginScript } from "../support/origin.ts"
import { exchange, RawClient, type Response } from "../support/raw-client.ts"

let origin: Origin
let gateway: Gateway
const echo: OriginScript = (request, connection) => answer(connection, messagesOf(request.body))

beforeAll(async () => {
  origin = await Origin.start(echo)
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] } },
      routes: [
        { name: "web", match: { path: "/" }, backends: "origin", grpcWeb: true },
        { name: "short", match: { path: "/short" }, backends: "origin", grpcWeb: true, timeout: "100ms" },
        { name: "plain", match: { path: "/plain" }, backends: "origin" },
        { name: "missing", match: { path: "/missing" }, backends: "missing", grpcWeb: true },
      ],
    },
  })
})

beforeEach(() => origin.script(echo))

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

function request(path: string, type: string, body: string | Uint8Array, fields = ""): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body
  const head = `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\nx-grpc-web: 1\r\n${fields}content-length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head), bytes])
}

function send(...parts: Parameters<typeof request>): Promise<Response> {
  return exchange(gateway.port("edge"), request(...parts), "POST")
}

const BINARY = "application/grpc-web+proto"
const TEXT = "application/grpc-web-text+proto"
const ask = frame("ask")

describe("the binary form", () => {
  test("goes to the service as gRPC", async () => {
    await send("/a.B/C", BINARY, ask)
    const seen = origin.requests.at(-1)
    expect([seen?.header("content-type"), seen?.header("te"), messagesOf(seen?.body ?? Buffer.alloc(0))]).toEqual([
      "application/grpc+proto",
      "trailers",
      ["ask"],
    ])
  })

  test("comes back with its trailers in the body", async () => {
    const response = await send("/x", BINARY, ask)
    expect([response.status, response.header("content-type"), response.trailers]).toEqual([200, BINARY, []])
    expect(framesOf(response.body)).toEqual([
      { flags: 0, text: "ask" },
      { flags: 0x80, text: "grpc-status: 0\r\n" },
    ])
  })

  test("comes back with trailers alone in the head", async () => {
    origin.script((_, connection) => refuse(connection, 5, "none here"))
    const response = await send("/x", BINARY, ask)
    expect([response.header("content-type"), response.header("grpc-status"), response.header("grpc-message"), response.text()]).toEqual([
      BINARY,
      "5",
      "none here",
      "",
    ])
  })

  test("keeps the name of its coding", async () => {
    origin.script((seen, connection) => {
      expect(seen.header("content-type")).toBe("application/grpc+json")
      connection.write("HTTP/1.1 200 OK\r\ncontent-type: application/grpc+json\r\ntransfer-encoding: chunked\r\n\r\n")
      endAnswer(connection)
    })
    expect((await send("/x", "application/grpc-web+json", ask)).header("content-type")).toBe("application/grpc-web+json")
  })

  test("of a client that speaks HTTP/1.0 ends with the connection", async () => {
    const head = `POST /x HTTP/1.0\r\ncontent-type: ${BINARY}\r\ncontent-length: ${ask.length}\r\n\r\n`
    const response = await exchange(gateway.port("edge"), Buffer.concat([Buffer.from(head), ask]), "POST")
    expect(framesOf(response.body).map(({ flags }) => flags)).toEqual([0, 0x80])
  })
})

describe("the text form", () => {
  test("is base64 both ways", async () => {
    const response = await send("/x", TEXT, ask.toString("base64"))
    expect(messagesOf(origin.requests.at(-1)?.body ?? Buffer.alloc(0))).toEqual(["ask"])
    expect(response.header("content-type")).toBe(TEXT)
    expect(framesOf(fromBase64(response.text())).map(({ text }) => text)).toEqual(["ask", "grpc-status: 0\r\n"])
  })

  test("may come in padded segments, cut anywhere", async () => {
    const text = ["a", "bc", "def", ""].map((message) => frame(message).toString("base64")).join("")
    expect(text).toMatch(/=[A-Z]/)
    const client = await RawClient.connect(gateway.port("edge"))
    const whole = request("/x", TEXT, text)
    const head = whole.indexOf("\r\n\r\n") + 4
    await client.sendSegments([whole.subarray(0, head + 3), whole.subarray(head + 3, head + 10), whole.subarray(head + 10)])
    const response = await client.readResponse("POST")
    client.destroy()
    expect(framesOf(fromBase64(response.text())).map(({ text }) => text)).toEqual(["a", "bc", "def", "", "grpc-status: 0\r\n"])
  })

  test("is what accept says it is", async () => {
    const binary = await send("/x", TEXT, ask.toString("base64"), `accept: ${BINARY}\r\n`)
    expect(framesOf(binary.body)[0]).toEqual({ flags: 0, text: "ask" })
    const text = await send("/x", BINARY, ask, "accept: application/grpc-web-text\r\n")
    expect(framesOf(fromBase64(text.text()))[0]).toEqual({ flags: 0, text: "ask" })
  })
})

test.each([BINARY, TEXT])("a stream of answers arrives one by one (%s)", async (type) => {
  let connection: OriginConnection | null = null
  origin.script((_, answering) => {
    connection = answering
    beginAnswer(answering, ["one"])
  })
  const client = await RawClient.connect(gateway.port("edge"))
  client.send(request("/x", type, type === TEXT ? ask.toString("base64") : ask))
  const first = frame("one")
  await client.readThrough(type === TEXT ? first.toString("base64", 6) : first.toString("latin1"))
  endAnswer(connection as unknown as OriginConnection, 3)
  const rest = (await client.readThrough("\r\n0\r\n\r\n")).toString("latin1")
  const trailers = frame("grpc-status: 3\r\n", 0x80)
  expect(rest).toContain(type === TEXT ? trailers.toString("base64") : trailers.toString("latin1"))
  client.destroy()
})

describe.each([BINARY, TEXT])("an answer cut off inside a message (%s)", (type) => {
  const ends: [string, (connection: OriginConnection) => void][] = [
    ["by the service's connection", (connection) => connection.reset()],
    ["by trailers", (connection) => endAnswer(connection)],
  ]

  test.each(ends)("%s is never made to look whole", async (_, end) => {
    let connection: OriginConnection | null = null
    const part = frame("twenty octets of text").subarray(0, 15)
    origin.script((_seen, answering) => {
      connection = answering
      beginAnswer(answering)
      answering.write(chunk(part))
    })
    const client = await RawClient.connect(gateway.port("edge"))
    client.send(request("/x", type, type === TEXT ? ask.toString("base64") : ask))
    const shown = type === TEXT ? part.toString("base64") : part.toString("latin1")
    await client.readThrough(shown)
    end(connection as unknown as OriginConnection)
    expect((await client.readToEnd()).toString("latin1")).not.toMatch(/grpc-status|gAAAA|\r\n0\r\n/)
    client.destroy()
  })
})

describe("what is answered by the gateway", () => {
  test("is gRPC-Web too", async () => {
    const response = await send("/missing/x", TEXT, ask.toString("base64"))
    expect([response.status, response.header("content-type"), response.header("grpc-status")]).toEqual([200, TEXT, "13"])
  })

  test("after a time-out is in the body when that has begun", async () => {
    origin.script((_, connection) => beginAnswer(connection, ["one"]))
    const response = await send("/short/x", BINARY, ask)
    const frames = framesOf(response.body)
    expect(frames[0].text).toBe("one")
    expect([frames[1].flags, frames[1].text.split("\r\n")[0]]).toEqual([0x80, "grpc-status: 4"])
  })

  test.each<[string, string, string]>([
    ["isn't base64", TEXT, "!!!!"],
    ["is base64 cut short", TEXT, ask.toString("base64").slice(0, -1)],
    ["has a frame of trailers", BINARY, frame("a: b\r\n", 0x80).toString("latin1")],
    ["has a frame cut short", BINARY, ask.subarray(0, 6).toString("latin1")],
  ])("is INVALID_ARGUMENT when a body %s", async (_, type, body) => {
    const response = await send("/x", type, body)
    expect([response.status, response.header("content-type"), response.header("grpc-status")]).toEqual([200, type, "3"])
  })
})

describe("left as it is", () => {
  test("is gRPC-Web on a route without it", async () => {
    const response = await send("/plain/x", BINARY, ask)
    expect(origin.requests.at(-1)?.header("content-type")).toBe(BINARY)
    expect(framesOf(response.body).map(({ flags }) => flags)).toEqual([0])
  })

  test("is gRPC on a route with it", async () => {
    const response = await send("/x", "application/grpc", ask)
    expect(response.header("content-type")).toBe("application/grpc")
    expect(response.trailers).toEqual([["grpc-status", "0"]])
  })

  test("is an answer that isn't gRPC", async () => {
    origin.script((_, connection) => connection.reply(502, "<html>", { "content-type": "text/html" }))
    const response = await send("/x", TEXT, ask.toString("base64"))
    expect([response.status, response.header("content-type"), response.text()]).toEqual([502, "text/html", "<html>"])
  })
})

test("calls are counted by the status in their trailers", async () => {
  origin.script((_, connection) => answer(connection, [], 9))
  await send("/x", BINARY, ask)
  const metrics = await readMetrics(gateway.adminPort)
  expect(metrics.sum("sluice_grpc_requests_total", { route: "web", code: "FAILED_PRECONDITION" })).toBe(1)
})

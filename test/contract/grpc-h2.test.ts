// gRPC over HTTP/2, frame by frame: what of it clients of gRPC look at.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { frame, framesOf, call as http1Call, messagesOf } from "../support/grpc-messages.ts"
import { H2Client, type H2Response, type RequestOptions } from "../support/h2-client.ts"
import type { Field } from "../support/h2-hpack.ts"
import { H2Origin, type H2Script } from "../support/h2-origin.ts"
import { exchange } from "../support/raw-client.ts"

const GRPC: Field = ["content-type", "application/grpc"]
const OK: Field[] = [["grpc-status", "0"]]

let origin: H2Origin
let gateway: Gateway
let client: H2Client

beforeAll(async () => {
  origin = await H2Origin.start(() => {})
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { h2: { endpoints: [origin.address], protocol: "h2" } },
      routes: [
        { match: { path: "/retried" }, backends: "h2", retry: { attempts: 2, on: ["refused", "unavailable"] } },
        { match: { path: "/plain" }, backends: "h2", grpcWeb: true },
      ],
    },
  })
  client = await H2Client.connect(gateway.port())
})

afterAll(async () => {
  client?.destroy()
  await gateway?.kill()
  await origin?.stop()
})

function call(path: string, fields: readonly Field[] = [], more: RequestOptions = {}): Promise<H2Response> {
  return client.ask({ path, body: frame("ask"), fields: [GRPC, ["te", "trailers"], ...fields], ...more })
}

/** What ends a call: its trailers, or its head where there is nothing else. */
function statusOf({ trailers, header }: H2Response): string | null {
  return trailers.find(([name]) => name === "grpc-status")?.[1] ?? header("grpc-status")
}

/** The next requests get these scripts, one each; the last stays. */
function scripts(...each: readonly H2Script[]): { readonly count: number } {
  const seen = { count: 0 }
  origin.script((arrival) => each[Math.min(seen.count++, each.length - 1)](arrival))
  return seen
}

const answer: H2Script = (arrival) => {
  arrival.complete().then(
    () => {
      arrival.head(200, [GRPC])
      arrival.data(frame(messagesOf(arrival.stream.body).join("+")))
      arrival.trailers(OK)
    },
    () => {},
  )
}

describe("a reply of the gateway", () => {
  test("is a head that ends the stream", async () => {
    const response = await call("/nowhere")
    expect([response.status, response.header("content-type"), statusOf(response), response.body.length, response.trailers]).toEqual([
      200,
      "application/grpc",
      "12",
      0,
      [],
    ])
  })

  test("to a call whose time is over is DEADLINE_EXCEEDED, and the service is told to stop", async () => {
    let gone: Promise<string> | null = null
    scripts((arrival) => {
      gone = arrival.cancelled()
    })
    expect(statusOf(await call("/plain", [["grpc-timeout", "150m"]]))).toBe("4")
    expect(await gone).toBe("CANCEL")
  })

  test("comes in trailers when the answer has begun", async () => {
    scripts((arrival) => {
      arrival.head(200, [GRPC])
      arrival.data(frame("one"))
    })
    const response = await call("/plain", [["grpc-timeout", "150m"]])
    expect([messagesOf(response.body), response.trailers[0]]).toEqual([["one"], ["grpc-status", "4"]])
  })

  test("comes in trailers when the service resets the stream", async () => {
    scripts((arrival) => {
      arrival.head(200, [GRPC])
      arrival.data(frame("one"))
      arrival.reset("INTERNAL_ERROR")
    })
    const response = await call("/plain")
    expect([messagesOf(response.body), statusOf(response)]).toEqual([["one"], "14"])
  })
})

test("an answer with a length keeps its trailers towards a client of HTTP/1.1", async () => {
  scripts((arrival) => {
    const body = frame("one")
    arrival.head(200, [GRPC, ["content-length", String(body.length)]])
    arrival.data(body)
    arrival.trailers(OK)
  })
  const response = await exchange(gateway.port(), http1Call("/plain"), "POST")
  expect([messagesOf(response.body), response.trailers, response.header("content-length")]).toEqual([["one"], OK, null])
})

describe("a call with a body", () => {
  test("that was refused unseen is sent again with it", async () => {
    const seen = scripts((arrival) => arrival.reset("REFUSED_STREAM"), answer)
    const response = await call("/retried")
    expect([messagesOf(response.body), statusOf(response), seen.count]).toEqual([["ask"], "0", 2])
  })

  test("that was answered UNAVAILABLE alone is sent again with it", async () => {
    const busy: H2Script = (arrival) => arrival.head(200, [GRPC, ["grpc-status", "14"]], true)
    const seen = scripts(busy, answer)
    const response = await call("/retried")
    expect([messagesOf(response.body), statusOf(response), seen.count]).toEqual([["ask"], "0", 2])
  })

  test("reaches its client as UNAVAILABLE when that doesn't help", async () => {
    const seen = scripts((arrival) => arrival.head(200, [GRPC, ["grpc-status", "14"]], true))
    expect([statusOf(await call("/retried")), seen.count]).toEqual(["14", 3])
  })
})

test("gRPC-Web over HTTP/2 ends without trailers", async () => {
  scripts(answer)
  const fields: Field[] = [["content-type", "application/grpc-web-text"]]
  const response = await client.ask({ path: "/plain", body: frame("ask").toString("base64"), fields })
  const segments = response.text().match(/[A-Za-z0-9+/]+={0,2}/g) ?? []
  const frames = framesOf(Buffer.concat(segments.map((segment) => Buffer.from(segment, "base64"))))
  expect([frames.map(({ text }) => text), response.trailers]).toEqual([["ask", "grpc-status: 0\r\n"], []])
})

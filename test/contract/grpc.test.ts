// gRPC calls through a gateway, over HTTP/1.1, where a test can see every octet: time limits, statuses, local replies.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { answer, beginAnswer, call, endAnswer, messagesOf, refuse, statusOf } from "../support/grpc-messages.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection, type OriginScript } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

let origin: Origin
/** Answers as soon as it has a head. */
let streams: Origin
let gateway: Gateway
const echo: OriginScript = (request, connection) => answer(connection, messagesOf(request.body))

beforeAll(async () => {
  origin = await Origin.start(echo)
  streams = await Origin.start(echo, { answerAt: "head" })
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] }, streams: { endpoints: [streams.address] } },
      routes: [
        { name: "free", match: { path: "/free" }, backends: "origin" },
        { name: "short", match: { path: "/short" }, backends: "origin", timeout: "100ms" },
        { name: "none", match: { path: "/none" }, backends: "origin", timeout: 0 },
        { name: "stream", match: { path: "/stream" }, backends: "streams" },
        { name: "counted", match: { path: "/counted" }, backends: "origin" },
      ],
    },
  })
})

beforeEach(() => origin.script(echo))

afterAll(async () => {
  await gateway.kill()
  await Promise.all([origin.stop(), streams.stop()])
})

async function send(path: string, timeout?: string): ReturnType<typeof exchange> {
  return exchange(gateway.port("edge"), call(path, { fields: timeout === undefined ? {} : { "grpc-timeout": timeout } }), "POST")
}

/** grpc-timeout of the newest request upstream, ms; null when there was none. */
function announced(): number | null {
  const text = origin.requests.at(-1)?.header("grpc-timeout") ?? null
  if (text === null) return null
  expect(text).toMatch(/^\d+m$/)
  return Number.parseInt(text, 10)
}

test("a call passes with its messages and its trailers", async () => {
  const response = await send("/free/a.B/C")
  expect([response.status, messagesOf(response.body), statusOf(response)]).toEqual([200, ["ask"], "0"])
  expect(origin.requests.at(-1)?.header("te")).toBe("trailers")
})

describe("grpc-timeout", () => {
  test("goes on upstream with the time that is left", async () => {
    expect(statusOf(await send("/free/x", "10S"))).toBe("0")
    expect(announced()).toBeGreaterThan(5000)
    expect(announced()).toBeLessThanOrEqual(10_000)
  })

  test.each(["/free", "/none"])("is not there upstream when neither the client nor the route has a limit (%s)", async (path) => {
    expect(statusOf(await send(`${path}/x`))).toBe("0")
    expect(announced()).toBeNull()
  })

  test("is the route's own limit when that is shorter, and when the client has none", async () => {
    for (const timeout of ["10S", undefined]) {
      expect(statusOf(await send("/short/x", timeout))).toBe("0")
      expect(announced()).toBeGreaterThan(0)
      expect(announced()).toBeLessThanOrEqual(100)
    }
  })

  test("ends a call that has no answer yet with DEADLINE_EXCEEDED", async () => {
    origin.script(() => {})
    const response = await send("/free/x", "100m")
    expect([response.status, response.header("content-type"), statusOf(response)]).toEqual([200, "application/grpc", "4"])
  })

  test("of the route ends a call with DEADLINE_EXCEEDED as well", async () => {
    origin.script(() => {})
    expect(statusOf(await send("/short/x", "1H"))).toBe("4")
  })

  test("ends a stream whose answer has begun with DEADLINE_EXCEEDED in its trailers", async () => {
    origin.script((_, connection) => beginAnswer(connection, ["one"]))
    const response = await send("/free/x", "200m")
    expect([messagesOf(response.body), statusOf(response)]).toEqual([["one"], "4"])
  })

  test("ends a call whose client is still sending", async () => {
    origin.script(() => {})
    const client = await RawClient.connect(gateway.port("edge"))
    client.send(call("/free/x", { open: true, fields: { "grpc-timeout": "100m" } }))
    expect(statusOf(await client.readResponse("POST"))).toBe("4")
    client.destroy()
  })

  test("of 0 is over before anything is sent", async () => {
    const before = origin.requests.length
    expect(statusOf(await send("/free/x", "0m"))).toBe("4")
    expect(origin.requests.length).toBe(before)
  })

  test.each(["1s", "123456789m", "-1S", "1S, 1S", "soon"])("that is malformed is refused: %s", async (timeout) => {
    const before = origin.requests.length
    expect(statusOf(await send("/free/x", timeout))).toBe("3")
    expect(origin.requests.length).toBe(before)
  })

  test("means nothing in a request that is no call", async () => {
    const response = await exchange(
      gateway.port("edge"),
      "POST /free HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ngrpc-timeout: soon\r\ncontent-length: 0\r\n\r\n",
      "POST",
    )
    expect(response.status).toBe(200)
    expect(origin.requests.at(-1)?.header("grpc-timeout")).toBe("soon")
  })
})

describe("an answer that breaks off", () => {
  test("ends in trailers that say so", async () => {
    origin.script((_, connection) => {
      beginAnswer(connection, ["one"])
      connection.end()
    })
    const response = await send("/free/x")
    expect([messagesOf(response.body), statusOf(response)]).toEqual([["one"], "14"])
  })

  test("is cut off when it isn't gRPC", async () => {
    origin.script((_, connection) => connection.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"))
    const client = await RawClient.connect(gateway.port("edge"))
    client.send(call("/free/x", { fields: { "grpc-timeout": "200m" } }))
    await client.readThrough("abc")
    expect((await client.readToEnd()).toString()).not.toContain("0\r\n\r\n")
    client.destroy()
  })
})

describe("statuses", () => {
  test("are counted and logged by what each call ended with", async () => {
    const ends: [OriginScript, string, string | number][] = [
      [(_, connection) => answer(connection, ["x"], 0), "OK", 0],
      [(_, connection) => answer(connection, [], 5), "NOT_FOUND", 5],
      [(_, connection) => refuse(connection, 7), "PERMISSION_DENIED", 7],
      [(_, connection) => answer(connection, [], 42), "other", "other"],
      [(_, connection) => answer(connection, ["x"], null), "none", "none"],
      [(_, connection) => connection.reply(502, "<html>", { "content-type": "text/html" }), "none", "none"],
      [(_, connection) => connection.end(), "UNAVAILABLE", 14],
    ]
    for (const [script] of ends) {
      origin.script(script)
      await send("/counted/x")
    }
    const lines = await until(() => {
      const found = gateway.access.filter((line) => line.path === "/counted/x")
      return found.length >= ends.length ? found : null
    }, "the lines of the calls")
    expect(lines.map((line) => line.grpcStatus)).toEqual(ends.map(([, , logged]) => logged))
    const metrics = await readMetrics(gateway.adminPort)
    const labels = { listener: "edge", route: "counted", service: "origin" }
    for (const code of ["OK", "NOT_FOUND", "PERMISSION_DENIED", "other", "UNAVAILABLE"]) {
      expect([code, metrics.sum("sluice_grpc_requests_total", { ...labels, code })]).toEqual([code, 1])
    }
    expect(metrics.sum("sluice_grpc_requests_total", { ...labels, code: "none" })).toBe(2)
  })

  test("that blame the server are failures of its endpoint and its service, others aren't", async () => {
    const figures = async (): Promise<number[]> => {
      const metrics = await readMetrics(gateway.adminPort)
      const { services } = JSON.parse((await get(gateway.adminPort, "/services")).text())
      const own = services.find(({ name }: { name: string }) => name === "origin")
      return [metrics.sum("sluice_endpoint_failures_total", { service: "origin" }), own.failures, own.endpoints[0].failures]
    }
    const before = await figures()
    const ends: OriginScript[] = [
      (_, connection) => answer(connection, ["x"], 13),
      (_, connection) => refuse(connection, 4),
      (_, connection) => answer(connection, ["x"], 5),
      (_, connection) => refuse(connection, 16),
      (_, connection) => answer(connection, ["x"], 0),
    ]
    for (const script of ends) {
      origin.script(script)
      await send("/counted/blamed")
    }
    const grown = async (): Promise<number[]> => (await figures()).map((count, i) => count - before[i])
    await until(async () => (await grown()).every((count) => count >= 2), "the counts")
    expect(await grown()).toEqual([2, 2, 2])
  })

  test("belong to calls alone", async () => {
    await exchange(gateway.port("edge"), "GET /counted/plain HTTP/1.1\r\nhost: a\r\n\r\n")
    const line = await until(() => gateway.access.find(({ path }) => path === "/counted/plain") ?? null, "its line")
    expect(line).not.toHaveProperty("grpcStatus")
  })

  test("of calls no route matches are counted too", async () => {
    const response = await exchange(gateway.port("edge"), call("/nowhere"), "POST")
    expect([response.status, statusOf(response)]).toEqual([200, "12"])
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_grpc_requests_total", { route: "-", code: "UNIMPLEMENTED" })).toBe(1)
  })
})

test("an answer that isn't gRPC stays as it is", async () => {
  origin.script((_, connection) => connection.reply(502, "<html>", { "content-type": "text/html" }))
  const response = await send("/free/x")
  expect([response.status, response.header("content-type"), response.header("grpc-status"), response.text()]).toEqual([
    502,
    "text/html",
    null,
    "<html>",
  ])
})

test("an answer passes while its client is still sending", async () => {
  let answering: OriginConnection | null = null
  streams.script((_, connection) => {
    answering = connection
    beginAnswer(connection, ["first"])
  })
  const client = await RawClient.connect(gateway.port("edge"))
  client.send(call("/stream/x", { open: true, messages: ["a"] }))
  await client.readThrough("first\r\n")
  client.send("0\r\n\r\n")
  endAnswer(answering as unknown as OriginConnection, 0)
  expect((await client.readThrough("\r\n\r\n")).toString()).toBe("0\r\ngrpc-status: 0\r\n\r\n")
  client.destroy()
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { answer, call, chunk, frame, messagesOf, refuse, statusOf } from "../support/grpc-messages.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginScript } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient, type Response } from "../support/raw-client.ts"

let first: Origin
let second: Origin
let early: Origin
let gateway: Gateway

const fine: OriginScript = (request, connection) => connection.reply(200, request.body)
const unwell: OriginScript = (_, connection) => connection.reply(503, "busy", { "x-why": "load" })
const closing: OriginScript = (_, connection) => connection.reset()

beforeAll(async () => {
  first = await Origin.start(fine)
  second = await Origin.start(fine)
  early = await Origin.start(fine, { answerAt: "head" })
  const nobody = await freePort()
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: {
        pair: { endpoints: [first.address, second.address], loadBalancing: "roundRobin" },
        single: { endpoints: [first.address] },
        early: { endpoints: [early.address, second.address], loadBalancing: "roundRobin" },
        nobody: { endpoints: [`127.0.0.1:${nobody}`] },
      },
      routes: [
        { name: "default", match: { path: "/default" }, backends: "pair" },
        { name: "conflict", match: { path: "/conflict" }, backends: "pair", retry: { on: "retriable4xx" } },
        { name: "off", match: { path: "/off" }, backends: "pair", retry: false },
        { name: "statuses", match: { path: "/statuses" }, backends: "pair", retry: { on: [503] } },
        { name: "class", match: { path: "/class" }, backends: "pair", retry: { on: "5xx" } },
        { name: "reset", match: { path: "/reset" }, backends: "pair", retry: { on: "reset" } },
        { name: "single", match: { path: "/single" }, backends: "single", retry: { attempts: 3, on: 503 } },
        { name: "early", match: { path: "/early" }, backends: "early", retry: { on: 503 } },
        { name: "slow", match: { path: "/slow" }, backends: "pair", timeout: { request: "10s", perTry: "150ms" }, retry: { on: 504 } },
        { name: "late", match: { path: "/late" }, backends: "pair", timeout: { perTry: "150ms" }, retry: { on: "deadlineExceeded" } },
        { name: "nobody", match: { path: "/nobody" }, backends: "nobody", retry: { attempts: 2, on: "connectFailure" } },
        { name: "grpc", match: { path: "/grpc" }, backends: "pair", retry: { on: ["unavailable", "resourceExhausted"] } },
      ],
    },
  })
})

beforeEach(() => {
  first.script(fine)
  second.script(fine)
  early.script(fine)
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all([first, second, early].map((origin) => origin.stop()))
})

/** The first request to come gets `script`, all others are answered well. */
function once(script: OriginScript, then: OriginScript = fine): void {
  let done = false
  const each: OriginScript = (request, connection) => {
    if (done) return then(request, connection)
    done = true
    return script(request, connection)
  }
  for (const origin of [first, second, early]) origin.script(each)
}

function received(): number {
  return first.requests.length + second.requests.length + early.requests.length
}

/** Requests that came upstream while `run` ran, and its outcome. */
async function counting(run: () => Promise<Response>): Promise<[status: number, text: string, requests: number]> {
  const before = received()
  const response = await run()
  return [response.status, response.text(), received() - before]
}

function post(path: string, body: string): Promise<Response> {
  return exchange(gateway.port("edge"), `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`, "POST")
}

describe("a listed status", () => {
  test("is tried again, on the other endpoint", async () => {
    once(unwell)
    const before = [first.requests.length, second.requests.length]
    expect((await get(gateway.port("edge"), "/statuses")).status).toBe(200)
    expect([first.requests.length - before[0], second.requests.length - before[1]]).toEqual([1, 1])
  })

  test("is tried again with its body, for a method that may not be repeated too", async () => {
    once(unwell)
    expect(await counting(() => post("/statuses", "body"))).toEqual([200, "body", 2])
  })

  test("is tried again with a chunked body and its trailers", async () => {
    once(unwell, (request, connection) => connection.reply(200, `${request.body.toString()} ${JSON.stringify(request.trailers)}`))
    const request = "POST /statuses HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx-end: e\r\n\r\n"
    expect(await counting(() => exchange(gateway.port("edge"), request, "POST"))).toEqual([200, 'abcde [["x-end","e"]]', 2])
  })

  test("reaches the client when all attempts had it", async () => {
    first.script(unwell)
    const before = first.requests.length
    const response = await get(gateway.port("edge"), "/single")
    expect([response.status, response.text(), response.header("x-why")]).toEqual([503, "busy", "load"])
    expect(first.requests.length - before).toBe(4)
  })

  test("without a body leaves its connection to the next attempt", async () => {
    const connects = async (): Promise<number> =>
      (await readMetrics(gateway.adminPort)).sum("sluice_upstream_connects_total", { service: "single" })
    first.script((_, connection) => connection.reply(503))
    const before = await connects()
    expect(await counting(() => get(gateway.port("edge"), "/single"))).toEqual([503, "", 4])
    expect((await connects()) - before).toBeLessThanOrEqual(1)
  })

  test("that is not listed is not tried again", async () => {
    once((_, connection) => connection.reply(502, "bad"))
    expect(await counting(() => get(gateway.port("edge"), "/statuses"))).toEqual([502, "bad", 1])
    once(unwell)
    expect(await counting(() => get(gateway.port("edge"), "/off"))).toEqual([503, "busy", 1])
  })

  test("of a class is tried again only where the method allows it", async () => {
    once(unwell)
    expect(await counting(() => get(gateway.port("edge"), "/class"))).toEqual([200, "", 2])
    once(unwell)
    expect(await counting(() => post("/class", "body"))).toEqual([503, "busy", 1])
  })

  test("is not tried again with a body that is longer than what is kept", async () => {
    const body = "x".repeat(70_000)
    once(unwell)
    expect(await counting(() => post("/statuses", body))).toEqual([503, "busy", 1])
    once(unwell)
    expect((await counting(() => post("/statuses", body.slice(0, 60_000))))[2]).toBe(2)
  })

  test("that comes before the body has ended is tried again, and the rest follows", async () => {
    const before = received()
    early.script(unwell)
    const client = await RawClient.connect(gateway.port("edge"))
    client.send("POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfirst")
    await early.received(1)
    client.send("later")
    const response = await client.readResponse("POST")
    expect([response.status, response.text()]).toEqual([200, "firstlater"])
    expect(received() - before).toBe(2)
    client.destroy()
  })
})

describe("a route that says nothing of retries", () => {
  test("has those of 503 and of connects, for methods that may be repeated", async () => {
    once(unwell)
    expect(await counting(() => get(gateway.port("edge"), "/default"))).toEqual([200, "", 2])
    once((_, connection) => connection.reply(502, "bad"))
    expect(await counting(() => get(gateway.port("edge"), "/default"))).toEqual([502, "bad", 1])
    once(unwell)
    expect(await counting(() => post("/default", "body"))).toEqual([503, "busy", 1])
  })

  test("has those of gRPC's UNAVAILABLE", async () => {
    once(
      (_, connection) => refuse(connection, 14),
      (request, connection) => answer(connection, messagesOf(request.body)),
    )
    const [, , requests] = await counting(() => exchange(gateway.port("edge"), call("/default"), "POST"))
    expect(requests).toBe(2)
  })
})

describe("a service that asks to be spared", () => {
  const busy =
    (seconds: number): OriginScript =>
    (_, connection) =>
      connection.reply(503, "busy", { "retry-after": String(seconds) })

  test("is, when there is no other endpoint", async () => {
    once(busy(1))
    const started = performance.now()
    expect(await counting(() => get(gateway.port("edge"), "/single"))).toEqual([200, "", 2])
    expect(performance.now() - started).toBeGreaterThan(950)
  })

  test("is not asked again at all when that would take too long", async () => {
    once(busy(60))
    expect(await counting(() => get(gateway.port("edge"), "/single"))).toEqual([503, "busy", 1])
  })

  test("doesn't keep another endpoint from being asked", async () => {
    once(busy(60))
    expect(await counting(() => get(gateway.port("edge"), "/statuses"))).toEqual([200, "", 2])
  })
})

test("a conflict is tried again where the route says so", async () => {
  once((_, connection) => connection.reply(409))
  expect(await counting(() => get(gateway.port("edge"), "/conflict"))).toEqual([200, "", 2])
})

describe("a failure", () => {
  test("without an answer is tried again where the method allows it", async () => {
    once(closing)
    expect(await counting(() => get(gateway.port("edge"), "/reset"))).toEqual([200, "", 2])
    once(closing)
    expect((await counting(() => post("/reset", "body"))).slice(0, 1)).toEqual([502])
  })

  test("to answer in time is tried again", async () => {
    once(() => {})
    expect(await counting(() => get(gateway.port("edge"), "/slow"))).toEqual([200, "", 2])
  })

  test("to answer in time is tried again for gRPC's status only if it is a call", async () => {
    once(() => {})
    expect((await counting(() => post("/late", "body"))).filter((_, i) => i !== 1)).toEqual([504, 1])
    once(
      () => {},
      (request, connection) => answer(connection, messagesOf(request.body)),
    )
    expect((await counting(() => exchange(gateway.port("edge"), call("/late"), "POST")))[2]).toBe(2)
  })

  test("to connect is tried again as often as the route says", async () => {
    const before = (await readMetrics(gateway.adminPort)).sum("sluice_upstream_connect_failures_total", { service: "nobody" })
    expect((await get(gateway.port("edge"), "/nobody")).status).toBe(503)
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_upstream_connect_failures_total", { service: "nobody" }) - before).toBe(3)
    expect(metrics.sum("sluice_upstream_retries_total", { service: "nobody" })).toBe(2)
  })
})

describe("a gRPC call", () => {
  const well: OriginScript = (request, connection) => answer(connection, messagesOf(request.body))

  async function send(messages: readonly string[] = ["ask"]): Promise<[status: string | null, messages: string[], requests: number]> {
    const before = received()
    const response = await exchange(gateway.port("edge"), call("/grpc/x", { messages }), "POST")
    return [statusOf(response), messagesOf(response.body), received() - before]
  }

  test.each([8, 14])("that is answered with %d alone is tried again, with its messages", async (code) => {
    once((_, connection) => refuse(connection, code), well)
    expect(await send(["a", "b"])).toEqual(["0", ["a", "b"], 2])
  })

  test("that is answered with another status is not", async () => {
    once((_, connection) => refuse(connection, 13), well)
    expect(await send()).toEqual(["13", [], 1])
  })

  test("whose answer has begun is not", async () => {
    once((_, connection) => answer(connection, ["part"], 14), well)
    expect(await send()).toEqual(["14", ["part"], 1])
  })

  test("that is still being sent is tried again with what was sent, and goes on", async () => {
    once((_, connection) => refuse(connection, 14), well)
    const client = await RawClient.connect(gateway.port("edge"))
    client.send(call("/grpc/x", { messages: ["a"], open: true }))
    client.send(Buffer.concat([chunk(frame("b")), Buffer.from("0\r\n\r\n")]))
    expect(messagesOf((await client.readResponse("POST")).body)).toEqual(["a", "b"])
    client.destroy()
  })
})

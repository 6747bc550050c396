import { spawn } from "node:child_process"
import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { sleep, until, within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

// What a limit of 300 ms may take on a busy machine, and what would be another limit's doing.
const LIMIT = 300
const AT_MOST = 5000

let origin: Origin
let gateway: Gateway
/** A listening socket whose backlog is full: connects to it get no answer. */
let blackhole: { port: number; close(): void }

async function fullBacklog(): Promise<{ port: number; close(): void }> {
  // A process that listens with a backlog of 1 and then sleeps, so that nobody accepts; Node, since not every runtime
  // lets the backlog be chosen.
  const code = `
    const server = require("node:net").createServer()
    server.listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
      process.stdout.write(server.address().port + "\\n", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
    })`
  const child = spawn(fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url)), ["-e", code], {
    stdio: ["ignore", "pipe", "ignore"],
  })
  const port = await within(
    new Promise<number>((resolve) => child.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())))),
    "port of the black hole",
  )
  const fillers: Socket[] = []
  for (let i = 0; i < 8; i++) {
    const filler = connect(port, "127.0.0.1")
    filler.on("error", () => {})
    fillers.push(filler)
  }
  await sleep(100)
  return {
    port,
    close: () => {
      for (const filler of fillers) filler.destroy()
      child.kill("SIGKILL")
    },
  }
}

beforeAll(async () => {
  blackhole = await fullBacklog()
  origin = await Origin.start((request, connection) => {
    const { target } = request
    if (target.startsWith("/idle")) connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive.")
    else if (target.startsWith("/trickle")) {
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
      const timer = setInterval(() => connection.write("."), 20)
      connection.socket.once("close", () => clearInterval(timer))
    } else if (target.startsWith("/late")) {
      const timer = setTimeout(() => connection.reply(200, "late"), LIMIT * 2)
      connection.socket.once("close", () => clearTimeout(timer))
    } else if (!target.startsWith("/silent")) connection.reply(200, target)
  })
  const { port: blackholePort } = blackhole
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [
        { name: "main", address: "127.0.0.1:0" },
        { name: "trusting", address: "127.0.0.1:0", trustedHops: 1 },
        { name: "impatient", address: "127.0.0.1:0", timeouts: { head: `${LIMIT}ms`, idle: `${LIMIT}ms` } },
      ],
      services: {
        origin: { endpoints: [origin.address] },
        blackhole: { endpoints: [`127.0.0.1:${blackholePort}`], connectTimeout: `${LIMIT}ms` },
      },
      routes: [
        { match: { path: "/" }, backends: "origin" },
        { match: { path: "/silent/request" }, backends: "origin", timeout: `${LIMIT}ms` },
        { match: { path: "/trickle" }, backends: "origin", timeout: `${LIMIT}ms` },
        { match: { path: "/silent/try" }, backends: "origin", timeout: { perTry: `${LIMIT}ms` } },
        { match: { path: "/idle" }, backends: "origin", timeout: { idle: `${LIMIT}ms` } },
        { match: { path: "/idle/none" }, backends: "origin", timeout: { idle: 0, request: 0 } },
        { match: { path: "/told" }, backends: "origin", timeout: { request: "9s", propagate: true } },
        { match: { path: "/late" }, backends: "origin", timeout: { request: 0 } },
        { match: { path: "/blackhole" }, backends: "blackhole" },
      ],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
  blackhole.close()
})

/** The answer, and how long it took. */
async function timed(target: string): Promise<{ status: number; text: string; ms: number }> {
  const started = performance.now()
  const response = await get(gateway.port("main"), target)
  return { status: response.status, text: response.text(), ms: performance.now() - started }
}

describe("what proxies in front say of the time there is", () => {
  /** The answer to a request that says so, and what the service was told. */
  async function told(listener: string, target: string, timeout: string): Promise<[status: number, told: string | null]> {
    const before = origin.requests.length
    const request = `GET ${target} HTTP/1.1\r\nhost: a\r\nx-request-timeout: ${timeout}\r\n\r\n`
    const response = await exchange(gateway.port(listener), request)
    return [response.status, origin.requests[before]?.header("x-request-timeout") ?? null]
  }

  test("is believed of trusted ones, and goes on with what is left", async () => {
    const [status, left] = await told("trusting", "/", "5s")
    expect(status).toBe(200)
    expect(Number(left)).toBeGreaterThan(0)
    expect(Number(left)).toBeLessThanOrEqual(5000)
    expect((await told("trusting", "/silent/none", "150ms"))[0]).toBe(504)
  })

  test("is longer or shorter than what the route says", async () => {
    const started = performance.now()
    expect((await told("trusting", "/silent/request", `${2 * LIMIT}`))[0]).toBe(504)
    expect(performance.now() - started).toBeGreaterThan(2 * LIMIT - 50)
  })

  test.each([
    ["0", 504],
    ["soon", 400],
  ])("leaves no time (%s)", async (timeout, status) => {
    expect(await told("trusting", "/", timeout)).toEqual([status, null])
  })

  test("is nobody's business elsewhere, and goes no further", async () => {
    expect(await told("main", "/", "1ms")).toEqual([200, null])
  })

  test("is told by the route itself where it should", async () => {
    const [status, left] = await told("main", "/told", "1ms")
    expect(status).toBe(200)
    expect(Number(left)).toBeGreaterThan(5000)
    expect(Number(left)).toBeLessThanOrEqual(9000)
  })
})

describe("time limits of routes", () => {
  test("a request that isn't answered in time gets 504, and its upstream connection is closed", async () => {
    const { status, text, ms } = await timed("/silent/request")
    expect([status, text]).toEqual([504, "upstream request timed out\n"])
    expect(ms).toBeGreaterThan(LIMIT - 50)
    expect(ms).toBeLessThan(AT_MOST)
    expect(await gateway.accessLine(({ path }) => path === "/silent/request", "it")).toMatchObject({ flag: "UT", upstream: origin.address })
    const seen = origin.requests.find(({ target }) => target === "/silent/request")
    await until(() => origin.open === 0 || seen === undefined, "close of the upstream connection")
  })

  test("a response that isn't complete in time is cut off", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send("GET /trickle HTTP/1.1\r\nhost: a\r\n\r\n")
    await expect(client.readResponse()).rejects.toThrow("before the rest of the response body")
    client.destroy()
    expect(await gateway.accessLine(({ path }) => path === "/trickle", "it")).toMatchObject({ status: 200, flag: "UT" })
  })

  test("an attempt that isn't answered in time gets 504", async () => {
    const { status, text } = await timed("/silent/try")
    expect([status, text]).toEqual([504, "upstream attempt timed out\n"])
    expect(await gateway.accessLine(({ path }) => path === "/silent/try", "it")).toMatchObject({ flag: "UT,PT" })
  })

  test("a response that stalls is cut off", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send("GET /idle HTTP/1.1\r\nhost: a\r\n\r\n")
    await expect(client.readResponse()).rejects.toThrow("before the rest of the response body")
    client.destroy()
    expect(await gateway.accessLine(({ path }) => path === "/idle", "it")).toMatchObject({ status: 200, flag: "SI" })
  })

  test("a request that stalls inside its body gets an answer, and no upstream keeps waiting", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send("POST /silent/request HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nfive.")
    const response = await client.readResponse("POST")
    expect([response.status, response.header("connection")]).toEqual([408, "close"])
    client.destroy()
  })

  test("0 is no limit", async () => {
    expect(await timed("/late")).toMatchObject({ status: 200, text: "late" })
    const client = await RawClient.connect(gateway.port("main"))
    client.send("GET /idle/none HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.readHead()
    await expect(client.readBytes(10, LIMIT * 2)).rejects.toThrow("no 10 octets within")
    client.destroy()
  })
})

describe("time limits of connects", () => {
  test("an endpoint that doesn't answer gets 503", async () => {
    const { status, text, ms } = await timed("/blackhole")
    expect([status, text]).toEqual([503, "upstream connect timed out\n"])
    expect(ms).toBeGreaterThan(LIMIT - 50)
    expect(ms).toBeLessThan(AT_MOST)
    expect(await gateway.accessLine(({ path }) => path === "/blackhole", "it")).toMatchObject({ flag: "UF,CT" })
  })
})

describe("time limits of listeners", () => {
  test("a head that trickles in too slowly gets 408", async () => {
    const client = await RawClient.connect(gateway.port("impatient"))
    const timer = setInterval(() => client.send("x"), 20)
    client.send("GET / HTTP/1.1\r\nhost: a\r\nx: ")
    const response = await client.readResponse()
    clearInterval(timer)
    expect([response.status, response.header("connection")]).toEqual([408, "close"])
    expect(await gateway.accessLine(({ status }) => status === 408, "it")).toMatchObject({ flag: "RT" })
    client.destroy()
  })

  test("a connection that never says anything is closed without a word", async () => {
    const client = await RawClient.connect(gateway.port("impatient"))
    expect((await client.readToEnd(AT_MOST)).length).toBe(0)
    client.destroy()
  })

  test("a connection that waits too long for its next request is closed; one that doesn't is kept", async () => {
    const client = await RawClient.connect(gateway.port("impatient"))
    for (let i = 0; i < 5; i++) {
      client.send(`GET /${i} HTTP/1.1\r\nhost: a\r\n\r\n`)
      expect((await client.readResponse()).text()).toBe(`/${i}`)
      await sleep(LIMIT / 3)
    }
    expect(await client.closed(AT_MOST)).toBe("end")
    client.destroy()
  })

  test("a slow upstream isn't the client's idleness", async () => {
    expect((await exchange(gateway.port("impatient"), "GET /late HTTP/1.1\r\nhost: a\r\n\r\n")).text()).toBe("late")
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { Origin, type OriginScript } from "../support/origin.ts"
import { RawClient } from "../support/raw-client.ts"

const SLOW_HALF_CLOSE = 400

let origin: Origin
let early: Origin
let gateway: Gateway
const tell: OriginScript = (request, connection) => connection.reply(200, request.target)

beforeAll(async () => {
  origin = await Origin.start(tell)
  early = await Origin.start(tell, { answerAt: "head" })
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ name: "main", address: "127.0.0.1:0", timeouts: { halfClose: `${SLOW_HALF_CLOSE}ms` } }],
      services: { origin: { endpoints: [origin.address] }, early: { endpoints: [early.address] } },
      routes: [
        { backends: "origin" },
        { match: { path: "/early" }, backends: "early" },
        { match: { path: "/denied" }, respond: { status: 401, body: "who are you?" } },
        { match: { path: "/nowhere" }, backends: [] },
      ],
    },
  })
})

afterEach(() => {
  origin.script(tell)
  early.script(tell)
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
  await early.stop()
})

describe("pipelining", () => {
  test("20 requests at once are answered in order", async () => {
    const client = await RawClient.connect(gateway.port())
    // The later a request, the faster the origin: order is the gateway's doing.
    origin.script((request, connection) => {
      setTimeout(() => connection.reply(200, request.target), 40 - 2 * Number(request.target.slice(3)))
    })
    client.send(Array.from({ length: 20 }, (_, i) => `GET /p/${i} HTTP/1.1\r\nhost: a\r\n\r\n`).join(""))
    for (let i = 0; i < 20; i++) expect((await client.readResponse()).text()).toBe(`/p/${i}`)
    client.destroy()
  })

  test("requests with bodies, local replies and forwarded ones may follow each other in one segment", async () => {
    const client = await RawClient.connect(gateway.port())
    origin.script((request, connection) => connection.reply(200, `${request.target} ${request.body.toString()}`))
    client.send(
      [
        "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
        "GET /denied HTTP/1.1\r\nhost: a\r\n\r\n",
        "POST /denied HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nGET /",
        "POST /b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n",
        "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /c HTTP/1.1\r\nhost: a\r\n\r\n",
      ].join(""),
    )
    const answers: [number, string][] = []
    for (let i = 0; i < 6; i++) {
      const response = await client.readResponse()
      answers.push([response.status, response.text().trim()])
    }
    expect(answers).toEqual([
      [200, "/a abc"],
      [401, "who are you?"],
      [401, "who are you?"],
      [200, "/b de"],
      [500, "the route has no such backend"],
      [200, "/c"],
    ])
    client.destroy()
  })

  test("a client that pipelines and doesn't read is held up, then gets every answer", async () => {
    const body = "x".repeat(256 * 1024)
    origin.script((request, connection) => connection.reply(200, request.target + body))
    const client = await RawClient.connect(gateway.port())
    client.pause()
    const before = origin.requests.length
    const count = 200
    client.send(Array.from({ length: count }, (_, i) => `GET /n/${i} HTTP/1.1\r\nhost: a\r\n\r\n`).join(""))
    await origin.received(before + 1)
    // Until the client reads, the kernel's buffers set the limit, not the number of requests.
    let still = 0
    for (let seen = -1; still < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      still = origin.requests.length === seen ? still + 1 : 0
      seen = origin.requests.length
    }
    expect(origin.requests.length - before).toBeLessThan(count)
    client.resume()
    for (let i = 0; i < count; i++) expect((await client.readResponse()).text().slice(0, 8)).toBe(`/n/${i}xxxxxxxx`.slice(0, 8))
    client.destroy()
  })

  test("requests sent before the client's half-close are all answered", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send(Array.from({ length: 5 }, (_, i) => `GET /h/${i} HTTP/1.1\r\nhost: a\r\n\r\n`).join(""))
    client.end()
    for (let i = 0; i < 5; i++) expect((await client.readResponse()).text()).toBe(`/h/${i}`)
    expect(await client.closed()).toBe("end")
  })
})

describe("keep-alive", () => {
  test("one client's requests share one upstream connection", async () => {
    const client = await RawClient.connect(gateway.port())
    client.send("GET /first HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.readResponse()
    const accepted = origin.accepted
    for (let i = 0; i < 50; i++) {
      client.send(`GET /k/${i} HTTP/1.1\r\nhost: a\r\n\r\n`)
      expect((await client.readResponse()).text()).toBe(`/k/${i}`)
    }
    expect(origin.accepted).toBe(accepted)
    client.destroy()
  })

  test("a client's `connection: close` ends its connection and not the upstream's", async () => {
    const first = await RawClient.connect(gateway.port())
    first.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n")
    await first.readResponse()
    const accepted = origin.accepted
    for (let i = 0; i < 3; i++) {
      const client = await RawClient.connect(gateway.port())
      client.send("GET /close HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
      expect((await client.readResponse()).header("connection")).toBe("close")
      expect(await client.closed()).toBe("end")
      client.destroy()
    }
    expect(origin.accepted).toBe(accepted)
    first.destroy()
  })

  test("an upstream's `connection: close` isn't the client's", async () => {
    const client = await RawClient.connect(gateway.port())
    origin.script((request, connection) => {
      connection.reply(200, request.target, { connection: "close" })
      connection.end()
    })
    for (let i = 0; i < 3; i++) {
      client.send(`GET /u/${i} HTTP/1.1\r\nhost: a\r\n\r\n`)
      const response = await client.readResponse()
      expect([response.text(), response.header("connection")]).toEqual([`/u/${i}`, null])
    }
    client.destroy()
  })

  test("octets beyond a response poison the upstream connection, and reach nobody", async () => {
    const client = await RawClient.connect(gateway.port())
    origin.script((request, connection) =>
      connection.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${request.target.length}\r\n\r\n${request.target}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`,
      ),
    )
    const accepted = origin.accepted
    for (let i = 0; i < 3; i++) {
      client.send(`GET /x/${i} HTTP/1.1\r\nhost: a\r\n\r\n`)
      expect((await client.readResponse()).text()).toBe(`/x/${i}`)
    }
    expect(origin.accepted - accepted).toBeGreaterThanOrEqual(2)
    expect(client.unread.length).toBe(0)
    client.destroy()
  })

  test("octets that arrive on an idle upstream connection reach nobody", async () => {
    const client = await RawClient.connect(gateway.port())
    let idle: { write(data: string): void; socket: { destroyed: boolean; closed: boolean } } | null = null
    origin.script((request, connection) => {
      idle = connection
      connection.reply(200, request.target)
    })
    client.send("GET /1 HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.readResponse()
    const poisoned = idle as unknown as { write(data: string): void; socket: { closed: boolean } }
    poisoned.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    await until(() => poisoned.socket.closed, "close of the poisoned connection")
    client.send("GET /2 HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).text()).toBe("/2")
    client.destroy()
  })
})

describe("responses before the request is complete", () => {
  test("a refusal by the upstream reaches a client that goes on sending, and the connection closes", async () => {
    early.script((_request, connection) => connection.reply(413, "too much"))
    const client = await RawClient.connect(gateway.port())
    client.send(`POST /early HTTP/1.1\r\nhost: a\r\ncontent-length: ${64 * 1024 * 1024}\r\n\r\n${"x".repeat(100_000)}`)
    const head = await client.readHead()
    expect(head.startLine).toContain("413")
    expect((await client.readBytes(8)).toString()).toBe("too much")
    expect(await client.closed()).toBe("end")
    // Had the gateway closed with octets unread, the client would have seen a reset.
    client.send("x".repeat(10_000))
    client.destroy()
    await until(() => early.open === 0, "close of the upstream connection")
  })

  test("a small body that nobody wants is skipped, and the connection goes on", async () => {
    const client = await RawClient.connect(gateway.port())
    for (const target of ["/denied", "/nowhere", "/denied"]) {
      await client.sendSegments(
        [`POST ${target} HTTP/1.1\r\nhost: a\r\ncontent-length: 20000\r\n\r\n`, "GET / HTTP/1.1\r\n\r\n".padEnd(20_000)],
        5,
      )
      expect((await client.readResponse()).status).toBe(target === "/denied" ? 401 : 500)
    }
    client.send("GET /after HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).text()).toBe("/after")
    expect(client.ending).toBeNull()
    client.destroy()
  })

  test.each([
    ["a large body", "content-length: 1000000"],
    ["a body of unknown length", "transfer-encoding: chunked"],
  ])("%s that nobody wants ends the connection, after the client could read the answer", async (_what, framing) => {
    const client = await RawClient.connect(gateway.port())
    client.send(`POST /denied HTTP/1.1\r\nhost: a\r\n${framing}\r\n\r\n`)
    const response = await client.readResponse()
    expect([response.status, response.header("connection")]).toEqual([401, "close"])
    // The rest of the body is thrown away for a while instead of being answered with a reset.
    client.send("f".repeat(500_000))
    expect(await client.closed()).toBe("end")
    client.destroy()
  })
})

describe("half-closed clients", () => {
  test("a client that ends its side after its request gets the answer", async () => {
    const client = await RawClient.connect(gateway.port())
    origin.script((request, connection) => {
      setTimeout(() => connection.reply(200, `${request.target} ${request.body}`), SLOW_HALF_CLOSE / 4)
    })
    client.send("POST /late HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody")
    client.end()
    expect((await client.readResponse()).text()).toBe("/late body")
    expect(await client.closed()).toBe("end")
  })

  test("a client that ends its side while the response is coming gets all of it", async () => {
    const client = await RawClient.connect(gateway.port())
    origin.script((_request, connection) => {
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nabc")
      setTimeout(() => connection.write("def"), SLOW_HALF_CLOSE * 1.5)
    })
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.readHead()
    client.end()
    expect((await client.readBytes(6)).toString()).toBe("abcdef")
    expect(await client.closed()).toBe("end")
  })

  test("a client that is closed for longer than the grace is given up, and so is its upstream request", async () => {
    const client = await RawClient.connect(gateway.port())
    let open = true
    origin.script((_request, connection) => {
      connection.socket.once("close", () => {
        open = false
      })
    })
    const before = origin.requests.length
    client.send("GET /gone HTTP/1.1\r\nhost: a\r\n\r\n")
    await origin.received(before + 1)
    client.end()
    await until(() => !open, "close of the upstream connection", SLOW_HALF_CLOSE + 2000)
    await client.closed()
    await gateway.accessLine((line) => line.path === "/gone" && line.flag === "DC", "the client that went away")
  })

  test("a client that ends its side inside a body is cut off, and so is its upstream request", async () => {
    const client = await RawClient.connect(gateway.port())
    let open: boolean | null = null
    early.script((_request, connection) => {
      open = true
      connection.socket.once("close", () => {
        open = false
      })
    })
    client.send("POST /early/half HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nsome")
    await until(() => open === true, "the request at the origin")
    client.end()
    await until(() => open === false, "close of the upstream connection")
    expect((await client.readToEnd()).length).toBe(0)
  })
})

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { Origin, type OriginScript } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

let origin: Origin
/** Asked when a request's head is there. */
let early: Origin
let gateway: Gateway

const idle: OriginScript = (_request, connection) => connection.reply(200, "ok")

beforeAll(async () => {
  origin = await Origin.start(idle)
  early = await Origin.start(idle, { answerAt: "head" })
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] }, early: { endpoints: [early.address] } },
      routes: [{ backends: "origin" }, { match: { path: "/early" }, backends: "early" }],
    },
  })
})

afterEach(() => {
  expect(origin.problems).toEqual([])
  expect(early.problems).toEqual([])
  origin.script(idle)
  early.script(idle)
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
  await early.stop()
})

function respond(wire: string, end = false): OriginScript {
  return (_request, connection) => {
    connection.write(wire)
    if (end) connection.end()
  }
}

describe("interim responses", () => {
  test("100 comes from the upstream, and only then the body", async () => {
    const order: string[] = []
    early.script((request, connection) => {
      order.push(`origin asked with expect: ${request.header("expect")}`)
      connection.write("HTTP/1.1 100 Continue\r\n\r\n")
      connection.socket.once("data", (body) => {
        order.push(`origin got ${body.toString()}`)
        connection.reply(200, "thanks")
      })
    })
    const client = await RawClient.connect(gateway.port())
    client.send("POST /early HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
    expect((await client.readHead()).startLine).toBe("HTTP/1.1 100 Continue")
    order.push("client told to go on")
    client.send("body")
    const response = await client.readResponse("POST")
    expect(response.text()).toBe("thanks")
    expect(response.header("connection")).toBeNull()
    expect(order).toEqual(["origin asked with expect: 100-continue", "client told to go on", "origin got body"])
    // The connection goes on.
    client.send("GET /next HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).text()).toBe("ok")
    client.destroy()
  })

  test("a final answer in place of 100 closes the connection, since the body may or may not follow", async () => {
    early.script((_request, connection) => connection.reply(417, "no"))
    const client = await RawClient.connect(gateway.port())
    client.send("POST /early HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n")
    const response = await client.readResponse("POST")
    expect([response.status, response.text(), response.header("connection")]).toEqual([417, "no", "close"])
    expect(await client.closed()).toBe("end")
    client.destroy()
  })

  test("a client that doesn't wait for 100 is served when the upstream sends none", async () => {
    origin.script((request, connection) => connection.reply(200, request.body))
    const client = await RawClient.connect(gateway.port())
    await client.sendSegments(["POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n", "body"], 30)
    expect((await client.readResponse("POST")).text()).toBe("body")
    client.send("GET /next HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).status).toBe(200)
    client.destroy()
  })

  test("103 is passed on with its fields, before the final response", async () => {
    origin.script(
      respond(
        "HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </b.css>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
      ),
    )
    const response = await get(gateway.port(), "/")
    expect(response.interim.map(({ startLine, fields }) => [startLine, fields])).toEqual([
      ["HTTP/1.1 103 Early Hints", [["link", "</a.css>; rel=preload"]]],
      ["HTTP/1.1 103 Early Hints", [["link", "</b.css>"]]],
    ])
    expect(response.text()).toBe("ok")
  })

  test("an HTTP/1.0 client gets no interim response", async () => {
    origin.script(respond("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
    const response = await exchange(gateway.port(), "GET / HTTP/1.0\r\nhost: a\r\n\r\n")
    expect(response.interim).toEqual([])
    expect(response.text()).toBe("ok")
  })

  test("an upstream that sends interim responses without end is cut off", async () => {
    origin.script(respond("HTTP/1.1 102 Processing\r\n\r\n".repeat(100)))
    expect((await get(gateway.port(), "/")).status).toBe(502)
  })
})

describe("responses without a body", () => {
  test("HEAD gets the length and no body, whatever it says, and the connection goes on", async () => {
    origin.script(respond("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"))
    const client = await RawClient.connect(gateway.port())
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse("HEAD")).header("content-length")).toBe("1000")
    origin.script(respond("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"))
    client.send("HEAD / HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse("HEAD")).status).toBe(200)
    origin.script(idle)
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).text()).toBe("ok")
    client.destroy()
  })

  test.each([
    ["204 No Content", ""],
    ["304 Not Modified", ""],
    ["304 Not Modified", "content-length: 1000\r\n"],
    ["205 Reset Content", "content-length: 0\r\n"],
  ])("%s with %j ends with its head", async (status, fields) => {
    origin.script(respond(`HTTP/1.1 ${status}\r\n${fields}etag: "x"\r\n\r\n`))
    const client = await RawClient.connect(gateway.port())
    const accepted = origin.accepted
    for (let i = 0; i < 3; i++) {
      client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      const response = await client.readResponse()
      expect(response.startLine).toBe(`HTTP/1.1 ${status}`)
      expect(response.body.length).toBe(0)
    }
    expect(origin.accepted - accepted).toBeLessThanOrEqual(1)
    client.destroy()
  })
})

describe("trailers", () => {
  test("a request's trailers arrive after its body", async () => {
    origin.script((request, connection) => connection.reply(200, JSON.stringify([request.body.toString(), request.trailers])))
    const response = await exchange(
      gateway.port(),
      "POST / HTTP/1.1\r\nhost: a\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 9\r\nx-more: 1\r\n\r\n",
      "POST",
    )
    expect(JSON.parse(response.text())).toEqual([
      "abc",
      [
        ["x-sum", "9"],
        ["x-more", "1"],
      ],
    ])
    expect(origin.requests.at(-1)?.header("trailer")).toBe("x-sum")
  })

  test("a response's trailers arrive after its body", async () => {
    origin.script(respond("HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n"))
    const response = await get(gateway.port(), "/", { te: "trailers", connection: "te" })
    expect(response.text()).toBe("abc")
    expect(response.trailers).toEqual([["x-sum", "9"]])
    expect(origin.requests.at(-1)?.header("te")).toBe("trailers")
  })
})

describe("HTTP/1.0 and bodies delimited by the connection", () => {
  test("an HTTP/1.0 client gets a chunked response as plain data, up to the connection's end", async () => {
    origin.script(respond("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\nx: 1\r\n\r\n"))
    const client = await RawClient.connect(gateway.port())
    client.send("GET / HTTP/1.0\r\nhost: a\r\nconnection: keep-alive\r\n\r\n")
    const head = await client.readHead()
    expect(head.fields.map(([name]) => name)).not.toContain("transfer-encoding")
    expect(head.fields).toContainEqual(["connection", "close"])
    expect((await client.readToEnd()).toString()).toBe("abcdefg")
    expect(client.ending).toBe("end")
    client.destroy()
  })

  test("an HTTP/1.0 client that asks to keep its connection can, when the length is known", async () => {
    const client = await RawClient.connect(gateway.port())
    for (let i = 0; i < 3; i++) {
      client.send("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
      const response = await client.readResponse()
      expect([response.text(), response.header("connection")]).toEqual(["ok", "keep-alive"])
    }
    client.send("GET / HTTP/1.0\r\n\r\n")
    expect((await client.readResponse()).header("connection")).toBe("close")
    expect(await client.closed()).toBe("end")
    // Without Host the endpoint's own address is the authority.
    expect(origin.requests.at(-1)?.header("host")).toBe(origin.address)
    client.destroy()
  })

  test("a response delimited by the upstream's close is chunked, and the client's connection goes on", async () => {
    origin.script(respond("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nuntil the end", true))
    const client = await RawClient.connect(gateway.port())
    for (let i = 0; i < 2; i++) {
      client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      const response = await client.readResponse()
      expect([response.text(), response.header("transfer-encoding"), response.header("connection")]).toEqual([
        "until the end",
        "chunked",
        null,
      ])
    }
    client.destroy()
  })

  test("an HTTP/1.0 upstream is understood", async () => {
    origin.script(respond("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold", true))
    const response = await get(gateway.port(), "/")
    expect([response.startLine, response.text()]).toEqual(["HTTP/1.1 200 OK", "old"])
  })
})

describe("what is forwarded", () => {
  test("fields keep order, repeats and octets; hop-by-hop ones go", async () => {
    const response = await exchange(
      gateway.port(),
      "GET /a?b=c HTTP/1.1\r\nHost: shop.example:81\r\nX-One: 1\r\nConnection: x-hop, keep-alive\r\nX-Hop: gone\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nx-many: a\r\nX-Octets: \xe9\xff\r\nx-many: b\r\n\r\n",
    )
    expect(response.status).toBe(200)
    const seen = origin.requests.at(-1)
    const names = seen?.fields.map(([name]) => name) ?? []
    expect(names.slice(0, 5)).toEqual(["host", "x-one", "x-many", "x-octets", "x-many"])
    expect(seen?.target).toBe("/a?b=c")
    expect(seen?.header("host")).toBe("shop.example:81")
    expect(seen?.header("x-octets")).toBe("\xe9\xff")
    expect(seen?.header("x-forwarded-for")).toBe("127.0.0.1")
    expect(seen?.header("x-forwarded-proto")).toBe("http")
    expect(seen?.header("x-forwarded-host")).toBe("shop.example:81")
    expect(seen?.header("x-request-id")).toMatch(/^[0-9a-f]{32}$/)
    expect(seen?.header("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
    for (const name of ["connection", "x-hop", "keep-alive", "proxy-connection"]) expect(names).not.toContain(name)
  })

  test("hop-by-hop fields of a response go, the others keep order and repeats", async () => {
    origin.script(
      respond(
        "HTTP/1.1 200 Fine by me\r\nSet-Cookie: a=1\r\nConnection: x-hop\r\nX-Hop: gone\r\nKeep-Alive: timeout=5\r\nserver: origin\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n",
      ),
    )
    const response = await get(gateway.port(), "/")
    expect(response.startLine).toBe("HTTP/1.1 200 Fine by me")
    expect(response.fields).toEqual([
      ["set-cookie", "a=1"],
      ["server", "origin"],
      ["set-cookie", "b=2"],
      ["content-length", "0"],
    ])
  })
})

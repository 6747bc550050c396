import { connect, type Socket } from "node:net"
import { afterEach, expect, test, vi } from "vitest"
import { CONTINUE, HOLD, type HttpFilter, type LocalReply, PAUSE } from "../../../gateway/filter/filter.ts"
import { actingFilter } from "../../support/acting-filter.ts"
import { sleep, until } from "../../support/deadline.ts"
import { ExchangeServer } from "../../support/exchanges.ts"
import { Origin, type OriginOptions, type OriginScript } from "../../support/origin.ts"

const open: { stop(): Promise<void> }[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  for (const each of open.splice(0)) await each.stop()
})

async function setUp(
  filters: readonly HttpFilter[],
  script: OriginScript,
  options: OriginOptions = {},
): Promise<{ server: ExchangeServer; origin: Origin }> {
  const origin = await Origin.start(script, options)
  const server = await ExchangeServer.start(filters, origin.port, origin.port, "150ms")
  open.push(server, origin)
  return { server, origin }
}

/** A client that stays. */
class Client {
  got = ""
  readonly socket: Socket

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1")
    this.socket.on("data", (bytes) => {
      this.got += bytes.toString("latin1")
    })
    this.socket.on("error", () => {})
    sockets.push(this.socket)
  }

  send(text: string): void {
    this.socket.write(text, "latin1")
  }
}

const get = (path = "/x", fields = "connection: close\r\n"): string => `GET ${path} HTTP/1.1\r\nhost: a\r\n${fields}\r\n`
const ok: OriginScript = (request, connection) => connection.reply(200, request.body.length > 0 ? request.body : "fine")
const replyWith = (status: number, body: string): LocalReply => ({
  status,
  body: Buffer.from(body),
  headers: [],
  details: "x",
  grpcStatus: -1,
})
const bodyOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4)

test("a reply in place of a response goes straight out: no filter is shown the body of a head it hasn't seen", async () => {
  const shown: string[] = []
  const outer = actingFilter({
    responseBody: (_, body) => {
      shown.push(body.bytes.toString())
      return PAUSE
    },
  })
  const replies = actingFilter({
    responseHeaders: (stream) => {
      stream.sendLocalReply(replyWith(403, "no"))
      return PAUSE
    },
    responseBody: (_, body) => {
      shown.push(body.bytes.toString())
      return PAUSE
    },
  })
  const { server } = await setUp([outer, replies], ok)
  const response = await server.send(get())
  expect(response).toMatch(/^HTTP\/1.1 403 /)
  expect(bodyOf(response)).toBe("no")
  expect(shown).toEqual([])
})

test("a response head that a filter never lets go ends with its time, whatever its filters do with bodies", async () => {
  const { server } = await setUp([actingFilter({ responseHeaders: () => PAUSE, responseBody: () => PAUSE })], ok)
  expect(await server.send(get("/timed"))).toMatch(/^HTTP\/1.1 504 /)
  expect(server.running).toBe(0)
})

test("the reply to a request out of time can't be held for ever either", async () => {
  const { server } = await setUp([actingFilter({ requestHeaders: () => PAUSE, responseHeaders: () => PAUSE })], ok)
  expect(await server.send(get("/timed"))).toMatch(/^HTTP\/1.1 504 /)
  expect(server.flags).toHaveLength(1)
  const bodies = await setUp([actingFilter({ requestHeaders: () => PAUSE, responseBody: () => HOLD })], ok)
  expect(await bodies.server.send(get("/timed"))).toMatch(/^HTTP\/1.1 504 /)
  expect(bodies.server.running).toBe(0)
})

test("a client that waits for 100 before it sends a body that filters want to see is told to go on", async () => {
  const { server, origin } = await setUp([actingFilter({ requestBody: (_, __, end) => (end ? CONTINUE : PAUSE) })], ok)
  const client = new Client(server.port)
  client.send("POST /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
  await until(() => client.got.includes("100 Continue\r\n\r\n"), "100 Continue", 2000)
  client.send("abc")
  await until(() => client.got.endsWith("abc"), "the answer", 2000)
  expect(client.got).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /)
  expect(origin.requests[0].header("expect")).toBeNull()
  client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\ndef")
  await until(() => client.got.endsWith("def"), "the next answer on the same connection", 2000)
})

test("a 101 that a filter holds back opens the tunnel both ways once it is let go", async () => {
  const waits = actingFilter({
    responseHeaders: (stream, self) => {
      setTimeout(() => stream.continueResponse(self), 20)
      return PAUSE
    },
  })
  const { server } = await setUp(
    [waits],
    (_, connection) => connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello"),
    { onTunnel: (data, connection) => connection.write(data) },
  )
  const client = new Client(server.port)
  client.send(get("/x", "connection: upgrade\r\nupgrade: websocket\r\n"))
  await until(() => client.got.endsWith("hello"), "the tunnel's first octets", 2000)
  client.send("ping")
  await until(() => client.got.endsWith("helloping"), "the echo", 2000)
})

test("a 304 that a filter makes a 200 has no body, and says so", async () => {
  const { server } = await setUp(
    [
      actingFilter({
        responseHeaders: (stream) => {
          if (stream.response !== null) stream.response.status = 200
          return CONTINUE
        },
      }),
    ],
    (_, connection) => connection.write('HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 1234\r\n\r\n'),
  )
  const response = await server.send(get())
  expect(response).toMatch(/^HTTP\/1.1 200 /)
  expect(response).toContain("content-length: 0\r\n")
  expect(response).not.toContain("1234")
})

test("a local reply is framed by what filters made of it", async () => {
  const edits = actingFilter({
    requestHeaders: (stream) => {
      const status = Number(stream.request.path.slice(1, 4))
      stream.sendLocalReply(replyWith(status, status === 204 ? "" : "body"))
      return PAUSE
    },
    responseHeaders: (stream) => {
      const { request, response } = stream
      if (response === null) return CONTINUE
      response.status = Number(request.path.slice(5))
      response.fields.remove("content-length")
      return CONTINUE
    },
  })
  const { server } = await setUp([edits], ok)
  expect(await server.send(get("/403/404"))).toMatch(/^HTTP\/1.1 404 [\s\S]*\r\ncontent-length: 4\r\n[\s\S]*\r\n\r\nbody$/)
  expect(await server.send(get("/204/200"))).toMatch(/^HTTP\/1.1 200 [\s\S]*\r\ncontent-length: 0\r\n[\s\S]*\r\n\r\n$/)
  const keeps = actingFilter({
    requestHeaders: (stream) => {
      stream.sendLocalReply(replyWith(403, "body"))
      return PAUSE
    },
    responseHeaders: (stream) => {
      if (stream.response !== null) stream.response.status = 204
      return CONTINUE
    },
  })
  const empty = await setUp([keeps], ok)
  const response = await empty.server.send(get())
  expect(response).toMatch(/^HTTP\/1.1 204 /)
  expect(response).not.toContain("content-length")
})

test("what a client goes on sending after an early answer that a filter holds is not gathered", async () => {
  let passed = 0
  const { server } = await setUp(
    [
      actingFilter({
        requestBody: (_, body) => {
          passed += body.length
          return CONTINUE
        },
        responseBody: () => PAUSE,
      }),
    ],
    (_, connection) => connection.reply(200, "early"),
    { answerAt: "head" },
  )
  const client = new Client(server.port)
  const total = 8 << 20
  client.send(`POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: ${total + 1}\r\n\r\nx`)
  await until(() => passed > 0, "the first octet", 2000)
  await sleep(50)
  const piece = Buffer.alloc(1 << 20)
  const copies = vi.spyOn(Buffer, "allocUnsafeSlow")
  for (let i = 1; i <= total >> 20; i++) {
    client.socket.write(piece)
    await until(() => passed > (i << 20) - 1, "the next piece", 2000)
  }
  const largest = Math.max(0, ...copies.mock.calls.map(([size]) => size))
  copies.mockRestore()
  expect(largest).toBeLessThan(1 << 20)
})

test("a filter that wants to see bodies sees them when the route is looked up anew, too", async () => {
  let seen = ""
  const moves = actingFilter({
    requestHeaders: (stream) => {
      stream.request.path = "/x"
      stream.request.lineStart = -1
      stream.clearRoute()
      return CONTINUE
    },
  })
  const looks = actingFilter({
    requestBody: (_, body) => {
      seen += body.bytes.toString()
      return CONTINUE
    },
  })
  const { server } = await setUp([moves, looks], ok)
  const response = await server.send("POST /respond HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc")
  expect(bodyOf(response)).toBe("abc")
  expect(seen).toBe("abc")
})

test.each(["headers", "body"])(
  "an upstream that closes while a filter holds the response's %s has answered all the same",
  async (where) => {
    const holds = actingFilter({
      responseHeaders: (stream, self) => {
        if (where !== "headers") return CONTINUE
        setTimeout(() => stream.continueResponse(self), 50)
        return PAUSE
      },
      responseBody: (stream, _, end, self) => {
        if (where !== "body" || end) return CONTINUE
        setTimeout(() => stream.continueResponse(self), 50)
        return HOLD
      },
    })
    for (const head of ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 5\r\n\r\n"]) {
      const { server } = await setUp([holds], (_, connection) => {
        connection.write(`${head}hello`)
        connection.end()
      })
      const response = await server.send(get())
      expect(response).toMatch(/^HTTP\/1.1 200 /)
      expect(response.match(/hello/g)).toHaveLength(1)
    }
  },
)

test("the end of an exchange shows the response that was sent, not the one it took the place of", async () => {
  const statuses: (number | undefined)[] = []
  const replies = actingFilter({
    responseHeaders: (stream) => {
      stream.sendLocalReply(replyWith(403, "no"))
      return PAUSE
    },
    done: (stream) => statuses.push(stream.response?.status),
  })
  const { server } = await setUp([replies], ok)
  expect(await server.send(get())).toMatch(/^HTTP\/1.1 403 /)
  expect(statuses).toEqual([403])
})

test("a client that goes away while a filter holds its whole request is noticed", async () => {
  let held = false
  const { server, origin } = await setUp(
    [
      actingFilter({
        requestBody: (_, __, end) => {
          held = end
          return HOLD
        },
      }),
    ],
    ok,
  )
  const client = new Client(server.port)
  client.send("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
  await until(() => held, "the whole request", 2000)
  client.socket.resetAndDestroy()
  await until(() => server.running === 0, "the exchange's end", 2000)
  expect(origin.requests).toHaveLength(0)
})

test("a chosen service is taken as the route that is looked up anew has it", async () => {
  const moves = actingFilter({
    requestHeaders: (stream) => {
      expect(stream.chooseService("other")).toBe(true)
      stream.request.path = "/other"
      stream.request.lineStart = -1
      stream.clearRoute()
      return CONTINUE
    },
  })
  const { server, origin } = await setUp([moves], ok)
  await server.send(get())
  expect(origin.requests[0].header("x-route")).toBe("other")
  expect(origin.requests[0].header("x-backend")).toBe("other")
})

test("a pipelined request that begins while the one before ends in a filter's hands has its own filters", async () => {
  let first = true
  const answers = actingFilter({
    requestBody: (stream, body, end) => {
      if (end) {
        const reply = replyWith(first ? 401 : 402, body.bytes.toString())
        setTimeout(() => stream.sendLocalReply(reply), 20)
        first = false
      }
      return HOLD
    },
  })
  const { server } = await setUp([answers], ok)
  const one = (body: string, fields = ""): string => `POST /x HTTP/1.1\r\nhost: a\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`
  const got = await server.send(one("first") + one("second", "connection: close\r\n"))
  expect(got.match(/HTTP\/1.1 \d+|first|second/g)).toEqual(["HTTP/1.1 401", "first", "HTTP/1.1 402", "second"])
  expect(server.running).toBe(0)
})

test("an upstream connection whose bodyless response a filter held back carries the next request", async () => {
  const holds = actingFilter({
    responseHeaders: (stream, self) => {
      setTimeout(() => stream.continueResponse(self), 10)
      return PAUSE
    },
  })
  const { server, origin } = await setUp([holds], (_, connection) => connection.write("HTTP/1.1 204 No Content\r\n\r\n"))
  const client = new Client(server.port)
  for (let i = 1; i <= 3; i++) {
    client.send(get("/x", ""))
    await until(() => client.got.match(/HTTP\/1.1 204 /g)?.length === i, `answer ${i}`, 2000)
  }
  expect(origin.accepted).toBe(1)
})

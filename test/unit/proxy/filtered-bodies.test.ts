import { connect } from "node:net"
import { afterEach, expect, test } from "vitest"
import type { BodyBuffer } from "../../../gateway/filter/body-buffer.ts"
import { type BodyAction, CONTINUE, DROP, type FilterStream, HOLD, type HttpFilter, PAUSE } from "../../../gateway/filter/filter.ts"
import { type Behaviour, actingFilter as filter } from "../../support/acting-filter.ts"
import { until } from "../../support/deadline.ts"
import { ExchangeServer } from "../../support/exchanges.ts"
import { Origin, type OriginConnection, type OriginRequest } from "../../support/origin.ts"

const open: { stop(): Promise<void> }[] = []
afterEach(async () => {
  for (const each of open.splice(0)) await each.stop()
})

async function setUp(
  filters: readonly HttpFilter[],
  script: (request: OriginRequest, connection: OriginConnection) => void = (request, connection) => connection.reply(200, request.body),
): Promise<{ server: ExchangeServer; origin: Origin }> {
  const origin = await Origin.start(script)
  const server = await ExchangeServer.start(filters, origin.port)
  open.push(server, origin)
  return { server, origin }
}

const post = (body: string, fields = ""): string =>
  `POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`
const chunked = (chunks: readonly string[], trailers = ""): string =>
  `POST /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n${chunks
    .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
    .join("")}0\r\n${trailers}\r\n`
const upper = (body: BodyBuffer): BodyAction => {
  body.splice(0, body.length, Buffer.from(body.bytes.toString("latin1").toUpperCase()))
  return CONTINUE
}
const keepAll = (act: (stream: FilterStream, body: BodyBuffer) => unknown): Behaviour["requestBody"] => {
  return (stream, body, end) => {
    if (!end) return PAUSE
    act(stream, body)
    return CONTINUE
  }
}
const bodyOf = (response: string): string => response.slice(response.indexOf("\r\n\r\n") + 4)

test("a filter that keeps the whole request replaces it, and its exact length goes upstream", async () => {
  const { server, origin } = await setUp([
    filter({ requestBody: keepAll((_, body) => body.splice(0, body.length, Buffer.from("longer than before"))) }),
  ])
  const response = await server.send(post("short"))
  expect(bodyOf(response)).toBe("longer than before")
  expect(origin.requests[0].header("content-length")).toBe("18")
  expect(origin.requests[0].header("transfer-encoding")).toBeNull()
  expect(server.running).toBe(0)
})

test("a chunked request that a filter keeps goes on with its length", async () => {
  const { server, origin } = await setUp([filter({ requestBody: keepAll((_, body) => upper(body)) })])
  expect(bodyOf(await server.send(chunked(["abc", "def", "g"])))).toBe("ABCDEFG")
  expect(origin.requests[0].header("content-length")).toBe("7")
})

test("a request streamed through filters goes chunked, piece by piece, through all of them", async () => {
  const seen: string[] = []
  const spy = filter({
    requestBody: (_, body, end) => {
      seen.push(`${body.bytes.toString("latin1")}${end ? "." : ""}`)
      return CONTINUE
    },
  })
  const { server, origin } = await setUp([filter({ requestBody: (_, body) => upper(body) }), spy])
  const text = "x".repeat(200_000)
  expect(bodyOf(await server.send(post(text)))).toBe(text.toUpperCase())
  expect(origin.requests[0].header("transfer-encoding")).toBe("chunked")
  expect(seen.length).toBeGreaterThan(1)
  expect(seen.join("")).toBe(`${text.toUpperCase()}.`)
})

test("while it keeps the body a filter can still change headers and choose the service", async () => {
  const other = await Origin.start((request, connection) => connection.reply(200, `other ${request.header("x-kind")} ${request.body}`))
  open.push(other)
  const origin = await Origin.start((_, connection) => connection.reply(200, "origin"))
  const choose = filter({
    requestBody: keepAll((stream, body) => {
      stream.request.fields.set("x-kind", body.bytes.toString("latin1"))
      expect(stream.requestSent).toBe(false)
      expect(stream.chooseService("nowhere")).toBe(false)
      expect(stream.chooseService("other")).toBe(true)
    }),
  })
  const server = await ExchangeServer.start([choose], origin.port, other.port)
  open.push(server, origin)
  expect(bodyOf(await server.send(post("blue")))).toBe("other blue blue")
  expect(origin.requests).toHaveLength(0)
})

test("a cleared route is looked up by the request as it is then", async () => {
  const { server, origin } = await setUp([
    filter({
      requestHeaders: (stream) => {
        stream.request.path = "/other"
        stream.request.lineStart = -1
        stream.clearRoute()
        return CONTINUE
      },
    }),
  ])
  await server.send("GET /x HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
  expect(origin.requests[0].header("x-route")).toBe("other")
})

test("a request over what its filter may keep is refused, and never sent", async () => {
  const { server, origin } = await setUp([filter({ requestBody: () => PAUSE }, 10)])
  const response = await server.send(post("x".repeat(11)))
  expect(response).toMatch(/^HTTP\/1.1 413 /)
  expect(origin.requests).toHaveLength(0)
  expect(server.flags).toEqual(["CL"])
})

test("a response over what its filter may keep becomes 502", async () => {
  const { server } = await setUp([filter({ responseBody: () => PAUSE }, 10)], (_, connection) => connection.reply(200, "x".repeat(11)))
  expect(await server.send(post("a"))).toMatch(/^HTTP\/1.1 502 /)
  expect(server.flags).toEqual(["FL"])
})

test("a filter that paused in a body goes on later with what it kept and with what it changed", async () => {
  let go: () => void = () => {}
  const pauses = filter({
    requestBody: (stream, body, end, self) => {
      if (!end) return PAUSE
      body.splice(0, 1, Buffer.from("X"))
      go = () => {
        body.splice(body.length, 0, Buffer.from("!"))
        stream.continueRequest(self)
        stream.continueRequest(self)
      }
      setTimeout(go, 20)
      return HOLD
    },
  })
  const { server } = await setUp([pauses, filter({ requestBody: keepAll((_, body) => upper(body)) })])
  expect(bodyOf(await server.send(chunked(["abc", "def"])))).toBe("XBCDEF!")
})

test("two filters may pause one body, each for its own time", async () => {
  const later = (ms: number): HttpFilter =>
    filter({
      requestBody: (stream, _, end, self) => {
        if (end) setTimeout(() => stream.continueRequest(self), ms)
        return PAUSE
      },
      responseBody: (stream, _, end, self) => {
        if (end) setTimeout(() => stream.continueResponse(self), ms)
        return HOLD
      },
    })
  const { server } = await setUp([later(20), later(5), later(10)])
  expect(bodyOf(await server.send(post("hello")))).toBe("hello")
  expect(server.running).toBe(0)
})

test("what a filter drops doesn't go on", async () => {
  const { server } = await setUp([filter({ requestBody: (_, body, end) => (end || body.bytes.includes("b") ? CONTINUE : DROP) })])
  const request = chunked(["aaa", "bbb"])
  const cut = request.indexOf("3\r\nbbb")
  expect(bodyOf(await server.send([request.slice(0, cut), request.slice(cut)]))).toBe("bbb")
})

test("a held request is not read beyond what the kernel buffers", async () => {
  let shown = 0
  let resume: () => void = () => {}
  const holds = filter(
    {
      requestBody: (stream, body, end, self) => {
        shown = Math.max(shown, body.length)
        resume = () => stream.continueRequest(self)
        return shown < 1_000_000 && !end && body.length < 1_000_000 ? HOLD : CONTINUE
      },
    },
    64 << 20,
  )
  const { server, origin } = await setUp([holds])
  const text = "y".repeat(3_000_000)
  const answer = server.send(post(text))
  await new Promise((resolve) => setTimeout(resolve, 200))
  expect(shown).toBeGreaterThan(0)
  expect(shown).toBeLessThan(200_000)
  expect(origin.requests).toHaveLength(0)
  const timer = setInterval(() => resume(), 1)
  expect(bodyOf(await answer).length).toBe(text.length)
  clearInterval(timer)
})

test("a reply from a body callback answers in place of the upstream", async () => {
  const reply = { status: 422, body: Buffer.from("no"), headers: ["x-why", "body"], details: "bad", grpcStatus: -1 }
  const { server, origin } = await setUp([
    filter({
      requestBody: (stream, _, end) => {
        if (end) stream.sendLocalReply(reply)
        return PAUSE
      },
    }),
  ])
  const response = await server.send(post("a"))
  expect(response).toMatch(/^HTTP\/1.1 422 /)
  expect(response).toContain("x-why: body")
  expect(origin.requests).toHaveLength(0)
})

test("a response is changed whole, streamed, and its framing stays right", async () => {
  const { server } = await setUp([filter({ responseBody: keepAll((_, body) => body.splice(body.length, 0, Buffer.from(" and more"))) })])
  const whole = await server.send(post("text"))
  expect(whole).toContain("content-length: 13\r\n")
  expect(bodyOf(whole)).toBe("text and more")
  const streaming = await setUp([filter({ responseBody: (_, body) => upper(body) })])
  const streamed = await streaming.server.send(post("z".repeat(300_000)))
  expect(streamed).toContain("transfer-encoding: chunked")
  expect(streamed.match(/Z/g)?.length).toBe(300_000)
  const old = await streaming.server.send("POST /x HTTP/1.0\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
  expect(bodyOf(old)).toBe("ABC")
})

test("headers of the response are still open while its body is kept, also when the upstream is long done", async () => {
  const { server } = await setUp([
    filter({
      responseBody: (stream, body, end, self) => {
        if (!end) return PAUSE
        setTimeout(() => {
          stream.response?.fields.set("x-length", String(body.length))
          expect(stream.responseSent).toBe(false)
          stream.continueResponse(self)
        }, 20)
        return PAUSE
      },
    }),
  ])
  const first = server.send(post("one"))
  const second = await server.send(post("three"))
  expect(second).toContain("x-length: 5\r\n")
  expect(await first).toContain("x-length: 3\r\n")
})

test("trailers are shown, changed and added both ways", async () => {
  const both = filter({
    requestTrailers: (_, trailers) => {
      trailers.set("x-sum", `${trailers.get("x-sum")}1`)
      return CONTINUE
    },
    requestBody: () => CONTINUE,
  })
  const adds = filter({
    responseBody: (stream, _, end) => {
      if (end) stream.addResponseTrailers()?.set("x-added", "yes")
      return CONTINUE
    },
  })
  const { server, origin } = await setUp([both, adds])
  const response = await server.send(chunked(["ab"], "x-sum: 9\r\n"))
  expect(origin.requests[0].trailers).toEqual([["x-sum", "91"]])
  expect(response).toMatch(/0\r\nx-added: yes\r\n\r\n$/)
})

test("a filter without a trailer callback sees the end of a body that has trailers, so none passes it unseen", async () => {
  const { server, origin } = await setUp([filter({ requestBody: keepAll((_, body) => upper(body)) })])
  expect(bodyOf(await server.send(chunked(["abc"], "x-sum: 9\r\n")))).toBe("ABC")
  expect(origin.requests[0].trailers).toEqual([["x-sum", "9"]])
})

test("trailers can be paused, and what was kept waits with them", async () => {
  const { server, origin } = await setUp([
    filter({
      requestTrailers: (stream, _, self) => {
        setTimeout(() => stream.continueRequest(self), 10)
        return PAUSE
      },
    }),
  ])
  expect(bodyOf(await server.send(chunked(["abc"], "x-sum: 9\r\n")))).toBe("abc")
  expect(origin.requests[0].trailers).toEqual([["x-sum", "9"]])
})

test("a local reply's body passes the filters the request has reached", async () => {
  const { server } = await setUp([filter({ responseBody: keepAll((_, body) => upper(body)) })])
  const response = await server.send("GET /respond HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
  expect(response).toContain("content-length: 6\r\n")
  expect(bodyOf(response)).toBe("DIRECT")
})

test("a client that goes away while a filter keeps its body leaves nothing behind", async () => {
  let kept: (() => void) | null = null
  const { server, origin } = await setUp([
    filter({
      requestBody: (stream, _, __, self) => {
        kept = () => stream.continueRequest(self)
        return PAUSE
      },
    }),
  ])
  const socket = connect(server.port, "127.0.0.1")
  socket.write("POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")
  await until(() => kept !== null, "the body's first octets")
  socket.destroy()
  await until(() => server.running === 0, "the exchange's end")
  ;(kept as unknown as () => void)()
  expect(origin.requests).toHaveLength(0)
})

test("an upstream that dies while a filter keeps the response's body makes a whole 502", async () => {
  const { server } = await setUp([filter({ responseBody: () => PAUSE })], (_, connection) => {
    connection.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
    connection.socket.destroy()
  })
  expect(await server.send(post("a"))).toMatch(/^HTTP\/1.1 502 /)
  expect(server.running).toBe(0)
})

test("pipelined exchanges with bodies stay apart", async () => {
  const { server } = await setUp([filter({ requestBody: keepAll((_, body) => upper(body)), responseBody: keepAll(() => {}) })])
  const one = (body: string): string => `POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`
  const response = await server.send(`${one("first")}${one("second")}${post("third")}`)
  expect(response.match(/FIRST|SECOND|THIRD/g)).toEqual(["FIRST", "SECOND", "THIRD"])
})

test("a body over the limit is refused however it came: at once with its end, or in pieces", async () => {
  const shown: number[] = []
  const whole = filter(
    {
      requestBody: (_, body, end) => {
        shown.push(body.length)
        return end ? CONTINUE : PAUSE
      },
    },
    10,
  )
  const { server, origin } = await setUp([whole])
  for (const request of [post("x".repeat(11)), chunked(["x".repeat(6), "y".repeat(5)])]) {
    expect(await server.send(request)).toMatch(/^HTTP\/1.1 413 /)
  }
  expect(bodyOf(await server.send(post("x".repeat(10))))).toBe("x".repeat(10))
  expect(origin.requests).toHaveLength(1)
  expect(Math.max(...shown)).toBe(10)
})

import { afterEach, describe, expect, test } from "vitest"
import type { DownstreamHandler, DownstreamStream } from "../../../gateway/http/exchange.ts"
import { type RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { classify } from "../../../gateway/http2/field-kinds.ts"
import * as h2 from "../../../gateway/http2/frames.ts"
import { HpackDecoder } from "../../../gateway/http2/hpack-decoder.ts"
import { FIELD_ROOM, HpackEncoder } from "../../../gateway/http2/hpack-encoder.ts"
import { ServerSession } from "../../../gateway/http2/server-session.ts"
import { frame } from "../../fuzz/h2-inputs.ts"
import { FakeSocket } from "../../support/fake-socket.ts"

interface Sent {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A request as its exchange sees it. */
class Exchange implements DownstreamHandler {
  body = 0
  ended = false
  gone = false
  writable = 0
  readonly stream: DownstreamStream
  readonly head: RequestHead

  constructor(stream: DownstreamStream, head: RequestHead) {
    this.stream = stream
    this.head = head
  }

  respond(body: number, end = true): void {
    const head = new ResponseHead()
    head.status = 200
    this.stream.sendHead(head, "close", false)
    const bytes = Buffer.alloc(body, 97)
    this.stream.sendBytes(bytes, 0, body)
    if (end) this.stream.sendEnd(null)
  }

  onRequestBytes(_buffer: Buffer, from: number, to: number): void {
    this.body += to - from
  }
  onRequestFlush(): void {}
  onRequestEnd(): void {
    this.ended = true
  }
  onRequestFailed(): void {
    this.gone = true
  }
  onDownstreamHalfClosed(): void {}
  onDownstreamGone(): void {
    this.gone = true
  }
  onDownstreamWritable(): void {
    this.writable++
  }
  onCut(): void {
    this.stream.abort()
  }
  logOpen(): void {}
  sight(): never {
    throw new Error("nobody looks")
  }
  onDeadline(): void {}
}

class Client {
  now = 0
  readonly fake = new FakeSocket()
  readonly exchanges: Exchange[] = []
  readonly wheel: TimerWheel
  readonly session: ServerSession
  readonly #encoder = new HpackEncoder()
  readonly #decoder = new HpackDecoder(4096, classify)
  #next = 1
  writes = 0
  closed = false
  #out = Buffer.alloc(0)

  constructor(streams = 100) {
    this.wheel = new TimerWheel(() => this.now)
    this.fake.onWrite = (bytes) => {
      this.writes++
      this.#out = Buffer.concat([this.#out, typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes])
    }
    this.session = new ServerSession(
      this.fake.socket,
      1,
      { head: { startLine: 8192, head: 32_768, fields: 100 }, body: 0, streams, headTimeout: 10_000, idleTimeout: 60_000 },
      this.wheel,
      {
        begin: (stream, head) => {
          const exchange = new Exchange(stream, head)
          this.exchanges.push(exchange)
          return exchange
        },
      },
      {
        onRefused: () => {},
        onClosed: () => {
          this.closed = true
        },
        onFault: (error) => {
          throw error
        },
      },
      () => "a2V5",
      null,
    )
    this.session.receive(Buffer.concat([h2.PREFACE, frame(h2.SETTINGS, 0, 0, Buffer.alloc(0))]))
    this.sent()
  }

  /** Frames since the last look. */
  sent(): Sent[] {
    this.session.output.flush()
    const sent: Sent[] = []
    let at = 0
    while (at < this.#out.length) {
      const length = this.#out.readUIntBE(at, 3)
      const payload = this.#out.subarray(at + 9, at + 9 + length)
      sent.push({ type: this.#out[at + 3], flags: this.#out[at + 4], stream: h2.readUint31(this.#out, at + 5), payload })
      at += 9 + length
    }
    this.#out = Buffer.alloc(0)
    return sent
  }

  headers(fields: readonly (readonly [string, string])[], endStream: boolean): number {
    const bytes = Buffer.alloc(8192)
    let at = this.#encoder.begin(bytes, 0)
    for (const [name, value] of fields) {
      expect(at + name.length + value.length + FIELD_ROOM).toBeLessThan(bytes.length)
      at = this.#encoder.field(bytes, at, name, value)
    }
    const id = this.#next
    this.#next += 2
    const flags = h2.END_HEADERS | (endStream ? h2.END_STREAM : 0)
    this.session.receive(frame(h2.HEADERS, flags, id, bytes.subarray(0, at)))
    return id
  }

  request(endStream = true, more: readonly (readonly [string, string])[] = []): Exchange {
    const pseudo = [
      [":method", endStream ? "GET" : "POST"],
      [":scheme", "http"],
      [":path", "/a?b"],
      [":authority", "Host.example:80"],
    ] as const
    this.headers([...pseudo, ...more], endStream)
    return this.exchanges.at(-1) as Exchange
  }

  data(stream: number, length: number, endStream = false): void {
    for (let left = length; left > 0 || (endStream && length === 0); left -= h2.MAX_PAYLOAD) {
      const part = Math.min(left, h2.MAX_PAYLOAD)
      this.session.receive(frame(h2.DATA, endStream && part === left ? h2.END_STREAM : 0, stream, Buffer.alloc(part)))
      if (length === 0) return
    }
  }

  window(stream: number, increment: number): void {
    const bytes = Buffer.alloc(4)
    h2.writeUint32(bytes, 0, increment)
    this.session.receive(frame(h2.WINDOW_UPDATE, 0, stream, bytes))
  }

  decode(section: Buffer): string[] {
    const fields: string[] = []
    expect(this.#decoder.decode(section, 0, section.length, { onField: (name, value) => fields.push(`${name}: ${value}`) })).toBe(true)
    return fields
  }
}

const clients: Client[] = []
function connect(streams?: number): Client {
  const client = new Client(streams)
  clients.push(client)
  return client
}
afterEach(() => {
  for (const client of clients.splice(0)) client.session.destroy()
})

const dataOf = (sent: readonly Sent[], stream: number): number =>
  sent.filter((f) => f.type === h2.DATA && f.stream === stream).reduce((sum, f) => sum + f.payload.length, 0)

describe("a request head", () => {
  test("is the same to an exchange as HTTP/1.1's would be", () => {
    const { head } = connect().request(true, [
      ["cookie", "a=1"],
      ["x-a", "1"],
      ["te", "trailers"],
      ["cookie", "b=2"],
    ])
    expect(head).toMatchObject({
      method: "GET",
      target: "/a?b",
      authority: "Host.example:80",
      host: "host.example",
      body: "none",
      major: 2,
    })
    expect(head.acceptsTrailers).toBe(true)
    expect(head.fields.entries()).toEqual(["x-a", "1", "cookie", "a=1; b=2"])
  })

  test("of an extended CONNECT is an upgrade", () => {
    const client = connect()
    client.headers(
      [
        [":method", "CONNECT"],
        [":protocol", "websocket"],
        [":scheme", "http"],
        [":path", "/ws"],
        [":authority", "a"],
      ],
      false,
    )
    const [{ head, stream }] = client.exchanges
    expect(head).toMatchObject({ method: "GET", upgrade: "websocket", body: "none" })
    expect(head.fields.get("sec-websocket-key")).toBe("a2V5")
    const reply = new ResponseHead()
    reply.status = 101
    reply.fields.add("sec-websocket-accept", "x")
    stream.sendHead(reply, "none", false)
    const [headers] = client.sent()
    expect(client.decode(headers.payload)).toEqual([":status: 200"])
    expect(headers.flags & h2.END_STREAM).toBe(0)
  })
})

describe("a head that is refused", () => {
  test("is answered without a body where the windows have no room for one", () => {
    const client = connect()
    const settings = Buffer.alloc(6)
    settings[1] = h2.SETTINGS_INITIAL_WINDOW_SIZE
    client.session.receive(frame(h2.SETTINGS, 0, 0, settings))
    client.sent()
    client.headers(
      [
        [":method", "GET"],
        [":scheme", "ftp"],
        [":path", "/"],
        [":authority", "a"],
      ],
      true,
    )
    expect(client.sent()).toMatchObject([{ type: h2.HEADERS, flags: h2.END_HEADERS | h2.END_STREAM }])
  })
})

describe("what is sent", () => {
  test("leaves in one write for all streams, each response's end in its last frame", () => {
    const client = connect()
    const exchanges = [client.request(), client.request(), client.request()]
    client.writes = 0
    for (const exchange of exchanges) exchange.respond(100)
    const sent = client.sent()
    expect(client.writes).toBe(1)
    expect(sent.map((f) => [f.type, f.stream, f.flags & h2.END_STREAM])).toEqual(
      [1, 3, 5].flatMap((stream) => [
        [h2.HEADERS, stream, 0],
        [h2.DATA, stream, h2.END_STREAM],
      ]),
    )
  })

  test("keeps to the stream's window, and goes on when it opens", () => {
    const client = connect()
    const exchange = client.request()
    exchange.respond(100_000, false)
    expect(dataOf(client.sent(), 1)).toBe(65_535)
    expect(exchange.stream.writable).toBe(false)
    client.window(0, 1_000_000)
    expect([client.sent(), exchange.writable]).toEqual([[], 0])
    client.window(1, 100_000)
    expect(dataOf(client.sent(), 1)).toBe(100_000 - 65_535)
    expect([exchange.stream.writable, exchange.writable]).toEqual([true, 1])
  })

  test("of a stream whose window is closed holds up no other", () => {
    const client = connect()
    client.window(0, 10_000_000)
    const slow = client.request()
    const quick = client.request()
    slow.respond(1_000_000)
    quick.respond(60_000)
    const sent = client.sent()
    expect([dataOf(sent, 1), dataOf(sent, 3)]).toEqual([65_535, 60_000])
    expect(sent.at(-1)).toMatchObject({ type: h2.DATA, stream: 3, flags: h2.END_STREAM })
  })

  test("is shared out among streams when the connection's window opens", () => {
    const client = connect()
    const exchanges = [client.request(), client.request()]
    exchanges[0].respond(65_535)
    exchanges[1].respond(65_535)
    client.sent()
    client.window(1, 1_000_000)
    const more = [client.request(), client.request()]
    for (const exchange of more) exchange.respond(50_000)
    client.window(0, 65_535 + 40_000)
    const sent = client.sent()
    // Stream 3 had waited; 5 and 7 take turns with it, a frame each.
    expect([3, 5, 7].map((stream) => dataOf(sent, stream) > 25_000)).toEqual([true, true, true])
  })

  test("after a negative window waits for as much more", () => {
    const client = connect()
    const exchange = client.request()
    exchange.respond(60_000, false)
    client.sent()
    const settings = Buffer.alloc(6)
    settings[1] = h2.SETTINGS_INITIAL_WINDOW_SIZE
    h2.writeUint32(settings, 2, 50_000)
    client.session.receive(frame(h2.SETTINGS, 0, 0, settings))
    client.sent()
    exchange.stream.sendBytes(Buffer.alloc(100), 0, 100)
    client.window(1, 10_000)
    expect(dataOf(client.sent(), 1)).toBe(0)
    client.window(1, 50)
    expect(dataOf(client.sent(), 1)).toBe(50)
  })

  test("waits for a socket that takes nothing, and goes on when it drains", () => {
    const client = connect()
    client.window(0, 10_000_000)
    const exchange = client.request()
    client.window(1, 10_000_000)
    client.fake.takes = false
    exchange.respond(300_000, false)
    const first = dataOf(client.sent(), 1)
    expect(first).toBeLessThan(200_000)
    expect(exchange.stream.writable).toBe(false)
    client.fake.drain()
    expect(first + dataOf(client.sent(), 1)).toBe(300_000)
    expect(exchange.writable).toBe(1)
  })
})

describe("streams that wait for the connection", () => {
  test("are told in turn, though the first to hear fills it again", () => {
    const client = connect()
    const exchanges = [client.request(), client.request(), client.request()]
    client.window(0, 0x7000_0000)
    for (const exchange of exchanges) exchange.respond(1000, false)
    client.sent()
    client.fake.takes = false
    exchanges[0].respond(0, false)
    client.sent()
    const told: number[] = []
    for (const [i, exchange] of exchanges.entries()) {
      expect(exchange.stream.writable).toBe(false)
      exchange.onDownstreamWritable = () => {
        told.push(i)
        client.window(1 + 2 * i, 200_000)
        // More than one write takes.
        client.fake.takes = false
        exchange.stream.sendBytes(Buffer.alloc(120_000), 0, 120_000)
      }
    }
    for (let i = 0; i < 12; i++) {
      client.fake.drain()
      client.sent()
    }
    expect(new Set(told)).toEqual(new Set([0, 1, 2]))
  })
})

describe("what is received", () => {
  test("counts by the length its head had, whatever filters make of that", () => {
    const client = connect()
    const exchange = client.request(false)
    exchange.stream.startRequestBody(false)
    client.data(1, 10)
    // As an exchange does that sends a body on in another framing.
    exchange.head.body = "length"
    exchange.head.contentLength = 0
    client.data(1, 20, true)
    expect([exchange.body, exchange.ended, exchange.gone]).toEqual([30, true, false])
  })

  test("opens the window of a stream that is always read, and wider every time up to a limit", () => {
    const client = connect()
    const exchange = client.request(false)
    exchange.stream.startRequestBody(false)
    let allowed = 65_535
    let widest = 0
    for (let round = 0; round < 40; round++) {
      const length = Math.min(allowed, 400_000)
      client.data(1, length)
      allowed -= length
      for (const f of client.sent()) if (f.type === h2.WINDOW_UPDATE && f.stream === 1) allowed += h2.readUint32(f.payload, 0)
      widest = Math.max(widest, allowed)
    }
    expect(exchange.gone).toBe(false)
    expect(widest).toBeGreaterThan(900_000)
    expect(widest).toBeLessThanOrEqual(1024 * 1024 + 65_535)
  })

  test("is kept while its exchange is not ready, and no more of it asked for", () => {
    const client = connect()
    const exchange = client.request(false)
    client.data(1, 65_535)
    expect(client.sent().filter((f) => f.type === h2.WINDOW_UPDATE && f.stream === 1)).toEqual([])
    exchange.stream.startRequestBody(false)
    expect(exchange.body).toBe(65_535)
    expect(client.sent().some((f) => f.type === h2.WINDOW_UPDATE && f.stream === 1)).toBe(true)
    client.data(1, 0, true)
    expect(exchange.ended).toBe(true)
  })

  test("beyond a stream's window resets that stream alone", () => {
    const client = connect()
    const slow = client.request(false)
    const other = client.request(false)
    client.data(1, 65_535)
    client.data(1, 10)
    expect(client.sent().filter((f) => f.type === h2.RST_STREAM)).toMatchObject([{ stream: 1 }])
    expect([slow.gone, other.gone, client.closed]).toEqual([true, false, false])
  })

  test("behind a pause comes when it is over, its end last", () => {
    const client = connect()
    const exchange = client.request(false)
    exchange.stream.startRequestBody(false)
    exchange.stream.pauseRequest()
    client.data(1, 5000, true)
    expect([exchange.body, exchange.ended]).toEqual([0, false])
    exchange.stream.resumeRequest()
    expect([exchange.body, exchange.ended]).toEqual([5000, true])
  })
})

describe("the end", () => {
  test("of a response before that of its request resets the stream without an error", () => {
    const client = connect()
    client.request(false).respond(0)
    const sent = client.sent()
    expect(sent.map((f) => f.type)).toEqual([h2.HEADERS, h2.DATA, h2.RST_STREAM])
    expect(h2.readUint32((sent.at(-1) as Sent).payload, 0)).toBe(h2.NO_ERROR)
  })

  test("of a drained connection comes after its last response, and late requests are taken for a moment", () => {
    const client = connect()
    const exchange = client.request()
    client.session.drain()
    expect(client.sent()).toMatchObject([{ type: h2.GOAWAY }])
    const late = client.request()
    client.now += 1100
    client.wheel.advance()
    expect(client.sent().map((f) => [f.type, h2.readUint31(f.payload, 0)])).toEqual([[h2.GOAWAY, 3]])
    client.headers(
      [
        [":method", "GET"],
        [":scheme", "http"],
        [":path", "/"],
        [":authority", "a"],
      ],
      true,
    )
    expect(client.exchanges).toHaveLength(2)
    exchange.respond(10)
    late.respond(10)
    client.sent()
    expect(client.fake.ended).toBe(true)
  })

  test("of a drained connection doesn't come by frames of requests that are too late", () => {
    const client = connect()
    const exchange = client.request()
    client.session.drain()
    client.now += 1100
    client.wheel.advance()
    client.request(false)
    client.data(3, 10)
    client.window(3, 10)
    const code = Buffer.alloc(4)
    client.session.receive(frame(h2.RST_STREAM, 0, 3, code))
    expect([client.exchanges.length, exchange.gone, client.fake.ended]).toEqual([1, false, false])
  })

  test("waits for a slow client to take its last response", () => {
    const client = connect()
    const exchange = client.request()
    client.session.drain()
    client.now += 1100
    client.wheel.advance()
    client.fake.takes = false
    exchange.respond(60_000)
    client.sent()
    expect(client.fake.ended).toBe(true)
    for (let i = 0; i < 50; i++) {
      client.now += 100
      client.wheel.advance()
    }
    expect(client.fake.destroyed).toBe(false)
    client.now += 40_000
    client.wheel.advance()
    expect(client.fake.destroyed).toBe(true)
  })

  test("comes to a connection that idles", () => {
    const client = connect()
    client.request().respond(1)
    client.sent()
    for (let i = 0; i < 700; i++) {
      client.now += 100
      client.wheel.advance()
    }
    expect(client.sent().map((f) => f.type)).toContain(h2.GOAWAY)
    expect(client.closed).toBe(true)
  })

  test("comes to a client that resets request after request, and tells its exchanges once", () => {
    const client = connect()
    let resets = 0
    while (!client.fake.ended && resets < 10_000) {
      client.request()
      const code = Buffer.alloc(4)
      h2.writeUint32(code, 0, h2.CANCEL)
      client.session.receive(frame(h2.RST_STREAM, 0, 1 + 2 * resets, code))
      resets++
    }
    expect(resets).toBeLessThan(300)
    expect(client.exchanges.every((exchange) => exchange.gone)).toBe(true)
    expect(client.sent().at(-1)).toMatchObject({ type: h2.GOAWAY })
  })
})

import { afterEach, describe, expect, test } from "vitest"
import type { UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import type { Fields } from "../../../gateway/http/fields.ts"
import { RequestHead, type ResponseHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { ClientSession } from "../../../gateway/http2/client-session.ts"
import { classify } from "../../../gateway/http2/field-kinds.ts"
import * as h2 from "../../../gateway/http2/frames.ts"
import { HpackDecoder } from "../../../gateway/http2/hpack-decoder.ts"
import { HpackEncoder } from "../../../gateway/http2/hpack-encoder.ts"
import { frame } from "../../fuzz/h2-inputs.ts"
import { FakeSocket } from "../../support/fake-socket.ts"

/** One request, and what became of it: events in their order. */
class Attempt implements UpstreamHandler {
  readonly events: string[] = []
  readonly stream: UpstreamStream
  head: ResponseHead | null = null

  constructor(stream: UpstreamStream) {
    this.stream = stream
  }

  send(method = "GET", body: RequestHead["body"] = "none", upgrade = ""): void {
    const head = new RequestHead()
    head.method = method
    head.path = "/x"
    head.query = "y"
    head.body = body
    head.upgrade = upgrade
    head.fields.add("x-a", "1")
    if (upgrade !== "") head.fields.add("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    this.stream.send(this, head, "host.example")
  }

  onInformational(head: ResponseHead): void {
    this.events.push(`informational ${head.status}`)
  }
  onResponseHead(head: ResponseHead): boolean {
    this.head = head
    this.events.push(`head ${head.status} ${head.body}`)
    return false
  }
  onResponseBytes(_buffer: Buffer, from: number, to: number): void {
    this.events.push(`bytes ${to - from}`)
  }
  onResponseFlush(): void {
    this.events.push("flush")
  }
  onResponseComplete(): void {
    this.events.push("complete")
  }
  onResponseEnd(trailers: Fields | null): void {
    this.events.push(`end${trailers === null ? "" : ` ${trailers.entries().join(" ")}`}`)
  }
  onUpstreamFailed(code: string, _details: string, unanswered: boolean): void {
    this.events.push(`${code}${unanswered ? " unanswered" : ""}`)
  }
  onUpstreamWritable(): void {
    this.events.push("writable")
  }
  onTunnelEnd(): void {
    this.events.push("tunnel end")
  }
}

class Service {
  now = 0
  readonly fake = new FakeSocket()
  readonly wheel = new TimerWheel(() => this.now)
  readonly told: string[] = []
  readonly session: ClientSession
  readonly #encoder = new HpackEncoder()
  readonly decoder = new HpackDecoder(4096, classify)
  #out = Buffer.alloc(0)

  constructor(settings: readonly number[] = []) {
    this.fake.onWrite = (bytes) => {
      this.#out = Buffer.concat([this.#out, bytes as Buffer])
    }
    this.session = new ClientSession(
      this.fake.socket,
      { startLine: 8192, head: 32_768, fields: 100 },
      this.wheel,
      {
        onReady: () => this.told.push("ready"),
        onCapacity: () => {},
        onLeaving: () => this.told.push("leaving"),
        onClosed: (_session, failure) => this.told.push(`closed ${failure}`),
        onFault: (error) => {
          throw error
        },
      },
      60_000,
      5000,
      false,
    )
    this.session.output.flush()
    expect(this.#out.subarray(0, h2.PREFACE.length)).toEqual(h2.PREFACE)
    this.#out = Buffer.alloc(0)
    const payload = Buffer.alloc(settings.length * 3)
    for (let i = 0; i < settings.length; i += 2) {
      payload.writeUInt16BE(settings[i], i * 3)
      payload.writeUInt32BE(settings[i + 1], i * 3 + 2)
    }
    this.give(frame(h2.SETTINGS, 0, 0, payload))
    this.sent()
  }

  give(...frames: Buffer[]): void {
    const bytes = Buffer.concat(frames)
    this.session.onRead(bytes, bytes.length)
  }

  headers(stream: number, fields: readonly (readonly [string, string])[], endStream = false): Buffer {
    const bytes = Buffer.alloc(4096)
    let at = this.#encoder.begin(bytes, 0)
    for (const [name, value] of fields) at = this.#encoder.field(bytes, at, name, value)
    return frame(h2.HEADERS, h2.END_HEADERS | (endStream ? h2.END_STREAM : 0), stream, bytes.subarray(0, at))
  }

  sent(): { type: number; flags: number; stream: number; payload: Buffer }[] {
    this.session.output.flush()
    const sent = []
    for (let at = 0; at < this.#out.length; ) {
      const length = this.#out.readUIntBE(at, 3)
      const payload = this.#out.subarray(at + 9, at + 9 + length)
      sent.push({ type: this.#out[at + 3], flags: this.#out[at + 4], stream: h2.readUint31(this.#out, at + 5), payload })
      at += 9 + length
    }
    this.#out = Buffer.alloc(0)
    return sent
  }

  request(method?: string, body?: RequestHead["body"], upgrade?: string): Attempt {
    const attempt = new Attempt(this.session.stream())
    attempt.send(method, body, upgrade)
    return attempt
  }
}

const services: Service[] = []
function connect(settings?: readonly number[]): Service {
  const service = new Service(settings)
  services.push(service)
  return service
}
afterEach(() => {
  for (const service of services.splice(0)) service.session.destroy()
})

const uint32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value, i * 4)
  })
  return bytes
}
const OK = [[":status", "200"]] as const

describe("a connection to a service", () => {
  test("takes requests when its peer's settings have come, as many as they allow", () => {
    const service = connect([h2.SETTINGS_MAX_CONCURRENT_STREAMS, 2])
    expect(service.told).toEqual(["ready"])
    expect(service.session.capacity).toBe(2)
    const first = service.request()
    service.request()
    expect(service.session.capacity).toBe(0)
    service.give(service.headers(1, OK, true))
    expect(first.events).toEqual(["head 200 none", "complete", "end"])
    expect(service.session.capacity).toBe(1)
  })

  test("is given up when no settings come in time", () => {
    const fake = new FakeSocket()
    let now = 0
    const wheel = new TimerWheel(() => now)
    const told: string[] = []
    new ClientSession(
      fake.socket,
      { startLine: 8192, head: 32_768, fields: 100 },
      wheel,
      { onReady: () => {}, onCapacity: () => {}, onLeaving: () => {}, onClosed: (_, failure) => told.push(failure), onFault: () => {} },
      60_000,
      100,
      false,
    )
    now = 150
    wheel.advance()
    fake.emit("close")
    expect(told).toEqual(["NO_ERROR: no settings in time"])
  })

  test("that is silent is asked whether its peer is there, and lost without an answer", () => {
    const service = connect()
    const attempt = service.request()
    const pings: number[] = []
    for (let second = 1; second <= 40 && !service.fake.ended; second++) {
      service.now = second * 1000
      service.wheel.advance()
      if (service.sent().some((f) => f.type === h2.PING)) pings.push(second)
    }
    expect(pings).toHaveLength(1)
    expect(attempt.events).toEqual(["upstreamClosed unanswered"])
  })
})

describe("a request", () => {
  test("leaves as a head with its pseudo-fields first", () => {
    const service = connect()
    service.request()
    const [head] = service.sent()
    const fields: string[] = []
    service.decoder.decode(head.payload, 0, head.payload.length, { onField: (name, value) => fields.push(`${name} ${value}`) })
    expect(fields).toEqual([":method GET", ":scheme http", ":authority host.example", ":path /x?y", "x-a 1"])
    expect(head.flags & h2.END_STREAM).toBe(h2.END_STREAM)
  })

  test("for a WebSocket is an extended CONNECT, and its 200 an upgrade", () => {
    const service = connect([h2.SETTINGS_ENABLE_CONNECT_PROTOCOL, 1])
    const attempt = service.request("GET", "none", "websocket")
    const [head] = service.sent()
    const fields: string[] = []
    service.decoder.decode(head.payload, 0, head.payload.length, { onField: (name, value) => fields.push(`${name} ${value}`) })
    expect(fields.slice(0, 2)).toEqual([":method CONNECT", ":protocol websocket"])
    expect(fields.some((field) => field.startsWith("sec-websocket-key"))).toBe(false)
    service.give(service.headers(1, OK), frame(h2.DATA, 0, 1, Buffer.alloc(7)))
    expect(attempt.events).toEqual(["head 101 none", "bytes 7", "flush"])
    // RFC 6455 §1.3.
    expect(attempt.head?.fields.get("sec-websocket-accept")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    service.give(frame(h2.DATA, h2.END_STREAM, 1, Buffer.alloc(0)))
    expect(attempt.events.at(-1)).toBe("tunnel end")
    attempt.stream.endTunnel()
    expect(service.sent().at(-1)).toMatchObject({ type: h2.DATA, flags: h2.END_STREAM })
  })

  test("that is given up resets its stream, and hears nothing more", () => {
    const service = connect()
    const attempt = service.request()
    service.sent()
    attempt.stream.cancel()
    expect(service.sent()).toMatchObject([{ type: h2.RST_STREAM, stream: 1, payload: uint32(h2.CANCEL) }])
    service.give(service.headers(1, OK), frame(h2.DATA, h2.END_STREAM, 1, Buffer.alloc(7)))
    expect([attempt.events, service.fake.ended]).toEqual([[], false])
  })

  test("whose response is complete before its body is sent is not sent on", () => {
    const service = connect()
    const attempt = service.request("POST", "close")
    attempt.stream.sendBytes(Buffer.alloc(10), 0, 10)
    service.give(service.headers(1, OK, true))
    expect(attempt.events).toEqual(["head 200 none", "complete", "end"])
    expect(service.sent().at(-1)).toMatchObject({ type: h2.RST_STREAM, payload: uint32(h2.NO_ERROR) })
  })
})

describe("a response", () => {
  test("comes in the order head, bytes, completion, end with trailers", () => {
    const service = connect()
    const attempt = service.request()
    service.give(
      service.headers(1, [[":status", "103"]]),
      service.headers(1, [...OK, ["content-length", "5"]]),
      frame(h2.DATA, 0, 1, Buffer.alloc(5)),
      service.headers(1, [["grpc-status", "0"]], true),
    )
    expect(attempt.events).toEqual(["informational 103", "head 200 length", "bytes 5", "complete", "end grpc-status 0"])
  })

  test("waits for its reader from the first octet on", () => {
    const service = connect()
    const attempt = service.request()
    service.give(service.headers(1, OK))
    attempt.stream.pauseResponse()
    service.give(frame(h2.DATA, h2.END_STREAM, 1, Buffer.alloc(9)))
    expect(attempt.events.filter((event) => event !== "flush")).toEqual(["head 200 close"])
    // Its stream is none of the connection's any more, and its connection may go.
    service.fake.emit("close")
    attempt.stream.resumeResponse()
    expect(attempt.events.slice(-3)).toEqual(["bytes 9", "complete", "end"])
  })

  test.each([
    ["without a status", [["x-a", "1"]], "upstreamProtocol"],
    ["with 101", [[":status", "101"]], "upstreamProtocol"],
    ["with a connection field", [...OK, ["connection", "close"]], "upstreamProtocol"],
    ["with two lengths", [...OK, ["content-length", "1"], ["content-length", "1"]], "upstreamProtocol"],
  ] as const)("%s is refused, its stream alone", (_, fields, failure) => {
    const service = connect()
    const attempt = service.request()
    const other = service.request()
    service.give(service.headers(1, fields))
    expect(attempt.events).toEqual([failure])
    service.give(service.headers(3, OK, true))
    expect(other.events.at(-1)).toBe("end")
  })

  test.each([
    ["longer than announced", 4, 5],
    ["shorter than announced", 6, 5],
  ])("%s is never complete", (_, announced, sent) => {
    const service = connect()
    const attempt = service.request()
    service.give(service.headers(1, [...OK, ["content-length", String(announced)]]), frame(h2.DATA, h2.END_STREAM, 1, Buffer.alloc(sent)))
    expect(attempt.events.at(-1)).toBe("upstreamProtocol")
    expect(attempt.events).not.toContain("complete")
  })
})

describe("what others do", () => {
  test("many requests that are given up at once cost the connection nothing, though answers to them still come", () => {
    const service = connect([h2.SETTINGS_MAX_CONCURRENT_STREAMS, 1000])
    const attempts = Array.from({ length: 200 }, () => service.request())
    const bystander = service.request()
    for (const attempt of attempts) attempt.stream.cancel()
    for (let i = 0; i < 200; i++) service.give(service.headers(1 + 2 * i, OK), frame(h2.DATA, 0, 1 + 2 * i, Buffer.alloc(100)))
    service.give(service.headers(401, OK, true))
    expect(bystander.events.at(-1)).toBe("end")
  })

  test("readers that are slow hold up no other, and are given no company", () => {
    const service = connect([h2.SETTINGS_MAX_CONCURRENT_STREAMS, 1000])
    const slow = Array.from({ length: 90 }, () => service.request())
    const quick = service.request()
    for (const [i, attempt] of slow.entries()) {
      service.give(service.headers(1 + 2 * i, OK))
      attempt.stream.pauseResponse()
    }
    service.give(service.headers(181, OK))
    let window = 1024 * 1024
    const send = (stream: number, length: number): boolean => {
      for (const f of service.sent()) if (f.type === h2.WINDOW_UPDATE && f.stream === 0) window += f.payload.readUInt32BE(0)
      if (window < length) return false
      window -= length
      service.give(frame(h2.DATA, 0, stream, Buffer.alloc(length)))
      return true
    }
    for (let i = 0; i < 90; i++) for (let n = 0; n < 3; n++) expect(send(1 + 2 * i, 16_384)).toBe(true)
    expect(service.session.capacity).toBe(0)
    for (let n = 0; n < 200; n++) expect(send(181, 16_000)).toBe(true)
    expect(quick.events.filter((event) => event.startsWith("bytes"))).toHaveLength(200)
    for (const attempt of slow) attempt.stream.resumeResponse()
    expect(service.session.capacity).toBeGreaterThan(0)
  })
})

describe("a stream's early end", () => {
  test("by NO_ERROR doesn't take a complete response from a slow reader", () => {
    const service = connect()
    const attempt = service.request("POST", "close")
    attempt.stream.sendBytes(Buffer.alloc(10), 0, 10)
    service.give(service.headers(1, OK))
    attempt.stream.pauseResponse()
    service.give(frame(h2.DATA, h2.END_STREAM, 1, Buffer.alloc(9)), frame(h2.RST_STREAM, 0, 1, uint32(h2.NO_ERROR)))
    attempt.stream.resumeResponse()
    expect(attempt.events.filter((event) => event !== "flush")).toEqual(["head 200 close", "bytes 9", "complete", "end"])
  })

  test.each([
    ["REFUSED_STREAM", h2.REFUSED_STREAM, "upstreamRefused unanswered"],
    ["another reset", h2.INTERNAL_ERROR, "upstreamReset unanswered"],
  ])("by %s says whether anything was done", (_, code, event) => {
    const service = connect()
    const attempt = service.request()
    service.give(frame(h2.RST_STREAM, 0, 1, uint32(code)))
    expect(attempt.events).toEqual([event])
  })

  test("behind the head is a response cut short", () => {
    const service = connect()
    const attempt = service.request()
    service.give(service.headers(1, OK), frame(h2.RST_STREAM, 0, 1, uint32(h2.CANCEL)))
    expect(attempt.events.at(-1)).toBe("upstreamTruncated")
  })

  test("by GOAWAY is told to the streams it leaves out, and the others are finished", () => {
    const service = connect()
    const attempts = [service.request(), service.request(), service.request()]
    service.give(frame(h2.GOAWAY, 0, 0, uint32(3, h2.NO_ERROR)))
    expect(attempts.map(({ events }) => events)).toEqual([[], [], ["upstreamRefused unanswered"]])
    expect([service.told, service.session.capacity]).toEqual([["ready", "leaving"], 0])
    service.give(service.headers(1, OK, true), service.headers(3, OK, true))
    expect(attempts[1].events.at(-1)).toBe("end")
    expect(service.fake.ended).toBe(true)
  })

  test("with the connection is told to all, and none of them finds it open", () => {
    const service = connect()
    const attempts = [service.request(), service.request()]
    const capacities: number[] = []
    attempts[0].onUpstreamFailed = () => capacities.push(service.session.capacity)
    service.give(frame(h2.WINDOW_UPDATE, 0, 0, uint32(0)))
    expect(capacities).toEqual([0])
    expect(attempts[1].events).toEqual(["upstreamProtocol unanswered"])
  })
})

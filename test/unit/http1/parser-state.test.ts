import { describe, expect, test } from "vitest"
import { NEED_MORE, REFUSED, RequestParser } from "../../../gateway/http1/request-parser.ts"
import { ResponseParser } from "../../../gateway/http1/response-parser.ts"

const limits = { startLine: 1000, head: 4000, fields: 50 }

function octets(text: string): Buffer {
  return Buffer.from(text, "latin1")
}

function read(parser: RequestParser, text: string): number {
  return parser.read(octets(text), 0, text.length)
}

describe("request parser", () => {
  test("nothing of a request shows in the next one", () => {
    const rich =
      "GET http://rich:1/x?y HTTP/1.0\r\nHost: rich:1\r\nConnection: close, upgrade, a\r\nUpgrade: websocket\r\nTE: trailers\r\nA: 1\r\nX-Forwarded-For: b\r\n\r\n"
    const body = "POST /x HTTP/1.1\r\nHost: rich\r\nContent-Length: 5\r\nExpect: 100-continue\r\nB:2\r\n\r\n"
    const chunked = "POST /x HTTP/1.1\r\nHost: rich\r\nTransfer-Encoding: chunked\r\n\r\n"
    const refused = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"
    const plain = "GET /plain HTTP/1.1\r\nHost: plain\r\n\r\n"
    const fresh = new RequestParser(limits)
    read(fresh, plain)
    for (const earlier of [rich, body, chunked, refused, "GET", "\r\n", "GET /x HTTP/1.1\r\nHost: a\r\nA", "broken\n"]) {
      const used = new RequestParser(limits)
      read(used, earlier)
      used.reset()
      expect([used.started, used.error]).toEqual([false, null])
      expect(read(used, plain)).toBe(plain.length)
      expect({ ...used.head, fields: used.head.fields.entries() }).toEqual({ ...fresh.head, fields: fresh.head.fields.entries() })
      expect(used.head.fields.serialize()).toBe("")
    }
  })

  test("no empty Host passes, first or later", () => {
    const empty = "GET /x HTTP/1.1\r\nHost: \r\n\r\n"
    const parser = new RequestParser(limits)
    expect(read(parser, empty)).toBe(REFUSED)
    parser.reset()
    read(parser, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    parser.reset()
    expect(read(parser, empty)).toBe(REFUSED)
    expect(parser.error).toBe("badRequest")
  })

  test("the host is that of this request, in lower case and without port", () => {
    const parser = new RequestParser(limits)
    for (const [authority, host] of [
      ["A.example:80", "a.example"],
      ["a.example", "a.example"],
      ["B.example", "b.example"],
      ["B.example", "b.example"],
      ["[::1]:80", "[::1]"],
    ]) {
      parser.reset()
      read(parser, `GET /x HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
      expect([parser.head.authority, parser.head.host]).toEqual([authority, host])
    }
  })

  test("a head has started with its first octet, which an empty line before it isn't", () => {
    const parser = new RequestParser(limits)
    expect(parser.started).toBe(false)
    for (const [text, started] of [
      ["\r", false],
      ["\n", false],
      ["G", true],
      ["ET / HTTP/1.1\r\n", true],
      ["A: b\r\n", true],
    ] as const) {
      expect(read(parser, text)).toBe(NEED_MORE)
      expect(parser.started).toBe(started)
    }
  })

  test("keeps no reference to segments of an incomplete head", () => {
    const parser = new RequestParser(limits)
    const segment = octets("GET /x HTTP/1.1\r\nHost: a\r\nA: good")
    expect(parser.read(segment, 0, segment.length)).toBe(NEED_MORE)
    segment.fill(0)
    expect(read(parser, "\r\n\r\n")).toBe(4)
    expect(parser.head.fields.get("a")).toBe("good")
  })

  test("names are lower-cased in the buffer, values and targets are left", () => {
    const buffer = octets("GET /Path HTTP/1.1\r\nHOST: A\r\nX-Name: Value\r\n\r\nBODY: Not\r\n")
    const parser = new RequestParser(limits)
    const end = parser.read(buffer, 0, buffer.length)
    expect(buffer.toString("latin1")).toBe("GET /Path HTTP/1.1\r\nhost: A\r\nx-name: Value\r\n\r\nBODY: Not\r\n")
    expect(buffer.toString("latin1", end)).toBe("BODY: Not\r\n")
  })

  test("Connection may name 32 fields, not 33, counted over all its fields", () => {
    const names = Array.from({ length: 33 }, (_, i) => `x${i}`)
    for (const [count, result] of [
      [32, true],
      [33, false],
    ] as const) {
      for (const lines of [[names.slice(0, count)], [names.slice(0, 20), names.slice(20, count)]]) {
        const text = `GET / HTTP/1.1\r\nHost: a\r\n${lines.map((line) => `Connection: ${line.join(", ")}\r\n`).join("")}X31: 1\r\nB: 2\r\n\r\n`
        const parser = new RequestParser(limits)
        expect(read(parser, text) === text.length).toBe(result)
        if (result) expect(parser.head.fields.serialize()).toBe("b: 2\r\n")
      }
    }
  })
})

describe("response parser", () => {
  test.each([
    ["timeout=5", 5],
    ["timeout=5, max=100", 5],
    ["max=100,timeout=7", 7],
    ["Timeout=5", 5],
    ["timeout=", -1],
    ["timeout=5s", -1],
    ["xtimeout=5", -1],
    ["timeout=99999999999", -1],
    ["max=100", -1],
  ])("Keep-Alive: %s", (value, seconds) => {
    const parser = new ResponseParser(limits)
    const wire = octets(`HTTP/1.1 200 OK\r\nKeep-Alive: ${value}\r\nContent-Length: 0\r\n\r\n`)
    expect(parser.read(wire, 0, wire.length, "GET")).toBe(wire.length)
    expect(parser.head.keepAliveTimeout).toBe(seconds)
    expect(parser.head.fields.entries()).toEqual(["content-length", "0"])
  })

  test("nothing of a response shows in the next one", () => {
    const parser = new ResponseParser(limits)
    for (const earlier of [
      "HTTP/1.0 404 gone\r\nKeep-Alive: timeout=5\r\nConnection: upgrade, a\r\nUpgrade: x\r\nContent-Length: 7\r\nA: 1\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 2",
    ]) {
      const first = octets(earlier)
      parser.read(first, 0, first.length, "GET")
      parser.reset()
      expect([parser.started, parser.reason]).toEqual([false, ""])
      const wire = octets("HTTP/1.1 204\r\n\r\n")
      expect(parser.read(wire, 0, wire.length, "GET")).toBe(wire.length)
      expect({ ...parser.head, fields: parser.head.fields.entries() }).toMatchObject({
        status: 204,
        reason: "",
        minor: 1,
        body: "none",
        contentLength: 0,
        keepAlive: true,
        upgrade: "",
        keepAliveTimeout: -1,
        fields: [],
      })
    }
  })

  test.each([
    ["websocket", "websocket"],
    ["WebSocket", "websocket"],
    ["h2c\r\nUpgrade: websocket", "h2c, websocket"],
  ])("101 with Upgrade: %j", (value, upgrade) => {
    const parser = new ResponseParser(limits)
    const wire = octets(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${value}\r\n\r\n`)
    expect(parser.read(wire, 0, wire.length, "GET")).toBe(wire.length)
    expect(parser.head.upgrade).toBe(upgrade)
  })
})

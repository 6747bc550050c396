import { Buffer } from "node:buffer"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Base64Decoder, Base64Encoder } from "../../../gateway/http/base64-stream.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { grpcFrame } from "../../../gateway/http/grpc-frames.ts"
import {
  answersInText,
  parseWebType,
  trailerFrame,
  WebRequestBody,
  WebResponseBody,
  webResponseType,
} from "../../../gateway/http/grpc-web.ts"

const cuts = fc.array(fc.nat(200), { maxLength: 10 })

function pieces(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

/** The whole of a text in pieces; null when it isn't base64. */
function decoded(text: string, at: readonly number[] = []): string | null {
  const decoder = new Base64Decoder()
  const out: Buffer[] = []
  for (const piece of pieces(Buffer.from(text, "latin1"), at)) {
    const bytes = decoder.decode(piece, 0, piece.length)
    if (bytes === null) return null
    out.push(Buffer.from(bytes))
  }
  return decoder.atBoundary ? Buffer.concat(out).toString("latin1") : null
}

describe("base64 in pieces", () => {
  test.each([
    ["", ""],
    ["YQ==", "a"],
    ["YWI=", "ab"],
    ["YWJj", "abc"],
    ["YQ==YWI=YWJjYQ==", "aababca"],
    ["+/+/", "\xfb\xff\xbf"],
  ])("%j is %j", (text, bytes) => {
    expect(decoded(text)).toBe(bytes)
  })

  test.each([
    "Y",
    "YQ",
    "YQ=",
    "YWI",
    "=",
    "Y===",
    "====",
    "YQ=a",
    "YQ==Y",
    "YR==",
    "YWJ=",
    "YQ ==",
    "YQ\n==",
    "-_-_",
    "YQ==\r\n",
    "YQ\0=",
  ])("%j is refused", (text) => {
    expect(decoded(text)).toBeNull()
  })

  test("segments of any octets come back however they are cut", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 6 }), cuts, (segments, at) => {
        const text = segments.map((segment) => Buffer.from(segment).toString("base64")).join("")
        expect(decoded(text, at)).toBe(Buffer.concat(segments).toString("latin1"))
      }),
    )
  })

  test("what is written is read, with flushes anywhere", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.boolean()), { maxLength: 8 }), cuts, (writes, at) => {
        const encoder = new Base64Encoder()
        const out: Buffer[] = []
        for (const [bytes, flush] of writes) {
          out.push(encoder.encode(Buffer.from(bytes), 0, bytes.length))
          if (flush) out.push(encoder.end())
        }
        out.push(encoder.end())
        expect(decoded(Buffer.concat(out).toString("latin1"), at)).toBe(Buffer.concat(writes.map(([bytes]) => bytes)).toString("latin1"))
      }),
    )
  })

  test("random text is refused or read as Node reads it", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("A", "Q", "z", "/", "=", " "), maxLength: 16 }), (text) => {
        const bytes = decoded(text)
        if (bytes === null) return
        const whole = text.replace(/=+(?=[^=]|$)/g, (padding) => `${padding} `).split(" ")
        expect(bytes).toBe(whole.map((segment) => Buffer.from(segment, "base64").toString("latin1")).join(""))
      }),
    )
  })
})

describe("the type of a request", () => {
  test.each<[string, boolean, string]>([
    ["application/grpc-web", false, "application/grpc+proto"],
    ["application/grpc-web+proto", false, "application/grpc+proto"],
    ["application/grpc-web+JSON; charset=utf-8", false, "application/grpc+json"],
    ["Application/gRPC-Web-Text", true, "application/grpc+proto"],
    ["application/grpc-web-text+thrift", true, "application/grpc+thrift"],
  ])("%s", (type, text, grpcType) => {
    expect(parseWebType(type)).toEqual({ text, grpcType })
  })

  test.each([
    undefined,
    "",
    "application/grpc",
    "application/grpc-webx",
    "application/grpc-web+",
    "application/grpc-web+a b",
    "text/plain",
  ])("%s is none of gRPC-Web", (type) => {
    expect(parseWebType(type)).toBeNull()
  })

  test.each<[string | undefined, boolean, boolean]>([
    [undefined, true, true],
    [undefined, false, false],
    ["*/*", true, true],
    ["application/grpc-web-text", false, true],
    ["application/grpc-web-text+proto, */*", false, true],
    ["application/grpc-web+proto", true, false],
    ["text/plain, application/grpc-web-text;q=1", false, true],
  ])("with accept %s, text %s is answered in text: %s", (accept, text, expected) => {
    expect(answersInText(accept, { text, grpcType: "application/grpc" })).toBe(expected)
  })

  test.each([
    ["application/grpc", false, "application/grpc-web+proto"],
    ["application/grpc+json", true, "application/grpc-web-text+json"],
    ["application/grpc+proto; charset=x", false, "application/grpc-web+proto"],
  ])("a response of %s (text %s) becomes %s", (type, text, expected) => {
    expect(webResponseType(type, text)).toBe(expected)
  })
})

describe("the body of a request", () => {
  const message = grpcFrame(0, Buffer.from("hello"))

  test("passes as it is in the binary form, and decoded in the other", () => {
    const binary = new WebRequestBody(false)
    expect(binary.read(message, 0, message.length)).toEqual(message)
    expect(binary.whole).toBe(true)
    const text = new WebRequestBody(true)
    const encoded = Buffer.from(message.toString("base64"))
    expect(text.read(encoded, 0, encoded.length)).toEqual(message)
    expect(text.whole).toBe(true)
  })

  test.each<[string, boolean, Buffer]>([
    ["a frame of trailers", false, trailerFrame(Fields.from([["a", "b"]]))],
    ["unknown flags", false, Buffer.from([2, 0, 0, 0, 0])],
    ["what isn't base64", true, Buffer.from("!!!!")],
  ])("with %s is refused", (_, text, body) => {
    expect(new WebRequestBody(text).read(body, 0, body.length)).toBeNull()
  })

  test.each([true, false])("cut short is not whole (text: %s)", (text) => {
    const body = text ? Buffer.from(message.toString("base64")) : message
    const read = new WebRequestBody(text)
    expect(read.read(body, 0, body.length - 1)).not.toBeNull()
    expect(read.whole).toBe(false)
  })

  test("of random octets is refused or passes, and never grows", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), cuts, (octets, text, at) => {
        const body = new WebRequestBody(text)
        for (const piece of pieces(Buffer.from(octets), at)) {
          const out = body.read(piece, 0, piece.length)
          if (out === null) return
          expect(out.length).toBeLessThanOrEqual(piece.length + 3)
        }
      }),
    )
  })
})

describe("the body of a response", () => {
  const frame = (text: string, flags = 0): Buffer => grpcFrame(flags, Buffer.from(text))

  const trailers = Fields.from([
    ["grpc-status", "0"],
    ["x-end", "e"],
  ])

  test("ends with a frame of trailers", () => {
    const body = new WebResponseBody(false)
    const message = frame("abc")
    expect(body.write(Buffer.concat([Buffer.from("x"), message]), 1, 9)).toEqual(message)
    expect(body.whole).toBe(true)
    const end = body.end(trailers)
    expect(end[0]).toBe(0x80)
    expect(end.readUInt32BE(1)).toBe(end.length - 5)
    expect(end.toString("latin1", 5)).toBe("grpc-status: 0\r\nx-end: e\r\n")
  })

  test("is not whole inside a message", () => {
    const body = new WebResponseBody(false)
    const message = frame("abc")
    for (let i = 0; i < message.length; i++) {
      body.write(message, i, i + 1)
      expect(body.whole).toBe(i === message.length - 1)
    }
  })

  test("ends for good at a frame that a client would take for trailers", () => {
    const body = new WebResponseBody(false)
    const trailers = frame("grpc-status: 0\r\n", 0x80)
    expect([body.write(trailers, 0, trailers.length).length, body.whole]).toEqual([0, false])
    const message = frame("abc")
    expect([body.write(message, 0, message.length).length, body.whole]).toEqual([0, false])
  })

  test("in text can be decoded whole after every flush", () => {
    const body = new WebResponseBody(true)
    const message = frame("abcd")
    const text = [body.write(message, 0, 7), body.flush(), body.write(message, 7, 9), body.flush(), body.end(trailers)]
    expect(text.slice(0, 2).join("")).toBe("AAAAAARhYg==")
    expect(decoded(text.slice(0, 4).join(""))).toBe("\0\0\0\0\x04abcd")
    expect(decoded(text.join(""))).toBe(`\0\0\0\0\x04abcd${trailerFrame(trailers).toString("latin1")}`)
  })
})

import { Buffer } from "node:buffer"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { FrameScanner, grpcFrame, MessageReader } from "../../../gateway/http/grpc-frames.ts"

/** `bytes` in pieces that end at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end))
}

const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 5 })
const cuts = fc.array(fc.nat(300), { maxLength: 12 })

describe("MessageReader", () => {
  test("takes messages out however the body is cut", () => {
    fc.assert(
      fc.property(messages, cuts, (expected, at) => {
        const body = Buffer.concat(expected.map((message) => grpcFrame(0, message)))
        const found: Buffer[] = []
        const reader = new MessageReader(40)
        for (const piece of pieces(body, at)) {
          expect(reader.read(piece, 0, piece.length, { onMessage: (message) => found.push(message) })).toBeNull()
        }
        expect(found.map((message) => [...message])).toEqual(expected.map((message) => [...message]))
        expect(reader.atBoundary).toBe(true)
        expect(reader.held).toBe(0)
      }),
    )
  })

  test("says that a body was cut short", () => {
    const frame = grpcFrame(0, Buffer.from("abc"))
    for (let length = 1; length < frame.length; length++) {
      const reader = new MessageReader(10)
      expect(reader.read(frame, 0, length, { onMessage: () => {} })).toBeNull()
      expect(reader.atBoundary).toBe(false)
    }
  })

  test.each([
    ["tooLarge", [0, 0, 0, 0, 11]],
    ["tooLarge", [0, 255, 255, 255, 255]],
    ["compressed", [1]],
    ["malformed", [2]],
    ["malformed", [128, 0, 0, 0, 0]],
  ])("refuses what is %s before it holds anything", (error, octets) => {
    const reader = new MessageReader(10)
    expect(reader.read(Buffer.from(octets), 0, octets.length, { onMessage: () => {} })).toBe(error)
    expect(reader.held).toBe(0)
  })

  test("of random octets keeps its bound", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (octets, at) => {
        const reader = new MessageReader(16)
        for (const piece of pieces(Buffer.from(octets), at)) {
          const error = reader.read(piece, 0, piece.length, { onMessage: (message) => expect(message.length).toBeLessThanOrEqual(16) })
          expect(reader.held).toBeLessThanOrEqual(16)
          if (error !== null) break
        }
      }),
    )
  })
})

describe("FrameScanner", () => {
  test("agrees with a reader of whole bodies on what is well-formed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), messages, cuts, fc.boolean(), (octets, sent, at, random) => {
        const body = random ? Buffer.from(octets) : Buffer.concat(sent.map((message, i) => grpcFrame(i & 1, message)))
        let end = 0
        let wellFormed = true
        while (end < body.length && wellFormed) {
          if (body[end] > 1) wellFormed = false
          else end = end + 5 <= body.length ? end + 5 + body.readUInt32BE(end + 1) : body.length + 1
        }
        const scanner = new FrameScanner()
        const good = pieces(body, at).every((piece) => scanner.scan(piece, 0, piece.length))
        expect(good).toBe(wellFormed)
        if (good) expect(scanner.atBoundary).toBe(end === body.length)
      }),
    )
  })
})

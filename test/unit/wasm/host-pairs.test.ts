import fc from "fast-check"
import { expect, test } from "vitest"
import { decodePairs, encodedLength, encodePairs } from "../../../gateway/wasm/proxy-wasm/pairs.ts"

function encode(flat: string[]): Uint8Array {
  const bytes = new Uint8Array(encodedLength(flat))
  encodePairs(flat, bytes, 0)
  return bytes
}

test("pairs encode as the specification lays them out", () => {
  expect([...encode(["a", "1", "bc", ""])]).toEqual([
    ...[2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0],
    ...[97, 0, 49, 0, 98, 99, 0, 0],
  ])
})

test("no pairs are no octets; one zero octet and a zero count are no pairs", () => {
  expect(encodedLength([])).toBe(0)
  expect(decodePairs(new Uint8Array(0), 0, 0)).toEqual([])
  expect(decodePairs(new Uint8Array([0]), 0, 1)).toEqual([])
  expect(decodePairs(new Uint8Array(4), 0, 4)).toEqual([])
})

test("pairs survive a round trip", () => {
  const octets = fc.uint8Array({ maxLength: 40 }).map((bytes) => String.fromCharCode(...bytes))
  fc.assert(
    fc.property(fc.array(fc.tuple(octets, octets), { maxLength: 20 }), (pairs) => {
      const flat = pairs.flat()
      const bytes = encode(flat)
      expect(decodePairs(bytes, 0, bytes.length)).toEqual(flat)
    }),
    { numRuns: 300 },
  )
})

test("what is cut, longer or without its NULs is refused", () => {
  const bytes = encode(["name", "value", "x", "y"])
  for (let length = 1; length < bytes.length; length++) {
    if (length === 1 && bytes[0] === 0) continue
    expect(decodePairs(bytes, 0, length)).toBeNull()
  }
  const longer = new Uint8Array(bytes.length + 1)
  longer.set(bytes)
  expect(decodePairs(longer, 0, longer.length)).toBeNull()
  const unterminated = bytes.slice()
  unterminated[unterminated.length - 1] = 1
  expect(decodePairs(unterminated, 0, unterminated.length)).toBeNull()
})

test("counts and lengths beyond the limits are refused", () => {
  expect(decodePairs(new Uint8Array([0xff, 0xff, 0xff, 0xff]), 0, 4)).toBeNull()
  expect(decodePairs(new Uint8Array([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0]), 0, 14)).toBeNull()
  const many = encode(Array.from({ length: 2050 }, () => "a"))
  expect(decodePairs(many, 0, many.length)).toBeNull()
  const large = encode(["a", "b".repeat(1 << 20)])
  expect(decodePairs(large, 0, large.length)).toBeNull()
})

test("random octets never throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const flat = decodePairs(bytes, 0, bytes.length)
      expect(flat === null || flat.length % 2 === 0).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { decodedRoom, decodeHuffman, encodeHuffman, huffmanLength } from "../../../gateway/http2/hpack-huffman.ts"

function encode(text: string): Buffer {
  const out = Buffer.alloc(text.length * 4 + 4)
  return out.subarray(0, encodeHuffman(text, out, 0))
}

/** The text; null when refused. */
function decode(octets: Buffer): string | null {
  const into = Buffer.alloc(decodedRoom(octets.length))
  const length = decodeHuffman(octets, 0, octets.length, into)
  return length < 0 ? null : into.toString("latin1", 0, length)
}

const all = String.fromCharCode(...Array.from({ length: 256 }, (_, octet) => octet))

describe("Huffman code", () => {
  // RFC 7541 Appendix B: octet, code, bits.
  test.each([
    [0x00, 0x1ff8, 13],
    [0x01, 0x7fffd8, 23],
    [0x0a, 0x3ffffffc, 30],
    [0x0d, 0x3ffffffd, 30],
    [0x16, 0x3ffffffe, 30],
    [0x20, 0x14, 6],
    [0x30, 0x0, 5],
    [0x3a, 0x5c, 7],
    [0x5c, 0x7fff0, 19],
    [0x61, 0x3, 5],
    [0x7a, 0x7b, 7],
    [0x7f, 0xffffffc, 28],
    [0x80, 0xfffe6, 20],
    [0xb4, 0x7fffed, 23],
    [0xc3, 0x7fff1, 19],
    [0xc7, 0x1ffffec, 25],
    [0xcb, 0x7ffffde, 27],
    [0xf9, 0xffffffe, 28],
    [0xff, 0x3ffffee, 26],
  ])("octet %i has the code of RFC 7541", (octet, code, bits) => {
    const text = String.fromCharCode(octet)
    const padded = (BigInt(code) << BigInt(40 - bits)) | ((1n << BigInt(40 - bits)) - 1n)
    const octets = (bits + 7) >> 3
    expect(encode(text).toString("hex")).toBe(
      padded
        .toString(16)
        .padStart(10, "0")
        .slice(0, 2 * octets),
    )
    expect(huffmanLength(text)).toBe(octets)
  })

  test("every octet comes back, alone, beside every other, and all at once", () => {
    for (const first of all) {
      expect(decode(encode(first))).toBe(first)
      for (const second of all) if (decode(encode(first + second)) !== first + second) expect([first, second]).toBe("as they were")
    }
    expect(decode(encode(all))).toBe(all)
    expect(decode(encode(all + all))).toBe(all + all)
  })

  test("codes tell their octets apart: no code is the beginning of another, and with EOS they leave none over", () => {
    const ends = [...all].map((char) => huffmanLength(char.repeat(8)))
    expect(ends.reduce((sum, bits) => sum + 2 ** -bits, 2 ** -30)).toBe(1)
  })

  test("any text comes back, in the length foretold", () => {
    const text = fc.array(fc.nat(255), { maxLength: 200 }).map((octets) => String.fromCharCode(...octets))
    fc.assert(
      fc.property(text, (text) => {
        const octets = encode(text)
        expect(octets.length).toBe(huffmanLength(text))
        expect(decode(octets)).toBe(text)
      }),
      { numRuns: 500 },
    )
  })

  test("any octets are refused or are what their text is coded as", () => {
    let good = 0
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (octets) => {
        const text = decode(Buffer.from(octets))
        if (text === null) return
        good++
        expect(encode(text)).toEqual(Buffer.from(octets))
      }),
      { numRuns: 5000 },
    )
    expect(good).toBeGreaterThan(0)
  })

  test("decoding keeps to the room it asks for", () => {
    for (let length = 0; length < 50; length++) {
      const into = Buffer.alloc(decodedRoom(length) + 8, 0xee)
      decodeHuffman(Buffer.alloc(length), 0, length, into)
      expect([...into.subarray(decodedRoom(length))]).toEqual(new Array(8).fill(0xee))
    }
  })
})

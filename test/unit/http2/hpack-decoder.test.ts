import { describe, expect, test } from "vitest"
import { type FieldSink, HpackDecoder } from "../../../gateway/http2/hpack-decoder.ts"
import { STATIC_NAMES, STATIC_VALUES } from "../../../gateway/http2/hpack-static.ts"

class Reader implements FieldSink {
  readonly classified: string[] = []
  names: string[] = []
  values: string[] = []
  kinds: number[] = []
  never: boolean[] = []
  readonly decoder: HpackDecoder

  constructor(tableSize = 4096) {
    this.decoder = new HpackDecoder(tableSize, (name, value) => this.classified.push(`${name}: ${value}`))
  }

  onField(name: string, value: string, kind: number): void {
    this.names.push(name)
    this.values.push(value)
    this.kinds.push(kind)
    this.never.push(this.decoder.neverIndexed)
  }

  /** Decodes a block in hexadecimal; the fields of this block alone are kept. */
  read(hex: string): boolean {
    this.names = []
    this.values = []
    this.kinds = []
    this.never = []
    const block = Buffer.from(hex.replaceAll(" ", ""), "hex")
    return this.decoder.decode(block, 0, block.length, this)
  }
}

describe("HPACK decoder", () => {
  test("every static entry has its index", () => {
    const reader = new Reader()
    for (let index = 1; index <= 61; index++) {
      expect(reader.read((0x80 | index).toString(16))).toBe(true)
      expect([reader.names[0], reader.values[0]]).toEqual([STATIC_NAMES[index], STATIC_VALUES[index]])
    }
    expect([STATIC_NAMES[1], STATIC_NAMES[61], STATIC_NAMES.length]).toEqual([":authority", "www-authenticate", 62])
    expect([STATIC_VALUES[2], STATIC_VALUES[7], STATIC_VALUES[14], STATIC_VALUES[16]]).toEqual(["GET", "https", "500", "gzip, deflate"])
  })

  test("a field is classified once, however often it is indexed", () => {
    const reader = new Reader()
    expect(reader.read("82 82 4001 61 01 62 be be 82")).toBe(true)
    expect(reader.classified).toEqual([":method: GET", "a: b"])
    expect(reader.kinds).toEqual([1, 1, 2, 2, 2, 1])
    expect(reader.read("be 82 0001 61 01 62 7e 01 63 be")).toBe(true)
    expect(reader.classified.slice(2)).toEqual(["a: b", "a: c"])
    expect(reader.kinds).toEqual([2, 1, 3, 4, 4])
  })

  test("fields sent as never to be indexed are marked, and only they", () => {
    const reader = new Reader()
    expect(reader.read("82 1001 61 01 62 0001 61 01 62 1f 08 00 4001 61 01 62 be")).toBe(true)
    expect(reader.never).toEqual([false, true, false, true, false, false])
    expect(reader.decoder.neverIndexed).toBe(false)
  })

  test("fields before a fault are handed out, and the octets around the block are not looked at", () => {
    const reader = new Reader()
    const octets = Buffer.from("80828482be80", "hex")
    expect(reader.decoder.decode(octets, 1, 4, reader)).toBe(true)
    expect(reader.names).toEqual([":method", ":path", ":method"])
    expect(reader.decoder.decode(octets, 3, 5, reader)).toBe(false)
    expect(reader.names.length).toBe(4)
    // A string that would end beyond the block, but within the buffer.
    expect(reader.decoder.decode(Buffer.from("000161026262", "hex"), 0, 5, reader)).toBe(false)
  })

  test("the table holds as many entries as fit, and forgets the oldest", () => {
    const reader = new Reader(128)
    const add = (value: string) => reader.read(`4000 01 ${value}`)
    for (const value of ["61", "62", "63"]) expect(add(value)).toBe(true)
    expect(reader.decoder.tableSize).toBe(99)
    expect(add("64")).toBe(true)
    expect(reader.decoder.tableSize).toBe(99)
    expect(reader.read("be bf c0")).toBe(true)
    expect(reader.values).toEqual(["d", "c", "b"])
    expect(reader.read("c1")).toBe(false)
  })

  test("a table that may grow keeps its entries, in their order", () => {
    const reader = new Reader(100)
    for (const value of ["61", "62", "63", "64"]) expect(reader.read(`4000 01 ${value}`)).toBe(true)
    reader.decoder.setMaxTableSize(5000)
    expect(reader.read("3f e1 1f be bf c0")).toBe(true)
    expect(reader.values).toEqual(["d", "c", "b"])
    for (let i = 0; i < 40; i++) expect(reader.read("4000 01 65")).toBe(true)
    expect(reader.read("e6 e7 e8")).toBe(true)
    expect(reader.values).toEqual(["d", "c", "b"])
  })

  test("a setting above 4096 holds when the peer's encoder says so, not before", () => {
    const reader = new Reader(10_000)
    const big = `4000 7f 88 0e ${"61".repeat(1927)}`
    for (let i = 0; i < 3; i++) expect(reader.read(big)).toBe(true)
    expect(reader.decoder.tableSize).toBe(2 * (1927 + 32))
    expect(reader.read("3f f1 4d")).toBe(true)
    for (let i = 0; i < 3; i++) expect(reader.read(big)).toBe(true)
    expect(reader.decoder.tableSize).toBe(5 * (1927 + 32))
  })

  test("a lowered setting is met by a size update, and the lowest in between by the first of two", () => {
    const reader = new Reader()
    expect(reader.read("4001 61 01 62")).toBe(true)
    reader.decoder.setMaxTableSize(33)
    reader.decoder.setMaxTableSize(4096)
    expect(reader.read("3f 02 3f e1 1f 82")).toBe(true)
    expect(reader.decoder.tableSize).toBe(0)
    // Nothing is due any more.
    expect(reader.read("82")).toBe(true)
    // Nor where the table was as small already.
    expect(reader.read("20")).toBe(true)
    reader.decoder.setMaxTableSize(100)
    expect(reader.read("82")).toBe(true)
  })

  test("a literal that comes again is the same string, spelled in either way, whatever its length", () => {
    const reader = new Reader()
    for (const length of [0, 1, 3, 4, 5, 15, 16, 17, 62, 63, 64, 65, 126, 127, 128, 3000, 7000]) {
      const text = "/abcdefgh".repeat(800).slice(0, length)
      const prefix = length < 127 ? length.toString(16).padStart(2, "0") : `7f${continued(length - 127)}`
      const block = `04${prefix}${Buffer.from(text).toString("hex")}`
      for (let times = 0; times < 4; times++) {
        expect(reader.read(block)).toBe(true)
        expect(reader.values).toEqual([text])
      }
    }
    // Octets that differ in their form alone: Huffman's `0`, and a control character as it is.
    for (let times = 0; times < 4; times++) {
      expect(reader.read("0481 07")).toBe(true)
      expect(reader.values).toEqual(["0"])
      expect(reader.read("0401 07")).toBe(true)
      expect(reader.values).toEqual(["\x07"])
    }
  })

  test("literals whose octets hash alike are told apart", () => {
    // As the table of common literals hashes: two words, the second of which makes up for what the first changed.
    const step = (hash: number, word: number): number => {
      const product = Math.imul(hash ^ word, 0x9e3779b1)
      return product ^ (product >>> 15)
    }
    const one = Buffer.from("/abcdefg")
    const other = Buffer.from("/xyz....")
    const length = one.length
    other.writeInt32LE(step(length, one.readInt32LE(0)) ^ one.readInt32LE(4) ^ step(length, other.readInt32LE(0)), 4)
    const hashes = [one, other].map((octets) => step(step(length, octets.readInt32LE(0)), octets.readInt32LE(4)))
    expect(hashes[0]).toBe(hashes[1])
    const reader = new Reader()
    for (const octets of [one, one, one, other, other, other, one, other, one]) {
      expect(reader.read(`0408${octets.toString("hex")}`)).toBe(true)
      expect(reader.values).toEqual([octets.toString("latin1")])
    }
  })
})

/** `value` in groups of seven bits, hexadecimal. */
function continued(value: number): string {
  const octets: number[] = []
  for (; value >= 128; value >>= 7) octets.push(128 | (value & 127))
  octets.push(value)
  return Buffer.from(octets).toString("hex")
}

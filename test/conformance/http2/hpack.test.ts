// HPACK against RFC 7541: the examples of Appendix C in both directions, and a table of what is a COMPRESSION_ERROR.

import { describe, expect, test } from "vitest"
import { type FieldSink, HpackDecoder } from "../../../gateway/http2/hpack-decoder.ts"
import { HpackEncoder } from "../../../gateway/http2/hpack-encoder.ts"
import { refused } from "./hpack-refused.ts"
import { type Field, hex, sequences } from "./hpack-vectors.ts"

class Fields implements FieldSink {
  readonly fields: Field[] = []
  readonly decoder: HpackDecoder

  constructor(tableSize: number) {
    this.decoder = new HpackDecoder(tableSize, () => 0)
  }

  onField(name: string, value: string): void {
    this.fields.push([name, value])
  }

  /** The fields of a block; null when it is refused. */
  read(block: Buffer): Field[] | null {
    this.fields.length = 0
    return this.decoder.decode(block, 0, block.length, this) ? [...this.fields] : null
  }
}

function encode(encoder: HpackEncoder, fields: readonly Field[]): string {
  const out = Buffer.alloc(4096)
  let at = encoder.begin(out, 0)
  for (const [name, value] of fields) at = encoder.field(out, at, name, value)
  return out.toString("hex", 0, at)
}

describe("RFC 7541 Appendix C", () => {
  test.each(sequences)("$title decodes, with the table it says", ({ tableSize, blocks }) => {
    const reader = new Fields(tableSize)
    for (const { section, octets, fields, table, size } of blocks) {
      expect([section, reader.read(hex(octets))]).toEqual([section, fields])
      expect([section, reader.decoder.tableSize]).toEqual([section, size])
      for (let i = 0; i < table.length; i++) expect(reader.read(Buffer.of(0x80 | (62 + i)))).toEqual([table[i]])
    }
  })

  test("C.1.1, C.1.2: integers of a five-bit prefix, as table sizes", () => {
    const encoder = new HpackEncoder()
    encoder.setMaxTableSize(10)
    expect(encode(encoder, [])).toBe("2a")
    encoder.setMaxTableSize(1337)
    expect(encode(encoder, [])).toBe("3f9a0a")
    const reader = new Fields(1337)
    expect(reader.read(hex("2a"))).toEqual([])
    expect(reader.read(hex("3f9a0a"))).toEqual([])
    expect(new Fields(1336).read(hex("3f9a0a"))).toBe(null)
  })

  test("C.2.4, C.4: requests are encoded as the examples are, but that an unknown name waits for its second sight", () => {
    const encoder = new HpackEncoder()
    const [first, second, third] = sequences.find(({ title }) => title === "C.4")!.blocks
    expect(encode(encoder, first.fields)).toBe(hex(first.octets).toString("hex"))
    expect(encode(encoder, second.fields)).toBe(hex(second.octets).toString("hex"))
    expect(encode(encoder, third.fields.slice(0, 2))).toBe("8287")
    expect(encode(encoder, third.fields.slice(2, 4))).toBe("85bf")
    expect(encode(encoder, third.fields.slice(4))).not.toContain("4088")
    expect(encode(encoder, third.fields.slice(4))).toBe(hex(third.octets).toString("hex").slice(8))
    expect(encoder.tableSize).toBe(third.size)
  })

  test("C.6: responses are encoded as the examples are, but that a location stays out of the table", () => {
    const encoder = new HpackEncoder()
    const [first] = sequences.find(({ title }) => title === "C.6")!.blocks
    const octets = hex(first.octets).toString("hex")
    const location = octets.indexOf("6e91")
    expect(encode(encoder, first.fields.slice(0, 3))).toBe(octets.slice(0, location))
    expect(encode(encoder, first.fields.slice(3))).toBe(`0f1f17${Buffer.from("https://www.example.com").toString("hex")}`)
    expect(encode(encoder, first.fields.slice(0, 3))).toBe("c0bfbe")
  })
})

describe("what RFC 7541 makes an error", () => {
  test.each(refused)("$rule is refused", ({ blocks, tableSize, newTableSizes }) => {
    const reader = new Fields(tableSize ?? 4096)
    for (const block of blocks.slice(0, -1)) expect(reader.read(hex(block))).not.toBe(null)
    for (const size of newTableSizes ?? []) reader.decoder.setMaxTableSize(size)
    expect(reader.read(hex(blocks[blocks.length - 1]))).toBe(null)
  })

  const octets = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  const allowed: readonly (readonly [what: string, blocks: readonly string[], fields: readonly Field[], tableSize?: number])[] = [
    ["an empty block", [""], []],
    ["an empty name and value", ["0000 00"], [["", ""]]],
    ["an empty Huffman string", ["0080 80"], [["", ""]]],
    ["padding of seven ones", ["0001 61 84 0000007f"], [["a", "00000"]]],
    ["a size update to nought and back", ["20 3f e1 1f 82"], [[":method", "GET"]]],
    ["a size spelled with five continuations", ["3f 81 80 80 80 00 82"], [[":method", "GET"]]],
    ["a field larger than the table, which it empties", ["4001 61 06 626262626262"], [["a", "bbbbbb"]], 37],
    ["an entry whose name is the one it drives out", ["4001 61 01 62", "7e 01 63", "be"], [["a", "c"]], 40],
    ["every octet in a string", [`0001 61 7f8101 ${octets.toString("hex")}`], [["a", octets.toString("latin1")]]],
  ]
  test.each(allowed.map(([what, ...rest]) => ({ what, rest })))("$what is no error", ({ what, rest: [blocks, fields, tableSize] }) => {
    const reader = new Fields(tableSize ?? 4096)
    let last: Field[] | null = null
    for (const block of blocks) last = reader.read(hex(block))
    expect([what, last]).toEqual([what, fields])
  })
})

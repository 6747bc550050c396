// HPACK decoding as RFC 7541 words it, bit by bit and without regard to speed: what the gateway's decoder is compared with. It takes
// the static table and the codes of single octets from there; both are checked against the RFC elsewhere.

import { encodeHuffman } from "../../gateway/http2/hpack-huffman.ts"
import { STATIC_NAMES, STATIC_VALUES } from "../../gateway/http2/hpack-static.ts"

export type Field = readonly [name: string, value: string, never: boolean]

/** Codes with a one before them, so that noughts at their beginning count. */
const EOS = 2 ** 31 - 1

/** Code, with a one before it, to octet. Eight copies of an octet take as many octets as its code has bits. */
const symbols: ReadonlyMap<number, number> = new Map(
  Array.from({ length: 256 }, (_, octet) => {
    const out = new Uint8Array(32)
    const length = encodeHuffman(String.fromCharCode(octet).repeat(8), out, 0)
    const bits = Array.from(out.subarray(0, length), (byte) => byte.toString(2).padStart(8, "0")).join("")
    return [Number.parseInt(`1${bits.slice(0, length)}`, 2), octet]
  }),
)

class Refusal extends Error {}

export class ReferenceDecoder {
  table: (readonly [string, string])[] = []
  limit: number
  #max: number
  #due: number | null = null

  constructor(max: number) {
    this.#max = max
    this.limit = Math.min(4096, max)
  }

  get size(): number {
    return this.table.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0)
  }

  setMaxTableSize(size: number): void {
    this.#max = size
    if (size < this.limit) this.#due = Math.min(this.#due ?? size, size)
  }

  /** The fields; null when the block is refused. */
  decode(block: Buffer): Field[] | null {
    try {
      return this.#decode([...block])
    } catch (error) {
      if (error instanceof Refusal) return null
      throw error
    }
  }

  #decode(octets: number[]): Field[] {
    const fields: Field[] = []
    let at = 0
    const integer = (bits: number): number => {
      if (at >= octets.length) throw new Refusal()
      const full = 2 ** bits - 1
      let value = BigInt(octets[at++] & full)
      if (value === BigInt(full)) {
        for (let i = 0n; ; i++) {
          if (at >= octets.length || i === 5n) throw new Refusal()
          const octet = octets[at++]
          value += BigInt(octet & 0x7f) << (7n * i)
          if (octet < 0x80) break
        }
      }
      if (value > 2n ** 28n) throw new Refusal()
      return Number(value)
    }
    const text = (): string => {
      if (at >= octets.length) throw new Refusal()
      const huffman = octets[at] >= 0x80
      const length = integer(7)
      if (length > octets.length - at) throw new Refusal()
      const raw = octets.slice(at, at + length)
      at += length
      return huffman ? decodeBits(raw) : String.fromCharCode(...raw)
    }
    const entry = (index: number): readonly [string, string] => {
      if (index === 0) throw new Refusal()
      if (index <= 61) return [STATIC_NAMES[index], STATIC_VALUES[index]]
      const found = this.table[index - 62]
      if (found === undefined) throw new Refusal()
      return found
    }
    let fieldSeen = false
    const updates = (): void => {
      while (at < octets.length && octets[at] >> 5 === 1) {
        if (fieldSeen) throw new Refusal()
        const size = integer(5)
        if (size > this.#max || (this.#due !== null && size > this.#due)) throw new Refusal()
        this.#due = null
        this.limit = size
        this.#evict(0)
      }
      if (this.#due !== null) throw new Refusal()
    }
    updates()
    while (at < octets.length) {
      fieldSeen = true
      const octet = octets[at]
      if (octet >> 7 === 1) fields.push([...entry(integer(7)), false])
      else if (octet >> 5 === 1) updates()
      else {
        const indexing = octet >> 6 === 1
        const never = octet >> 4 === 1
        const index = integer(indexing ? 6 : 4)
        const name = index === 0 ? text() : entry(index)[0]
        const value = text()
        fields.push([name, value, never])
        if (indexing) {
          const size = name.length + value.length + 32
          this.#evict(size)
          if (size <= this.limit) this.table.unshift([name, value])
        }
      }
    }
    return fields
  }

  #evict(room: number): void {
    for (let size = this.size; this.table.length > 0 && size + room > this.limit; ) {
      const [name, value] = this.table.pop()!
      size -= name.length + value.length + 32
    }
  }
}

function decodeBits(octets: readonly number[]): string {
  let text = ""
  let code = 1
  for (const octet of octets) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((octet >> bit) & 1)
      const symbol = symbols.get(code)
      if (symbol !== undefined) {
        text += String.fromCharCode(symbol)
        code = 1
      } else if (code === EOS) throw new Refusal()
    }
  }
  // Up to seven ones, behind the one in front.
  if (code >= 2 ** 8 || (code & (code + 1)) !== 0) throw new Refusal()
  return text
}

// HPACK decoding (RFC 7541): header blocks of one connection to fields. An indexed field hands out the strings of its table and what
// was found out about it when it came first. It judges the coding only; what a field may say is for `classify` and the sink.

import { DecoderTable } from "./hpack-decoder-table.ts"
import { commonLiteralText, literalText } from "./hpack-literals.ts"
import { DEFAULT_TABLE_SIZE, FIRST_DYNAMIC, STATIC_NAMES, STATIC_VALUES } from "./hpack-static.ts"

/** Takes the fields of a block in order. `kind` is what `classify` made of the field, whenever that was. */
export interface FieldSink {
  onField(name: string, value: string, kind: number): void
}

/** Integers that go on for more octets than this, or come to more than {@link LARGEST}, are refused (RFC 7541 §5.1). */
const MOST_CONTINUATIONS = 5
const LARGEST = 2 ** 28
const REFUSED = -1
/** In place of a static entry's kind: not classified yet. */
const UNKNOWN = -0x80000000

export class HpackDecoder {
  /**
   * True while the sink is told of a field that was sent as never to be indexed: who forwards it must send it so too
   * (RFC 7541 §6.2.3).
   */
  neverIndexed = false
  readonly #classify: (name: string, value: string) => number
  readonly #staticKinds: Int32Array = new Int32Array(FIRST_DYNAMIC).fill(UNKNOWN)
  readonly #table: DecoderTable
  #maxTableSize: number
  /** The next block must bring the table down to this before anything else; −1 = nothing is due. */
  #dueTableSize = -1
  /** Where reading goes on, after an integer or a string. */
  #at = 0

  /**
   * @param maxTableSize octets the peer's encoder may use for its dynamic table: SETTINGS_HEADER_TABLE_SIZE, 4096 until the peer has
   *   acknowledged another ({@link setMaxTableSize}).
   * @param classify called once for each literal and each static entry in use; its result goes to the sink. Not −2³¹.
   */
  constructor(maxTableSize: number, classify: (name: string, value: string) => number) {
    this.#maxTableSize = maxTableSize
    this.#table = new DecoderTable(Math.min(maxTableSize, DEFAULT_TABLE_SIZE), maxTableSize)
    this.#classify = classify
  }

  /** The peer has acknowledged our SETTINGS_HEADER_TABLE_SIZE. If its table is larger, its next block must say that it shrinks (RFC 7541 §4.2). */
  setMaxTableSize(size: number): void {
    this.#maxTableSize = size
    this.#table.makeRoom(size)
    if (size < this.#table.limit && (this.#dueTableSize === -1 || size < this.#dueTableSize)) this.#dueTableSize = size
  }

  /** Octets the dynamic table holds, by the count of RFC 7541 §4.1. */
  get tableSize(): number {
    return this.#table.size
  }

  /**
   * Decodes one whole header block, `buffer[from, to)`. False when it can't be decoded, or asks for what it may not: COMPRESSION_ERROR
   * for the connection, whose table is worth nothing after that. Fields before the fault have been handed out.
   */
  decode(buffer: Buffer, from: number, to: number, sink: FieldSink): boolean {
    const table = this.#table
    const classify = this.#classify
    let at = from
    while (at < to && (buffer[at] & 0xe0) === 0x20) {
      const size = this.#integer(buffer, at, to, 0x1f)
      if (size === REFUSED || size > this.#maxTableSize) return false
      // The first one has to honour the lowest limit since the last block.
      if (this.#dueTableSize !== -1 && size > this.#dueTableSize) return false
      this.#dueTableSize = -1
      table.resize(size)
      at = this.#at
    }
    if (this.#dueTableSize !== -1) return false

    while (at < to) {
      const octet = buffer[at]
      if (octet >= 0x80) {
        let index = octet & 0x7f
        if (index === 0x7f) {
          index = this.#integer(buffer, at, to, 0x7f)
          at = this.#at
        } else at++
        if (index >= FIRST_DYNAMIC) {
          const slot = table.slotOf(index - FIRST_DYNAMIC)
          if (slot === -1) return false
          sink.onField(table.names[slot], table.values[slot], table.kinds[slot])
        } else {
          if (index <= 0) return false
          let kind = this.#staticKinds[index]
          if (kind === UNKNOWN) this.#staticKinds[index] = kind = classify(STATIC_NAMES[index], STATIC_VALUES[index])
          sink.onField(STATIC_NAMES[index], STATIC_VALUES[index], kind)
        }
        continue
      }

      const indexed = octet >= 0x40
      // An update of the table's size is no field: it may stand at the beginning only (RFC 7541 §4.2).
      if (!indexed && octet >= 0x20) return false
      const never = !indexed && octet >= 0x10
      const prefix = indexed ? 0x3f : 0x0f
      let index = octet & prefix
      if (index === prefix) {
        index = this.#integer(buffer, at, to, prefix)
        at = this.#at
      } else at++
      let name: string | null
      if (index === 0) {
        name = this.#string(buffer, at, to, true)
        if (name === null) return false
        at = this.#at
      } else if (index >= FIRST_DYNAMIC) {
        const slot = table.slotOf(index - FIRST_DYNAMIC)
        if (slot === -1) return false
        name = table.names[slot]
      } else if (index > 0) name = STATIC_NAMES[index]
      else return false

      // What its sender puts into the table is new to it, and so to us.
      const value = this.#string(buffer, at, to, !indexed && !never)
      if (value === null) return false
      at = this.#at
      const kind = classify(name, value)
      if (indexed) table.add(name, value, kind)
      if (never) {
        this.neverIndexed = true
        sink.onField(name, value, kind)
        this.neverIndexed = false
      } else sink.onField(name, value, kind)
    }
    return true
  }

  /** The integer whose first octet is at `at` and whose prefix has the bits of `prefix` (RFC 7541 §5.1). */
  #integer(buffer: Buffer, at: number, to: number, prefix: number): number {
    let value = buffer[at++] & prefix
    if (value === prefix) {
      for (let shift = 0; ; shift += 7) {
        if (at === to || shift === 7 * MOST_CONTINUATIONS) return REFUSED
        const octet = buffer[at++]
        // No shift: the fifth octet's would be beyond 32 bits.
        value += (octet & 0x7f) * 2 ** shift
        if (octet < 0x80) break
      }
      if (value > LARGEST) return REFUSED
    }
    this.#at = at
    return value
  }

  /** The string at `at` (RFC 7541 §5.2); null when it is cut short or no Huffman code. `common`: it may well have come before. */
  #string(buffer: Buffer, at: number, to: number, common: boolean): string | null {
    if (at >= to) return null
    const huffman = buffer[at] >= 0x80
    let length = buffer[at] & 0x7f
    if (length === 0x7f) {
      length = this.#integer(buffer, at, to, 0x7f)
      if (length === REFUSED) return null
      at = this.#at
    } else at++
    const end = at + length
    if (end > to) return null
    this.#at = end
    return common ? commonLiteralText(buffer, at, end, huffman) : literalText(buffer, at, end, huffman)
  }
}

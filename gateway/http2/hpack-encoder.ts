// HPACK encoding (RFC 7541): fields of one connection to header blocks. What repeats goes into the dynamic table and costs an octet or
// two from then on; what doesn't is written as it is. It never puts secrets into a table, and validates nothing.

import { LATIN1_WRITE_FROM } from "../runtime/latin1-writing.ts"
import { ABSENT, CROWDED, EncoderTable, LARGEST_TABLE } from "./hpack-encoder-table.ts"
import { encodeHuffman, huffmanLength } from "./hpack-huffman.ts"
import { COOKIE, type FieldName, INDEX, KNOWN_NAMES, LONG_COOKIE, PLAIN, SECRET } from "./hpack-names.ts"
import { ENTRY_OVERHEAD } from "./hpack-static.ts"

// First octets and the bits of their integers (RFC 7541 §6).
const INDEXED = 0x80
const INDEXED_BITS = 0x7f
const WITH_INDEXING = 0x40
const WITH_INDEXING_BITS = 0x3f
const WITHOUT_INDEXING = 0x00
const NEVER_INDEXED = 0x10
const LITERAL_BITS = 0x0f
const TABLE_SIZE = 0x20
const TABLE_SIZE_BITS = 0x1f
const HUFFMAN = 0x80
const STRING_BITS = 0x7f
/** Hashes of fields remembered as seen once. */
const SEEN = 64
/** Room {@link HpackEncoder.begin} needs, octets. */
export const BEGIN_ROOM = 8
/** Room {@link HpackEncoder.field} needs beside the characters of name and value, octets. */
export const FIELD_ROOM = 16

const STATUS_TEXTS: readonly string[] = Array.from({ length: 1000 }, (_, status) => String(status))

interface Latin1Writable {
  latin1Write(this: Uint8Array, text: string, at: number, length: number): number
}
const latin1Write = (Buffer.prototype as unknown as Latin1Writable).latin1Write

export class HpackEncoder {
  readonly #table: EncoderTable = new EncoderTable()
  readonly #seen: Int32Array = new Int32Array(SEEN)
  /** The lowest table size there was since the last block, to be announced; −1 = none. */
  #lowestSize = -1
  /** What the peer last was told, octets. */
  #announcedSize = LARGEST_TABLE

  /** The peer's SETTINGS_HEADER_TABLE_SIZE: as much of it as we use holds from now on, and is announced at the start of the next block. */
  setMaxTableSize(size: number): void {
    const limit = Math.min(size, LARGEST_TABLE)
    if (this.#lowestSize === -1 ? limit < this.#announcedSize : limit < this.#lowestSize) this.#lowestSize = limit
    this.#table.resize(limit)
  }

  /** Octets the dynamic table holds, by the count of RFC 7541 §4.1. */
  get tableSize(): number {
    return this.#table.size
  }

  /** Starts a block: writes the table sizes the peer has to learn of, in {@link BEGIN_ROOM} octets at most. The offset after them. */
  begin(out: Uint8Array, at: number): number {
    const limit = this.#table.limit
    if (this.#lowestSize === -1 && limit === this.#announcedSize) return at
    // The lowest in between comes first: it is what has made entries go (RFC 7541 §4.2).
    if (this.#lowestSize !== -1 && this.#lowestSize < limit) at = writeInteger(out, at, TABLE_SIZE, TABLE_SIZE_BITS, this.#lowestSize)
    this.#lowestSize = -1
    this.#announcedSize = limit
    return writeInteger(out, at, TABLE_SIZE, TABLE_SIZE_BITS, limit)
  }

  /**
   * Writes one field at `at`, in no more than name, value and {@link FIELD_ROOM} octets. The name is lower case, both are latin1.
   * The offset after it.
   */
  field(out: Uint8Array, at: number, name: string, value: string): number {
    const known = KNOWN_NAMES.get(name) ?? this.#table.ownName(name)
    if (known === undefined) return this.#newName(out, at, name, value)
    const policy = known.policy
    if (policy === PLAIN) {
      const index = this.#table.nameIndex(known)
      // The name alone is worth an entry: its next values go without it.
      if (index === 0 && this.#fits(name, value)) return this.#added(out, at, known, name, value)
      return writePlain(out, at, WITHOUT_INDEXING, index, known, name, value)
    }
    if (policy === SECRET || (policy === COOKIE && value.length < LONG_COOKIE)) return this.secret(out, at, name, value)
    const values = known.values
    for (let i = 0; i < values.length; i++) if (values[i] === value) return writeIndex(out, at, known.index + i)
    const found = this.#table.find(known, value)
    if (found > ABSENT) return writeIndex(out, at, found)
    if (found !== CROWDED && this.#fits(name, value) && (policy === INDEX || this.#wasSeen(known.id, value))) {
      return this.#added(out, at, known, name, value)
    }
    return writePlain(out, at, WITHOUT_INDEXING, this.#table.nameIndex(known), known, name, value)
  }

  /** As {@link field}, as never to be indexed: for secrets, and for fields that came so (RFC 7541 §6.2.3). */
  secret(out: Uint8Array, at: number, name: string, value: string): number {
    const known = KNOWN_NAMES.get(name) ?? this.#table.ownName(name)
    return writePlain(out, at, NEVER_INDEXED, known === undefined ? 0 : this.#table.nameIndex(known), known, name, value)
  }

  /** `:status`, by number, 100 to 999. As {@link field}. */
  status(out: Uint8Array, at: number, status: number): number {
    switch (status) {
      case 200:
        out[at] = INDEXED | 8
        return at + 1
      case 204:
        out[at] = INDEXED | 9
        return at + 1
      case 206:
        out[at] = INDEXED | 10
        return at + 1
      case 304:
        out[at] = INDEXED | 11
        return at + 1
      case 400:
        out[at] = INDEXED | 12
        return at + 1
      case 404:
        out[at] = INDEXED | 13
        return at + 1
      case 500:
        out[at] = INDEXED | 14
        return at + 1
      default:
        return this.field(out, at, ":status", STATUS_TEXTS[status])
    }
  }

  // A name neither known nor in the table: into it the second time, whatever the value.
  #newName(out: Uint8Array, at: number, name: string, value: string): number {
    if (this.#fits(name, value) && this.#wasSeen(-1, name)) return this.#added(out, at, undefined, name, value)
    return writePlain(out, at, WITHOUT_INDEXING, 0, undefined, name, value)
  }

  // What takes more than a quarter of the table would drive out too much.
  #fits(name: string, value: string): boolean {
    return (name.length + value.length + ENTRY_OVERHEAD) * 4 <= this.#table.limit
  }

  // Whether that was asked for before, not long ago; it counts as seen from now on.
  #wasSeen(id: number, text: string): boolean {
    let hash = id
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
    hash ^= hash >>> 15
    const slot = hash & (SEEN - 1)
    if (this.#seen[slot] === hash) return true
    this.#seen[slot] = hash
    return false
  }

  #added(out: Uint8Array, at: number, known: FieldName | undefined, name: string, value: string): number {
    const index = known === undefined ? 0 : this.#table.nameIndex(known)
    at = writeInteger(out, at, WITH_INDEXING, WITH_INDEXING_BITS, index)
    if (index === 0) at = writeName(out, at, known, name)
    this.#table.add(known, name, value)
    return writeShort(out, at, value)
  }
}

/** Whole octets; `first`: what the first has beside the integer, whose part of it is `bits` (RFC 7541 §5.1). */
function writeInteger(out: Uint8Array, at: number, first: number, bits: number, value: number): number {
  if (value < bits) {
    out[at] = first | value
    return at + 1
  }
  out[at++] = first | bits
  value -= bits
  while (value >= 0x80) {
    out[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  out[at] = value
  return at + 1
}

function writeIndex(out: Uint8Array, at: number, index: number): number {
  if (index < INDEXED_BITS) {
    out[at] = INDEXED | index
    return at + 1
  }
  return writeInteger(out, at, INDEXED, INDEXED_BITS, index)
}

function writeName(out: Uint8Array, at: number, known: FieldName | undefined, name: string): number {
  if (known === undefined || known.literal.length === 0) return writeShort(out, at, name)
  const literal = known.literal
  for (let i = 0; i < literal.length; i++) out[at + i] = literal[i]
  return at + literal.length
}

// A literal that stays out of the table; its value is sent as it is, which is the quicker for both sides.
function writePlain(
  out: Uint8Array,
  at: number,
  first: number,
  index: number,
  known: FieldName | undefined,
  name: string,
  value: string,
): number {
  at = writeInteger(out, at, first, LITERAL_BITS, index)
  if (index === 0) at = writeName(out, at, known, name)
  return writeRaw(out, at, value)
}

function writeRaw(out: Uint8Array, at: number, text: string): number {
  const length = text.length
  at = writeInteger(out, at, 0, STRING_BITS, length)
  if (length >= LATIN1_WRITE_FROM) latin1Write.call(out, text, at, length)
  else for (let i = 0; i < length; i++) out[at + i] = text.charCodeAt(i)
  return at + length
}

// The shorter of the two codings: Huffman's only if it saves something.
function writeShort(out: Uint8Array, at: number, text: string): number {
  const length = huffmanLength(text)
  if (length >= text.length) return writeRaw(out, at, text)
  return encodeHuffman(text, out, writeInteger(out, at, HUFFMAN, STRING_BITS, length))
}

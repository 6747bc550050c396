// The little of protobuf's wire format that the gateway itself reads and writes: flat messages of varints, text and octets.

import { Buffer } from "node:buffer"

/** Fields of a message; more are refused. */
const MAX_FIELDS = 64

const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

/** One message, by field number. Of a field that is repeated the last value stands, as the format has it. */
export class Message {
  readonly #values = new Map<number, number | Buffer>()

  /** Octets of a field; empty when it is absent. */
  octets(field: number): Buffer {
    const value = this.#values.get(field)
    return typeof value === "object" ? value : EMPTY
  }

  text(field: number): string {
    return this.octets(field).toString("utf8")
  }

  /** A varint's low 32 bits; 0 when it is absent. */
  number(field: number): number {
    const value = this.#values.get(field)
    return typeof value === "number" ? value : 0
  }

  set(field: number, value: number | Buffer): boolean {
    this.#values.set(field, value)
    return this.#values.size <= MAX_FIELDS
  }
}

const EMPTY: Buffer = Buffer.alloc(0)

/** Takes a message apart; its octets stay where they are. Null when it is malformed. */
export function readMessage(bytes: Buffer): Message | null {
  const message = new Message()
  return walkMessage(bytes, (field, value) => message.set(field, value)) ? message : null
}

/** Shows `each` every field of a message in order, repeated ones each time, until it says false; whether it saw them all. */
export function walkMessage(bytes: Buffer, each: (field: number, value: number | Buffer) => boolean): boolean {
  const cursor = { at: 0 }
  while (cursor.at < bytes.length) {
    const tag = readVarint(bytes, cursor)
    if (tag === -1) return false
    const field = tag >>> 3
    if (field === 0) return false
    switch (tag & 7) {
      case VARINT: {
        const value = readVarint(bytes, cursor)
        if (value === -1 || !each(field, value)) return false
        break
      }
      case LENGTH: {
        const length = readVarint(bytes, cursor)
        if (length === -1 || length > bytes.length - cursor.at) return false
        if (!each(field, bytes.subarray(cursor.at, cursor.at + length))) return false
        cursor.at += length
        break
      }
      case FIXED64:
      case FIXED32:
        cursor.at += (tag & 7) === FIXED64 ? 8 : 4
        if (cursor.at > bytes.length) return false
        break
      default:
        return false
    }
  }
  return true
}

/** The low 32 bits of a varint; −1 when it is cut off or too long. */
function readVarint(bytes: Buffer, cursor: { at: number }): number {
  let value = 0
  for (let i = 0; i < 10; i++) {
    if (cursor.at >= bytes.length) return -1
    const octet = bytes[cursor.at++]
    if (i < 5) value |= (octet & 0x7f) << (7 * i)
    if (octet < 0x80) return value >>> 0
  }
  return -1
}

/** Writes a flat message: fields in order, those with their default value left out. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = []

  flag(field: number, value: boolean): this {
    if (value) this.#parts.push(Buffer.from([field << 3, 1]))
    return this
  }

  /** An unsigned number of 32 bits. */
  number(field: number, value: number): this {
    if (value !== 0) this.#parts.push(Buffer.from([field << 3, ...varint(value)]))
    return this
  }

  octets(field: number, value: Uint8Array | string): this {
    const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value
    if (bytes.length > 0) this.#parts.push(Buffer.from([(field << 3) | LENGTH, ...varint(bytes.length)]), bytes)
    return this
  }

  take(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

function varint(value: number): number[] {
  const out: number[] = []
  for (let rest = value >>> 0; ; rest >>>= 7) {
    if (rest < 0x80) {
      out.push(rest)
      return out
    }
    out.push((rest & 0x7f) | 0x80)
  }
}

// Base64 that comes and goes in pieces, as gRPC-Web's text form has it: segments one after the other, each padded or not.

import { Buffer } from "node:buffer"

const EMPTY: Buffer = Buffer.alloc(0)
const PADDING = 0x3d
/** Value of an octet in the alphabet; 64 = not in it. */
const VALUES = new Uint8Array(256).fill(64)
for (const [i, char] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"].entries()) VALUES[char.charCodeAt(0)] = i

/** Decodes. White space, other alphabets, stray bits and segments cut short are refused. */
export class Base64Decoder {
  /** Of the group of four under way: characters so far, padding included, the padding among them, and their bits. */
  #count = 0
  #padding = 0
  #bits = 0

  /** Between two groups: text that ends elsewhere was cut short. */
  get atBoundary(): boolean {
    return this.#count === 0
  }

  /** What octets `[from, to)` of the text stand for; null when it isn't base64. */
  decode(text: Uint8Array, from: number, to: number): Buffer | null {
    const out = Buffer.allocUnsafe(((to - from + this.#count) >> 2) * 3)
    let length = 0
    for (let i = from; i < to; i++) {
      const value = VALUES[text[i]]
      if (value < 64) {
        if (this.#padding > 0) return null
        this.#bits = (this.#bits << 6) | value
      } else if (text[i] === PADDING && this.#count >= 2) {
        this.#padding++
        this.#bits <<= 6
      } else return null
      if (++this.#count < 4) continue
      const bits = this.#bits
      const padding = this.#padding
      // Bits that no octet takes up must be 0 (RFC 4648 §3.5), so that there is one spelling.
      if (padding > 0 && (bits & (padding === 1 ? 0xff : 0xffff)) !== 0) return null
      out[length] = bits >> 16
      if (padding < 2) out[length + 1] = bits >> 8
      if (padding < 1) out[length + 2] = bits
      length += 3 - padding
      this.#count = 0
      this.#padding = 0
      this.#bits = 0
    }
    return length === 0 ? EMPTY : out.subarray(0, length)
  }
}

/** Encodes. Up to two octets wait for those that make three of them, or for {@link end}. */
export class Base64Encoder {
  #kept: Buffer = EMPTY

  /** The text for octets `[from, to)` and what waited. */
  encode(bytes: Buffer, from: number, to: number): Buffer {
    const all = this.#kept.length === 0 ? bytes.subarray(from, to) : Buffer.concat([this.#kept, bytes.subarray(from, to)])
    const whole = all.length - (all.length % 3)
    this.#kept = whole === all.length ? EMPTY : Buffer.from(all.subarray(whole))
    return whole === 0 ? EMPTY : Buffer.from(all.toString("base64", 0, whole), "latin1")
  }

  /** The text for what waits, padded: a segment ends, so that all of it can be decoded. */
  end(): Buffer {
    if (this.#kept.length === 0) return EMPTY
    const text = Buffer.from(this.#kept.toString("base64"), "latin1")
    this.#kept = EMPTY
    return text
  }
}

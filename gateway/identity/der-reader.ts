// Reads DER (ITU-T X.690) one value after the other, as far as certificates need it. What isn't DER ends the reading; no
// length is believed that leaves its surroundings.

export const SEQUENCE = 0x30
export const SET = 0x31
export const OBJECT_IDENTIFIER = 0x06
export const OCTET_STRING = 0x04
export const BOOLEAN = 0x01

export class DerReader {
  readonly bytes: Uint8Array
  /** Of the value read last: its tag, where it begins, and where its content lies. */
  tag = 0
  head = 0
  start = 0
  end = 0
  #at: number
  readonly #to: number

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.bytes = bytes
    this.#at = from
    this.#to = to
  }

  /** Moves on to the next value; false at the end, or where there is none that fits. */
  next(): boolean {
    let at = this.#at
    if (at + 2 > this.#to) return false
    const tag = this.bytes[at]
    // Tags above 30 don't appear in certificates.
    if ((tag & 0x1f) === 0x1f) return false
    let length = this.bytes[at + 1]
    at += 2
    if (length >= 0x80) {
      const octets = length & 0x7f
      if (octets < 1 || octets > 3 || at + octets > this.#to) return false
      length = 0
      for (let i = 0; i < octets; i++) length = length * 256 + this.bytes[at + i]
      at += octets
    }
    if (at + length > this.#to) return false
    this.tag = tag
    this.head = this.#at
    this.start = at
    this.end = at + length
    this.#at = this.end
    return true
  }

  /** {@link next}, if it has this tag. */
  expect(tag: number): boolean {
    return this.next() && this.tag === tag
  }

  /** The values within the one read last. */
  inside(): DerReader {
    return new DerReader(this.bytes, this.start, this.end)
  }

  content(): Uint8Array {
    return this.bytes.subarray(this.start, this.end)
  }

  /** The object identifier read last, with dots. */
  oid(): string {
    let text = ""
    let arc = 0
    for (let i = this.start; i < this.end; i++) {
      arc = arc * 128 + (this.bytes[i] & 0x7f)
      if (arc > 0xffffffff) return ""
      if (this.bytes[i] >= 0x80) continue
      text = text === "" ? `${Math.min(2, Math.floor(arc / 40))}.${arc - 40 * Math.min(2, Math.floor(arc / 40))}` : `${text}.${arc}`
      arc = 0
    }
    return text
  }
}

// Builds the output of a rewrite: one growing buffer, numbers in shortest LEB128 form.

export class Writer {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(Math.max(capacity, 64))
  }

  get length(): number {
    return this.#length
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + extra))
    grown.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = grown
  }

  u8(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  u32(value: number): void {
    this.#reserve(5)
    let rest = value >>> 0
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#bytes[this.#length++] = rest
  }

  s32(value: number): void {
    this.#reserve(5)
    let rest = value | 0
    while (rest < -64 || rest > 63) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80
      rest >>= 7
    }
    this.#bytes[this.#length++] = rest & 0x7f
  }

  text(value: string): void {
    this.prefixed(new TextEncoder().encode(value))
  }

  raw(bytes: ArrayLike<number>): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** `source` from `start` to `end`. */
  copy(source: Uint8Array, start: number, end: number): void {
    const length = end - start
    this.#reserve(length)
    // Most pieces between two insertions are a few bytes long, where a loop beats a view and a call.
    if (length < 32) {
      const bytes = this.#bytes
      let at = this.#length
      for (let i = start; i < end; i++) bytes[at++] = source[i]
    } else {
      this.#bytes.set(source.subarray(start, end), this.#length)
    }
    this.#length += length
  }

  /** The bytes after their own length: a section's or a function's body. */
  prefixed(bytes: Uint8Array): void {
    this.u32(bytes.length)
    this.raw(bytes)
  }

  /** What was written; a view until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** What was written, in a buffer of exactly its size. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length) as Uint8Array<ArrayBuffer>
  }
}

/** Octets of `value` as unsigned LEB128. */
export function u32Length(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5
}

/** Octets of a non-negative `value` as signed LEB128. */
export function s32Length(value: number): number {
  return value < 0x40 ? 1 : value < 0x2000 ? 2 : value < 0x100000 ? 3 : value < 0x8000000 ? 4 : 5
}

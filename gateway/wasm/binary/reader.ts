// Reads the WebAssembly binary format from hostile bytes: every length, count and LEB128 number is checked against what is
// left. A fault throws `MalformedModule`, which the one public entry (`instrument`) turns into a value.

/** Why a module can't be taken, with the offset of the offending byte where that helps. Never leaves `gateway/wasm/`. */
export class MalformedModule extends Error {
  override readonly name = "MalformedModule"
}

const utf8 = new TextDecoder("utf-8", { fatal: true })

export class Reader {
  readonly bytes: Uint8Array
  /** Offset of the next byte. */
  pos: number
  /** First offset that may not be read. */
  end: number

  constructor(bytes: Uint8Array, pos = 0, end = bytes.length) {
    this.bytes = bytes
    this.pos = pos
    this.end = end
  }

  /** @throws MalformedModule always */
  fail(what: string, offset = this.pos): never {
    throw new MalformedModule(`${what} at offset ${offset}`)
  }

  u8(): number {
    if (this.pos >= this.end) this.fail("unexpected end")
    return this.bytes[this.pos++]
  }

  u32(): number {
    if (this.pos >= this.end) this.fail("unexpected end")
    const first = this.bytes[this.pos]
    if (first < 0x80) {
      this.pos++
      return first
    }
    return this.#longU32()
  }

  #longU32(): number {
    const start = this.pos
    let value = 0
    for (let i = 0; i < 5; i++) {
      const byte = this.u8()
      if (i === 4 && byte > 0x0f) break
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) return value
    }
    this.fail("number out of range", start)
  }

  /** A u32 in its shortest form: what follows a prefix opcode, so that no engine reads it differently. */
  opcode(): number {
    const start = this.pos
    const value = this.u32()
    if (this.pos - start > 1 && this.bytes[this.pos - 1] === 0) this.fail("padded opcode", start)
    return value
  }

  /** Passes over a signed number of at most `maxBytes` bytes (5 for 32 bits, 10 for 64). */
  skipSigned(maxBytes: number): void {
    const start = this.pos
    for (let i = 0; i < maxBytes; i++) if (this.u8() < 0x80) return
    this.fail("number out of range", start)
  }

  /** Value of an `i32.const`. */
  s32(): number {
    const start = this.pos
    let value = 0
    for (let i = 0; i < 5; i++) {
      const byte = this.u8()
      value |= (byte & 0x7f) << (7 * i)
      if (byte < 0x80) return i < 4 && byte & 0x40 ? value | (-1 << (7 * i + 7)) : value
    }
    this.fail("number out of range", start)
  }

  /** A type index written as a 33-bit signed number; negative ones (abstract types) were handled before by their one byte. */
  typeIndex(): number {
    const start = this.pos
    let value = 0
    for (let i = 0; i < 5; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * 2 ** (7 * i)
      if (byte < 0x80) {
        if (byte & 0x40 || value >= 2 ** 32) break
        return value
      }
    }
    this.fail("unsupported type", start)
  }

  /** A count of items that take at least `itemBytes` bytes each; more than can follow is refused before anything is done with it. */
  count(itemBytes = 1): number {
    const start = this.pos
    const value = this.u32()
    if (value * itemBytes > this.end - this.pos) this.fail("count exceeds the section", start)
    return value
  }

  skip(length: number): void {
    if (length > this.end - this.pos) this.fail("unexpected end")
    this.pos += length
  }

  /** A length-prefixed UTF-8 name. */
  text(): string {
    const length = this.count()
    const start = this.pos
    this.pos += length
    try {
      return utf8.decode(this.bytes.subarray(start, this.pos))
    } catch {
      this.fail("name is not UTF-8", start)
    }
  }
}

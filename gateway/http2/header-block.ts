// A header section whose frames come one by one (RFC 9113 §4.3): gathered whole before it is decompressed, within a limit.

/** Frames one section may come in beside the limit on its octets: empty ones cost work as well. */
const FRAMES = 64

const NOTHING = Buffer.alloc(0)

export class HeaderBlock {
  /** The stream it belongs to; 0: none is being gathered. */
  stream = 0
  endStream = false
  bytes: Buffer = NOTHING
  length = 0
  readonly #limit: number
  #frames = 0

  /** `decoded`: octets of a decoded section. Compressed, one that keeps to it is not much larger. */
  constructor(decoded: number) {
    this.#limit = decoded + 16_384
  }

  begin(stream: number, endStream: boolean, buffer: Buffer, from: number, to: number): boolean {
    this.stream = stream
    this.endStream = endStream
    this.length = 0
    this.#frames = 0
    this.bytes = Buffer.allocUnsafe(Math.max(1024, (to - from) * 2))
    return this.append(buffer, from, to)
  }

  /** False: it is too large. */
  append(buffer: Buffer, from: number, to: number): boolean {
    const length = this.length + to - from
    if (length > this.#limit || ++this.#frames > FRAMES) return false
    if (length > this.bytes.length) {
      const bytes = Buffer.allocUnsafe(length * 2)
      this.bytes.copy(bytes, 0, 0, this.length)
      this.bytes = bytes
    }
    buffer.copy(this.bytes, this.length, from, to)
    this.length = length
    return true
  }

  end(): void {
    this.stream = 0
    this.bytes = NOTHING
  }
}

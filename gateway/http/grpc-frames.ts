// gRPC's framing of messages in a body: one octet of flags, four of length, the message. Reads it from buffers cut anywhere;
// never decompresses.

import { Buffer } from "node:buffer"

/** Octets before a message. */
export const FRAME_HEAD = 5
/** The message is compressed. */
const COMPRESSED = 1
/** gRPC-Web: the message is the trailers. */
export const TRAILERS = 0x80

/** A message with its frame. */
export function grpcFrame(flags: number, message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD + message.length)
  frame[0] = flags
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, FRAME_HEAD)
  return frame
}

/** Follows the frames of a body without keeping any of it: whether all of them are messages, and whether the last is whole. */
export class FrameScanner {
  #head = 0
  #length = 0
  #left = 0

  /** Between two frames. */
  get atBoundary(): boolean {
    return this.#head === 0
  }

  /** Looks at octets `[from, to)`; false when a frame is none of a message. */
  scan(buffer: Uint8Array, from: number, to: number): boolean {
    let i = from
    while (i < to) {
      if (this.#head === FRAME_HEAD) {
        const take = Math.min(this.#left, to - i)
        this.#left -= take
        i += take
      } else {
        const octet = buffer[i++]
        if (this.#head === 0) {
          if (octet > COMPRESSED) return false
          this.#length = 0
        } else this.#length = this.#length * 256 + octet
        if (++this.#head === FRAME_HEAD) this.#left = this.#length
      }
      if (this.#head === FRAME_HEAD && this.#left === 0) this.#head = 0
    }
    return true
  }
}

/** Who takes messages. */
export interface MessageSink {
  /** `message` is the sink's own. */
  onMessage(message: Buffer): void
}

/** What was wrong with a body. */
export type FrameError = "compressed" | "malformed" | "tooLarge"

/** Takes the messages out of a body, each whole in memory of its own. */
export class MessageReader {
  readonly #max: number
  readonly #head = Buffer.alloc(FRAME_HEAD)
  #headLength = 0
  #message: Buffer | null = null
  #length = 0

  /** `max`: octets of one message. */
  constructor(max: number) {
    this.#max = max
  }

  /** Between two messages: a body that ends elsewhere was cut short. */
  get atBoundary(): boolean {
    return this.#headLength === 0
  }

  /** Octets held for a message that isn't whole. */
  get held(): number {
    return this.#message === null ? 0 : this.#message.length
  }

  /** Reads octets `[from, to)`. After an error nothing more can be read. */
  read(buffer: Buffer, from: number, to: number, sink: MessageSink): FrameError | null {
    let i = from
    while (i < to) {
      let message = this.#message
      if (message === null) {
        const take = Math.min(FRAME_HEAD - this.#headLength, to - i)
        buffer.copy(this.#head, this.#headLength, i, i + take)
        this.#headLength += take
        i += take
        if (this.#head[0] > COMPRESSED) return "malformed"
        if (this.#head[0] === COMPRESSED) return "compressed"
        if (this.#headLength < FRAME_HEAD) return null
        const length = this.#head.readUInt32BE(1)
        if (length > this.#max) return "tooLarge"
        message = Buffer.allocUnsafeSlow(length)
        this.#message = message
        this.#length = 0
      }
      const take = Math.min(message.length - this.#length, to - i)
      buffer.copy(message, this.#length, i, i + take)
      this.#length += take
      i += take
      if (this.#length < message.length) return null
      this.#message = null
      this.#headLength = 0
      sink.onMessage(message)
    }
    return null
  }
}

// Cuts what a connection reads into frames. Sans-IO: payloads of DATA are handed on as they come, other frames whole and, as
// long as they lie in one segment, without a copy. It knows lengths and padding, and nothing of streams.

import { DATA, FRAME_HEAD, FRAME_SIZE_ERROR, MAX_PAYLOAD, PADDED, PROTOCOL_ERROR, readUint31 } from "./frames.ts"

/** Who is told of frames. Ranges of buffers are good until the call returns. */
export interface FrameSink {
  /** A frame other than DATA, with its payload in `buffer[from, to)`. */
  onFrame(type: number, flags: number, stream: number, buffer: Buffer, from: number, to: number): void
  /** A DATA frame begins: `length` octets of payload, of them `data` without padding. */
  onDataStart(flags: number, stream: number, length: number, data: number): void
  onDataBytes(buffer: Buffer, from: number, to: number): void
  /** The DATA frame is complete. */
  onDataEnd(): void
  /** The connection can't be read any further. */
  onFrameError(code: number, reason: string): void
}

const NOTHING = Buffer.alloc(0)

export class FrameReader {
  readonly #sink: FrameSink
  /** Nothing more is read. Set by whoever closes the connection. */
  stopped = false
  /** The beginning of a frame whose rest has not come. */
  #kept: Buffer = NOTHING
  #keptLength = 0
  /** Octets of it that are needed before it means anything. */
  #needed = FRAME_HEAD
  /** Octets of data, then of padding, still to come of the current DATA frame. */
  #data = 0
  #padding = 0
  #inData = false

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Reads the first `length` octets of `buffer`. */
  read(buffer: Buffer, length: number): void {
    let i = 0
    while (!this.stopped) {
      if (this.#inData) {
        i = this.#readData(buffer, i, length)
        if (this.#inData) return
      } else if (this.#keptLength > 0) {
        const take = Math.min(this.#needed - this.#keptLength, length - i)
        buffer.copy(this.#kept, this.#keptLength, i, i + take)
        this.#keptLength += take
        i += take
        if (this.#keptLength < this.#needed) return
        const size = this.#measure(this.#kept, 0)
        if (size > this.#needed) this.#keepRoom(size)
        else if (size > 0) {
          const kept = this.#kept
          this.#keptLength = 0
          this.#kept = NOTHING
          this.#frame(kept, 0, size)
        }
      } else {
        const left = length - i
        if (left < FRAME_HEAD) return this.#keep(buffer, i, length, FRAME_HEAD)
        const size = this.#measure(buffer, i)
        if (size < 0) return
        if (left < size) return this.#keep(buffer, i, length, size)
        i += size
        this.#frame(buffer, i - size, size)
      }
    }
  }

  #keep(buffer: Buffer, from: number, to: number, needed: number): void {
    if (from === to) return
    this.#needed = needed
    this.#kept = Buffer.allocUnsafe(needed)
    this.#keptLength = buffer.copy(this.#kept, 0, from, to)
  }

  #keepRoom(needed: number): void {
    const kept = Buffer.allocUnsafe(needed)
    this.#kept.copy(kept, 0, 0, this.#keptLength)
    this.#kept = kept
    this.#needed = needed
  }

  // Octets from a frame's first that have to be there before it is handled; −1: refused.
  #measure(buffer: Buffer, at: number): number {
    const length = (buffer[at] << 16) | (buffer[at + 1] << 8) | buffer[at + 2]
    if (length > MAX_PAYLOAD) {
      this.stopped = true
      this.#sink.onFrameError(FRAME_SIZE_ERROR, `frame of ${length} octets`)
      return -1
    }
    if (buffer[at + 3] !== DATA) return FRAME_HEAD + length
    return (buffer[at + 4] & PADDED) === 0 ? FRAME_HEAD : FRAME_HEAD + Math.min(1, length)
  }

  #frame(buffer: Buffer, at: number, size: number): void {
    const type = buffer[at + 3]
    const flags = buffer[at + 4]
    const stream = readUint31(buffer, at + 5)
    if (type !== DATA) {
      this.#sink.onFrame(type, flags, stream, buffer, at + FRAME_HEAD, at + size)
      return
    }
    const length = (buffer[at] << 16) | (buffer[at + 1] << 8) | buffer[at + 2]
    let data = length
    let padding = 0
    if ((flags & PADDED) !== 0) {
      padding = size > FRAME_HEAD ? buffer[at + FRAME_HEAD] : 0
      data = length - 1 - padding
      if (data < 0) {
        this.stopped = true
        this.#sink.onFrameError(PROTOCOL_ERROR, "padding longer than its frame")
        return
      }
    }
    this.#data = data
    this.#padding = padding
    this.#inData = true
    this.#sink.onDataStart(flags, stream, length, data)
    if (data + padding === 0) this.#endData()
  }

  #readData(buffer: Buffer, from: number, length: number): number {
    let i = from
    const data = Math.min(this.#data, length - i)
    if (data > 0) {
      this.#data -= data
      i += data
      this.#sink.onDataBytes(buffer, i - data, i)
    }
    if (this.#data === 0) {
      const padding = Math.min(this.#padding, length - i)
      this.#padding -= padding
      i += padding
      if (this.#padding === 0) this.#endData()
    }
    return i
  }

  #endData(): void {
    this.#inData = false
    if (!this.stopped) this.#sink.onDataEnd()
  }
}

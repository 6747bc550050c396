// The body of a request, kept while it streams upstream, so that it can be sent again; given up when it grows too long.

import { Buffer } from "node:buffer"
import type { UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"

/** Octets of a body that are kept. */
const MAX_KEPT = 64 * 1024
/** Octets there is room for at first. */
const FIRST_ROOM = 1024

const EMPTY = Buffer.alloc(0)

export class ReplayBuffer {
  ended = false
  trailers: Fields | null = null
  // In one piece: a body may come octet by octet.
  #bytes: Buffer = EMPTY
  #length = 0
  #lost = false

  /** All of the body that has come is here. */
  get whole(): boolean {
    return !this.#lost
  }

  /**
   * Keeps a copy of octets `[from, to)`. `needed`: no attempt has them, so they are kept even over the limit, by no more than
   * its client had sent when it was paused.
   */
  keep(buffer: Buffer, from: number, to: number, needed: boolean): void {
    if (this.#lost) return
    const length = this.#length + to - from
    if (length > MAX_KEPT && !needed) {
      this.#lost = true
      this.#bytes = EMPTY
      this.#length = 0
      return
    }
    if (length > this.#bytes.length) {
      const bytes = Buffer.allocUnsafeSlow(Math.max(length, FIRST_ROOM, Math.min(2 * this.#length, MAX_KEPT)))
      this.#bytes.copy(bytes, 0, 0, this.#length)
      this.#bytes = bytes
    }
    buffer.copy(this.#bytes, this.#length, from, to)
    this.#length = length
  }

  end(trailers: Fields | null): void {
    this.ended = true
    this.trailers = trailers
  }

  /** Sends what is kept. */
  sendTo(stream: UpstreamStream): void {
    if (this.#length > 0) stream.sendBytes(this.#bytes, 0, this.#length)
  }
}

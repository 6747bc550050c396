// The body of a request, kept while it streams upstream, so that it can be sent again; given up when it grows too long.

import { Buffer } from "node:buffer"
import type { UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"

/** Octets of a body that are kept. */
const MAX_KEPT = 64 * 1024

export class ReplayBuffer {
  ended = false
  trailers: Fields | null = null
  #bytes: Buffer[] = []
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
    this.#length += to - from
    if (this.#length > MAX_KEPT && !needed) {
      this.#lost = true
      this.#bytes = []
      return
    }
    this.#bytes.push(Buffer.from(buffer.subarray(from, to)))
  }

  end(trailers: Fields | null): void {
    this.ended = true
    this.trailers = trailers
  }

  /** Sends what is kept. */
  sendTo(stream: UpstreamStream): void {
    for (const bytes of this.#bytes) stream.sendBytes(bytes, 0, bytes.length)
  }
}

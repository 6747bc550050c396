// A body on its way through an exchange under test: handed to the filters piece by piece, and kept as it came out of them.

import type { ChainRun } from "../filter/chain.ts"
import { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { addAll } from "./messages.ts"

/** One body on its way through the exchange. */
export class PassingBody {
  /** Pieces still to come. */
  readonly coming: Buffer[]
  /** The end comes by itself, after the last piece. */
  readonly lateEnd: boolean
  readonly #trailers: Fields | null = null
  /** What has passed. */
  readonly chunks: Buffer[] = []
  trailers: Fields | null = null
  ended = false
  /** It passes filters, piece by piece. */
  filtered = false
  /** Held back by a filter: nothing more is read. */
  held = false
  /** The filters have been shown its end. */
  endFed = false

  constructor(chunks: readonly Buffer[], trailers: readonly string[] | null, lateEnd: boolean) {
    this.coming = [...chunks]
    this.lateEnd = lateEnd
    if (trailers === null) return
    this.#trailers = new Fields()
    addAll(this.#trailers, trailers)
  }

  /** No filter looks at it: it is there at once. */
  passWhole(): void {
    this.chunks.push(...this.coming.splice(0))
    this.trailers = this.#trailers
    this.ended = true
  }

  /** Hands the next piece to the filters; false when there is none, or when they want none. */
  feed(chain: ChainRun, response: boolean): boolean {
    if (!this.filtered || this.held || this.endFed) return false
    const chunk = this.coming.shift()
    if (chunk !== undefined) {
      if (response) chain.feedResponse(chunk, 0, chunk.length)
      else chain.feedRequest(chunk, 0, chunk.length)
    }
    if (this.coming.length > 0 || (chunk !== undefined && this.lateEnd)) {
      if (response) chain.flushResponse()
      else chain.flushRequest()
      return true
    }
    this.endFed = true
    if (response) chain.endResponse(this.#trailers)
    else chain.endRequest(this.#trailers)
    return true
  }
}

/** Frames a head for a body that filters have seen, by what is known when the first of it leaves. */
export function frame(head: RequestHead | ResponseHead, body: PassingBody): void {
  head.body = "length"
  if (!body.ended || body.trailers !== null) {
    head.fields.remove("content-length")
    return
  }
  head.contentLength = body.chunks.reduce((length, chunk) => length + chunk.length, 0)
  head.fields.set("content-length", String(head.contentLength))
}

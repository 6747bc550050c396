// A body that has passed an exchange's filters and waits to be sent: until it is known how its message is framed, and while
// there is nobody to send it to.

import { BodyBuffer } from "../filter/body-buffer.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"

export class FilteredBody {
  /** What waits. */
  readonly waiting: BodyBuffer = new BodyBuffer()
  ended = false
  trailers: Fields | null = null
  /** A filter wants nothing more to be read. */
  held = false
  /** The head has been sent; what comes is sent as it comes. */
  sent = false

  keep(bytes: Buffer): void {
    this.waiting.append(bytes, 0, bytes.length)
    this.waiting.own()
  }

  /** Something can be said of the message's framing. */
  get ready(): boolean {
    return this.ended || this.waiting.length > 0
  }

  /** Frames `head` for what is known now: its exact length when all of it is here, or else a body of unknown length. */
  frame(head: RequestHead | ResponseHead): void {
    head.body = "length"
    if (this.ended && this.trailers === null) {
      head.contentLength = this.waiting.length
      head.fields.set("content-length", String(head.contentLength))
    } else {
      head.fields.remove("content-length")
    }
  }
}

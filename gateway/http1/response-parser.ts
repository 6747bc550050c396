// Reads response heads with the strictness requests get: what is wrong or ambiguous is a protocol error of the upstream.

import { ResponseHead } from "../http/message.ts"
import { Framing, wireValue } from "./framing.ts"
import { type HeadLimits, HeadReader, MORE } from "./head-reader.ts"
import * as known from "./known-fields.ts"
import { NEED_MORE, REFUSED } from "./request-parser.ts"

/** One upstream connection's response heads, one after the other. {@link head} is reused for each of them. */
export class ResponseParser {
  readonly head: ResponseHead = new ResponseHead()
  /** What was wrong with the last head, for the log; "" otherwise. */
  reason = ""
  readonly #reader: HeadReader
  readonly #framing = new Framing()

  constructor(limits: HeadLimits) {
    this.#reader = new HeadReader("response", limits, this.head.fields)
  }

  /** Whether an octet of a response has arrived. */
  get started(): boolean {
    return this.#reader.started
  }

  reset(): void {
    this.#reader.reset()
    this.head.reset()
    this.reason = ""
  }

  /**
   * Reads on in `buffer[from, to)`: offset after the head, NEED_MORE or REFUSED. `method` is that of the request it
   * answers: HEAD's response has no body. Lower-cases field names in the buffer.
   */
  read(buffer: Buffer, from: number, to: number, method: string): number {
    const end = this.#reader.read(buffer, from, to)
    if (end === MORE) return NEED_MORE
    this.reason = end < 0 ? "malformed head" : this.#interpret(method)
    return this.reason === "" ? end : REFUSED
  }

  #interpret(method: string): string {
    const head = this.head
    const fields = head.fields
    const text = fields.text
    const lineEnd = this.#reader.lineEnd
    // `HTTP/1.x SP 3DIGIT [SP reason]` (RFC 9112 §4; the space before an empty reason may be missing).
    if (lineEnd < 12 || !text.startsWith("HTTP/1.") || text.charCodeAt(8) !== 32) return "malformed status line"
    const minor = text.charCodeAt(7) - 48
    if (minor !== 0 && minor !== 1) return "unsupported version"
    head.minor = minor
    const hundreds = text.charCodeAt(9) - 48
    const tens = text.charCodeAt(10) - 48
    const ones = text.charCodeAt(11) - 48
    if (hundreds < 1 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return "malformed status"
    if (lineEnd > 12 && text.charCodeAt(12) !== 32) return "malformed status line"
    const status = hundreds * 100 + tens * 10 + ones
    head.status = status
    head.reason = lineEnd > 13 ? text.slice(13, lineEnd) : ""
    if (lineEnd > 13 && minor === 1) {
      head.lineEnd = lineEnd + 2
      head.lineStatus = status
    }

    const framing = this.#framing
    framing.reset()
    const ids = this.#reader.known
    for (let i = 0; i < fields.count; i++) {
      const id = ids[i]
      if (id === known.OTHER || id === known.FORWARDED || id === known.HOST || id === known.EXPECT) continue
      if (id === known.CONTENT_LENGTH) {
        const at = i * 4
        if (!framing.setContentLength(text, fields.at[at + 2], fields.at[at + 3])) return "malformed or repeated content-length"
        continue
      }
      const value = wireValue(fields, i)
      fields.drop(i)
      switch (id) {
        case known.TRANSFER_ENCODING:
          if (!framing.setTransferEncoding(value)) return "malformed transfer-encoding"
          break
        case known.CONNECTION:
          if (!framing.setConnection(value)) return "connection names a field it may not"
          break
        case known.UPGRADE:
          framing.setUpgrade(value)
          break
        case known.KEEP_ALIVE:
          framing.setKeepAlive(value)
          break
      }
    }
    if (framing.transferEncodings > 0) {
      if (framing.contentLength !== -1) return "content-length together with transfer-encoding"
      if (framing.transferEncodings > 1 || !framing.chunked) return "unsupported transfer-encoding"
      if (minor === 0) return "transfer-encoding on HTTP/1.0"
    }
    head.keepAlive = !framing.close && (minor === 1 || framing.keepAlive)
    head.keepAliveTimeout = framing.keepAliveTimeout
    if (framing.upgrades) head.upgrade = framing.upgrade
    framing.dropOptions(fields)
    // RFC 9112 §6.3: these have no body, whatever their fields say.
    if (status < 200 || status === 204) {
      if (framing.contentLength !== -1) fields.remove("content-length")
    } else if (method === "HEAD" || status === 304) {
      head.body = "none"
    } else if (framing.chunked) {
      head.body = "chunked"
    } else if (framing.contentLength === -1) {
      head.body = "close"
      head.keepAlive = false
    } else if (framing.contentLength > 0) {
      head.body = "length"
      head.contentLength = framing.contentLength
    }
    return ""
  }
}

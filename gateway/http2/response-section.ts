// A decoded header section as a response's head, with the strictness requests get.

import type { ResponseHead } from "../http/message.ts"
import * as kinds from "./field-kinds.ts"
import type { FieldSink, HpackDecoder } from "./hpack-decoder.ts"
import { FIELD_OVERHEAD, type RequestLimits } from "./request-section.ts"

export class ResponseSection implements FieldSink {
  /** What is wrong with it; "" when nothing is. */
  malformed = ""
  readonly #limits: RequestLimits
  readonly #decoder: HpackDecoder
  #head: ResponseHead
  #size = 0
  #count = 0
  #length = -1

  constructor(limits: RequestLimits, head: ResponseHead, decoder: HpackDecoder) {
    this.#limits = limits
    this.#decoder = decoder
    this.#head = head
  }

  begin(head: ResponseHead): void {
    this.#head = head
    this.malformed = ""
    this.#size = 0
    this.#count = 0
    this.#length = -1
  }

  onField(name: string, value: string, kind: number): void {
    const head = this.#head
    this.#size += name.length + value.length + FIELD_OVERHEAD
    if (this.#decoder.neverIndexed) (head.fields.secrets ??= []).push(name)
    if (kind === kinds.STATUS) {
      if (head.status !== 0 || this.#count > 0) this.malformed ||= ":status repeated, or behind a field"
      head.status = Number(value)
      return
    }
    if (kind === kinds.MALFORMED || (kind > 0 && kind < kinds.STATUS)) {
      this.malformed ||= `field ${JSON.stringify(name.slice(0, 40))}`
      return
    }
    if (kind === kinds.DROPPED) return
    if (++this.#count > this.#limits.fields || this.#size > this.#limits.head) {
      this.malformed ||= "head too large"
      return
    }
    if (kind === kinds.CONTENT_LENGTH) {
      if (this.#length !== -1) this.malformed ||= "repeated content-length"
      this.#length = kinds.lengthOf(value)
      if (this.#length === -1) this.malformed ||= "content-length"
    }
    head.fields.append(name, value)
  }

  /** The section is complete, of an answer to `method`. */
  finish(endStream: boolean, method: string): void {
    const head = this.#head
    const { status } = head
    if (this.malformed !== "") return
    if (status === 0) this.malformed = "no :status"
    // Nobody upgrades from HTTP/2 (RFC 9113 §8.6), and what follows an informational response can't be its end.
    else if (status === 101) this.malformed = "status 101"
    else if (status < 200) {
      if (endStream) this.malformed = "informational response at the end"
      head.fields.remove("content-length")
    } else if (status === 204) head.fields.remove("content-length")
    else if (method === "HEAD" || status === 304) head.body = "none"
    else if (endStream) {
      if (this.#length > 0) this.malformed = "content-length without a body"
    } else if (this.#length > 0) {
      head.body = "length"
      head.contentLength = this.#length
    } else if (this.#length < 0) head.body = "close"
  }
}

// A decoded header section as a request's head. Whatever RFC 9113 §8 calls malformed is refused, and what two parsers could
// read differently as well. An extended CONNECT for a WebSocket (RFC 8441) becomes the upgrade of HTTP/1.1.

import type { ErrorCode } from "../errors.ts"
import { hostOf } from "../http/authority.ts"
import type { RequestHead } from "../http/message.ts"
import * as kinds from "./field-kinds.ts"
import type { FieldSink, HpackDecoder } from "./hpack-decoder.ts"

/** Limits of a request's head: octets of its path and of the whole list, and number of its fields. */
export interface RequestLimits {
  readonly startLine: number
  readonly head: number
  readonly fields: number
}

/** What SETTINGS_MAX_HEADER_LIST_SIZE counts for each field beside its characters (RFC 9113 §6.5.2). */
export const FIELD_OVERHEAD = 32

export class RequestSection implements FieldSink {
  /** Why it is malformed; "" when it is not. */
  malformed = ""
  readonly #limits: RequestLimits
  readonly #random: () => string
  readonly #decoder: HpackDecoder
  #head: RequestHead
  #size = 0
  #count = 0
  #regular = false
  #scheme = ""
  #protocol = ""
  #host: string | null = null
  #length = -1
  #cookie = ""
  #expect = ""
  #lastAuthority = ""
  #lastHost = ""

  /** `key`: yields a Sec-WebSocket-Key. */
  constructor(limits: RequestLimits, head: RequestHead, key: () => string, decoder: HpackDecoder) {
    this.#limits = limits
    this.#decoder = decoder
    this.#head = head
    this.#random = key
  }

  begin(head: RequestHead): void {
    this.#head = head
    this.malformed = ""
    this.#size = 0
    this.#count = 0
    this.#regular = false
    this.#scheme = ""
    this.#protocol = ""
    this.#host = null
    this.#length = -1
    this.#cookie = ""
    this.#expect = ""
    head.major = 2
  }

  onField(name: string, value: string, kind: number): void {
    this.#size += name.length + value.length + FIELD_OVERHEAD
    const head = this.#head
    if (this.#decoder.neverIndexed) (head.fields.secrets ??= []).push(name)
    if (kind === kinds.FIELD) {
      this.#regular = true
      if (++this.#count <= this.#limits.fields && this.#size <= this.#limits.head) head.fields.append(name, value)
      return
    }
    if (kind > 0 && kind <= kinds.LAST_PSEUDO) return this.#pseudo(name, value, kind)
    if (kind === kinds.MALFORMED) {
      this.malformed ||= `field ${JSON.stringify(name.slice(0, 40))}`
      return
    }
    this.#regular = true
    // Past a limit nothing is kept: the head will be refused.
    if (++this.#count > this.#limits.fields || this.#size > this.#limits.head) return
    switch (kind) {
      case kinds.FORWARDED:
        head.saysForwarded = true
        head.fields.append(name, value)
        return
      case kinds.COOKIE:
        // They may come in crumbs, which nobody behind us would put together (RFC 9113 §8.2.3).
        this.#cookie = this.#cookie === "" ? value : `${this.#cookie}; ${value}`
        return
      case kinds.CONTENT_LENGTH:
        if (this.#length !== -1) this.malformed ||= "repeated content-length"
        this.#length = kinds.lengthOf(value)
        if (this.#length === -1) this.malformed ||= "content-length"
        head.fields.append(name, value)
        return
      case kinds.HOST:
        if (this.#host !== null) this.malformed ||= "repeated host"
        this.#host = value
        return
      case kinds.TE:
        head.acceptsTrailers = true
        return
      case kinds.EXPECT:
        this.#expect = value.toLowerCase()
    }
  }

  #pseudo(name: string, value: string, kind: number): void {
    const head = this.#head
    if (this.#regular) this.malformed ||= `${name} behind a field`
    let before: string
    switch (kind) {
      case kinds.METHOD:
        before = head.method
        head.method = value
        break
      case kinds.PATH:
        before = head.target
        head.target = value
        break
      case kinds.AUTHORITY:
        before = head.authority
        head.authority = value
        break
      case kinds.SCHEME:
        before = this.#scheme
        this.#scheme = value
        break
      case kinds.PROTOCOL:
        before = this.#protocol
        this.#protocol = value
        break
      default:
        before = name
    }
    if (before !== "") this.malformed ||= `${name} repeated, or not a request's`
  }

  /** The section is complete; why the request is refused, if it is. Look at {@link malformed} first. */
  finish(endStream: boolean): ErrorCode | null {
    const head = this.#head
    if (this.malformed !== "") return "badRequest"
    if (head.method === "") return this.#wrong("no :method")
    if (head.method === "CONNECT" && this.#protocol === "") {
      if (head.target !== "" || this.#scheme !== "") return this.#wrong("CONNECT with :scheme or :path")
      return "methodNotAllowed"
    }
    if (this.#scheme === "") return this.#wrong("no :scheme")
    if (head.target === "") return this.#wrong("no :path")
    if (head.target === "*" && head.method !== "OPTIONS") return this.#wrong(":path")
    if (this.#protocol !== "" && head.method !== "CONNECT") return this.#wrong(":protocol without CONNECT")
    // Its length counts in the limit of the whole, too; alone it has the answer HTTP/1.1 has for it.
    if (head.target.length > this.#limits.startLine) return "uriTooLong"
    if (this.#size > this.#limits.head || this.#count > this.#limits.fields) return "headTooLarge"
    if (this.#scheme !== "http" && this.#scheme !== "https") return "badRequest"
    const wrongHost = this.#authority()
    if (wrongHost !== null) return wrongHost
    if (this.#length > 0 && endStream) return this.#wrong("content-length without a body")
    if (this.#cookie !== "") head.fields.append("cookie", this.#cookie)
    if (this.#expect !== "") {
      if (this.#expect !== "100-continue") return "expectationFailed"
      head.expectContinue = !endStream
    }
    if (this.#protocol !== "") return this.#upgrade()
    if (!endStream) {
      head.body = this.#length >= 0 ? "length" : "close"
      head.contentLength = Math.max(0, this.#length)
    }
    return null
  }

  #wrong(what: string): ErrorCode {
    this.malformed = what
    return "badRequest"
  }

  // `:authority`, or Host in its place; if there are both they say the same (RFC 9113 §8.3.1).
  #authority(): ErrorCode | null {
    const head = this.#head
    if (this.#host !== null) {
      if (head.authority === "") head.authority = this.#host
      else if (head.authority !== this.#host && head.authority.toLowerCase() !== this.#host.toLowerCase()) return this.#wrong("host")
    }
    if (head.authority !== this.#lastAuthority || this.#lastAuthority === "") {
      const host = hostOf(head.authority)
      if (host === null) return "badRequest"
      this.#lastAuthority = head.authority
      this.#lastHost = host
    }
    head.host = this.#lastHost
    return null
  }

  #upgrade(): ErrorCode | null {
    const head = this.#head
    if (this.#protocol.toLowerCase() !== "websocket") return "methodNotAllowed"
    if (this.#length !== -1) return this.#wrong("content-length in a CONNECT")
    head.method = "GET"
    head.upgrade = "websocket"
    if (!head.fields.has("sec-websocket-version")) head.fields.append("sec-websocket-version", "13")
    // The key proves to an HTTP/1.1 service's client that it was understood; HTTP/2 has no use for it.
    head.fields.set("sec-websocket-key", this.#random())
    return null
  }
}

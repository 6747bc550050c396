// Reads request heads: grammar by HeadReader, meaning and framing here. Whatever two parsers could read differently is
// refused with the code of a row in errors.ts (RFC 9112 §§2–6, RFC 9110 §7).

import type { ErrorCode } from "../errors.ts"
import { hostOf } from "../http/authority.ts"
import { isToken } from "../http/fields.ts"
import { RequestHead } from "../http/message.ts"
import { Framing, wireValue } from "./framing.ts"
import { HEAD_TOO_LARGE, type HeadLimits, HeadReader, LINE_TOO_LONG, MORE } from "./head-reader.ts"
import * as known from "./known-fields.ts"

/** The parser needs more bytes. */
export const NEED_MORE = -1
/** The head was refused; see {@link RequestParser.error}. */
export const REFUSED = -2

/** One connection's request heads, one after the other. {@link head} is reused for each of them. */
export class RequestParser {
  readonly head: RequestHead = new RequestHead()
  /** Why the last head was refused; null otherwise. */
  error: ErrorCode | null = null
  readonly #reader: HeadReader
  readonly #framing = new Framing()
  #lastAuthority = ""
  #lastHost: string | null = null

  constructor(limits: HeadLimits) {
    this.#reader = new HeadReader("request", limits, this.head.fields)
  }

  /** Whether part of a head has arrived. */
  get started(): boolean {
    return this.#reader.started
  }

  /** Forgets the last head. Call before the next one. */
  reset(): void {
    this.#reader.reset()
    this.head.reset()
    this.error = null
  }

  /** Reads on in `buffer[from, to)`: offset after the head, {@link NEED_MORE} or {@link REFUSED}. Lower-cases names in the buffer. */
  read(buffer: Buffer, from: number, to: number): number {
    const end = this.#reader.read(buffer, from, to)
    if (end >= 0) {
      this.error = this.#interpret()
      return this.error === null ? end : REFUSED
    }
    if (end === MORE) return NEED_MORE
    this.error = end === LINE_TOO_LONG ? "uriTooLong" : end === HEAD_TOO_LARGE ? "headTooLarge" : "badRequest"
    return REFUSED
  }

  #interpret(): ErrorCode | null {
    const head = this.head
    const fields = head.fields
    const lineError = this.#startLine(fields.text, this.#reader.lineStart, this.#reader.lineEnd)
    if (lineError !== null) return lineError

    const framing = this.#framing
    framing.reset()
    const ids = this.#reader.known
    let hosts = 0
    let host = ""
    let expect = ""
    for (let i = 0; i < fields.count; i++) {
      const id = ids[i]
      if (id === known.OTHER) continue
      if (id === known.CONTENT_LENGTH) {
        const at = i * 4
        if (!framing.setContentLength(fields.text, fields.at[at + 2], fields.at[at + 3])) return "badRequest"
        continue
      }
      if (id === known.FORWARDED) {
        head.saysForwarded = true
        continue
      }
      const value = wireValue(fields, i)
      if (id === known.HOST) {
        head.hostField = i
        head.hostStart = fields.at[i * 4]
      }
      fields.drop(i)
      switch (id) {
        case known.HOST:
          hosts++
          host = value
          break
        case known.TRANSFER_ENCODING:
          if (!framing.setTransferEncoding(value)) return "badRequest"
          break
        case known.CONNECTION:
          if (!framing.setConnection(value)) return "badRequest"
          break
        case known.TE:
          framing.setTe(value)
          break
        case known.UPGRADE:
          framing.setUpgrade(value)
          break
        case known.EXPECT:
          expect = expect === "" ? value.toLowerCase() : "more than one"
          break
      }
    }

    // Exactly one valid Host; an absolute form's authority must say the same (RFC 9112 §3.2).
    if (hosts > 1 || (hosts === 0 && head.minor === 1)) return "badRequest"
    if (hosts === 1) {
      // A connection's requests mostly name one host.
      const name = host === this.#lastAuthority ? this.#lastHost : hostOf(host)
      if (name === null) return "badRequest"
      this.#lastAuthority = host
      this.#lastHost = name
      if (head.authority === "") head.authority = host
      else if (head.authority.toLowerCase() !== host.toLowerCase()) return "badRequest"
      head.host = name
    } else if (head.authority !== "") {
      const name = hostOf(head.authority)
      if (name === null) return "badRequest"
      head.host = name
    }

    if (framing.transferEncodings > 0) {
      if (framing.contentLength !== -1 || framing.transferEncodings > 1 || head.minor === 0) return "badRequest"
      if (!framing.chunked) return framing.unknownCoding ? "codingNotImplemented" : "badRequest"
      head.body = "chunked"
    } else if (framing.contentLength > 0) {
      head.body = "length"
      head.contentLength = framing.contentLength
    }
    head.keepAlive = !framing.close && (head.minor === 1 || framing.keepAlive)
    head.acceptsTrailers = framing.acceptsTrailers
    if (expect !== "" && head.minor === 1) {
      if (expect !== "100-continue") return "expectationFailed"
      head.expectContinue = head.body !== "none"
    }
    // Only a WebSocket upgrade is carried: h2c and others become plain requests. One with a body would be ambiguous.
    if (framing.upgrades && framing.upgrade === "websocket" && head.minor === 1 && head.method === "GET" && head.body === "none") {
      head.upgrade = "websocket"
    }
    framing.dropOptions(fields)
    return null
  }

  #startLine(text: string, start: number, end: number): ErrorCode | null {
    const head = this.head
    const methodEnd = text.indexOf(" ", start)
    const targetEnd = text.indexOf(" ", methodEnd + 1)
    // `HTTP/1.x` and nothing else follows the second space.
    if (methodEnd < 0 || targetEnd < 0 || targetEnd >= end) return "badRequest"
    if (targetEnd + 9 !== end || !text.startsWith("HTTP/1.", targetEnd + 1)) return versionError(text.slice(targetEnd + 1, end))
    const minor = text.charCodeAt(end - 1) - 48
    if (minor !== 1 && minor !== 0) return versionError(text.slice(targetEnd + 1, end))
    head.minor = minor
    const method = text.slice(start, methodEnd)
    if (method !== "GET" && method !== "POST") {
      if (!isToken(method)) return "badRequest"
      // Whatever its target: a 2xx to it would turn the connection into a tunnel (RFC 9110 §9.3.6).
      if (method === "CONNECT") return "methodNotAllowed"
    }
    head.method = method
    if (text.charCodeAt(methodEnd + 1) === 47) {
      head.target = text.slice(methodEnd + 1, targetEnd)
      if (minor === 1) {
        head.lineStart = start
        head.lineEnd = end + 2
      }
      return null
    }
    return this.#otherForm(text.slice(methodEnd + 1, targetEnd))
  }

  // Absolute form, and `*` for OPTIONS.
  #otherForm(target: string): ErrorCode | null {
    const head = this.head
    if (target === "*" && head.method === "OPTIONS") {
      head.target = target
      return null
    }
    const absolute = /^https?:\/\/([^/?]+)(.*)$/i.exec(target)
    if (absolute === null) return "badRequest"
    head.authority = absolute[1]
    const rest = absolute[2]
    // OPTIONS without a path asks about the server as a whole (RFC 9112 §3.2.4).
    if (rest === "" && head.method === "OPTIONS") head.target = "*"
    else head.target = rest.startsWith("/") ? rest : `/${rest}`
    return null
  }
}

function versionError(version: string): ErrorCode {
  return /^HTTP\/\d\.\d$/.test(version) || version === "HTTP/2" || version === "HTTP/3" ? "versionNotSupported" : "badRequest"
}

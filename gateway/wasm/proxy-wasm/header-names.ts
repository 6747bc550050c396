// What a header name in guest memory means. Guests ask for the same few names over and over, so names are recognised by
// their octets in a small table, and lower-casing, validation and classification happen once a name.

import { isToken } from "../../http/fields.ts"

/** A field that filters may read and write. */
export const FIELD = 0
export const METHOD = 1
export const PATH = 2
export const AUTHORITY = 3
export const SCHEME = 4
export const STATUS = 5
/** Framing: may be removed, not set to something else. */
export const CONTENT_LENGTH = 6
/** The authority under its HTTP/1.1 name: readable on requests, written as `:authority` only. */
export const HOST = 7
/** Belongs to one connection or to the framing: the codecs own it. */
export const CONNECTION_FIELD = 8
/** Not a field name at all. */
export const INVALID = 9

const kinds = new Map<string, number>([
  [":method", METHOD],
  [":path", PATH],
  [":authority", AUTHORITY],
  [":scheme", SCHEME],
  [":status", STATUS],
  ["content-length", CONTENT_LENGTH],
  ["host", HOST],
  ["connection", CONNECTION_FIELD],
  ["expect", CONNECTION_FIELD],
  ["http2-settings", CONNECTION_FIELD],
  ["keep-alive", CONNECTION_FIELD],
  ["proxy-connection", CONNECTION_FIELD],
  ["te", CONNECTION_FIELD],
  ["transfer-encoding", CONNECTION_FIELD],
  ["upgrade", CONNECTION_FIELD],
])

/** A name as a guest wrote it, and what it stands for. */
export class HeaderName {
  readonly octets: Uint8Array
  /** Lower case. */
  readonly name: string
  readonly kind: number
  /** Several lines of it may not be joined by commas (RFC 9110 §5.3; cookies RFC 6265 §5.4). */
  readonly separator: string

  constructor(octets: Uint8Array, text: string) {
    this.octets = octets
    this.name = text.toLowerCase()
    this.kind = kinds.get(this.name) ?? (isToken(text) ? FIELD : INVALID)
    this.separator = this.name === "set-cookie" ? "" : this.name === "cookie" ? "; " : ", "
  }
}

/** Longest name a filter may use, octets. */
const MAX_NAME = 256
const SLOTS = 256

/** {@link HeaderName} of text that is already decoded; null when it is too long. */
export function headerName(text: string): HeaderName | null {
  return text.length > MAX_NAME ? null : new HeaderName(new Uint8Array(0), text)
}

/** The names one VM uses. A fixed number of slots: two names that meet in one displace each other. */
export class HeaderNames {
  readonly #slots: (HeaderName | undefined)[] = new Array(SLOTS).fill(undefined)

  /** The name of `length` octets at `start`, which the caller has checked; null when it is too long to be one. */
  lookup(bytes: Uint8Array, start: number, length: number): HeaderName | null {
    if (length > MAX_NAME) return null
    let hash = length
    const end = start + length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0
    const slot = (hash ^ (hash >>> 8)) & (SLOTS - 1)
    const known = this.#slots[slot]
    if (known !== undefined) {
      const octets = known.octets
      if (octets.length === length) {
        let i = 0
        while (i < length && octets[i] === bytes[start + i]) i++
        if (i === length) return known
      }
    }
    let text = ""
    for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i])
    const name = new HeaderName(Uint8Array.prototype.slice.call(bytes, start, end), text)
    this.#slots[slot] = name
    return name
  }
}

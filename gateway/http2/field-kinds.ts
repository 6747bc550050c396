// What a decoded field is to the rules of HTTP/2 (RFC 9113 §8). Decided once for each literal; tables of the decoder keep it,
// so that an indexed field costs no look at its octets.

import { isFieldValue } from "../http/fields.ts"

/** It may not stand in any message. */
export const MALFORMED = -1
export const FIELD = 0
export const METHOD = 1
export const SCHEME = 2
export const AUTHORITY = 3
export const PATH = 4
export const PROTOCOL = 5
export const STATUS = 6
export const CONTENT_LENGTH = 7
export const HOST = 8
export const COOKIE = 9
/** `te: trailers`, the one value there may be. */
export const TE = 10
export const EXPECT = 11
/** Says where a request comes from. */
export const FORWARDED = 12
/** Belongs to one hop, and is dropped. */
export const DROPPED = 13

/** Pseudo-fields have kinds from 1 to this. */
export const LAST_PSEUDO = STATUS

const KINDS: ReadonlyMap<string, number> = new Map([
  ["content-length", CONTENT_LENGTH],
  ["host", HOST],
  ["cookie", COOKIE],
  ["expect", EXPECT],
  ["http2-settings", DROPPED],
  ["x-forwarded-for", FORWARDED],
  ["x-forwarded-proto", FORWARDED],
  ["x-forwarded-host", FORWARDED],
  ["x-forwarded-client-cert", FORWARDED],
  ["x-request-id", FORWARDED],
  ["x-request-timeout", FORWARDED],
  ["traceparent", FORWARDED],
  ["tracestate", FORWARDED],
  // RFC 9113 §8.2.2.
  ["connection", MALFORMED],
  ["proxy-connection", MALFORMED],
  ["keep-alive", MALFORMED],
  ["transfer-encoding", MALFORMED],
  ["upgrade", MALFORMED],
])

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** A token in lower case. */
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
/** As in a request line: printable ASCII, no fragment. */
const TARGET = /^[\x21\x22\x24-\x7e]+$/

export function classify(name: string, value: string): number {
  if (name.charCodeAt(0) === 0x3a) return pseudo(name, value)
  const kind = KINDS.get(name)
  if (kind === undefined) {
    if (name === "te") return value === "trailers" ? TE : MALFORMED
    return NAME.test(name) && isFieldValue(value) ? FIELD : MALFORMED
  }
  return isFieldValue(value) ? kind : MALFORMED
}

function pseudo(name: string, value: string): number {
  switch (name) {
    case ":method":
      return TOKEN.test(value) ? METHOD : MALFORMED
    case ":scheme":
      return /^[a-z][a-z0-9+.-]*$/i.test(value) ? SCHEME : MALFORMED
    case ":authority":
      return TARGET.test(value) ? AUTHORITY : MALFORMED
    case ":path":
      return TARGET.test(value) && (value.charCodeAt(0) === 0x2f || value === "*") ? PATH : MALFORMED
    case ":protocol":
      return TOKEN.test(value) ? PROTOCOL : MALFORMED
    case ":status":
      return /^[1-5][0-9][0-9]$/.test(value) ? STATUS : MALFORMED
    default:
      return MALFORMED
  }
}

/** Number of a Content-Length; −1 when it is none (RFC 9110 §8.6). */
export function lengthOf(value: string): number {
  if (!/^[0-9]{1,16}$/.test(value)) return -1
  const length = Number(value)
  return length <= Number.MAX_SAFE_INTEGER ? length : -1
}

// The field names that HTTP/1.1 itself or the proxy acts on, recognised by octets while a head is read, so that the
// common field costs one switch on its length.

export const OTHER = 0
export const HOST = 1
export const CONTENT_LENGTH = 2
export const TRANSFER_ENCODING = 3
export const CONNECTION = 4
export const KEEP_ALIVE = 5
const PROXY_CONNECTION = 6
export const TE = 7
export const UPGRADE = 8
export const EXPECT = 9
const HTTP2_SETTINGS = 10
/**
 * Any field that only proxies in front may write: x-forwarded-for, -proto, -host, -client-cert, x-request-id, x-request-timeout,
 * traceparent, tracestate.
 */
export const FORWARDED = 11

const names: readonly string[] = [
  "",
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "upgrade",
  "expect",
  "http2-settings",
]
const forwardedNames: readonly Uint8Array[] = [
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-forwarded-host",
  "x-forwarded-client-cert",
  "x-request-id",
  "x-request-timeout",
  "traceparent",
  "tracestate",
].map((name) => Uint8Array.from(name, (char) => char.charCodeAt(0)))
const octets: readonly Uint8Array[] = names.map((name) => Uint8Array.from(name, (char) => char.charCodeAt(0)))

function is(id: number, buffer: Uint8Array, start: number): number {
  const name = octets[id]
  for (let i = 0; i < name.length; i++) if (buffer[start + i] !== name[i]) return OTHER
  return id
}

function isForwarded(buffer: Uint8Array, start: number, length: number): number {
  const first = buffer[start]
  if (first !== 120 && first !== 116) return OTHER
  for (const name of forwardedNames) {
    if (name.length !== length) continue
    let i = 0
    while (i < length && buffer[start + i] === name[i]) i++
    if (i === length) return FORWARDED
  }
  return OTHER
}

/** Which known field the lower-case name at `start`, `length` octets long, is; {@link OTHER} for the rest. */
export function classify(buffer: Uint8Array, start: number, length: number): number {
  switch (length) {
    case 2:
      return is(TE, buffer, start)
    case 4:
      return is(HOST, buffer, start)
    case 6:
      return is(EXPECT, buffer, start)
    case 7:
      return is(UPGRADE, buffer, start)
    case 10:
      if (buffer[start] === 116) return isForwarded(buffer, start, length)
      return buffer[start] === 99 ? is(CONNECTION, buffer, start) : is(KEEP_ALIVE, buffer, start)
    case 14:
      return buffer[start] === 99 ? is(CONTENT_LENGTH, buffer, start) : is(HTTP2_SETTINGS, buffer, start)
    case 11:
    case 12:
    case 15:
    case 23:
      return isForwarded(buffer, start, length)
    case 16:
      return buffer[start] === 112 ? is(PROXY_CONNECTION, buffer, start) : isForwarded(buffer, start, length)
    case 17:
      return buffer[start] === 116 ? is(TRANSFER_ENCODING, buffer, start) : isForwarded(buffer, start, length)
    default:
      return OTHER
  }
}

const connectionMayNotName = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "authorization",
  "cookie",
  "set-cookie",
  "proxy-authorization",
])

/** Whether `Connection` may name this (lower-case) field, and so remove it. */
export function isConnectionOption(token: string): boolean {
  return token.charCodeAt(0) !== 58 && !connectionMayNotName.has(token)
}

// Which fields may stand in a trailer section, whatever protocol carries it.

const notInTrailers = new Set([
  "authorization",
  "cache-control",
  "connection",
  "content-encoding",
  "content-length",
  "content-range",
  "content-type",
  "cookie",
  "expect",
  "host",
  "keep-alive",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "www-authenticate",
  "x-request-id",
])

/** Whether a (lower-case) field may stand in a trailer section: framing, routing and authentication may not (RFC 9110 §6.5.1). */
export function isTrailerField(name: string): boolean {
  return !notInTrailers.has(name) && !name.startsWith("x-forwarded-") && !name.startsWith("if-")
}

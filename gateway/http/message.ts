// Request and response heads as every layer sees them, whatever protocol they came by. Hop-by-hop fields and `host` are
// not in `fields`: the codec has turned them into the properties beside it.

import { Fields } from "./fields.ts"

/**
 * How a message's body is delimited on the wire it came by. `close`: by the end of its connection (HTTP/1 responses) or of
 * its stream (HTTP/2), its length not being known.
 */
export type BodyKind = "none" | "length" | "chunked" | "close"

/** One request's head. Reused by its connection for the next request: keep no reference past the exchange. */
export class RequestHead {
  readonly fields: Fields = new Fields()
  /** Method token, case kept. */
  method = ""
  /** Request target as received, in origin form: an absolute form was split into scheme, authority and this. */
  target = ""
  /** Normalised path, without query; what is matched and what is sent. Starts with `/` (or is `*` for OPTIONS *). */
  path = ""
  /** Query without its `?`; undefined when the target has none (an empty query is ""). */
  query: string | undefined = undefined
  /** Authority as received, with its port if it had one (the `Host` field, or the absolute form's authority). */
  authority = ""
  /** The authority's host: lower case, no port; "" when there is no authority (HTTP/1.0). */
  host = ""
  /** `http` or `https`, by the listener. */
  scheme = "http"
  /** Version it came by: 1 or 2. */
  major = 1
  /** Minor version of HTTP/1: 0 or 1; 1 for HTTP/2. */
  minor = 1
  body: BodyKind = "none"
  /** Octets of the body when {@link body} is "length". */
  contentLength = 0
  /** The connection can carry another request after this one. */
  keepAlive = true
  /** `Expect: 100-continue` was sent. */
  expectContinue = false
  /** Value of `Upgrade` (lower case) when `Connection: upgrade` was sent too; "" otherwise. */
  upgrade = ""
  /** `TE: trailers` was sent. */
  acceptsTrailers = false
  /** Where the codec found the request line in `fields.text`, CRLF included; −1 when it can't be sent as it came. */
  lineStart = -1
  lineEnd = 0
  /** The codec's: index of the dropped `Host` field and its name's offset; −1 = none. */
  hostField = -1
  hostStart = 0
  /** The client sent x-forwarded-for, -proto, -host, x-request-id or traceparent. */
  saysForwarded = false

  /** Makes this the head of nothing, ready for the next request. */
  reset(): void {
    this.fields.reset()
    this.method = ""
    this.target = ""
    this.path = ""
    this.query = undefined
    this.authority = ""
    this.host = ""
    this.minor = 1
    this.body = "none"
    this.contentLength = 0
    this.keepAlive = true
    this.expectContinue = false
    this.upgrade = ""
    this.acceptsTrailers = false
    this.saysForwarded = false
    this.lineStart = -1
    this.hostField = -1
  }
}

/** One response's head. Reused by its upstream connection: keep no reference past the exchange. */
export class ResponseHead {
  readonly fields: Fields = new Fields()
  status = 0
  /** Reason phrase, latin1; may be empty. */
  reason = ""
  minor = 1
  body: BodyKind = "none"
  contentLength = 0
  /** The upstream connection can carry another request after this response. */
  keepAlive = true
  /** Value of `Upgrade` (lower case) when `Connection: upgrade` was sent too; "" otherwise. */
  upgrade = ""
  /** End of the status line in `fields.text`, CRLF included; 0 when it can't be sent as it came. {@link lineStatus}: what it says. */
  lineEnd = 0
  lineStatus = 0
  /** Seconds of the peer's `Keep-Alive: timeout=N`; −1 when it announced none. */
  keepAliveTimeout = -1

  reset(): void {
    this.fields.reset()
    this.status = 0
    this.reason = ""
    this.minor = 1
    this.body = "none"
    this.contentLength = 0
    this.keepAlive = true
    this.upgrade = ""
    this.keepAliveTimeout = -1
    this.lineEnd = 0
  }

  /** A head of its own, for when this one is about to be used again. */
  copy(): ResponseHead {
    const head = new ResponseHead()
    head.fields.assign(this.fields)
    head.status = this.status
    head.reason = this.reason
    head.minor = this.minor
    head.body = this.body
    head.contentLength = this.contentLength
    head.keepAlive = this.keepAlive
    head.upgrade = this.upgrade
    head.lineEnd = this.lineEnd
    head.lineStatus = this.lineStatus
    head.keepAliveTimeout = this.keepAliveTimeout
    return head
  }
}

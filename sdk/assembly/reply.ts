// An answer made by the filter instead of the service.

import { Action, Status } from "./abi"
import { Cookie } from "./cookie"
import { proxy_send_local_response } from "./env"
import { encodePairs, Header, pairsSize } from "./headers"
import { Json } from "./json"
import { log, report } from "./log"
import { ascii, decimal, encodeKey, encodeValue, keySize, releaseKey, releaseValue, valueSize } from "./text"

/**
 * Ends the exchange with an answer of the filter's own; the service is not asked (or its response is discarded).
 *
 * ```ts
 * return new Reply(429, "slow down").header("retry-after", "2")
 * ```
 */
@final
export class Reply {
  /** @internal */
  headers: Header[] = []
  /** Why, in one word or with_underscores: shown in the access log. */
  details: string = ""
  /** Status for gRPC requests, 0–16; −1 = derived from the HTTP status. */
  grpcStatus: i32 = -1
  /** @internal In place of `body`. */
  octets: Uint8Array | null = null

  /**
   * @param status 200–999; anything else is answered as 500 and logged.
   * @param body text, sent as `text/plain` unless a `content-type` is set.
   */
  constructor(
    public status: i32,
    public body: string = "",
  ) {}

  /** Adds a header to the answer and returns the reply, so that calls can be chained. */
  header(name: string, value: string): Reply {
    this.headers.push(new Header(ascii.lower(name), value))
    return this
  }

  /** Gives the client a cookie and returns the reply. */
  cookie(cookie: Cookie): Reply {
    return this.header("set-cookie", cookie.toString())
  }

  /**
   * Answers with JSON.
   *
   * ```ts
   * return Reply.json(403, Json.object().set("error", "forbidden"))
   * ```
   */
  static json(status: i32, content: Json): Reply {
    return new Reply(status, content.stringify()).header("content-type", "application/json")
  }

  /** Answers with bytes. */
  static bytes(status: i32, content: Uint8Array, contentType: string): Reply {
    const reply = new Reply(status).header("content-type", contentType)
    reply.octets = content
    return reply
  }

  /**
   * Sends the client elsewhere.
   *
   * ```ts
   * return Reply.redirect("https://" + request.host + request.target, 308)
   * ```
   */
  static redirect(location: string, status: i32 = 302): Reply {
    return new Reply(status).header("location", location)
  }
}

/** Sends what a callback returned. The exchange never goes on once a filter has decided to answer. */
export function answer(reply: Reply | null): i32 {
  if (reply === null) return Action.CONTINUE
  let status = reply.status
  if (status < 200 || status > 999) {
    log.error("reply: status " + decimal(status) + " is not within 200–999, 500 is sent")
    status = 500
  }
  let result = send(status, reply, reply.headers)
  if (result != Status.OK && reply.headers.length > 0) {
    report("reply with headers", result)
    result = send(status, reply, [])
  }
  if (result != Status.OK) report("reply", result)
  return Action.PAUSE
}

function send(status: i32, reply: Reply, headers: Header[]): i32 {
  const details = encodeKey(reply.details)
  const octets = reply.octets
  const text = encodeValue(octets === null ? reply.body : "")
  const body = octets === null ? text : octets.dataStart
  const size = octets === null ? valueSize : octets.byteLength
  const pairs = headers.length > 0 ? encodePairs(headers) : 0
  const result = proxy_send_local_response(status, details, keySize, body, size, pairs, pairs != 0 ? pairsSize : 0, reply.grpcStatus)
  if (pairs != 0) heap.free(pairs)
  releaseValue(text)
  releaseKey(details)
  return result
}

// The one interface behind which every filter stands, whatever it is written in. The exchange drives it; a filter answers
// by acting on its stream. Nothing here is asynchronous: a filter that must wait pauses and continues later.

import type { ErrorCode } from "../errors.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"

/** The phase goes on with the next filter. */
export const CONTINUE = 0
/** The phase waits until the filter calls `continueRequest` or `continueResponse` on its stream. */
export const PAUSE = 1
export type FilterAction = typeof CONTINUE | typeof PAUSE

/** An answer made by a filter instead of the upstream. */
export interface LocalReply {
  /** HTTP status, 200–999. */
  readonly status: number
  readonly body: Uint8Array
  /** Name, value, name, value …, valid and lower case. */
  readonly headers: readonly string[]
  /** Why, for the access log; no spaces. */
  readonly details: string
  /** gRPC status for gRPC requests; −1 = derive it from the HTTP status. */
  readonly grpcStatus: number
}

/** What is known of an exchange beside its two heads. Everything not yet known is "" or 0. */
export interface StreamInfo {
  /** Unique in the process's life, per worker. */
  readonly connectionId: number
  /** Milliseconds since the epoch, with fraction. */
  readonly startTime: number
  /** `HTTP/1.0`, `HTTP/1.1`. */
  readonly protocol: string
  /** Peer and own address of the downstream connection. */
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly listenerName: string
  readonly routeName: string
  /** Service chosen for the request; "" before the choice. */
  readonly serviceName: string
  /** `ip:port` of the endpoint in use. */
  readonly upstreamAddress: string
  readonly requestId: string
  /** Body octets so far. */
  readonly requestBytes: number
  readonly responseBytes: number
  /** Response flag so far; "" when all is well. */
  readonly responseFlag: string
}

/** An exchange as its filters see it. Actions take effect when the filter's current callback has returned. */
export interface FilterStream {
  readonly info: StreamInfo
  /** Editable until it was sent upstream. */
  readonly request: RequestHead
  /** Null before a response exists; editable until it was sent downstream. */
  readonly response: ResponseHead | null
  /** Ends the exchange with a reply; the first one wins. Ignored once a response has begun. */
  sendLocalReply(reply: LocalReply): void
  /** Ends the exchange with a row of errors.ts: how a filter reports that it failed. */
  fail(code: ErrorCode, details: string): void
  /** Resumes a paused request or response; harmless when it isn't paused. */
  continueRequest(): void
  continueResponse(): void
  /** Cuts the exchange off without an answer. */
  reset(): void
}

/** One exchange in one filter. Every callback is called at most once; `onDone` always, and last. */
export interface StreamFilter {
  /** `endOfStream`: the message has neither body nor trailers. */
  onRequestHeaders(endOfStream: boolean): FilterAction
  onResponseHeaders(endOfStream: boolean): FilterAction
  onDone(): void
}

/** One configured use of a filter; lives as long as the snapshot that names it. */
export interface HttpFilter {
  readonly name: string
  /** Starts the filter's part of an exchange; null when it has nothing to do in it. */
  open(stream: FilterStream): StreamFilter | null
}

// The one interface behind which every filter stands, whatever it is written in. The exchange drives it; a filter answers
// by acting on its stream. Nothing here is asynchronous: a filter that must wait pauses and continues later.

import type { ErrorCode } from "../errors.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import type { BodyBuffer } from "./body-buffer.ts"
import type { GrpcCallout, GrpcHandler, GrpcStream } from "./grpc-callout.ts"

/** The phase goes on with the next filter. A body: what the buffer holds is passed on. */
export const CONTINUE = 0
/**
 * The phase waits until the filter calls `continueRequest` or `continueResponse` on its stream. A body: what the buffer
 * holds is kept, and the next call shows it with what has come since.
 */
export const PAUSE = 1
/** Body only: as {@link PAUSE}, and nothing more is read from the peer until it is continued. */
export const HOLD = 2
/** Body only: as {@link PAUSE}, and what the buffer holds is thrown away. */
export const DROP = 3
export type FilterAction = typeof CONTINUE | typeof PAUSE
export type BodyAction = FilterAction | typeof HOLD | typeof DROP

/** Bits of {@link HttpFilter.interests}. */
export const REQUEST_BODY = 1
export const REQUEST_TRAILERS = 2
export const RESPONSE_BODY = 4
export const RESPONSE_TRAILERS = 8

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
  /** The row of errors.ts whose flag and text it has, in place of `LR` and {@link body}. For filters that are our own. */
  readonly code?: ErrorCode
}

/** What is known of an exchange beside its two heads. Everything not yet known is "" or 0. */
export interface StreamInfo {
  /** Unique in the process's life, per worker. */
  readonly connectionId: number
  /** Milliseconds since the epoch, with fraction. */
  readonly startTime: number
  /** Milliseconds from the first octet of the request to its end; −1 while it runs. */
  readonly elapsed: number
  /** Milliseconds from the start to the response's head; −1 before. */
  readonly timeToFirstByte: number
  /** `HTTP/1.0`, `HTTP/1.1`, `HTTP/2`; `TCP`. */
  readonly protocol: string
  /** TLS of the downstream connection; null = it has none. */
  readonly security: ConnectionSecurity | null
  /** Peer and own address of the downstream connection. */
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
  /** Name of the server the client asked for, by TLS (SNI) or a PROXY header; "" = none. */
  readonly requestedServerName: string
  readonly listenerName: string
  readonly routeName: string
  /** Service chosen for the request; "" before the choice. */
  readonly serviceName: string
  /** `ip:port` of the endpoint in use. */
  readonly upstreamAddress: string
  /** Attempts made upstream so far. */
  readonly attempts: number
  readonly requestId: string
  /** What ties requests that a filter makes to the exchange's trace: name, value, name, value …; absent or empty = nothing. */
  readonly traceFields?: readonly string[]
  /** Body octets so far. */
  readonly requestBytes: number
  readonly responseBytes: number
  /** Response flag so far; "" when all is well. */
  readonly responseFlag: string
  /** What is behind the flag; "" when nothing is. */
  readonly responseDetails: string
}

/** An exchange as its filters see it. Actions take effect when the filter's current callback has returned. */
export interface FilterStream {
  readonly info: StreamInfo
  /** Editable until {@link requestSent}. */
  readonly request: RequestHead
  /** Null before a response exists; editable until {@link responseSent}. */
  readonly response: ResponseHead | null
  /**
   * The head has left for the upstream. With filters that see bodies it leaves with the first octets they let pass, so that
   * one which keeps the whole body can still edit headers and choose the service by it.
   */
  readonly requestSent: boolean
  /** The response's head has left for the client. */
  readonly responseSent: boolean
  /** Trailers once they have come or were added; editable in their callbacks. */
  readonly requestTrailers: Fields | null
  readonly responseTrailers: Fields | null
  /** Gives a message that ends without trailers some, while a filter sees its end; null at any other time. */
  addRequestTrailers(): Fields | null
  addResponseTrailers(): Fields | null
  /** Ends the exchange with a reply; the first one wins. Once a response has begun it is cut off instead. */
  sendLocalReply(reply: LocalReply): void
  /** Ends the exchange with a row of errors.ts: how a filter reports that it failed. */
  fail(code: ErrorCode, details: string): void
  /** Resumes the request or response where `filter` has paused it; harmless when it hasn't. */
  continueRequest(filter: StreamFilter): void
  continueResponse(filter: StreamFilter): void
  /** Lets `octets` of what `filter` keeps of the response's body go on; it stays paused. Never from within a callback. */
  passResponse(filter: StreamFilter, octets: number): void
  /** Gives the exchange a response flag in case it gets no other: it is nothing that failed. */
  note(flag: string, details: string): void
  /** Cuts the exchange off without an answer. `flag`: its response flag; undefined = LR. */
  reset(flag?: string): void
  /** Sends the request to this service whatever its route says; false when there is no such service or it is too late. */
  chooseService(name: string): boolean
  /** The route is looked up anew, by the request as it is then, before the request is sent. Its filters stay. */
  clearRoute(): void
  /** What filters of this exchange have stored, by path. */
  property(path: string): Uint8Array | undefined
  /** False when the exchange stores too much already. */
  setProperty(path: string, value: Uint8Array): boolean
}

/** One exchange in one filter. Head callbacks are called at most once; `onDone` always, once, and last. */
export interface StreamFilter {
  /** `endOfStream`: the message has neither body nor trailers. */
  onRequestHeaders(endOfStream: boolean): FilterAction
  /**
   * Body octets have come, or its end. `body` is what has not been passed on: editable now, and while the filter has the
   * request paused here. `endOfStream`: this is all, and no trailers follow.
   */
  onRequestBody(body: BodyBuffer, endOfStream: boolean): BodyAction
  onRequestTrailers(trailers: Fields): FilterAction
  onResponseHeaders(endOfStream: boolean): FilterAction
  onResponseBody(body: BodyBuffer, endOfStream: boolean): BodyAction
  onResponseTrailers(trailers: Fields): FilterAction
  onDone(): void
}

/** One configured use of a filter; lives as long as the snapshot that names it. */
export interface HttpFilter {
  readonly name: string
  /** The phases beside the heads it takes part in: bits. Others are not called, and cost nothing. */
  readonly interests: number
  /** Octets of one body it may keep back; over it the exchange ends with 413 or 502. */
  readonly bodyLimit: number
  /** Starts the filter's part of an exchange; null when it has nothing to do in it. */
  open(stream: FilterStream): StreamFilter | null
}

/** A request a filter makes of its own to a service of the configuration. */
export interface Callout {
  readonly service: string
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly authority: string
  /** Name, value, name, value …, valid and lower case; without pseudo-headers and framing. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
  readonly trailers: readonly string[]
  /** ms; 0 = the default of 15 s. */
  readonly timeout: number
  /** Name of the filter that makes it: each has a share of the worker's callouts. */
  readonly filter?: string
}

export interface CalloutResponse {
  readonly status: number
  /** Name, value, name, value … as received. */
  readonly headers: readonly string[]
  readonly body: Uint8Array
  readonly trailers: readonly string[]
}

/** Who made a callout. Exactly one of its methods is called, later, never from within `call`; none after a cancel. */
export interface CalloutHandler {
  onCalloutResponse(response: CalloutResponse): void
  onCalloutFailed(code: ErrorCode, details: string): void
}

/** Makes callouts: the worker's side of it. */
export interface ServiceCaller {
  has(service: string): boolean
  /** A function that gives the callout up; null when it can't be made (no such service, too many under way). */
  call(callout: Callout, handler: CalloutHandler): (() => void) | null
  /** Begins a gRPC call; null when it can't be made. */
  openGrpc(callout: GrpcCallout, handler: GrpcHandler): GrpcStream | null
}

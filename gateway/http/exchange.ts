// The seam between codecs and the proxy. A downstream codec yields requests and takes responses through these interfaces;
// an upstream codec the other way round. Bodies pass as the buffers they arrived in.

import type { ErrorCode } from "../errors.ts"
import type { ConnectionSecurity } from "./connection-security.ts"
import type { CarriedSight } from "./connection-sight.ts"
import type { Fields } from "./fields.ts"
import type { BodyKind, RequestHead, ResponseHead } from "./message.ts"
import type { Deadline } from "./timer-wheel.ts"

/** How a message's body is carried on to a peer. */
export type BodyTransfer =
  /** No body. */
  | "none"
  /** Data as it is; the head says how long it is, or the connection's end ends it. */
  | "plain"
  /** The peer gets chunked coding; the bytes handed over are plain data. */
  | "encode"
  /** The peer gets chunked coding, and the bytes handed over are chunked coding already, all but the last chunk. */
  | "chunked"

/** One exchange's downstream side, as the exchange uses it. */
export interface DownstreamStream {
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly connectionId: number
  /** ms that the head of the request under way took to arrive; 0 when it came in one piece. */
  readonly headTook: number
  /** TLS of the connection; null = it has none. */
  readonly security: ConnectionSecurity | null
  /** The exchange's own while it runs. */
  readonly deadline: Deadline
  /** Text that exchanges of this connection have made for the next ones; see ForwardedFields. */
  readonly memo: { authority: string; text: string }
  /** False after `write`s the peer has not taken yet; `onDownstreamWritable` follows. */
  readonly writable: boolean
  /** The request has arrived whole. */
  readonly requestComplete: boolean
  /** The client understands chunked coding, so that a body which came in it can stay in it. */
  readonly takesChunks: boolean
  /** The rest of the request is small enough to be read and thrown away, so that the connection can go on. */
  readonly requestSkippable: boolean
  /** Delivers the request's body from now on; before this call nothing of it is delivered. `chunked`: reframed, see {@link BodyTransfer}. */
  startRequestBody(reframe: boolean): void
  pauseRequest(): void
  resumeRequest(): void
  /** Sends a 1xx head. */
  sendInformational(head: ResponseHead): void
  /** Takes the final head; it leaves with the first bytes of the body, or at {@link flush}. Says how the body is to be handed over. */
  sendHead(head: ResponseHead, body: BodyKind, close: boolean): BodyTransfer
  /** Octets `[from, to)` of `buffer`, which is not kept. */
  sendBytes(buffer: Buffer, from: number, to: number): void
  flush(): void
  /** Takes the head back that {@link sendHead} was given, with what followed it; false when some of it has left already. */
  retract(): boolean
  /** Ends the response; the exchange is over for the codec, which may begin the next one before this returns. */
  sendEnd(trailers: Fields | null): void
  /**
   * Cuts the connection off (HTTP/1), with a reset if need be or when `reset` says so, or resets the stream. The exchange is over
   * for the codec; it gets no further call.
   */
  abort(reset?: boolean): void
  /** After a 101 was sent: bytes pass as they are, both ways. */
  startTunnel(): void
  /** Ends our sending side of a tunnel. */
  endTunnel(): void
}

/** One exchange, as its downstream codec drives it. */
export interface DownstreamHandler {
  /** Octets `[from, to)` of `buffer` are the next of the request's body, or of a tunnel. */
  onRequestBytes(buffer: Buffer, from: number, to: number): void
  /** All that had arrived was handed over: a moment to write what waits. */
  onRequestFlush(): void
  /** The body is complete, or the client has ended its sending side of a tunnel. */
  onRequestEnd(trailers: Fields | null): void
  /** The request's body breaks the protocol or a limit. */
  onRequestFailed(code: ErrorCode): void
  /** The client has closed its sending side after a complete request. */
  onDownstreamHalfClosed(): void
  /** The connection is gone. No call follows. */
  onDownstreamGone(): void
  onDownstreamWritable(): void
  /** Its deadline is due. */
  onDeadline(): void
  /** The gateway ends, and the time to drain is over. */
  onCut(): void
  sight(): CarriedSight
  /** A line for the access log, if it has been there for `ms`. */
  logOpen(ms: number): void
}

/** Makes an exchange of a request head; `stream` and `head` are its own until it ends. */
export interface ExchangeFactory {
  begin(stream: DownstreamStream, head: RequestHead): DownstreamHandler
}

/**
 * One attempt's way upstream, as its exchange uses it: an HTTP/1.1 connection while it carries the request, or a stream of an
 * HTTP/2 one.
 */
export interface UpstreamStream {
  /** Requests its connection has carried before. */
  readonly uses: number
  /** False after writes the peer has not taken yet; `onUpstreamWritable` follows. */
  readonly writable: boolean
  /**
   * Sends the request's head; it leaves with the first bytes of its body, or at {@link flush}. Says how the body is to be
   * handed over.
   */
  send(handler: UpstreamHandler, head: RequestHead, authority: string): BodyTransfer
  /** Octets `[from, to)` of `buffer`, which is not kept. */
  sendBytes(buffer: Buffer, from: number, to: number): void
  flush(): void
  /** Ends the request. */
  sendEnd(trailers: Fields | null): void
  pauseResponse(): void
  resumeResponse(): void
  /** Gives the attempt up. No further call reaches the handler. */
  cancel(): void
  /** Ends our sending side of a tunnel. */
  endTunnel(): void
}

/** One attempt, as its upstream codec drives it. */
export interface UpstreamHandler {
  onInformational(head: ResponseHead): void
  /** The final head. Answer how its body is wanted: true = chunked coding reframed, false = plain data. */
  onResponseHead(head: ResponseHead): boolean
  /** Octets `[from, to)` of `buffer`, which other connections read into as well: good until the flush or end that follows. */
  onResponseBytes(buffer: Buffer, from: number, to: number): void
  /** All that had arrived was handed over: a moment to write what waits. */
  onResponseFlush(): void
  /** The response is complete; its head is still this exchange's, for the last time. */
  onResponseComplete(): void
  /** The connection is no longer this attempt's, and may carry another's request already. Follows {@link onResponseComplete}. */
  onResponseEnd(trailers: Fields | null): void
  /** The attempt is over; the connection is no longer its. `unanswered`: no octet of a response has come. */
  onUpstreamFailed(code: ErrorCode, details: string, unanswered: boolean): void
  onUpstreamWritable(): void
  /** The upstream has ended its sending side of a tunnel. Its bytes came by {@link onResponseBytes}. */
  onTunnelEnd(): void
}

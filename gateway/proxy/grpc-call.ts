// What an exchange that is a gRPC call has beside others: its client's own deadline, which goes on upstream, and the status
// it ends with. An exchange that is none has none of this.

import { type ErrorCode, errors } from "../errors.ts"
import type { BodyTransfer } from "../http/exchange.ts"
import { Fields } from "../http/fields.ts"
import { formatGrpcTimeout, isGrpcType, parseGrpcTimeout } from "../http/grpc.ts"
import { encodeGrpcMessage, NO_STATUS, parseGrpcStatus } from "../http/grpc-status.ts"
import type { BodyKind, RequestHead, ResponseHead } from "../http/message.ts"

const NEVER = Number.POSITIVE_INFINITY

export class GrpcCall {
  /** The code it has ended with, as far as it is known. */
  status: number = NO_STATUS
  /** ms its client waits: 0 = it has stopped already, infinite = it didn't say, −1 = what it says is malformed. */
  readonly timeout: number
  /** Its response is gRPC's. */
  #answered = false
  /** Trailers can still be put behind what has been sent. */
  #takesTrailers = false

  private constructor(timeout: number) {
    this.timeout = timeout
  }

  /** The call that a POST is; null when it is none. */
  static of(head: RequestHead): GrpcCall | null {
    if (!isGrpcType(head.fields.get("content-type"))) return null
    // Repeated, its values make a list, which is none.
    const timeout = head.fields.getCombined("grpc-timeout", ",")
    return new GrpcCall(timeout === undefined ? NEVER : parseGrpcTimeout(timeout))
  }

  /** When it has to be over. `limit`: ms its route gives it, 0 = any time. */
  endsAt(started: number, limit: number): number {
    return started + Math.min(this.timeout, limit > 0 ? limit : NEVER)
  }

  /** Tells upstream how long an answer is still wanted. */
  announce(head: RequestHead, endsAt: number, now: number): void {
    if (endsAt !== NEVER) head.fields.set("grpc-timeout", formatGrpcTimeout(endsAt - now))
  }

  /** Its response begins: one of trailers alone has the status already. */
  onHead(head: ResponseHead): void {
    this.status = parseGrpcStatus(head.fields.get("grpc-status"))
    this.#answered = isGrpcType(head.fields.get("content-type"))
  }

  /**
   * How its response is framed towards its client, whose `body` it would have: trailers have no place behind a length in
   * HTTP/1.1, nor in chunks that pass as they are.
   */
  frame(head: ResponseHead, body: BodyKind, takesChunks: boolean): BodyKind {
    if (body === "chunked") return "close"
    if (body !== "length" || !takesChunks || !this.#answered) return body
    head.fields.remove("content-length")
    return "close"
  }

  /** The head has left, and the body follows as `transfer` says. */
  onSent(request: RequestHead, head: ResponseHead, transfer: BodyTransfer): void {
    const framed = transfer === "encode" || (request.major === 2 && transfer !== "none" && !head.fields.has("content-length"))
    this.#takesTrailers = framed && this.#answered
  }

  onTrailers(trailers: Fields | null): void {
    const status = trailers?.get("grpc-status")
    if (status !== undefined) this.status = parseGrpcStatus(status)
  }

  /** Trailers that end a response which can't be completed; null when it has to be cut off. */
  failed(code: ErrorCode): Fields | null {
    if (!this.#takesTrailers) return null
    const { grpcStatus, text } = errors[code]
    this.status = grpcStatus
    return Fields.from([
      ["grpc-status", String(grpcStatus)],
      ["grpc-message", encodeGrpcMessage(text)],
    ])
  }
}

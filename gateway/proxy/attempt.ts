// One attempt of an exchange: an endpoint, and a connection to it once there is one. It tells the exchange's attempts how it
// fares, and passes the response that was chosen straight on; it decides nothing.

import type { ErrorCode } from "../errors.ts"
import type { BodyTransfer, UpstreamHandler, UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import type { AttemptStep, Trail } from "../telemetry/trail.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import type { ConnectionWaiter } from "../upstream/pool.ts"

const NEVER = Number.POSITIVE_INFINITY

/** Who hears of the response that was chosen, as its connection tells it. */
export type ResponseOwner = Pick<
  UpstreamHandler,
  | "onInformational"
  | "onResponseHead"
  | "onResponseBytes"
  | "onResponseFlush"
  | "onResponseComplete"
  | "onResponseEnd"
  | "onTunnelEnd"
  | "onUpstreamWritable"
>

/** The exchange, as its attempts see it. */
export interface AttemptsOwner extends ResponseOwner {
  /** An attempt has a connection, for the first time: now its body is wanted, if it has one. */
  onConnected(transfer: BodyTransfer): void
  /** The body, which has begun, has nobody to go to for now. */
  onRetrying(): void
  /** When the whole exchange has to be over, on the wheel's clock. */
  readonly endsAt: number
  /** The `dueAt` of its attempts has moved. */
  onDueChanged(): void
  /** An attempt is about to be sent: the last moment to edit its head. `step`: null when nobody watches it. */
  onAttempt(head: RequestHead, step: AttemptStep | null): void
  /** Null: nobody wants to see its steps. */
  readonly trail: Trail | null
  /** Its client's. */
  readonly sourceAddress: string
  /** The chosen response was cut short. */
  onResponseFailed(code: ErrorCode, details: string): void
  /** No attempt has got, or will get, a response. */
  onUnanswered(code: ErrorCode, details: string): void
}

/** All attempts of its exchange, as one of them sees them. */
export interface AttemptOwner {
  readonly owner: ResponseOwner
  readonly needsHttp2: boolean
  onConnected(attempt: Attempt, connection: UpstreamStream): void
  /** It got no connection. */
  onUnreached(attempt: Attempt, code: ErrorCode, details: string): void
  onInformational(head: ResponseHead): void
  /** Answer as in UpstreamHandler. */
  onHead(attempt: Attempt, head: ResponseHead): boolean
  /** An answer that wasn't taken has come to its end. */
  onDiscarded(attempt: Attempt): void
  /** The response that was chosen has come to its end, but for what its trailers say. */
  onComplete(attempt: Attempt): void
  /** Follows {@link onComplete}. */
  onEnd(attempt: Attempt, trailers: Fields | null): void
  onFailed(attempt: Attempt, code: ErrorCode, details: string, unanswered: boolean): void
  onWritable(attempt: Attempt): void
}

export class Attempt implements UpstreamHandler, ConnectionWaiter {
  readonly endpoint: Endpoint
  /** Null before there is one, and when it is no longer this attempt's. */
  connection: UpstreamStream | null = null
  /** Its connection has carried others before. */
  reused = false
  /** When its request left, on the wheel's clock; 0 = it hasn't. */
  sentAt = 0
  /** When it has to have been answered. */
  dueAt: number = NEVER
  /** It was answered, so far well. */
  well = false
  /** Its answer isn't taken: it has no body, and is read to its end, since its connection is good for others. */
  discarded = false
  /** Null: nobody watches. */
  readonly step: AttemptStep | null
  readonly #attempts: AttemptOwner
  #left = false

  /** It has begun at `endpoint`. */
  constructor(attempts: AttemptOwner, endpoint: Endpoint, step: AttemptStep | null) {
    this.#attempts = attempts
    this.endpoint = endpoint
    this.step = step
  }

  /** Nothing is under way to its endpoint any more; harmless when repeated. */
  leave(): void {
    if (this.#left) return
    this.#left = true
    if (this.step !== null) this.step.endedAt = performance.now()
    this.endpoint.end()
    this.connection = null
  }

  /** Gives up whatever upstream does for it. */
  cancel(): void {
    if (this.#left) return
    const { connection } = this
    this.leave()
    if (connection !== null) connection.cancel()
    else this.endpoint.abandon(this)
  }

  // ------------------------------------------------------------------------------------------------------ as a waiter

  needsHttp2(): boolean {
    return this.#attempts.needsHttp2
  }

  onConnection(connection: UpstreamStream): void {
    this.connection = connection
    this.reused = connection.uses > 0
    this.#attempts.onConnected(this, connection)
  }

  onNoConnection(code: ErrorCode, details: string): void {
    // What others do who are told with it may have ended its exchange.
    if (this.#left) return
    this.step?.failed(code, details)
    this.leave()
    this.#attempts.onUnreached(this, code, details)
  }

  // ---------------------------------------------------------------------------------------- what its connection says

  onInformational(head: ResponseHead): void {
    this.#attempts.onInformational(head)
  }

  onResponseHead(head: ResponseHead): boolean {
    return this.#attempts.onHead(this, head)
  }

  onResponseBytes(buffer: Buffer, from: number, to: number): void {
    this.#attempts.owner.onResponseBytes(buffer, from, to)
  }

  onResponseFlush(): void {
    if (!this.discarded) this.#attempts.owner.onResponseFlush()
  }

  onResponseComplete(): void {
    this.leave()
    if (!this.discarded) this.#attempts.onComplete(this)
  }

  onResponseEnd(trailers: Fields | null): void {
    if (this.discarded) this.#attempts.onDiscarded(this)
    else this.#attempts.onEnd(this, trailers)
  }

  onUpstreamFailed(code: ErrorCode, details: string, unanswered: boolean): void {
    this.step?.failed(code, details)
    this.leave()
    this.#attempts.onFailed(this, code, details, unanswered)
  }

  onUpstreamWritable(): void {
    this.#attempts.onWritable(this)
  }

  onTunnelEnd(): void {
    this.#attempts.owner.onTunnelEnd()
  }
}

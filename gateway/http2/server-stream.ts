// One request of an HTTP/2 client and its response: the downstream side of an exchange.

import type { ErrorCode } from "../errors.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { CarriedSight } from "../http/connection-sight.ts"
import type { BodyTransfer, DownstreamHandler, DownstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { type BodyKind, RequestHead, type ResponseHead } from "../http/message.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR } from "./frames.ts"
import type { ServerSession } from "./server-session.ts"
import { Stream } from "./stream.ts"

/** ms without progress after which the rest of a response is given up, once its exchange has ended. */
const STALL = 30_000

export class ServerStream extends Stream implements DownstreamStream, DeadlineOwner {
  readonly head: RequestHead = new RequestHead()
  readonly deadline: Deadline
  readonly takesChunks = false
  /** It carries a WebSocket, whose data is none of a request's body. */
  #tunnel = false
  readonly #connection: ServerSession
  #exchange: DownstreamHandler | null = null
  /** The exchange has ended. */
  #over = false
  /** Octets of the body so far; and those its head has announced, −1 = none. Filters may edit the head. */
  #received = 0
  #announced = -1
  /** Its body was too large: the rest of it is thrown away. */
  #tooLarge = false
  /** The request's body contradicts its head: its answer is a reset. */
  #malformed = false
  /** The client has ended its side of a tunnel, and all it sent was handed over. */
  #tunnelEnded = false
  #unsentBefore = 0

  constructor(session: ServerSession, wheel: TimerWheel) {
    super(session, false)
    this.#connection = session
    this.deadline = new Deadline(wheel, this)
  }

  get security(): ConnectionSecurity | null {
    return this.#connection.security
  }
  /** Sections of heads are taken whole. */
  get headTook(): number {
    return 0
  }

  get connectionId(): number {
    return this.#connection.connectionId
  }
  get sourceAddress(): string {
    return this.#connection.sourceAddress
  }
  get sourcePort(): number {
    return this.#connection.sourcePort
  }
  get destinationAddress(): string {
    return this.#connection.destinationAddress
  }
  get destinationPort(): number {
    return this.#connection.destinationPort
  }
  get memo(): { authority: string; text: string } {
    return this.#connection.memo
  }

  /** Its head is complete. */
  begin(endStream: boolean): void {
    this.#tunnel = this.head.upgrade !== ""
    if (this.head.body === "length") this.#announced = this.head.contentLength
    if (endStream) this.receiveEnd(null)
    const exchange = this.#connection.exchanges.begin(this, this.head)
    // Answered locally, it is over already.
    if (!this.#over) this.#exchange = exchange
  }

  // ------------------------------------------------------------------------------------------------------ the request

  get requestComplete(): boolean {
    return this.remoteClosed || this.#tunnel
  }

  /** What nobody wants of a request ends with its stream; the connection goes on whatever it was. */
  get requestSkippable(): boolean {
    return true
  }

  startRequestBody(): void {
    this.makeReady()
  }

  pauseRequest(): void {
    this.pause()
  }

  resumeRequest(): void {
    this.resume()
  }

  override receive(buffer: Buffer, from: number, to: number): void {
    if (this.#over || this.#tooLarge) return this.skip(to - from)
    this.#received += to - from
    if (this.#announced >= 0 && this.#received > this.#announced) return this.#refuseBody("badRequest")
    const limit = this.#connection.bodyLimit
    if (limit > 0 && this.#received > limit && !this.#tunnel) return this.#refuseBody("bodyTooLarge")
    super.receive(buffer, from, to)
  }

  override receiveEnd(trailers: Fields | null): void {
    if (this.#received < this.#announced && !this.#over && !this.#tooLarge) return this.#refuseBody("badRequest")
    super.receiveEnd(trailers)
  }

  // More or less than was announced is malformed (RFC 9113 §8.1.1).
  #refuseBody(code: ErrorCode): void {
    this.#malformed = code === "badRequest"
    this.#tooLarge = !this.#malformed
    this.#exchange?.onRequestFailed(code)
    if (!this.closed && this.#malformed) this.#connection.giveUp(this, PROTOCOL_ERROR)
  }

  protected onBytes(buffer: Buffer, from: number, to: number): void {
    this.#exchange?.onRequestBytes(buffer, from, to)
  }

  onTurnEnd(): void {
    this.#exchange?.onRequestFlush()
  }

  protected onEnd(trailers: Fields | null): void {
    // A request without a body was told to be complete by its head.
    if (this.head.body !== "none" || this.#tunnel) this.#exchange?.onRequestEnd(trailers)
    this.#tunnelEnded = this.#tunnel
    if (this.#tunnel && this.localClosed) this.#endTunnel()
  }

  // Both sides of a tunnel have ended: as when a connection closes.
  #endTunnel(): void {
    const exchange = this.#exchange
    this.#end()
    this.#connection.complete(this)
    exchange?.onDownstreamGone()
  }

  // ----------------------------------------------------------------------------------------------------- the response

  sendInformational(head: ResponseHead): void {
    if (!this.closed && !this.#malformed) this.#connection.sendHead(this, head, false)
  }

  sendHead(head: ResponseHead, body: BodyKind): BodyTransfer {
    if (this.closed) return "none"
    // A success would mean to its client that the WebSocket is open (RFC 8441 §5).
    if (this.#tunnel && head.status !== 101 && head.status < 300) head.status = 502
    const bodyless = body === "none" && head.status !== 101
    if (!this.#malformed) this.#connection.sendHead(this, head, bodyless)
    if (bodyless) this.endLocal()
    return body === "none" ? "none" : "plain"
  }

  override sendBytes(buffer: Buffer, from: number, to: number): void {
    if (!this.#malformed) super.sendBytes(buffer, from, to)
  }

  /** Nothing waits here: what a connection sends leaves by itself, for all of its streams at once. */
  flush(): void {}

  retract(): boolean {
    return false
  }

  override sendEnd(trailers: Fields | null): void {
    this.#end()
    if (!this.#malformed) super.sendEnd(trailers)
    if (this.localClosed || this.#malformed) return this.#settle()
    this.#unsentBefore = this.unsent
    this.deadline.set(this.#connection.now + STALL)
  }

  // The exchange is over.
  #end(): void {
    this.#exchange = null
    this.#over = true
    this.deadline.release()
  }

  protected onLocalEnd(): void {
    if (this.#over) this.#settle()
    else if (this.#tunnelEnded) this.#endTunnel()
  }

  // The response has left: with it the stream, whatever of the request is still to come (RFC 9113 §8.1).
  #settle(): void {
    if (this.closed) return
    this.deadline.release()
    if (this.#malformed) this.#connection.giveUp(this, PROTOCOL_ERROR)
    else if (this.remoteClosed) this.#connection.complete(this)
    else this.#connection.giveUp(this, NO_ERROR)
  }

  abort(): void {
    this.#end()
    this.#connection.giveUp(this, this.#malformed ? PROTOCOL_ERROR : INTERNAL_ERROR)
  }

  startTunnel(): void {
    this.makeReady()
  }

  endTunnel(): void {
    super.sendEnd(null)
  }

  protected onWritable(): void {
    this.#exchange?.onDownstreamWritable()
  }

  onReset(): void {
    this.onLost()
  }

  onLost(): void {
    const exchange = this.#exchange
    this.#end()
    exchange?.onDownstreamGone()
  }

  /** Null: its exchange has ended. */
  sight(): CarriedSight | null {
    return this.#exchange === null ? null : this.#exchange.sight()
  }

  logOpen(ms: number): void {
    this.#exchange?.logOpen(ms)
  }

  /** The time to drain is over. */
  cut(): void {
    if (this.#exchange !== null) this.#exchange.onCut()
    else if (!this.closed) this.#connection.giveUp(this, CANCEL)
  }

  onDeadline(): void {
    this.#connection.due(this)
  }

  /** Its deadline is due. */
  onDue(): void {
    if (!this.#over) return this.#exchange?.onDeadline()
    if (this.closed) return
    // The rest of a response that its client doesn't take.
    if (this.unsent >= this.#unsentBefore) return this.#connection.giveUp(this, CANCEL)
    this.#unsentBefore = this.unsent
    this.deadline.set(this.#connection.now + STALL)
  }
}

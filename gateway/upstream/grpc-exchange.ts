// One gRPC call of a filter: from the choice of an endpoint to the status it ends with. Messages pass one by one both ways;
// what waits to be sent, or to be taken by the filter, is held against the filter's share, and pauses the service.

import type { Buffer } from "node:buffer"
import { type ErrorCode, errors } from "../errors.ts"
import type { GrpcCallout, GrpcHandler, GrpcStream } from "../filter/grpc-callout.ts"
import type { UpstreamHandler, UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { formatGrpcTimeout, isGrpcType } from "../http/grpc.ts"
import { grpcFrame, MessageReader, type MessageSink } from "../http/grpc-frames.ts"
import { decodeGrpcMessage, grpcStatusOfHttp, NO_STATUS, OTHER_STATUS, parseGrpcStatus } from "../http/grpc-status.ts"
import { RequestHead, type ResponseHead } from "../http/message.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { Admission } from "./admission.ts"
import type { CalloutCount } from "./callout.ts"
import type { Endpoint } from "./endpoint.ts"
import { CONNECT_ATTEMPTS, EndpointChoice } from "./endpoint-choice.ts"
import { NO_KEY, NOBODY } from "./load-balancing/hash-key.ts"
import type { ConnectionWaiter } from "./pool.ts"
import type { Service } from "./services.ts"

/** Octets of one message from a service. */
const MAX_MESSAGE = 1024 * 1024
/** Octets that may wait to be sent; over it the call ends. */
const MAX_UNSENT = 2 * 1024 * 1024
/** Octets of messages not dealt with from which on the service is paused. */
const MAX_UNTAKEN = 64 * 1024
/** Octets that a message costs beside its own, roughly: empty ones take memory too. */
const MESSAGE_COST = 256

const UNKNOWN = 2
const RESOURCE_EXHAUSTED = 8
const UNIMPLEMENTED = 12
const INTERNAL = 13

/** The worker's part in gRPC calls. */
export interface GrpcOwner {
  readonly wheel: TimerWheel
  /** Whether so many octets more may be held. */
  hold(octets: number): boolean
  release(octets: number): void
  /** A call is over, and gives back what it held. */
  ended(octets: number): void
  count(service: string, what: CalloutCount): void
  /** Runs what calls the handler; a fault in it must not reach the codec whose event this is. */
  guard(run: () => void): void
}

export class GrpcExchange implements GrpcStream, ConnectionWaiter, UpstreamHandler, DeadlineOwner, MessageSink {
  readonly #owner: GrpcOwner
  readonly #service: Service
  readonly #handler: GrpcHandler
  readonly #head: RequestHead
  readonly #deadline: Deadline
  readonly #timeout: number
  readonly #reader = new MessageReader(MAX_MESSAGE)
  #attempts = 0
  /** It was refused unseen, and sent again. */
  #retried = false
  readonly #choice: EndpointChoice
  #endpoint: Endpoint | null = null
  #connection: UpstreamStream | null = null
  /** When its head left, on the wheel's clock; 0 = it hasn't. */
  #sentAt = 0
  #answered = false
  /** By whom it was answered, so far well. */
  #well: Endpoint | null = null
  readonly #admission: Admission
  #starting = false
  #ended = false
  /** More waits to be sent than may: it ends, though not within the call that says so. */
  #overfull = false
  readonly #unary: boolean
  /** Frames that wait for a connection, or for it to take more. */
  #unsent: Buffer[] = []
  /** The message of a unary call, until its answer begins: it may have to be sent again. */
  #kept: Buffer | null = null
  #unsentLength = 0
  /** No more messages are sent; what waits still is. */
  #sendsNoMore = false
  #endSent = false
  /** Octets of messages the handler has and is not done with, and their cost. */
  #untaken = 0
  #paused = false
  /** Octets held against the share. */
  #held = 0
  /** The status of an answer that is nothing but its head, told when that has ended; −1 = none. */
  #status = -1
  #text = ""
  /** Of the reader's message under way. */
  #reading = 0

  constructor(owner: GrpcOwner, service: Service, callout: GrpcCallout, handler: GrpcHandler) {
    this.#owner = owner
    this.#service = service
    this.#admission = new Admission(service.limits, owner.wheel)
    this.#handler = handler
    this.#timeout = callout.timeout
    this.#unary = callout.unary
    this.#head = requestHead(callout)
    this.#choice = new EndpointChoice(service, service.hashKey?.of(this.#head, NOBODY) ?? NO_KEY)
    this.#deadline = new Deadline(owner.wheel, this)
  }

  /** False when it failed at once; its handler hears nothing of it. */
  start(): boolean {
    if (!this.#admission.begin()) {
      this.#owner.count(this.#service.name, "overflows")
      this.#end()
      return false
    }
    this.#starting = true
    this.#attempt(false)
    this.#starting = false
    if (!this.#ended && this.#timeout > 0) this.#deadline.set(this.#owner.wheel.refresh() + this.#timeout)
    return !this.#ended
  }

  #attempt(fresh: boolean): void {
    const endpoint = this.#choice.begin(this.#choice.next())
    if (endpoint === null) {
      if (!this.#choice.full) return this.#fail("noEndpoint")
      this.#owner.count(this.#service.name, "overflows")
      return this.#fail("overflow")
    }
    this.#attempts++
    this.#endpoint = endpoint
    this.#sentAt = 0
    endpoint.acquire(this, fresh)
  }

  needsHttp2(): boolean {
    return true
  }

  onConnection(connection: UpstreamStream): void {
    this.#connection = connection
    this.#sentAt = this.#owner.wheel.refresh()
    if (connection.uses > 0) this.#owner.count(this.#service.name, "reused")
    connection.send(this, this.#head, this.#head.authority)
    this.#sendWaiting(connection)
    if (!this.#endSent) connection.flush()
  }

  onNoConnection(code: ErrorCode): void {
    const endpoint = this.#endpoint as Endpoint
    this.#leaveEndpoint()
    const { name } = this.#service
    // The gateway's own limits are no fault of the endpoint.
    const failed = errors[code].source === "upstream"
    if (failed) endpoint.failed(code, 0)
    else if (code === "overflow") this.#owner.count(name, "overflows")
    endpoint.untold(this)
    if (failed && this.#attempts < CONNECT_ATTEMPTS) {
      this.#choice.pass(endpoint)
      if (this.#choice.hasOthers) {
        this.#owner.count(name, "retries")
        return this.#attempt(false)
      }
    }
    this.#fail(code)
  }

  // -------------------------------------------------------------------------------------------------------------- sending

  send(message: Uint8Array, end: boolean): void {
    if (this.#ended || this.#sendsNoMore) return
    const frame = grpcFrame(0, message)
    const cost = frame.length + MESSAGE_COST
    if (this.#unsentLength + cost > MAX_UNSENT || !this.#hold(cost)) {
      this.#overfull = true
      this.#sendsNoMore = true
      this.#deadline.set(this.#owner.wheel.now)
      return
    }
    this.#unsent.push(frame)
    this.#unsentLength += cost
    this.#sendsNoMore = end
    this.#sendNow()
  }

  end(): void {
    if (this.#ended || this.#sendsNoMore) return
    this.#sendsNoMore = true
    this.#sendNow()
  }

  #sendNow(): void {
    const connection = this.#connection
    if (connection === null) return
    this.#sendWaiting(connection)
    if (!this.#endSent) connection.flush()
  }

  onUpstreamWritable(): void {
    this.#sendNow()
  }

  #sendWaiting(connection: UpstreamStream): void {
    while (this.#unsent.length > 0 && connection.writable) {
      const frame = this.#unsent.shift() as Buffer
      const cost = frame.length + MESSAGE_COST
      this.#unsentLength -= cost
      if (this.#unary) this.#kept = frame
      else this.#release(cost)
      connection.sendBytes(frame, 0, frame.length)
    }
    if (!this.#sendsNoMore || this.#overfull || this.#unsent.length > 0 || this.#endSent) return
    this.#endSent = true
    connection.sendEnd(null)
  }

  // ------------------------------------------------------------------------------------------------------------ receiving

  onInformational(): void {}

  onResponseHead(head: ResponseHead): boolean {
    const { fields } = head
    this.#answered = true
    const status = fields.has("grpc-status") ? statusOf(fields) : -1
    if (this.#endpoint?.answered(head.status, status, this.#owner.wheel.refresh() - this.#sentAt, 0) === true) this.#well = this.#endpoint
    this.#admission.answered(head.status, status)
    if (this.#kept !== null) {
      this.#release(this.#kept.length + MESSAGE_COST)
      this.#kept = null
    }
    if (!isGrpcType(fields.get("content-type"))) {
      const code = head.status === 200 ? UNKNOWN : grpcStatusOfHttp(head.status)
      this.#endWith(head, code, `answered with HTTP status ${head.status} and no gRPC`)
      return false
    }
    const metadata = fields.entries()
    // One of trailers alone has nothing but those.
    if (status !== -1) {
      const text = decodeGrpcMessage(fields.get("grpc-message") ?? "")
      this.#owner.guard(() => this.#handler.onGrpcTrailers(metadata))
      this.#endWith(head, status, text)
      return false
    }
    this.#owner.guard(() => this.#handler.onGrpcHead(metadata))
    return false
  }

  // Its head says how it ends. Without a body it is complete, and its connection is worth keeping.
  #endWith(head: ResponseHead, status: number, text: string): void {
    if (head.body !== "none") return this.#giveUp(status, text)
    this.#status = status
    this.#text = text
  }

  onResponseBytes(buffer: Buffer, from: number, to: number): void {
    if (this.#ended) return
    const error = this.#reader.read(buffer, from, to, this)
    if (this.#ended) return
    if (error === "tooLarge") return this.#giveUp(RESOURCE_EXHAUSTED, "message too large")
    if (error === "compressed") return this.#giveUp(UNIMPLEMENTED, "message is compressed")
    if (error !== null) return this.#giveUp(INTERNAL, "malformed message")
    const reading = this.#reader.held
    if (reading > this.#reading && !this.#hold(reading - this.#reading)) {
      return this.#giveUp(RESOURCE_EXHAUSTED, "too much waits to be taken")
    }
    if (reading < this.#reading) this.#release(this.#reading - reading)
    this.#reading = reading
  }

  onMessage(message: Buffer): void {
    if (this.#ended) return
    const cost = message.length + MESSAGE_COST
    if (!this.#hold(cost)) return this.#giveUp(RESOURCE_EXHAUSTED, "too much waits to be taken")
    this.#untaken += cost
    if (this.#untaken > MAX_UNTAKEN && !this.#paused && !this.#unary) {
      this.#paused = true
      this.#connection?.pauseResponse()
    }
    this.#owner.guard(() => this.#handler.onGrpcMessage(message))
  }

  taken(octets: number): void {
    const cost = octets + MESSAGE_COST
    this.#untaken -= cost
    if (this.#ended) return
    this.#release(cost)
    if (!this.#paused || this.#untaken > MAX_UNTAKEN) return
    this.#paused = false
    this.#connection?.resumeResponse()
  }

  onResponseFlush(): void {}

  onResponseComplete(): void {
    this.#leaveEndpoint()
  }

  onResponseEnd(trailers: Fields | null): void {
    if (this.#ended) return
    const status = trailers === null ? NO_STATUS : statusOf(trailers)
    this.#well?.ended(status === NO_STATUS ? -1 : status)
    if (this.#status !== -1) return this.#giveUp(this.#status, this.#text)
    if (trailers !== null) {
      const metadata = trailers.entries()
      this.#owner.guard(() => this.#handler.onGrpcTrailers(metadata))
    }
    if (status === NO_STATUS) return this.#giveUp(UNKNOWN, "no status came")
    this.#admission.ended(status)
    if (status === 0 && !this.#reader.atBoundary) return this.#giveUp(INTERNAL, "message cut short")
    this.#giveUp(status, decodeGrpcMessage(trailers?.get("grpc-message") ?? ""))
  }

  onTunnelEnd(): void {}

  onUpstreamFailed(code: ErrorCode): void {
    const endpoint = this.#endpoint as Endpoint
    if (!this.#answered) endpoint.failed(code, this.#owner.wheel.refresh() - this.#sentAt)
    else if (this.#well !== null) endpoint.cutShort(code)
    endpoint.untold(this)
    this.#leaveEndpoint()
    if (this.#status !== -1) return this.#giveUp(this.#status, this.#text)
    if (errors[code].retryable === "yes" && this.#unary && !this.#retried) return this.#sendAgain(endpoint)
    this.#fail(code)
  }

  // Refused unseen: a call with one message goes to another endpoint if there is one, on a connection of its own kind.
  #sendAgain(endpoint: Endpoint): void {
    this.#retried = true
    this.#choice.pass(endpoint)
    const kept = this.#kept
    if (kept !== null) {
      this.#kept = null
      this.#unsent.unshift(kept)
      this.#unsentLength += kept.length + MESSAGE_COST
    }
    this.#endSent = false
    this.#owner.count(this.#service.name, "retries")
    this.#attempt(true)
  }

  onDeadline(): void {
    if (this.#overfull) return this.#giveUp(RESOURCE_EXHAUSTED, "too much waits to be sent")
    if (this.#sentAt > 0 && !this.#answered) this.#endpoint?.failed("responseTimeout", this.#owner.wheel.now - this.#sentAt)
    this.#fail("responseTimeout")
  }

  // ------------------------------------------------------------------------------------------------------------------ end

  cancel(): void {
    if (this.#ended) return
    this.#releaseEndpoint()
    this.#end()
  }

  #fail(code: ErrorCode): void {
    if (!this.#ended) this.#admission.failed(code)
    this.#giveUp(errors[code].grpcStatus, code)
  }

  /** Ends it with a status, whatever is still under way upstream. */
  #giveUp(status: number, message: string): void {
    if (this.#ended) return
    this.#releaseEndpoint()
    this.#end()
    if (!this.#starting) this.#owner.guard(() => this.#handler.onGrpcEnd(status, message))
  }

  #end(): void {
    this.#ended = true
    this.#admission.end()
    this.#unsent = []
    this.#kept = null
    this.#deadline.release()
    this.#owner.ended(this.#held)
    this.#held = 0
  }

  #hold(octets: number): boolean {
    if (!this.#owner.hold(octets)) return false
    this.#held += octets
    return true
  }

  #release(octets: number): void {
    this.#held -= octets
    this.#owner.release(octets)
  }

  #leaveEndpoint(): void {
    const endpoint = this.#endpoint
    if (endpoint === null) return
    endpoint.end()
    this.#endpoint = null
    this.#connection = null
  }

  #releaseEndpoint(): void {
    const endpoint = this.#endpoint
    const connection = this.#connection
    this.#leaveEndpoint()
    if (connection !== null) connection.cancel()
    else endpoint?.abandon(this)
  }
}

/** The code of trailers; one that is none of gRPC's counts as UNKNOWN. */
function statusOf(fields: Fields): number {
  const status = parseGrpcStatus(fields.get("grpc-status"))
  return status === OTHER_STATUS ? UNKNOWN : status
}

function requestHead(callout: GrpcCallout): RequestHead {
  const head = new RequestHead()
  head.method = "POST"
  head.path = callout.path
  head.target = callout.path
  head.authority = callout.service
  head.acceptsTrailers = true
  head.body = "close"
  head.fields.add("content-type", "application/grpc")
  if (callout.timeout > 0) head.fields.add("grpc-timeout", formatGrpcTimeout(callout.timeout))
  for (let i = 0; i < callout.metadata.length; i += 2) head.fields.add(callout.metadata[i], callout.metadata[i + 1])
  return head
}

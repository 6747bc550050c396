// One callout: from the choice of an endpoint to a response in memory, a failure, or the end of its time. Its request is
// held whole, so that it can go to another endpoint when a connect fails.

import { Buffer } from "node:buffer"
import { type ErrorCode, errors } from "../errors.ts"
import { BodyBuffer } from "../filter/body-buffer.ts"
import type { Callout, CalloutHandler, CalloutResponse } from "../filter/filter.ts"
import type { UpstreamHandler, UpstreamStream } from "../http/exchange.ts"
import { Fields } from "../http/fields.ts"
import { RequestHead, type ResponseHead } from "../http/message.ts"
import { isIdempotent } from "../http/method.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { Admission } from "./admission.ts"
import type { Endpoint } from "./endpoint.ts"
import { CONNECT_ATTEMPTS, EndpointChoice } from "./endpoint-choice.ts"
import { NO_KEY, NOBODY } from "./load-balancing/hash-key.ts"
import type { ConnectionWaiter } from "./pool.ts"
import type { Service } from "./services.ts"

/** ms, when the callout names no other. */
const DEFAULT_TIMEOUT = 15_000
/** Octets of a response's body; over it the callout fails. */
const MAX_RESPONSE = 1024 * 1024
/** Methods whose requests say that they have no body (RFC 9110 §8.6). */
const EXPECTS_BODY = /^(?:POST|PUT|PATCH)$/

/** What a service counts beside its connections. */
export type CalloutCount = "reused" | "retries" | "overflows"

/** The worker's part in its callouts. */
export interface CalloutOwner {
  readonly wheel: TimerWheel
  /** Whether so many octets more may be held; they are given back at the end. */
  hold(octets: number): boolean
  /** A callout is over, and gives back what it held. */
  ended(octets: number): void
  count(service: string, what: CalloutCount): void
  fail(handler: CalloutHandler, code: ErrorCode, details: string): void
  respond(handler: CalloutHandler, response: CalloutResponse): void
}

export class CalloutExchange implements ConnectionWaiter, UpstreamHandler, DeadlineOwner {
  readonly #owner: CalloutOwner
  readonly #service: Service
  readonly #callout: Callout
  readonly #handler: CalloutHandler
  readonly #head: RequestHead
  readonly #deadline: Deadline
  #held: number
  #attempts = 0
  #retried = false
  /** Its connection had served others before. */
  #reused = false
  readonly #choice: EndpointChoice
  #endpoint: Endpoint | null = null
  #connection: UpstreamStream | null = null
  /** When its request left, on the wheel's clock; 0 = it hasn't. */
  #sentAt = 0
  readonly #admission: Admission
  #starting = false
  #ended = false
  #status = 0
  /** It was answered, so far well. */
  #well = false
  #headers: readonly string[] = []
  readonly #body = new BodyBuffer()

  constructor(owner: CalloutOwner, service: Service, callout: Callout, handler: CalloutHandler) {
    this.#owner = owner
    this.#service = service
    this.#admission = new Admission(service.limits, owner.wheel)
    this.#callout = callout
    this.#handler = handler
    this.#head = requestHead(callout)
    this.#choice = new EndpointChoice(service, service.hashKey?.of(this.#head, NOBODY) ?? NO_KEY)
    this.#held = callout.body.length
    this.#deadline = new Deadline(owner.wheel, this)
  }

  /** False when it failed at once; its handler hears nothing of it. */
  start(): boolean {
    const { timeout } = this.#callout
    if (!this.#admission.begin()) {
      this.#owner.count(this.#service.name, "overflows")
      this.#end()
      return false
    }
    this.#starting = true
    this.#attempt(false)
    this.#starting = false
    if (this.#ended) return false
    this.#deadline.set(this.#owner.wheel.refresh() + (timeout > 0 ? timeout : DEFAULT_TIMEOUT))
    return true
  }

  /** Gives it up without a word to the handler. */
  cancel(): void {
    if (this.#ended) return
    this.#releaseEndpoint()
    this.#end()
  }

  #attempt(fresh: boolean): void {
    const endpoint = this.#choice.begin(this.#choice.next())
    if (endpoint === null) {
      if (!this.#choice.full) return this.#fail("noEndpoint", "")
      this.#owner.count(this.#service.name, "overflows")
      return this.#fail("overflow", "endpoint")
    }
    this.#attempts++
    this.#endpoint = endpoint
    this.#sentAt = 0
    endpoint.acquire(this, fresh)
  }

  needsHttp2(): boolean {
    return false
  }

  onConnection(connection: UpstreamStream): void {
    this.#connection = connection
    this.#sentAt = this.#owner.wheel.refresh()
    this.#reused = connection.uses > 0
    if (this.#reused) this.#owner.count(this.#service.name, "reused")
    const { body, trailers } = this.#callout
    const transfer = connection.send(this, this.#head, this.#head.authority)
    if (transfer === "none") return connection.flush()
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.length)
    connection.sendBytes(bytes, 0, bytes.length)
    connection.sendEnd(trailers.length === 0 ? null : fieldsOf(trailers))
  }

  onNoConnection(code: ErrorCode, details: string): void {
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
    this.#fail(code, `${endpoint.address} ${details}`)
  }

  onInformational(): void {}

  onResponseHead(head: ResponseHead): boolean {
    this.#well = this.#endpoint?.answered(head.status, -1, this.#owner.wheel.refresh() - this.#sentAt, 0) === true
    this.#admission.answered(head.status, -1)
    if (head.body === "length" && head.contentLength > MAX_RESPONSE) {
      this.#tooLarge()
      return false
    }
    this.#status = head.status
    this.#headers = head.fields.entries()
    return false
  }

  onResponseBytes(buffer: Buffer, from: number, to: number): void {
    if (this.#ended) return
    const length = to - from
    if (this.#body.length + length > MAX_RESPONSE || !this.#owner.hold(length)) return this.#tooLarge()
    this.#held += length
    this.#body.append(buffer, from, to)
    this.#body.own()
  }

  onResponseFlush(): void {}

  onResponseComplete(): void {
    if (this.#well) this.#endpoint?.ended(-1)
    this.#leaveEndpoint()
  }

  onResponseEnd(trailers: Fields | null): void {
    if (this.#ended) return
    this.#end()
    this.#owner.respond(this.#handler, {
      status: this.#status,
      headers: this.#headers,
      body: this.#body.bytes,
      trailers: trailers === null ? [] : trailers.entries(),
    })
  }

  onUpstreamFailed(code: ErrorCode, details: string, unanswered: boolean): void {
    const endpoint = this.#endpoint as Endpoint
    if (this.#status !== 0) {
      if (this.#well) endpoint.cutShort(code)
    } else if (code !== "upstreamClosed" || !unanswered || !this.#reused) {
      endpoint.failed(code, this.#owner.wheel.refresh() - this.#sentAt)
    }
    endpoint.untold(this)
    this.#leaveEndpoint()
    // As in an exchange: a pooled connection may have been closing, and only what may be repeated is, once; so is whatever
    // was refused unseen.
    const { retryable } = errors[code]
    const repeatable = retryable === "yes" || (retryable === "if-idempotent" && unanswered && isIdempotent(this.#callout.method))
    if (repeatable && !this.#retried && (retryable === "yes" || this.#reused || this.#admission.takeRetry())) {
      this.#retried = true
      this.#choice.pass(endpoint)
      this.#owner.count(this.#service.name, "retries")
      return this.#attempt(true)
    }
    this.#fail(code, `${endpoint.address} ${details}`)
  }

  onUpstreamWritable(): void {}

  onTunnelEnd(): void {}

  onDeadline(): void {
    const where = this.#endpoint?.address ?? ""
    if (this.#sentAt > 0 && this.#status === 0) this.#endpoint?.failed("responseTimeout", this.#owner.wheel.now - this.#sentAt)
    this.#releaseEndpoint()
    this.#fail("responseTimeout", where)
  }

  #tooLarge(): void {
    const where = this.#endpoint?.address ?? ""
    this.#releaseEndpoint()
    this.#fail("responseTooLarge", where)
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

  #fail(code: ErrorCode, details: string): void {
    if (this.#ended) return
    this.#admission.failed(code)
    this.#end()
    if (!this.#starting) this.#owner.fail(this.#handler, code, details)
  }

  #end(): void {
    this.#ended = true
    this.#admission.end()
    this.#deadline.release()
    this.#owner.ended(this.#held)
  }
}

function requestHead(callout: Callout): RequestHead {
  const head = new RequestHead()
  head.method = callout.method
  head.path = callout.path
  head.target = callout.path
  head.authority = callout.authority
  for (let i = 0; i < callout.headers.length; i += 2) head.fields.add(callout.headers[i], callout.headers[i + 1])
  const { length } = callout.body
  if (callout.trailers.length > 0) {
    // Trailers take the chunked coding, and so the length away.
    head.body = "length"
  } else if (length > 0) {
    head.body = "length"
    head.fields.add("content-length", String(length))
  } else if (EXPECTS_BODY.test(callout.method)) {
    head.fields.add("content-length", "0")
  }
  return head
}

function fieldsOf(flat: readonly string[]): Fields {
  const fields = new Fields()
  for (let i = 0; i < flat.length; i += 2) fields.add(flat[i], flat[i + 1])
  return fields
}

// All attempts of one exchange: the first, those after it has failed, and one that races it. Whatever becomes of them, the
// exchange hears of one response head, or that there is none; until then its body is sent to whichever attempt needs it.

import { type ErrorCode, errors } from "../errors.ts"
import type { BodyTransfer, UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { NO_STATUS, parseGrpcStatus } from "../http/grpc-status.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { parseRetryAfter } from "../http/retry-after.ts"
import { hashText } from "../http/text-hash.ts"
import { ONLY_REFUSED } from "../resilience/retry.ts"
import { Admission } from "../upstream/admission.ts"
import { beginElsewhere } from "../upstream/begin-elsewhere.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import { type HashKey, NO_KEY } from "../upstream/load-balancing/hash-key.ts"
import type { Service } from "../upstream/services.ts"
import { Attempt, type AttemptOwner, type ResponseOwner } from "./attempt.ts"
import type { MirrorCopy, Mirrors } from "./mirror.ts"
import type { Plane } from "./plane.ts"
import { ReplayBuffer } from "./replay-buffer.ts"
import { isIdempotent, RetryRun } from "./retry-run.ts"
import type { Backend, Route } from "./route.ts"

/** Connects that may fail before the request does: each on another endpoint. */
const CONNECT_ATTEMPTS = 3
const NEVER = Number.POSITIVE_INFINITY

/** The exchange, as its attempts see it. */
export interface AttemptsOwner extends ResponseOwner {
  /** An attempt has a connection, for the first time: now its body is wanted, if it has one. */
  onConnected(transfer: BodyTransfer): void
  /** The body, which has begun, has nobody to go to for now. */
  onRetrying(): void
  /** When the whole exchange has to be over, on the wheel's clock. */
  readonly endsAt: number
  /** {@link Attempts.dueAt} has moved. */
  onDueChanged(): void
  /** An attempt is about to begin: the last moment to edit its head. */
  onAttempt(head: RequestHead): void
  /** Its client's. */
  readonly sourceAddress: string
  /** The chosen response was cut short. */
  onResponseFailed(code: ErrorCode, details: string): void
  /** No attempt has got, or will get, a response. */
  onUnanswered(code: ErrorCode, details: string): void
}

export class Attempts implements AttemptOwner {
  readonly owner: AttemptsOwner
  readonly needsHttp2: boolean
  /** Made so far. */
  count = 0
  /** A response head was taken. */
  answered = false
  /** Address of the endpoint of the last one; "" = none was reached. */
  address = ""
  /** For the client, so that its next requests go to the same endpoint; "" = none. */
  setCookie = ""
  readonly #plane: Plane
  readonly #route: Route
  readonly #backend: Backend
  readonly #service: Service
  readonly #head: RequestHead
  /** "" = the endpoint's. */
  readonly #authority: string
  /** What its service hashes it by. */
  #key = NO_KEY
  /** The only one, the older of two, or the one that was answered. */
  #current: Attempt | null = null
  /** One that races it. */
  #rival: Attempt | null = null
  #tried: Endpoint[] | null = null
  /** All endpoints had as much under way as they may, the last time one was looked for. */
  #full = false
  /** It was sent again because it was safe, whatever its route says. */
  #repeated = false
  #retry: RetryRun | null = null
  readonly #admission: Admission
  /** What may have to be sent again; null = nothing, or nothing that could be. */
  #body: ReplayBuffer | null = null
  /** Goes to mirrors when the request is complete; null = to none. */
  #copy: MirrorCopy | null = null
  /** Mirrors were asked. */
  #mirrored = false
  #bodyStarted = false
  /** When the next attempt is due after a pause, and when a rival sets out. */
  #resumeAt: number = NEVER
  #rivalAt: number = NEVER

  constructor(owner: AttemptsOwner, plane: Plane, route: Route, backend: Backend, head: RequestHead, authority: string, grpc: boolean) {
    this.owner = owner
    this.#plane = plane
    this.#route = route
    this.#backend = backend
    const service = backend.service as Service
    this.#service = service
    this.#admission = new Admission(service.limits, plane.means.wheel)
    this.#head = head
    this.#authority = authority
    this.needsHttp2 = grpc
    if (service.hashKey !== null) this.#place(service.hashKey)
    const refusable = grpc ? service.callsMayBeHttp2 : service.mayBeHttp2
    // A call is its body, so that its status would be nothing to retry on without that.
    if (head.body !== "none" && (refusable || route.keepsBodies || (grpc && route.retry !== null))) {
      this.#body = new ReplayBuffer()
      // Kept to be sent again, perhaps in another framing, so not in chunks.
      if (head.body === "chunked") head.body = "close"
    }
  }

  // Where the request belongs.
  #place(hashKey: HashKey): void {
    const { cookie } = hashKey
    this.#key = hashKey.of(this.#head, this.owner)
    if (this.#key !== NO_KEY || cookie === null) return
    const value = cookie.value(this.#plane.means.random)
    this.#key = hashText(value)
    this.setCookie = cookie.field(value, this.#head.scheme === "https")
  }

  /** Begins with the first attempt, if its service may have one request more. */
  start(): void {
    if (this.#admission.begin()) return this.#attempt(false)
    this.#count("overflows")
    this.owner.onUnanswered("overflow", this.#admission.refusal)
  }

  // No attempt has got, or will get, a response.
  #unanswered(code: ErrorCode, details: string): void {
    this.#admission.failed(code)
    this.#admission.end()
    this.owner.onUnanswered(code, details)
  }

  onComplete(attempt: Attempt): void {
    // What became of a call is in its trailers.
    if (!this.needsHttp2) {
      if (attempt.well) attempt.endpoint.ended(-1)
      this.#admission.end()
    }
    this.owner.onResponseComplete()
  }

  onEnd({ well, endpoint }: Attempt, trailers: Fields | null): void {
    if (this.needsHttp2) {
      const status = trailers === null ? -1 : knownStatus(trailers)
      if (well) endpoint.ended(status)
      this.#admission.ended(status)
    }
    this.owner.onResponseEnd(trailers)
  }

  // ------------------------------------------------------------------------------------------- the request's body

  /** There is an attempt with a connection. */
  get connected(): boolean {
    return this.#current !== null && this.#current.connection !== null
  }

  /** False while the connection can't take more. */
  get writable(): boolean {
    const connection = this.#current?.connection ?? null
    return connection === null || connection.writable
  }

  /** Octets `[from, to)` of the request's body. Those nobody will ever need are let go. */
  sendBytes(buffer: Buffer, from: number, to: number): void {
    const connection = this.#current?.connection ?? null
    this.#bodyStarted = true
    this.#body?.keep(buffer, from, to, connection === null)
    this.#copy?.keep(buffer, from, to)
    connection?.sendBytes(buffer, from, to)
  }

  flush(): void {
    this.#current?.connection?.flush()
  }

  /** The request's body has ended. */
  sendEnd(trailers: Fields | null): void {
    this.#bodyStarted = true
    this.#body?.end(trailers)
    this.#copy?.end(trailers)
    this.#current?.connection?.sendEnd(trailers)
  }

  // The body as far as earlier attempts had it; the rest follows as it comes.
  #sendAgain(connection: UpstreamStream): void {
    const body = this.#body
    body?.sendTo(connection)
    if (body?.ended) connection.sendEnd(body.trailers)
    else connection.flush()
  }

  // ---------------------------------------------------------------------------------------------------- the response

  pauseResponse(): void {
    this.#current?.connection?.pauseResponse()
  }

  resumeResponse(): void {
    this.#current?.connection?.resumeResponse()
  }

  endTunnel(): void {
    this.#current?.connection?.endTunnel()
  }

  /** Gives up whatever upstream does for the exchange. */
  cancel(): void {
    this.#resumeAt = NEVER
    this.#rivalAt = NEVER
    this.#current?.cancel()
    this.#rival?.cancel()
    this.#current = null
    this.#rival = null
    this.#admission.end()
  }

  /** The exchange is over, and so is whatever its service had to count it for. */
  end(): void {
    this.cancel()
    this.#copy?.cancel()
    this.#settle()
  }

  // Nothing is sent again from here on.
  #settle(): void {
    this.#admission.endRetry()
    this.#retry?.settle()
    this.#retry = null
    this.#body = null
  }

  // ---------------------------------------------------------------------------------------------------- one attempt

  #attempt(fresh: boolean): void {
    const attempt = this.#launch(fresh)
    if (attempt !== null) return
    if (!this.#full) return this.#unanswered("noEndpoint", "")
    this.#count("overflows")
    this.#unanswered("overflow", "endpoint")
  }

  // Null when there is no endpoint, or all are full.
  #launch(fresh: boolean, chosen: Endpoint | null = null): Attempt | null {
    let endpoint = chosen ?? this.#service.balancer.next(this.#tried, this.#key)
    this.#full = false
    if (endpoint === null) return null
    if (!endpoint.begin()) {
      endpoint = beginElsewhere(this.#service, endpoint, this.#tried, this.#key)
      this.#full = endpoint === null
      if (endpoint === null) return null
    }
    const { perTryTimeout } = this.#route
    this.count++
    this.address = endpoint.address
    const attempt = new Attempt(this, endpoint)
    if (this.#current === null) this.#current = attempt
    else this.#rival = attempt
    this.owner.onAttempt(this.#head)
    if (perTryTimeout > 0) {
      attempt.dueAt = this.#plane.means.wheel.refresh() + perTryTimeout
      this.owner.onDueChanged()
    }
    endpoint.acquire(attempt, fresh)
    return attempt
  }

  onConnected(attempt: Attempt, connection: UpstreamStream): void {
    const { endpoint } = attempt
    if (attempt.reused) this.#count("reused")
    attempt.sentAt = this.#plane.means.wheel.refresh()
    if (!this.#mirrored && this.#route.mirrors !== null) this.#mirror(this.#route.mirrors)
    const transfer = connection.send(attempt, this.#head, this.#authority === "" ? endpoint.address : this.#authority)
    if (attempt === this.#rival || this.#bodyStarted) {
      this.#sendAgain(connection)
      if (attempt === this.#current && connection.writable) this.owner.onUpstreamWritable()
      return
    }
    this.#bodyStarted = transfer !== "none"
    if (this.count === 1) this.#armRival(attempt.sentAt)
    this.owner.onConnected(transfer)
  }

  // The request goes upstream for the first time: what is refused before is copied to nobody.
  #mirror(mirrors: Mirrors): void {
    const head = this.#head
    this.#mirrored = true
    this.#copy = mirrors.begin(head, this.#authority, this.needsHttp2)
    if (this.#copy !== null && head.body === "chunked") head.body = "close"
  }

  onWritable(attempt: Attempt): void {
    if (attempt === this.#current) this.owner.onUpstreamWritable()
  }

  onInformational(head: ResponseHead): void {
    // Of two that race either may be the one that is cancelled.
    if (!this.answered && this.#rival === null) this.owner.onInformational(head)
  }

  #markTried(endpoint: Endpoint): void {
    this.#tried ??= []
    if (this.#tried.at(-1) !== endpoint) this.#tried.push(endpoint)
  }

  /** `attempt` is over; whether another one still runs. */
  #gone(attempt: Attempt): boolean {
    this.#markTried(attempt.endpoint)
    this.#admission.endRetry()
    if (attempt === this.#current) {
      this.#current = this.#rival
      this.#rival = null
    } else if (attempt === this.#rival) this.#rival = null
    if (this.#current !== null) {
      this.address = this.#current.endpoint.address
      return true
    }
    this.#rivalAt = NEVER
    return false
  }

  /** It got no connection. */
  onUnreached(attempt: Attempt, code: ErrorCode, details: string): void {
    const { endpoint } = attempt
    const racing = this.#gone(attempt)
    if (code === "overflow") this.#count("overflows")
    else endpoint.failed(code, 0)
    endpoint.untold(attempt)
    if (racing) return
    if (code !== "overflow" && this.count < CONNECT_ATTEMPTS && this.#hasUntried()) {
      // Nothing was sent: another endpoint may do.
      this.#count("retries")
      return this.#attempt(false)
    }
    const retry = this.#retries()
    if (retry?.takeAfterFailure(code, true, this.#whole, this.#hasUntried())) return this.#retryLater(retry)
    this.#unanswered(code, `${endpoint.address} ${details}`)
  }

  #hasUntried(): boolean {
    return this.#service.balancer.hasOthers(this.#tried)
  }

  onFailed(attempt: Attempt, code: ErrorCode, details: string, unanswered: boolean): void {
    if (attempt.discarded) return this.onDiscarded(attempt)
    const { endpoint } = attempt
    // Neither a tunnel that ends as it should, and has no details, nor the end of a connection that was used before, and may just have
    // been closing, says anything of the endpoint.
    const telling = this.answered ? details !== "" : code !== "upstreamClosed" || !unanswered || !attempt.reused
    if (!this.answered) {
      if (telling) endpoint.failed(code, this.#plane.means.wheel.refresh() - attempt.sentAt)
      endpoint.untold(attempt)
    } else {
      if (telling && attempt.well) endpoint.cutShort(code)
      if (telling) this.#admission.cutShort()
      this.#admission.end()
      return this.owner.onResponseFailed(code, details === "" ? "" : `${endpoint.address} ${details}`)
    }
    if (this.#gone(attempt)) return
    // A pooled connection may have been closing while the request was on its way, or the endpoint died with it. Without a
    // response nobody knows what was done, so only what may be repeated is (RFC 9110 §9.2.2, RFC 9112 §9.3.1), and once.
    // What was refused unseen may be repeated whatever it is.
    const { retryable } = errors[code]
    const repeatable = retryable === "yes" || (retryable === "if-idempotent" && unanswered && this.#idempotent)
    if (repeatable && !this.#repeated && !this.#bodyStarted && this.#affordable(retryable === "yes" || attempt.reused)) {
      this.#repeated = true
      this.#count("retries")
      return this.#attempt(true)
    }
    const retry = this.#retries()
    if (retry?.takeAfterFailure(code, unanswered, this.#whole, this.#hasUntried())) return this.#retryLater(retry)
    // Cut short, but the client has seen nothing of it: it gets a whole answer.
    this.#unanswered(code === "upstreamTruncated" ? "upstreamClosed" : code, `${endpoint.address} ${details}`)
  }

  // Whether its service can stand the request once more. `free`: the request was not looked at, or its connection had
  // been waiting and was closing; then no more of them can come than there were connections.
  #affordable(free: boolean): boolean {
    return free || this.#admission.takeRetry()
  }

  onHead(attempt: Attempt, head: ResponseHead): boolean {
    const { endpoint } = attempt
    const { status } = head
    const now = this.#plane.means.wheel.refresh()
    const grpcStatus = this.needsHttp2 ? wholeStatus(head) : -1
    const spare = status === 429 || status === 503 ? parseRetryAfter(head.fields.get("retry-after"), this.#plane.means.epoch + now) : 0
    attempt.well = endpoint.answered(status, grpcStatus, now - attempt.sentAt, spare)
    const unwanted = (status >= 400 || grpcStatus > 0) && this.#route.retry?.onAnswer(status, grpcStatus, this.#idempotent) === true
    if (unwanted) {
      if (this.#rival !== null) {
        // The other one may do better.
        attempt.cancel()
        this.#gone(attempt)
        return false
      }
      this.#markTried(attempt.endpoint)
      const retry = this.#retries()
      // Whoever asks to be spared is, unless there is another to turn to.
      const pause = spare > 0 && !this.#hasUntried() ? spare : 0
      if (retry?.takeAfterAnswer(this.#whole, pause, this.owner.endsAt - now) === true) {
        if (head.body === "none") {
          attempt.discarded = true
          attempt.dueAt = NEVER
        } else {
          attempt.cancel()
          this.#gone(attempt)
          this.#retryLater(retry)
        }
        return false
      }
    }
    this.#admission.answered(status, grpcStatus)
    this.#choose(attempt, now)
    return this.owner.onResponseHead(head)
  }

  #choose(attempt: Attempt, now: number): void {
    const other = attempt === this.#current ? this.#rival : this.#current
    if (other !== null) {
      // Nobody will know how long it would have taken: as long as this, at least.
      if (other.connection !== null) other.endpoint.outpaced(now - other.sentAt)
      other.cancel()
      if (attempt === this.#rival) this.#count("hedgesWon")
      this.address = attempt.endpoint.address
    }
    this.#current = attempt
    this.#rival = null
    this.#rivalAt = NEVER
    this.answered = true
    this.#route.hedge?.observe(now - attempt.sentAt, now)
    this.#settle()
  }

  // --------------------------------------------------------------------------------------------------------- retries

  // All of the body, if there is one, can be sent again.
  get #whole(): boolean {
    return this.#body === null ? !this.#bodyStarted : this.#body.whole
  }

  get #idempotent(): boolean {
    return isIdempotent(this.#head.method)
  }

  #retries(): RetryRun | null {
    const { retry, hedge } = this.#route
    // What may be raced has an attempt more, which what is refused unseen may have as well.
    const policy = retry ?? (hedge === null ? null : ONLY_REFUSED)
    this.#retry ??= RetryRun.of(policy, this.#service, this.#head, this.#idempotent, this.needsHttp2, this.#plane.means.random)
    return this.#retry
  }

  // Another attempt, on another endpoint if there is one.
  #retryLater(retry: RetryRun): void {
    this.#count("retries")
    if (this.#bodyStarted) this.owner.onRetrying()
    if (retry.pause === 0) return this.#attempt(retry.fresh)
    this.#resumeAt = this.#plane.means.wheel.refresh() + retry.pause
    this.owner.onDueChanged()
  }

  /** An answer that wasn't taken has come to its end. */
  onDiscarded(attempt: Attempt): void {
    this.#gone(attempt)
    this.#retryLater(this.#retry as RetryRun)
  }

  // --------------------------------------------------------------------------------------------------------- hedging

  #armRival(sentAt: number): void {
    const { hedge } = this.#route
    if (hedge === null || !this.#idempotent) return
    this.#rivalAt = sentAt + hedge.delay(sentAt)
    this.owner.onDueChanged()
  }

  // A second attempt on another endpoint, while the first still has no answer.
  #race(): void {
    this.#rivalAt = NEVER
    const first = this.#current
    const complete = this.#body === null ? !this.#bodyStarted : this.#body.ended && this.#body.whole
    if (first === null || !complete) return
    this.#markTried(first.endpoint)
    if (!this.#hasUntried()) return
    // The others may be ejected, or unwell: then there is nobody to run against, and nothing is to be spent on it.
    const endpoint = this.#service.balancer.next(this.#tried, this.#key)
    if (endpoint === null || endpoint === first.endpoint || this.#retries()?.takeForRival() !== true) return
    if (this.#launch(false, endpoint) !== null) this.#count("hedges")
    else this.#retry?.settle()
  }

  // ---------------------------------------------------------------------------------------------------------- limits

  /** When {@link onDeadline} has something to do, on the wheel's clock. */
  get dueAt(): number {
    if (this.answered) return NEVER
    let at = this.#resumeAt < this.#rivalAt ? this.#resumeAt : this.#rivalAt
    if (this.#current !== null && this.#current.dueAt < at) at = this.#current.dueAt
    if (this.#rival !== null && this.#rival.dueAt < at) at = this.#rival.dueAt
    return at
  }

  onDeadline(now: number): void {
    if (this.answered) return
    if (now >= this.#resumeAt) {
      this.#resumeAt = NEVER
      return this.#attempt((this.#retry as RetryRun).fresh)
    }
    if (now >= this.#rivalAt) this.#race()
    const rival = this.#rival
    if (rival !== null && now >= rival.dueAt) this.#late(rival, now)
    const current = this.#current
    if (current !== null && now >= current.dueAt) this.#late(current, now)
  }

  #late(attempt: Attempt, now: number): void {
    const { endpoint } = attempt
    attempt.cancel()
    endpoint.failed("perTryTimeout", attempt.sentAt === 0 ? 0 : now - attempt.sentAt)
    if (this.#gone(attempt)) return
    const retry = this.#retries()
    if (retry?.takeAfterFailure("perTryTimeout", true, this.#whole, this.#hasUntried())) return this.#retryLater(retry)
    this.#unanswered("perTryTimeout", endpoint.address)
  }

  /** The exchange is out of time: so are the attempts that have sent all they had to. */
  expire(code: ErrorCode): void {
    const now = this.#plane.means.wheel.now
    if (!this.answered && errors[code].source === "upstream") {
      for (const attempt of [this.#current, this.#rival]) {
        if (attempt !== null && attempt.sentAt > 0) attempt.endpoint.failed(code, now - attempt.sentAt)
      }
    }
    if (!this.answered) this.#admission.failed(code)
    this.cancel()
  }

  #count(what: "reused" | "retries" | "overflows" | "hedges" | "hedgesWon"): void {
    const slots = this.#plane.serviceSlots(this.#backend.name)
    if (slots !== undefined) this.#plane.means.metrics.add(slots[what], 1)
  }
}

/** The gRPC status of an answer that is nothing but its head; −1 = it has none, or more is to come. */
function wholeStatus(head: ResponseHead): number {
  return head.body === "none" ? knownStatus(head.fields) : -1
}

/** −1 = there is none. */
function knownStatus(fields: Fields): number {
  const status = parseGrpcStatus(fields.get("grpc-status"))
  return status === NO_STATUS ? -1 : status
}

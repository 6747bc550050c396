// All attempts of one exchange: the first, those after it has failed, and one that races it. Whatever becomes of them, the
// exchange hears of one response head, or that there is none; until then its body is sent to whichever attempt needs it.

import { type ErrorCode, errors } from "../errors.ts"
import type { UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { knownGrpcStatus } from "../http/grpc-status.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { isIdempotent } from "../http/method.ts"
import { parseRetryAfter } from "../http/retry-after.ts"
import { hashText } from "../http/text-hash.ts"
import { ONLY_REFUSED } from "../resilience/retry.ts"
import { Admission } from "../upstream/admission.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import { CONNECT_ATTEMPTS, EndpointChoice } from "../upstream/endpoint-choice.ts"
import { type HashKey, NO_KEY } from "../upstream/load-balancing/hash-key.ts"
import type { Service } from "../upstream/services.ts"
import { Attempt, type AttemptOwner, type AttemptsOwner } from "./attempt.ts"
import type { Plane } from "./plane.ts"
import { RetryRun } from "./retry-run.ts"
import type { Backend, Route } from "./route.ts"
import { RunningAttempts } from "./running-attempts.ts"

const NEVER = Number.POSITIVE_INFINITY

export class Attempts extends RunningAttempts implements AttemptOwner {
  readonly owner: AttemptsOwner
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
  /** "" = the endpoint's. */
  readonly #authority: string
  readonly #choice: EndpointChoice
  /** Why the last attempt failed, if it did: what its client hears when a limit keeps it from being sent again. */
  #failure: ErrorCode | null = null
  #failureDetails = ""
  /** It was sent again because it was safe, whatever its route says. */
  #repeated = false
  #retry: RetryRun | null = null
  readonly #admission: Admission
  /** When the next attempt is due after a pause, and when a rival sets out. */
  #resumeAt: number = NEVER
  #rivalAt: number = NEVER

  constructor(owner: AttemptsOwner, plane: Plane, route: Route, backend: Backend, head: RequestHead, authority: string, grpc: boolean) {
    super(head, grpc)
    this.owner = owner
    this.#plane = plane
    this.#route = route
    this.#backend = backend
    const service = backend.service as Service
    this.#service = service
    this.#admission = new Admission(service.limits, plane.means.wheel)
    this.#authority = authority
    this.#choice = new EndpointChoice(service, service.hashKey === null ? NO_KEY : this.#place(service.hashKey))
    const refusable = grpc ? service.callsMayBeHttp2 : service.mayBeHttp2
    // A call is its body, so that its status would be nothing to retry on without that.
    if (head.body !== "none" && (refusable || route.keepsBodies || (grpc && route.retry !== null))) {
      this.keepBody()
    }
  }

  // What the request is hashed by. A client that has no place yet gets one.
  #place(hashKey: HashKey): number {
    const { cookie } = hashKey
    const key = hashKey.of(this.head, this.owner)
    if (key !== NO_KEY || cookie === null) return key
    const value = cookie.value(this.#plane.means.random)
    this.setCookie = cookie.field(value, this.head.scheme === "https")
    return hashText(value)
  }

  /** Begins with the first attempt, if its service may have one request more. */
  start(): void {
    if (this.#admission.begin()) return this.#attempt(false)
    this.#count("overflows")
    this.owner.onUnanswered("overflow", this.#admission.refusal)
  }

  // No attempt has got, or will get, a response.
  #unanswered(code: ErrorCode, details: string): void {
    const before = errors[code].source === "gateway" ? this.#failure : null
    this.#admission.failed(before ?? code)
    this.#admission.end()
    this.owner.onUnanswered(before ?? code, before === null ? details : this.#failureDetails)
  }

  #note(code: ErrorCode, details: string): void {
    this.#failure = code
    this.#failureDetails = details
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
      const status = trailers === null ? -1 : knownGrpcStatus(trailers.get("grpc-status"))
      if (well) endpoint.ended(status)
      this.#admission.ended(status)
    }
    this.owner.onResponseEnd(trailers)
  }

  /** Gives up whatever upstream does for the exchange. */
  cancel(): void {
    this.#resumeAt = NEVER
    this.#rivalAt = NEVER
    this.current?.cancel()
    this.rival?.cancel()
    this.current = null
    this.rival = null
    this.#admission.end()
  }

  /** The exchange is over, and so is whatever its service had to count it for. */
  end(): void {
    this.cancel()
    this.copy?.cancel()
    this.#settle()
  }

  // Nothing is sent again from here on.
  #settle(): void {
    this.#admission.endRetry()
    this.#retry?.settle()
    this.#retry = null
    this.letBodyGo()
  }

  // ---------------------------------------------------------------------------------------------------- one attempt

  #attempt(fresh: boolean): void {
    if (this.#launch(fresh, this.#choice.next()) !== null) return
    if (!this.#choice.full) return this.#unanswered("noEndpoint", "")
    this.#count("overflows")
    this.#unanswered("overflow", "endpoint")
  }

  // Null when there is no endpoint, or all are full.
  #launch(fresh: boolean, chosen: Endpoint | null): Attempt | null {
    const endpoint = this.#choice.begin(chosen)
    if (endpoint === null) return null
    const { perTryTimeout } = this.#route
    this.count++
    this.address = endpoint.address
    const attempt = new Attempt(this, endpoint, this.owner.trail?.attempt(endpoint.address, this.current !== null) ?? null)
    if (this.current === null) this.current = attempt
    else this.rival = attempt
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
    if (attempt.step !== null) {
      attempt.step.sentAt = attempt.sentAt
      attempt.step.reused = attempt.reused
    }
    // It may have waited for its connection, which leaves it less time.
    this.owner.onAttempt(this.head, attempt.step)
    if (this.#route.mirrors !== null) this.mirror(this.#route.mirrors, this.#authority, this.owner.trail?.context ?? null)
    const transfer = connection.send(attempt, this.head, this.#authority === "" ? endpoint.address : this.#authority)
    if (attempt === this.rival || this.bodyStarted) {
      this.sendAgain(connection)
      if (attempt === this.current && connection.writable) this.owner.onUpstreamWritable()
      return
    }
    this.bodyStarted = transfer !== "none"
    if (this.count === 1) this.#armRival(attempt.sentAt)
    this.owner.onConnected(transfer)
  }

  onWritable(attempt: Attempt): void {
    if (attempt === this.current) this.owner.onUpstreamWritable()
  }

  onInformational(head: ResponseHead): void {
    // Of two that race either may be the one that is cancelled.
    if (!this.answered && this.rival === null) this.owner.onInformational(head)
  }

  /** `attempt` is over; whether another one still runs. */
  #gone(attempt: Attempt): boolean {
    this.#choice.pass(attempt.endpoint)
    this.#admission.endRetry()
    if (attempt === this.current) {
      this.current = this.rival
      this.rival = null
    } else if (attempt === this.rival) {
      this.rival = null
      this.#retry?.settle()
    }
    if (this.current !== null) {
      this.address = this.current.endpoint.address
      return true
    }
    this.#rivalAt = NEVER
    return false
  }

  /** It got no connection. */
  onUnreached(attempt: Attempt, code: ErrorCode, details: string): void {
    const { endpoint } = attempt
    const racing = this.#gone(attempt)
    // The gateway's own limits are no fault of the endpoint; whoever has waited too long doesn't wait again elsewhere.
    const failed = errors[code].source === "upstream"
    if (failed) endpoint.failed(code, 0)
    else if (code === "overflow") this.#count("overflows")
    if (failed) this.#note(code, `${endpoint.address} ${details}`)
    endpoint.untold(attempt)
    if (racing) return
    if (failed && this.count < CONNECT_ATTEMPTS && this.#choice.hasOthers) {
      // Nothing was sent: another endpoint may do.
      this.#count("retries")
      return this.#attempt(false)
    }
    this.#retryOrEnd(code, true, code, `${endpoint.address} ${details}`)
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
    // Cut short, but the client has seen nothing of it: it gets a whole answer.
    const failure = code === "upstreamTruncated" ? "upstreamClosed" : code
    this.#note(failure, `${endpoint.address} ${details}`)
    if (this.#gone(attempt)) return
    // A pooled connection may have been closing while the request was on its way, or the endpoint died with it. Without a
    // response nobody knows what was done, so only what may be repeated is (RFC 9110 §9.2.2, RFC 9112 §9.3.1), and once.
    // What was refused unseen may be repeated whatever it is.
    const { retryable } = errors[code]
    const repeatable = retryable === "yes" || (retryable === "if-idempotent" && unanswered && this.#idempotent)
    if (repeatable && !this.#repeated && !this.bodyStarted && this.#affordable(retryable === "yes" || attempt.reused)) {
      this.#repeated = true
      this.#count("retries")
      return this.#attempt(true)
    }
    this.#retryOrEnd(code, unanswered, failure, `${endpoint.address} ${details}`)
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
    if (attempt.step !== null) {
      attempt.step.headAt = now
      attempt.step.status = status
      attempt.step.grpcStatus = grpcStatus
    }
    const spare = status === 429 || status === 503 ? parseRetryAfter(head.fields.get("retry-after"), this.#plane.means.epoch + now) : 0
    attempt.well = endpoint.answered(status, grpcStatus, now - attempt.sentAt, spare)
    const unwanted = (status >= 400 || grpcStatus > 0) && this.#route.retry?.onAnswer(status, grpcStatus, this.#idempotent) === true
    if (unwanted) {
      if (this.rival !== null) {
        // The other one may do better.
        attempt.cancel()
        this.#gone(attempt)
        return false
      }
      this.#choice.pass(attempt.endpoint)
      this.#failure = null
      const retry = this.#retries()
      // Whoever asks to be spared is, unless there is another to turn to.
      const pause = spare > 0 && !this.#choice.hasOthers ? spare : 0
      if (retry?.takeAfterAnswer(this.whole, pause, this.owner.endsAt - now) === true) {
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
    const other = attempt === this.current ? this.rival : this.current
    if (other !== null) {
      // Nobody will know how long it would have taken: as long as this, at least.
      if (other.connection !== null) other.endpoint.outpaced(now - other.sentAt)
      other.cancel()
      if (attempt === this.rival) this.#count("hedgesWon")
      this.address = attempt.endpoint.address
    }
    this.current = attempt
    this.rival = null
    this.#rivalAt = NEVER
    this.answered = true
    this.#route.hedge?.observe(now - attempt.sentAt, now)
    this.#settle()
  }

  // --------------------------------------------------------------------------------------------------------- retries

  get #idempotent(): boolean {
    return isIdempotent(this.head.method)
  }

  #retries(): RetryRun | null {
    const { retry, hedge } = this.#route
    // What may be raced has an attempt more, which what is refused unseen may have as well.
    const policy = retry ?? (hedge === null ? null : ONLY_REFUSED)
    this.#retry ??= RetryRun.of(policy, this.#service, this.head, this.#idempotent, this.needsHttp2, this.#plane.means.random)
    return this.#retry
  }

  // The last attempt has failed by `code`, which its client hears of as `failure` if nothing follows.
  #retryOrEnd(code: ErrorCode, unanswered: boolean, failure: ErrorCode, details: string): void {
    const retry = this.#retries()
    const left = this.owner.endsAt - this.#plane.means.wheel.refresh()
    if (retry?.takeAfterFailure(code, unanswered, this.whole, this.#choice.hasOthers, left)) this.#retryLater(retry)
    else this.#unanswered(failure, details)
  }

  // Another attempt, on another endpoint if there is one.
  #retryLater(retry: RetryRun): void {
    this.#count("retries")
    if (this.bodyStarted) this.owner.onRetrying()
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
    const first = this.current
    if (first === null || !this.complete) return
    this.#choice.pass(first.endpoint)
    if (!this.#choice.hasOthers) return
    // The others may be ejected, or unwell: then there is nobody to run against, and nothing is to be spent on it.
    const endpoint = this.#choice.next()
    const retry = this.#retries()
    if (endpoint === null || endpoint === first.endpoint || retry?.takeForRival() !== true) return
    if (this.#launch(false, endpoint) === null) retry.giveBack()
    else this.#count("hedges")
  }

  // ---------------------------------------------------------------------------------------------------------- limits

  /** When {@link onDeadline} has something to do, on the wheel's clock. */
  get dueAt(): number {
    if (this.answered) return NEVER
    let at = this.#resumeAt < this.#rivalAt ? this.#resumeAt : this.#rivalAt
    if (this.current !== null && this.current.dueAt < at) at = this.current.dueAt
    if (this.rival !== null && this.rival.dueAt < at) at = this.rival.dueAt
    return at
  }

  onDeadline(now: number): void {
    if (this.answered) return
    if (now >= this.#resumeAt) {
      this.#resumeAt = NEVER
      return this.#attempt((this.#retry as RetryRun).fresh)
    }
    if (now >= this.#rivalAt) this.#race()
    const rival = this.rival
    if (rival !== null && now >= rival.dueAt) this.#late(rival, now)
    const current = this.current
    if (current !== null && now >= current.dueAt) this.#late(current, now)
  }

  #late(attempt: Attempt, now: number): void {
    const { endpoint } = attempt
    attempt.step?.failed("perTryTimeout", "")
    attempt.cancel()
    endpoint.failed("perTryTimeout", attempt.sentAt === 0 ? 0 : now - attempt.sentAt)
    this.#note("perTryTimeout", endpoint.address)
    if (this.#gone(attempt)) return
    this.#retryOrEnd("perTryTimeout", true, "perTryTimeout", endpoint.address)
  }

  /** The exchange is out of time: so are the attempts that have sent all they had to. */
  expire(code: ErrorCode): void {
    const now = this.#plane.means.wheel.now
    if (!this.answered && errors[code].source === "upstream") {
      for (const attempt of [this.current, this.rival]) {
        if (attempt === null) continue
        attempt.step?.failed(code, "")
        if (attempt.sentAt > 0) attempt.endpoint.failed(code, now - attempt.sentAt)
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
  return head.body === "none" ? knownGrpcStatus(head.fields.get("grpc-status")) : -1
}

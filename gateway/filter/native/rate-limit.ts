// Rate limits of a listener and a route, as a filter: those that this process decides on first, then those that others do, for
// which it pauses the request. It sees no bodies, and answers with 429 what is too much.

import type { Fields } from "../../http/fields.ts"
import type { MetricsWriter } from "../../telemetry/metrics-writer.ts"
import { RATE_ALLOWED, RATE_LIMITED, RATE_SHADOW, RATE_UNAVAILABLE } from "../../telemetry/rate-limit-instruments.ts"
import type { BodyBuffer } from "../body-buffer.ts"
import { type BodyAction, CONTINUE, type FilterAction, type FilterStream, type HttpFilter, PAUSE, type StreamFilter } from "../filter.ts"
import type { RateLimitChecks, Taken } from "./rate-limit-checks.ts"
import type { RateLimitDecider, RateLimitVerdict, RateLimitWaiter } from "./rate-limit-decider.ts"
import { missingReply, rateLimitReply, tell, undecidedReply } from "./rate-limit-reply.ts"
import { RATE_MISSING, RATE_PASS, type RateLimiter } from "./rate-limiter.ts"

/** Limits that one decider is asked about together. Those in shadow are asked about apart, since they refuse nothing. */
export interface RemoteGroup {
  readonly decider: RateLimitDecider
  readonly shadow: boolean
  readonly limiters: readonly RateLimiter[]
}

export class RateLimitFilter implements HttpFilter {
  readonly name = "rateLimit"
  readonly interests = 0
  readonly bodyLimit = 0
  readonly checks: RateLimitChecks
  readonly remote: readonly RemoteGroup[]
  /** Value of RateLimit-Policy; "" = none. */
  readonly policy: string
  readonly metrics: MetricsWriter

  constructor(checks: RateLimitChecks, remote: readonly RemoteGroup[], policy: string, metrics: MetricsWriter) {
    this.checks = checks
    this.remote = remote
    this.policy = policy
    this.metrics = metrics
  }

  open(stream: FilterStream): StreamFilter {
    return new RateLimitedStream(this, stream)
  }
}

const NOTHING: readonly Taken[] = []
const NO_HEADERS: readonly string[] = []

class RateLimitedStream implements StreamFilter, RateLimitWaiter {
  readonly #filter: RateLimitFilter
  readonly #stream: FilterStream
  #refused = false
  /** What the client is told: −1 = nothing. */
  #limit = -1
  #remaining = 0
  #reset = 0
  // Of the limits that others decide on.
  #group = 0
  #asked: readonly RateLimiter[] = []
  #waiting = false
  #taken = NOTHING
  #headers = NO_HEADERS

  constructor(filter: RateLimitFilter, stream: FilterStream) {
    this.#filter = filter
    this.#stream = stream
  }

  onRequestHeaders(): FilterAction {
    const { checks, remote } = this.#filter
    const stream = this.#stream
    const reply = checks.take(stream.info, stream.request, stream)
    if (reply !== null) {
      this.#refused = true
      stream.sendLocalReply(reply)
      return PAUSE
    }
    this.#limit = checks.limit
    this.#remaining = checks.remaining
    this.#reset = checks.reset
    if (remote.length === 0) return CONTINUE
    this.#taken = checks.taken()
    return this.#askOthers() ? CONTINUE : PAUSE
  }

  // Asks the deciders one after the other; whether all of them have let the request pass already.
  #askOthers(): boolean {
    const { remote } = this.#filter
    const stream = this.#stream
    while (this.#group < remote.length) {
      const { decider, limiters, shadow } = remote[this.#group]
      const asked: RateLimiter[] = []
      for (const limiter of limiters) {
        const read = limiter.read(stream.info, stream.request, stream)
        if (read === RATE_PASS) asked.push(limiter)
        if (read !== RATE_MISSING) continue
        this.#count(limiter, shadow ? RATE_SHADOW : RATE_LIMITED)
        if (!shadow) return this.#refuse(missingReply(limiter.config))
      }
      if (asked.length > 0) {
        this.#asked = asked
        const verdict = decider.decide(asked, this)
        this.#waiting = verdict === null
        if (verdict === null || !this.#take(verdict)) return false
      }
      this.#group++
    }
    return true
  }

  onVerdict(verdict: RateLimitVerdict): void {
    if (!this.#waiting) return
    this.#waiting = false
    if (!this.#take(verdict)) return
    this.#group++
    if (this.#askOthers()) this.#stream.continueRequest(this)
  }

  // Whether the request may go on after this verdict; otherwise it has been answered.
  #take(verdict: RateLimitVerdict): boolean {
    const { shadow } = this.#filter.remote[this.#group]
    const limiter = this.#asked[verdict.index] ?? this.#asked[0]
    const { limit, remaining, reset, allowed, decided, requestHeaders, responseHeaders } = verdict
    for (const each of this.#asked) {
      if (!decided) this.#count(each, RATE_UNAVAILABLE)
      else if (allowed) this.#count(each, RATE_ALLOWED)
      else if (each === limiter) this.#count(each, shadow ? RATE_SHADOW : RATE_LIMITED)
    }
    if (shadow) return true
    if (!allowed && !decided) return this.#refuse(undecidedReply(limiter.config))
    if (!allowed) {
      const reply = rateLimitReply(limiter.config, limit, reset, verdict.retryAfter, this.#filter.policy, responseHeaders)
      return this.#refuse(reply)
    }
    const { fields } = this.#stream.request
    for (let i = 0; i < requestHeaders.length; i += 2) fields.set(requestHeaders[i], requestHeaders[i + 1])
    if (responseHeaders.length > 0) this.#headers = [...this.#headers, ...responseHeaders]
    if (limit >= 0 && limiter.config.headers && (this.#limit < 0 || remaining < this.#remaining)) {
      this.#limit = limit
      this.#remaining = remaining
      this.#reset = reset
    }
    return true
  }

  #refuse(reply: Parameters<FilterStream["sendLocalReply"]>[0]): false {
    this.#filter.checks.giveBackLater(this.#taken)
    this.#refused = true
    this.#stream.sendLocalReply(reply)
    return false
  }

  #count(limiter: RateLimiter, outcome: number): void {
    this.#filter.metrics.add(limiter.slots + outcome, 1)
  }

  onResponseHeaders(): FilterAction {
    const fields = this.#stream.response?.fields
    if (this.#refused || fields === undefined) return CONTINUE
    if (this.#limit >= 0) tell(fields, this.#limit, this.#remaining, this.#reset, this.#filter.policy)
    const headers = this.#headers
    for (let i = 0; i < headers.length; i += 2) fields.set(headers[i], headers[i + 1])
    return CONTINUE
  }

  onRequestBody(_body: BodyBuffer): BodyAction {
    return CONTINUE
  }
  onRequestTrailers(_trailers: Fields): FilterAction {
    return CONTINUE
  }
  onResponseBody(_body: BodyBuffer): BodyAction {
    return CONTINUE
  }
  onResponseTrailers(_trailers: Fields): FilterAction {
    return CONTINUE
  }

  onDone(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.#filter.remote[this.#group].decider.forget(this)
  }
}

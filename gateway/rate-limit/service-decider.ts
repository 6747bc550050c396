// Decides on requests by asking a rate-limit service that speaks Envoy's protocol, once for each request. What it knows nothing of,
// and what it doesn't answer in time, is as `onFailure` says.

import type { ServiceCaller } from "../filter/filter.ts"
import type { GrpcHandler, GrpcStream } from "../filter/grpc-callout.ts"
import type { RateLimitAsk, RateLimitDecider, RateLimitVerdict, RateLimitWaiter } from "../filter/native/rate-limit-decider.ts"
import { descriptorEntries } from "./descriptor.ts"
import { type RlsAnswer, rateLimitRequest, readRateLimitResponse, SHOULD_RATE_LIMIT } from "./rls-messages.ts"
import { NO_HEADERS, undecided, Verdict } from "./verdict.ts"

/** Its share of the worker's calls is counted under this name. */
const CALLER = "rateLimitService"

export type ServiceResult = "ok" | "overLimit" | "failed"

export interface ServiceDeciderOptions {
  readonly caller: ServiceCaller
  readonly service: string
  readonly domain: string
  /** ms a request waits at most. */
  readonly timeout: number
  /** Whether a request passes about which there is no answer. */
  readonly allowOnFailure: boolean
  onResult(result: ServiceResult): void
  /** A programming error showed in what a verdict led to. */
  fault(error: unknown): void
}

export class ServiceDecider implements RateLimitDecider {
  readonly options: ServiceDeciderOptions
  readonly #calls = new Map<RateLimitWaiter, Call>()
  readonly #undecided: RateLimitVerdict

  constructor(options: ServiceDeciderOptions) {
    this.options = options
    this.#undecided = undecided(options.allowOnFailure)
  }

  decide(asks: readonly RateLimitAsk[], waiter: RateLimitWaiter): RateLimitVerdict | null {
    const { caller, service, domain, timeout } = this.options
    const call = new Call(this, waiter, asks.length)
    const stream = caller.openGrpc(
      // Kept here, to the ms: the deadlines of calls may come a tick early.
      { service, path: SHOULD_RATE_LIMIT, metadata: [], timeout: timeout * 2, unary: true, filter: CALLER },
      call,
    )
    if (stream === null) return this.failed()
    stream.send(rateLimitRequest(domain, asks.map(descriptorEntries), 1), true)
    this.#calls.set(waiter, call)
    call.begin(stream, timeout)
    return null
  }

  forget(waiter: RateLimitWaiter): void {
    this.#calls.get(waiter)?.giveUp()
    this.#calls.delete(waiter)
  }

  /** There is no answer. */
  failed(): RateLimitVerdict {
    this.options.onResult("failed")
    return this.#undecided
  }

  /** @internal A call is over. */
  over(waiter: RateLimitWaiter, answer: RlsAnswer | null): void {
    if (!this.#calls.delete(waiter)) return
    if (answer !== null) this.options.onResult(answer.allowed ? "ok" : "overLimit")
    try {
      waiter.onVerdict(answer === null ? this.failed() : verdictOf(answer))
    } catch (error) {
      this.options.fault(error)
    }
  }

  /** Gives up what is under way; it is decided without the service. */
  close(): void {
    for (const [waiter, call] of [...this.#calls]) {
      call.giveUp()
      this.over(waiter, null)
    }
  }
}

/** One request to the service. */
class Call implements GrpcHandler {
  readonly #decider: ServiceDecider
  readonly #waiter: RateLimitWaiter
  readonly #descriptors: number
  #stream: GrpcStream | null = null
  #timer: ReturnType<typeof setTimeout> | null = null
  #answer: RlsAnswer | null = null

  constructor(decider: ServiceDecider, waiter: RateLimitWaiter, descriptors: number) {
    this.#decider = decider
    this.#waiter = waiter
    this.#descriptors = descriptors
  }

  begin(stream: GrpcStream, timeout: number): void {
    this.#stream = stream
    this.#timer = setTimeout(() => {
      this.giveUp()
      this.#decider.over(this.#waiter, null)
    }, timeout)
  }

  giveUp(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#stream?.cancel()
  }

  onGrpcHead(): void {}

  onGrpcMessage(message: Uint8Array): void {
    this.#answer = readRateLimitResponse(message, this.#descriptors)
    this.#stream?.taken(message.length)
  }

  onGrpcTrailers(): void {}

  onGrpcEnd(status: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#decider.over(this.#waiter, status === 0 ? this.#answer : null)
  }
}

// The figures a client is told are those of the descriptor that refused, or of the one with the least left.
function verdictOf({ allowed, statuses, requestHeaders, responseHeaders }: RlsAnswer): RateLimitVerdict {
  const verdict = new Verdict()
  verdict.allowed = allowed
  verdict.requestHeaders = requestHeaders.length === 0 ? NO_HEADERS : requestHeaders
  verdict.responseHeaders = responseHeaders.length === 0 ? NO_HEADERS : responseHeaders
  let chosen = -1
  for (let i = 0; i < statuses.length; i++) {
    const { over, limit, remaining } = statuses[i]
    if (over && !allowed) {
      chosen = i
      break
    }
    if (limit >= 0 && (chosen === -1 || remaining < statuses[chosen].remaining)) chosen = i
  }
  if (chosen === -1) return verdict
  const { limit, remaining, reset } = statuses[chosen]
  verdict.index = chosen
  verdict.limit = limit
  verdict.remaining = allowed ? remaining : 0
  verdict.reset = reset
  verdict.retryAfter = allowed ? 0 : reset
  return verdict
}

// What a worker makes of an endpoint's answers and failures: counts them for all threads, ejects it when they are too many in a
// row, and sees it back by one request. It chooses no endpoints, and compares none: that is the main thread's (outlier-sweep.ts).

import type { ErrorCode } from "../errors.ts"
import type { Ejection, EjectionReason } from "../resilience/ejection.ts"
import { ANSWERS, LATENCY, REQUESTS, SUCCESSES } from "./endpoint-table.ts"

/** Told of what happens to endpoints, which is seldom. */
export interface EjectionListener {
  /** `ms`: for how long. */
  onEjected(service: string, endpoint: string, reason: EjectionReason, ms: number): void
  onReadmitted(service: string, endpoint: string): void
}

/** Failures without a response, or without its end. Those that are the client's doing, and REFUSED_STREAM, are not among them. */
export const FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "connectFailure",
  "connectTimeout",
  "upstreamClosed",
  "upstreamReset",
  "upstreamTruncated",
  "perTryTimeout",
  "responseTimeout",
  "upstreamProtocol",
])
/** ms; a request that had less time, as a gRPC client may say, proves nothing of the endpoint. */
const FAIR_TIME = 1000
/** ms by which a worker's clocks may differ, since some are read once a tick. */
const CLOCK_SLACK = 60

// gRPC statuses by which an endpoint is ejected; DEADLINE_EXCEEDED and UNIMPLEMENTED count as failures, but are the client's choice.
const UNKNOWN = 2
const RESOURCE_EXHAUSTED = 8
const INTERNAL = 13
const UNAVAILABLE = 14
const DATA_LOSS = 15

export interface ObserverSettings {
  readonly service: string
  readonly endpoint: string
  /** 429 and RESOURCE_EXHAUSTED are failures. */
  readonly count429: boolean
  readonly listener: EjectionListener
}

export class OutlierObserver {
  readonly #settings: ObserverSettings
  readonly #ejection: Ejection
  readonly #column: Float64Array
  readonly #at: number
  readonly #clock: () => number
  /** What this worker's probe is to be told with; 0 = none is under way. */
  #claim = 0
  #claimedAt = 0
  /** Whose request it is. */
  #prober: object | null = null

  /** `column`: this worker's, whose counts of the endpoint begin at `at`. */
  constructor(settings: ObserverSettings, ejection: Ejection, column: Float64Array, at: number, clock: () => number) {
    this.#settings = settings
    this.#ejection = ejection
    this.#column = column
    this.#at = at
    this.#clock = clock
  }

  /** Others should be taken. */
  get ejected(): boolean {
    return this.#ejection.out
  }

  /** Goes on for the one before it, of another configuration: its probe may be under way. */
  takeOver(before: OutlierObserver): void {
    this.#claim = before.#claim
    this.#claimedAt = before.#claimedAt
    this.#prober = before.#prober
    this.#ejection.takeOver(before.#ejection)
  }

  /** `whose` request is about to go there: the first after an ejection is the one that shows whether it was long enough. */
  begins(whose: object): void {
    const claim = this.#ejection.claim()
    if (claim === 0) return
    this.#claim = claim
    this.#claimedAt = this.#clock()
    this.#prober = whose
  }

  /**
   * `whose` request is over, and never came as far as the endpoint, or not to be looked at. If it was the probe, another may be that at
   * once. Not for requests that are given up while they are under way: were the next one the probe, an endpoint that hangs
   * would have one after the other.
   */
  untold(whose: object): void {
    if (this.#prober !== whose) return
    this.#prober = null
    if (this.#claim === 0) return
    this.#claim = 0
    this.#ejection.unclaim()
  }

  /** A response's head has come. `grpcStatus` -1: not known; `latency`: ms. True: it is good so far, and its end is to be told as well. */
  answered(status: number, grpcStatus: number, latency: number): boolean {
    const column = this.#column
    const at = this.#at
    column[at + LATENCY] += latency
    column[at + ANSWERS]++
    if (status >= 500) this.#failed(status === 502 || status === 503 || status === 504, false, latency)
    else if (grpcStatus > 0 && this.#isFailure(grpcStatus)) this.#failed(grpcStatus === UNAVAILABLE, false, latency)
    else if (status === 429 && this.#settings.count429) this.#failed(false, false, latency)
    else {
      this.#succeeded(latency)
      return true
    }
    return false
  }

  #isFailure(grpcStatus: number): boolean {
    if (grpcStatus === RESOURCE_EXHAUSTED) return this.#settings.count429
    return grpcStatus === UNAVAILABLE || grpcStatus === UNKNOWN || grpcStatus === INTERNAL || grpcStatus === DATA_LOSS
  }

  /** A response that was good so far has come to its end, with `grpcStatus`; -1: none. */
  ended(grpcStatus: number): void {
    if (grpcStatus > 0 && this.#isFailure(grpcStatus)) this.#failedLate(grpcStatus === UNAVAILABLE, false)
    else this.#ejection.completed()
  }

  /** A response that was good so far will never come to its end. */
  cutShort(code: ErrorCode): void {
    if (FAILURES.has(code)) this.#failedLate(true, true)
  }

  // Its head was counted as a success, and may have brought the endpoint back.
  #failedLate(gateway: boolean, local: boolean): void {
    this.#column[this.#at + SUCCESSES]--
    this.#eject(this.#ejection.failed(gateway, local, true))
  }

  #succeeded(latency: number): void {
    this.#column[this.#at + REQUESTS]++
    this.#column[this.#at + SUCCESSES]++
    if (this.#claim === 0) this.#ejection.succeeded()
    else this.#probed(true, latency)
  }

  /** A request was given up because another was answered first: it failed in nothing, but took `latency` ms at least. */
  outpaced(latency: number): void {
    this.#column[this.#at + LATENCY] += latency
    this.#column[this.#at + ANSWERS]++
  }

  /** A connection that is carried as it is could be made: all that is seen of it. */
  connected(): void {
    this.#succeeded(0)
  }

  /** There was no response. `latency`: ms since the request began. */
  failed(code: ErrorCode, latency: number): void {
    if (!FAILURES.has(code) || (code === "responseTimeout" && latency < FAIR_TIME)) return
    this.#failed(true, true, latency)
  }

  #failed(gateway: boolean, local: boolean, latency: number): void {
    this.#column[this.#at + REQUESTS]++
    if (this.#claim !== 0 && this.#probed(false, latency)) return
    this.#eject(this.#ejection.failed(gateway, local))
  }

  #eject(reason: EjectionReason | null): void {
    if (reason === null) return
    const ms = this.#ejection.eject(reason)
    if (ms > 0) this.#settings.listener.onEjected(this.#settings.service, this.#settings.endpoint, reason, ms)
  }

  /** Whether what was answered is the probe, and no request that had begun before. */
  #probed(well: boolean, latency: number): boolean {
    if (((this.#clock() - this.#claimedAt) | 0) + CLOCK_SLACK < latency) return false
    const claim = this.#claim
    this.#claim = 0
    this.#prober = null
    const { service, endpoint, listener } = this.#settings
    if (well) {
      if (this.#ejection.probeSucceeded(claim)) listener.onReadmitted(service, endpoint)
      return true
    }
    const ms = this.#ejection.probeFailed(claim)
    if (ms > 0) listener.onEjected(service, endpoint, "probe", ms)
    return true
  }
}

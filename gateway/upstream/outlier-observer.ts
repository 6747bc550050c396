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
const FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
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

// gRPC statuses of which a server is to blame; DEADLINE_EXCEEDED and UNIMPLEMENTED are the client's choice.
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

  /** A request is about to go there: the first after an ejection is the one that shows whether it was long enough. */
  begins(): void {
    const claim = this.#ejection.claim()
    if (claim === 0) return
    this.#claim = claim
    this.#claimedAt = this.#clock()
  }

  /** A response's head has come. `grpcStatus` -1: not known; `latency`: ms. */
  answered(status: number, grpcStatus: number, latency: number): void {
    const column = this.#column
    const at = this.#at
    column[at + LATENCY] += latency
    column[at + ANSWERS]++
    if (status >= 500) return this.#failed(status === 502 || status === 503 || status === 504, false, latency)
    if (grpcStatus > 0 || status === 429) {
      if (grpcStatus === UNAVAILABLE) return this.#failed(true, false, latency)
      if (grpcStatus === UNKNOWN || grpcStatus === INTERNAL || grpcStatus === DATA_LOSS) return this.#failed(false, false, latency)
      if (this.#settings.count429 && (status === 429 || grpcStatus === RESOURCE_EXHAUSTED)) return this.#failed(false, false, latency)
    }
    this.#succeeded(latency)
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

  /** There was no response, or not the whole of it. `latency`: ms since the request began. */
  failed(code: ErrorCode, latency: number): void {
    if (!FAILURES.has(code) || (code === "responseTimeout" && latency < FAIR_TIME)) return
    this.#failed(true, true, latency)
  }

  #failed(gateway: boolean, local: boolean, latency: number): void {
    this.#column[this.#at + REQUESTS]++
    if (this.#claim !== 0 && this.#probed(false, latency)) return
    const reason = this.#ejection.failed(gateway, local)
    if (reason === null) return
    const ms = this.#ejection.eject(reason)
    if (ms > 0) this.#settings.listener.onEjected(this.#settings.service, this.#settings.endpoint, reason, ms)
  }

  /** Whether what was answered is the probe, and no request that had begun before. */
  #probed(well: boolean, latency: number): boolean {
    if (((this.#clock() - this.#claimedAt) | 0) + CLOCK_SLACK < latency) return false
    const claim = this.#claim
    this.#claim = 0
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

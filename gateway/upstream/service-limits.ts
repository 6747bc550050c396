// Whether one more request, retry, connection or waiting request may be under way at a service. A worker has one of these for
// each service, over all snapshots; what it counts in is shared by all workers (`limits-memory.ts`). It sends nothing, and
// keeps nobody waiting: pools do.

import type { ServiceConfig } from "../config/model.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { AdaptiveConcurrency } from "../resilience/adaptive-concurrency.ts"
import { AdmissionControl } from "../resilience/admission-control.ts"
import { DROPPED, OK, type Outcome } from "../resilience/outcome.ts"
import type { RetryBudget } from "../resilience/retry-budget.ts"
import type { limitNames } from "../telemetry/limit-instruments.ts"
import type { LimitsMemory } from "./limits-memory.ts"
import type { ConnectionLimits, ConnectionSeeker } from "./pool.ts"
import type { SharedCount } from "./shared-count.ts"

/** Limits that refuse something. */
export type ServiceLimit = (typeof limitNames)[number]

/** What of a service's configuration its limits go by. */
export type LimitSettings = Pick<ServiceConfig, "circuitBreaker" | "adaptiveConcurrency" | "admissionControl">

/** What the worker counts of limits. */
export interface LimitCounters {
  refused(limit: ServiceLimit): void
  /** The limit that was found out in this worker. */
  concurrencyLimit(limit: number): void
}

export interface LimitMeans {
  readonly wheel: TimerWheel
  /** [0, 1). */
  readonly random: () => number
  /** Workers of the process. */
  readonly workers: number
  /** Zero of the wheel's clock, on a clock that all threads have. */
  readonly epoch: number
}

/** ms after which a connection there was no room for is asked for again: another worker may have let go of one. */
const ASK_AGAIN = 50

export class ServiceLimits implements ConnectionLimits, DeadlineOwner {
  /** Why the last was refused that was. */
  refusal: ServiceLimit = "requests"
  readonly #means: LimitMeans
  readonly #counters: LimitCounters
  #settings: LimitSettings
  #concurrency: AdaptiveConcurrency | null = null
  #admission: AdmissionControl | null = null
  readonly #requests: SharedCount
  readonly #connections: SharedCount
  readonly #pending: SharedCount
  readonly #retries: SharedCount
  readonly #wanted: SharedCount
  readonly #budget: RetryBudget
  readonly #pools = new Set<ConnectionSeeker>()
  /** Pools that wait for a connection to end somewhere. */
  readonly #blocked = new Set<ConnectionSeeker>()
  readonly #deadline: Deadline

  constructor(settings: LimitSettings, memory: LimitsMemory, cell: number, means: LimitMeans, counters: LimitCounters) {
    this.#means = means
    this.#counters = counters
    this.#settings = settings
    this.#requests = memory.service(cell, "requests")
    this.#connections = memory.service(cell, "connections")
    this.#pending = memory.service(cell, "pending")
    this.#retries = memory.service(cell, "retries")
    this.#wanted = memory.service(cell, "wanted")
    this.#budget = memory.budget(cell, settings.circuitBreaker.retryBudget)
    this.#deadline = new Deadline(means.wheel, this)
    this.#adapt(null)
  }

  /** The settings of the snapshot now in force. What is under way stays so. */
  use(settings: LimitSettings): void {
    const before = this.#settings
    this.#settings = settings
    this.#budget.settings = settings.circuitBreaker.retryBudget
    this.#adapt(before)
  }

  #adapt(before: LimitSettings | null): void {
    const { adaptiveConcurrency: bounds, admissionControl } = this.#settings
    if (bounds === undefined) {
      this.#concurrency = null
      if (before?.adaptiveConcurrency !== undefined) this.#counters.concurrencyLimit(0)
    } else {
      // Every worker finds its own limit: all see the latency that all of them cause, and their shares of the traffic differ.
      const { workers } = this.#means
      const own = { least: Math.ceil(bounds.minConcurrency / workers), most: Math.ceil(bounds.maxConcurrency / workers) }
      if (this.#concurrency === null) this.#concurrency = new AdaptiveConcurrency(own)
      else this.#concurrency.settings = own
      this.#counters.concurrencyLimit(this.#concurrency.limit)
    }
    if (admissionControl === undefined) this.#admission = null
    else if (JSON.stringify(admissionControl) !== JSON.stringify(before?.admissionControl) || this.#admission === null) {
      const { window, successTarget, maxReject } = admissionControl
      this.#admission = new AdmissionControl({ window, target: successTarget, mostRejected: maxReject }, this.#means.random)
    }
  }

  // --------------------------------------------------------------------------------------------------------- requests

  /** Whether one more request may be under way; {@link release} follows once it is over. */
  admit(): boolean {
    const { now } = this.#means.wheel
    if (this.#admission !== null && !this.#admission.admits(now)) return this.#refuse("admission")
    if (!this.#requests.take(this.#settings.circuitBreaker.maxRequests)) return this.#refuse("requests")
    if (this.#concurrency !== null && !this.#concurrency.admit()) {
      this.#requests.release()
      return this.#refuse("concurrency")
    }
    this.#budget.request(now + this.#means.epoch)
    return true
  }

  /** A request is over, `latency` ms after it was admitted. */
  release(latency: number, outcome: Outcome): void {
    this.#requests.release()
    if (this.#concurrency !== null) this.#learn(this.#concurrency, latency, outcome)
    if (this.#admission !== null && outcome !== DROPPED) this.#admission.record(this.#means.wheel.now, outcome === OK)
  }

  #learn(concurrency: AdaptiveConcurrency, latency: number, outcome: Outcome): void {
    const { limit } = concurrency
    concurrency.release(this.#means.wheel.now, latency, outcome)
    if (concurrency.limit !== limit) this.#counters.concurrencyLimit(concurrency.limit)
  }

  /** Whether a request may be sent again; {@link releaseRetry} follows once it has been answered, or has failed. */
  admitRetry(): boolean {
    if (!this.#retries.take(this.#settings.circuitBreaker.maxRetries)) return this.#refuse("retries")
    if (this.#budget.take(this.#means.wheel.now + this.#means.epoch)) return true
    this.#retries.release()
    return this.#refuse("retryBudget")
  }

  releaseRetry(): void {
    this.#retries.release()
  }

  #refuse(limit: ServiceLimit): false {
    this.refusal = limit
    this.#counters.refused(limit)
    return false
  }

  /** Something was refused for a limit that others keep. */
  refused(limit: ServiceLimit): void {
    this.#refuse(limit)
  }

  // ------------------------------------------------------------------------------------------------------ connections

  get queueTimeout(): number {
    return this.#settings.circuitBreaker.queueTimeout
  }

  admitPending(): boolean {
    return this.#pending.take(this.#settings.circuitBreaker.maxPending) || this.#refuse("pending")
  }

  releasePending(): void {
    this.#pending.release()
  }

  join(pool: ConnectionSeeker): void {
    this.#pools.add(pool)
  }

  leave(pool: ConnectionSeeker): void {
    this.#pools.delete(pool)
    this.#unblock(pool)
  }

  admitConnection(seeker: ConnectionSeeker | null): boolean {
    if (this.#connections.take(this.#settings.circuitBreaker.maxConnections)) {
      if (seeker === null) return true
      if (seeker.owner.admitConnection()) {
        this.#unblock(seeker)
        return true
      }
      this.#connections.release()
    }
    if (seeker !== null) this.#block(seeker)
    else this.#refuse("connections")
    return false
  }

  /** There are as many connections as may be. */
  get connectionsFull(): boolean {
    return this.#connections.value >= this.#settings.circuitBreaker.maxConnections
  }

  releaseConnection(): void {
    this.#connections.release()
    if (this.#blocked.size > 0) this.#askAgain()
  }

  isBlocked(seeker: ConnectionSeeker): boolean {
    return this.#blocked.has(seeker)
  }

  /** Some pool, of this worker or another, waits until a connection of others ends. */
  get wanted(): boolean {
    return this.#wanted.value > 0
  }

  /** Ends connections that nobody uses here while others can't have any. */
  yieldConnections(): void {
    if (this.wanted) for (const pool of this.#pools) pool.giveUpIdle()
  }

  #block(seeker: ConnectionSeeker): void {
    if (this.#blocked.has(seeker)) return
    this.#refuse("connections")
    this.#wanted.take(Number.POSITIVE_INFINITY)
    this.#blocked.add(seeker)
    this.#deadline.set(this.#means.wheel.now + ASK_AGAIN)
    for (const pool of this.#pools) if (pool !== seeker && pool.giveUpIdle()) return
  }

  #unblock(seeker: ConnectionSeeker): void {
    if (!this.#blocked.delete(seeker)) return
    this.#wanted.release()
    if (this.#blocked.size === 0) this.#deadline.clear()
  }

  onDeadline(): void {
    this.#askAgain()
    if (this.#blocked.size > 0) this.#deadline.set(this.#means.wheel.now + ASK_AGAIN)
  }

  // Those that wait longest come first.
  #askAgain(): void {
    for (const seeker of [...this.#blocked]) {
      if (!seeker.seeking) this.#unblock(seeker)
      else if (!seeker.connectMore()) return
    }
  }
}

// What counts for a service and for a filter in a worker: the parts that do the work report in their own words, these
// know the slots.

import { filterBuckets, requestBuckets } from "./duration-buckets.ts"
import type { EndpointSlots } from "./endpoint-instruments.ts"
import { EXCHANGE_ERROR, EXCHANGE_FAILED, EXCHANGE_OK, type FilterPhase, type FilterSlots, trapIndex } from "./filter-instruments.ts"
import type { ServiceSlots } from "./instruments.ts"
import { limitIndex } from "./limit-instruments.ts"
import type { MetricsWriter } from "./metrics-writer.ts"
import { statusIndex } from "./status-classes.ts"

/** Counts one service's connections. */
export class ServiceRecorder {
  readonly #writer: MetricsWriter
  readonly #slots: ServiceSlots
  readonly #onFault: (error: unknown) => void

  constructor(writer: MetricsWriter, slots: ServiceSlots, onFault: (error: unknown) => void) {
    this.#writer = writer
    this.#slots = slots
    this.#onFault = onFault
  }

  fault(error: unknown): void {
    this.#onFault(error)
  }

  connects(n: number): void {
    this.#writer.add(this.#slots.connects, n)
  }

  connectFailures(n: number): void {
    this.#writer.add(this.#slots.connectFailures, n)
  }

  /** A connection was made, which took so many ms. */
  connected(ms: number): void {
    this.#writer.observe(this.#slots.connectDuration, ms / 1000, requestBuckets)
  }

  /** `n` more (or fewer) connections carry nothing. */
  idle(n: number): void {
    this.#writer.add(this.#slots.idle, n)
  }

  /** A request that had to wait for a connection does so no more, after so many ms. */
  waited(ms: number): void {
    this.#writer.observe(this.#slots.queueWait, ms / 1000, requestBuckets)
  }

  /** `n` more (or fewer, when negative) connections are open. */
  active(n: number): void {
    this.#writer.add(this.#slots.connections, n)
  }

  panics(n: number): void {
    this.#writer.add(this.#slots.panics, n)
  }

  spills(n: number): void {
    this.#writer.add(this.#slots.spills, n)
  }

  failovers(n: number): void {
    this.#writer.add(this.#slots.failovers, n)
  }

  /** `n` more (or fewer) requests wait for a connection. */
  pending(n: number): void {
    this.#writer.add(this.#slots.pending, n)
  }

  /** A limit of the service refused something. */
  refused(limit: string): void {
    this.#writer.add(this.#slots.limited + limitIndex(limit), 1)
  }

  /** How many requests at a time this worker has found the service to be good for. */
  concurrencyLimit(limit: number): void {
    this.#writer.set(this.#slots.concurrencyLimit, limit)
  }
}

/** Counts what one endpoint was sent, and how it and so its service answered. */
export class EndpointRecorder {
  readonly #writer: MetricsWriter
  readonly #slots: EndpointSlots
  /** Of its service. */
  readonly #duration: number

  constructor(writer: MetricsWriter, slots: EndpointSlots, service: Pick<ServiceSlots, "duration">) {
    this.#writer = writer
    this.#slots = slots
    this.#duration = service.duration
  }

  /** `latency`: ms from the request's having left. */
  answered(status: number, latency: number): void {
    const writer = this.#writer
    const slots = this.#slots
    writer.add(slots.requests + statusIndex(status), 1)
    writer.observeIn(slots.duration, this.#duration, latency / 1000, requestBuckets)
  }

  /** An attempt got no answer. */
  unanswered(): void {
    this.#writer.add(this.#slots.requests, 1)
  }

  /** A connection that isn't of HTTP has ended, or couldn't be made. */
  carried(): void {
    this.#writer.add(this.#slots.connections, 1)
  }

  /** One of these was a failure of the endpoint. */
  failed(): void {
    this.#writer.add(this.#slots.failures, 1)
  }
}

/** Counts for one configured use of a filter. Several uses of one filter, also of successive versions, add up. */
export class FilterRecorder {
  readonly #writer: MetricsWriter
  readonly #slots: FilterSlots
  readonly #sample: number
  #instances = 0
  #quarantined = 0

  /** @param sample how many phases one that is timed stands for */
  constructor(writer: MetricsWriter, slots: FilterSlots, sample: number) {
    this.#writer = writer
    this.#slots = slots
    this.#sample = sample
  }

  exchange(status: number, failed: boolean): void {
    this.#writer.add(this.#slots.exchanges + (failed ? EXCHANGE_FAILED : status >= 500 ? EXCHANGE_ERROR : EXCHANGE_OK), 1)
  }

  calls(count: number): void {
    this.#writer.add(this.#slots.calls, count)
  }

  /** Budget units of one stream out of so many. */
  budget(units: number): void {
    this.#writer.add(this.#slots.budget, units * this.#sample)
  }

  duration(nanoseconds: number, phase: FilterPhase): void {
    const seconds = nanoseconds * 1e-9
    this.#writer.observe(this.#slots.duration, seconds, filterBuckets, this.#sample)
    this.#writer.observe(this.#slots.phases[phase], seconds, filterBuckets, this.#sample)
  }

  trap(reason: string): void {
    this.#writer.add(this.#slots.traps + trapIndex(reason), 1)
  }

  /** How many live contexts this use has now. */
  refusal(): void {
    this.#writer.add(this.#slots.refusals, 1)
  }

  quarantined(count: number): void {
    this.#writer.add(this.#slots.quarantined, count - this.#quarantined)
    this.#quarantined = count
  }

  instances(count: number): void {
    // The difference, since an old version may end after the new one has begun.
    this.#writer.add(this.#slots.instances, count - this.#instances)
    this.#instances = count
  }
}

// Once an interval, on the main thread: compares a service's endpoints by what all workers counted, ejects those that do much
// worse, and forgets ejections of those that do well. What workers eject by themselves it only counts.

import type { OutlierDetectionConfig } from "../config/health-model.ts"
import type { Config } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { type Ejection, type EjectionReason, repair } from "../resilience/ejection.ts"
import { findOutliers, type OutlierSample } from "../resilience/outlier.ts"
import { ANSWERS, type EndpointTable, LATENCY, REQUESTS, type RecordWords, SUCCESSES } from "./endpoint-table.ts"
import { ejectionsOf } from "./endpoint-views.ts"

export interface OutlierSweepOptions {
  /** [0, 1). */
  readonly random: () => number
  /** It was ejected for `ms`; `details`: what it did. */
  onEjected(service: string, endpoint: string, reason: EjectionReason, ms: number, details: string): void
  /** A service was looked at: whether its endpoint is ejected. */
  onSeen(service: string, endpoint: string, ejected: boolean): void
}

interface SweptEndpoint {
  readonly ejection: Ejection
  /** Counts at the last look. */
  counts: readonly number[]
}

interface SweptService {
  readonly name: string
  readonly detection: OutlierDetectionConfig
  readonly of: RecordWords
  readonly endpoints: Map<string, SweptEndpoint>
  /** Its endpoints are compared by some measure, and are enough for that. */
  readonly compares: boolean
  /** What its count of ejected endpoints said at the last look. */
  said: number
  /** ms of `performance.now()`. */
  due: number
}

const NOTHING: readonly number[] = [0, 0, 0, 0]

export class OutlierSweep {
  readonly #table: EndpointTable
  readonly #options: OutlierSweepOptions
  #services = new Map<string, SweptService>()
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(table: EndpointTable, options: OutlierSweepOptions) {
    this.#table = table
    this.#options = options
  }

  /** The configuration is in force. */
  use(config: Config, now: number = performance.now()): void {
    const before = this.#services
    this.#services = new Map()
    for (const [name, service] of Object.entries(config.services)) {
      const { outlierDetection: detection, endpoints } = service
      const of = this.#table.words(name, "")
      if (of === null) continue
      const ejection = ejectionsOf(service, of, this.#table.clock, this.#options.random)
      if (detection === undefined || ejection === null) {
        this.#table.clearEjections(name)
        continue
      }
      const known = before.get(name)
      const own = new Map<string, SweptEndpoint>()
      for (const { address: parts, weight } of endpoints) {
        const address = formatAddress(parts)
        const words = this.#table.words(name, address)
        if (words === null || weight === 0) continue
        const counts = known?.endpoints.get(address)?.counts ?? this.#table.counts(name, address) ?? NOTHING
        own.set(address, { ejection: ejection(words), counts })
      }
      const { successRate, failurePercentage, latency, interval } = detection
      const compares = [successRate, failurePercentage, latency].some((limits) => limits !== null && limits.minEndpoints <= own.size)
      const due = known !== undefined && known.detection.interval === interval ? known.due : now + interval
      this.#services.set(name, { name, detection, of, endpoints: own, compares, said: known?.said ?? 0, due })
    }
    this.#arm(now)
  }

  /** The endpoint's ejection; null: it is never ejected. */
  ejection(service: string, address: string): Ejection | null {
    return this.#services.get(service)?.endpoints.get(address)?.ejection ?? null
  }

  #arm(now: number): void {
    clearTimeout(this.#timer ?? undefined)
    this.#timer = null
    let next = Number.POSITIVE_INFINITY
    for (const { due } of this.#services.values()) next = Math.min(next, due)
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.look(performance.now()), Math.max(1, Math.ceil(next - now)))
    this.#timer.unref()
  }

  /** Looks at every service whose interval is over. */
  look(now: number): void {
    for (const service of this.#services.values()) {
      if (service.due > now) continue
      service.due = now + service.detection.interval
      this.#sweep(service)
    }
    this.#arm(now)
  }

  #sweep(service: SweptService): void {
    const { name, of, endpoints, detection, compares } = service
    const addresses: string[] = []
    const samples: OutlierSample[] = []
    let ejected = 0
    for (const [address, endpoint] of endpoints) {
      const out = endpoint.ejection.ejected
      if (out) ejected++
      endpoint.ejection.decay()
      this.#options.onSeen(name, address, out)
      if (!compares) continue
      const counts = this.#table.counts(name, address) ?? NOTHING
      const since = (count: number): number => counts[count] - endpoint.counts[count]
      // What it was sent while it was ejected, or before, is no measure of it.
      if (!out) {
        addresses.push(address)
        samples.push({ requests: since(REQUESTS), successes: since(SUCCESSES), latency: since(LATENCY), answers: since(ANSWERS) })
      }
      endpoint.counts = counts
    }
    service.said = repair(of.words, of.at, ejected, service.said)
    if (!compares) return
    for (const { index, reason, details } of findOutliers(samples, detection)) {
      const address = addresses[index]
      const ms = endpoints.get(address)?.ejection.eject(reason) ?? 0
      if (ms > 0) this.#options.onEjected(name, address, reason, ms, details)
    }
  }

  close(): void {
    clearTimeout(this.#timer ?? undefined)
    this.#timer = null
    this.#services = new Map()
  }
}

// The metrics of filters: what workers count of their versions, and what the main thread knows of them.

import { filterBuckets } from "./duration-buckets.ts"
import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"

/** Phases whose time is told apart; trailers count as their body. */
const filterPhases = ["requestHeaders", "requestBody", "responseHeaders", "responseBody", "connection", "own"] as const
/** One of {@link filterPhases}. `connection`: of a filter of TCP. `own`: outside of exchanges, such as ticks. */
export type FilterPhase = 0 | 1 | 2 | 3 | 4 | 5
export const PHASE_REQUEST_HEADERS: FilterPhase = 0
export const PHASE_REQUEST_BODY: FilterPhase = 1
export const PHASE_RESPONSE_HEADERS: FilterPhase = 2
export const PHASE_RESPONSE_BODY: FilterPhase = 3
export const PHASE_CONNECTION: FilterPhase = 4
export const PHASE_OWN_WORK: FilterPhase = 5

/**
 * Why an instance of a filter was dropped. `budget`: out of CPU. `stack`: recursion. `exit`: the guest ended itself.
 * `host`: a fault of ours. `trap`: all else.
 */
export const trapReasons = ["trap", "budget", "stack", "exit", "host"] as const
export type TrapReason = (typeof trapReasons)[number]

/** Offset of a reason in the slots of {@link FilterSlots.traps}; an unknown one counts as `trap`. */
export function trapIndex(reason: string): number {
  const index = trapReasons.indexOf(reason as TrapReason)
  return index === -1 ? 0 : index
}

/** Offsets in the slots of {@link FilterSlots.exchanges}. */
export const EXCHANGE_OK = 0
/** It ended with a 5xx, though the filter didn't fail. */
export const EXCHANGE_ERROR = 1
/** The filter trapped in it, or there was no instance; whatever its `onError` made of that. */
export const EXCHANGE_FAILED = 2

/** Slots of a version of a filter. */
export interface FilterSlots {
  /** Counters; add {@link EXCHANGE_OK}, {@link EXCHANGE_ERROR} or {@link EXCHANGE_FAILED}. */
  readonly exchanges: number
  /** Counter: phases run. */
  readonly calls: number
  /** Histogram of {@link filterBuckets}. */
  readonly duration: number
  /** Histograms of {@link filterBuckets}, by {@link FilterPhase}. */
  readonly phases: readonly number[]
  /** Counter: units of CPU budget used. */
  readonly budget: number
  /** Counters; add {@link trapIndex}. */
  readonly traps: number
  /** Gauge: contexts that live. */
  readonly instances: number
  /** Counter: what it asked for and is not granted. */
  readonly refusals: number
  /** Gauge: workers in which it is in quarantine. */
  readonly quarantined: number
}

export class FilterInstruments {
  readonly #registry: MetricsRegistry
  readonly #slots: Record<Exclude<keyof FilterSlots, "phases">, Metric>
  readonly #phases: Metric
  readonly #weight: Metric
  readonly #rollbacks: Metric
  readonly #refused: Metric

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    const filter = ["filter", "version"]
    this.#slots = {
      exchanges: registry.counter({
        name: "sluice_filter_exchanges_total",
        help: "Exchanges given to a version of a filter; error: ended with a 5xx; failed: the filter trapped, or had no instance",
        labels: filter,
        across: { label: "outcome", values: ["ok", "error", "failed"] },
      }),
      calls: registry.counter({ name: "sluice_filter_calls_total", help: "Phases a filter has run", labels: filter }),
      duration: registry.histogram({
        name: "sluice_filter_duration_seconds",
        help: "Time of one phase of a filter, from a sample that is counted for all",
        labels: filter,
        buckets: filterBuckets,
      }),
      budget: registry.counter({
        name: "sluice_filter_budget_used_total",
        help: "Units of CPU budget a filter has used",
        labels: filter,
      }),
      traps: registry.counter({
        name: "sluice_filter_traps_total",
        help: "Instances of a filter that were dropped",
        labels: filter,
        across: { label: "reason", values: trapReasons },
      }),
      instances: registry.gauge({ name: "sluice_filter_instances", help: "Live contexts of a filter, over all workers", labels: filter }),
      refusals: registry.counter({
        name: "sluice_filter_refusals_total",
        help: "Times a filter asked for what its permissions don't grant",
        labels: filter,
      }),
      quarantined: registry.gauge({
        name: "sluice_filter_quarantined",
        help: "Workers in which a filter is not started any more, because it failed too often",
        labels: filter,
      }),
    }
    this.#phases = registry.histogram({
      name: "sluice_filter_phase_duration_seconds",
      help: "Time of one phase of a filter by phase, from a sample that is counted for all",
      labels: [...filter, "phase"],
      buckets: filterBuckets,
      omitZero: true,
    })
    this.#weight = registry.gauge({
      name: "sluice_filter_version_weight",
      help: "Share of a filter's exchanges that a version is given, as a weight; 0 while it is rolled back",
      labels: filter,
      heldBy: "main",
    })
    this.#rollbacks = registry.counter({
      name: "sluice_filter_rollbacks_total",
      help: "Times a version of a filter was taken out of use because it failed too often",
      labels: filter,
      heldBy: "main",
    })
    this.#refused = registry.gauge({
      name: "sluice_filter_refused",
      help: "1 while a newer version of a filter's files was refused and the one before serves",
      labels: ["filter"],
      heldBy: "main",
    })
  }

  slots(name: string, version: string): FilterSlots {
    const own = slotsOf(this.#slots, (metric) => metric.slot(name, version))
    return { ...own, phases: filterPhases.map((phase) => this.#phases.slot(name, version, phase)) }
  }

  /** How many exchanges a version is given, as it is in force: 0 while it is rolled back. */
  weight(name: string, version: string, weight: number): void {
    this.#registry.writer.set(this.#weight.slot(name, version), weight)
  }

  rolledBack(name: string, version: string): void {
    this.#registry.writer.add(this.#rollbacks.slot(name, version), 1)
  }

  /** Whether the newest version of a filter's files is one that doesn't serve. */
  refused(name: string, refused: boolean): void {
    this.#registry.writer.set(this.#refused.slot(name), refused ? 1 : 0)
  }
}

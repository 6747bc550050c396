// What rate limits count, by the name of the limit.

import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

/**
 * What became of a request under a limit. `shadow`: it would have been refused. `unavailable`: whoever decides could not be
 * asked, and the configuration says what then.
 */
const rateLimitOutcomes = ["allowed", "limited", "shadow", "unavailable"] as const

/** Offsets in the slots of a limit. */
export const RATE_ALLOWED = 0
export const RATE_LIMITED = 1
export const RATE_SHADOW = 2
export const RATE_UNAVAILABLE = 3

export class RateLimitInstruments {
  readonly #total: Metric

  constructor(registry: MetricsRegistry) {
    this.#total = registry.counter({
      name: "sluice_rate_limit_total",
      help: "Requests that were counted by a rate limit",
      labels: ["limit"],
      across: { label: "outcome", values: rateLimitOutcomes },
      maxSeries: 16_384,
    })
  }

  /** Counters of a limit; add one of the offsets above. */
  limit(name: string): number {
    return this.#total.slot(name)
  }
}

// What is counted of the places where limits are decided that gateways share. A series is there once a configuration has such a
// place.

import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

/** Slots of the store of global limits. */
export interface RateLimitStoreSlots {
  /** Gauge: workers that can ask it. */
  readonly up: number
  /** Counters. */
  readonly requests: number
  readonly errors: number
  readonly leased: number
  readonly fallbacks: number
}

/** What a rate-limit service answered, in the order of its slots. */
export const serviceResults = ["ok", "overLimit", "failed"] as const

export class RateLimitStoreInstruments {
  readonly #store: Record<keyof RateLimitStoreSlots, Metric>
  readonly #service: Metric

  constructor(registry: MetricsRegistry) {
    this.#store = {
      up: registry.gauge({ name: "sluice_rate_limit_store_up", help: "Workers that can ask the store of global rate limits" }),
      requests: registry.counter({
        name: "sluice_rate_limit_store_requests_total",
        help: "Round trips to the store of global rate limits",
      }),
      errors: registry.counter({
        name: "sluice_rate_limit_store_errors_total",
        help: "Round trips to the store of global rate limits without an answer of use",
      }),
      leased: registry.counter({
        name: "sluice_rate_limit_store_leased_total",
        help: "Requests that the store of global rate limits has granted ahead",
      }),
      fallbacks: registry.counter({
        name: "sluice_rate_limit_store_fallbacks_total",
        help: "Requests decided without the store of global rate limits, as onFailure says",
      }),
    }
    this.#service = registry.counter({
      name: "sluice_rate_limit_service_requests_total",
      help: "Requests that a rate-limit service was asked about",
      across: { label: "result", values: serviceResults },
    })
  }

  store(): RateLimitStoreSlots {
    const { up, requests, errors, leased, fallbacks } = this.#store
    return { up: up.slot(), requests: requests.slot(), errors: errors.slot(), leased: leased.slot(), fallbacks: fallbacks.slot() }
  }

  /** Counters, in the order of {@link serviceResults}. */
  service(): number {
    return this.#service.slot()
  }
}

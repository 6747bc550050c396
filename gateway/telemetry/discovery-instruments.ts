// What is counted of endpoints that are looked up. Written by the main thread alone.

import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

/** Services that have series of their own; more share one. */
const MAX_SERVICES = 16_384

export class DiscoveryInstruments {
  readonly #registry: MetricsRegistry
  readonly #results: readonly string[]
  readonly #refreshes: Metric
  readonly #endpoints: Metric
  readonly #success: Metric

  /** `results`: values of the label; the first is success. */
  constructor(registry: MetricsRegistry, results: readonly string[]) {
    this.#registry = registry
    this.#results = results
    const byService = { labels: ["service"], maxSeries: MAX_SERVICES, heldBy: "main" } as const
    this.#refreshes = registry.counter({
      name: "sluice_discovery_refreshes_total",
      help: "Looks for the endpoints of a service",
      across: { label: "result", values: results },
      omitZero: true,
      ...byService,
    })
    this.#endpoints = registry.gauge({ name: "sluice_discovery_endpoints", help: "Endpoints that are known of a service", ...byService })
    this.#success = registry.gauge({
      name: "sluice_discovery_last_success_timestamp_seconds",
      help: "When endpoints of a service were last found",
      omitZero: true,
      ...byService,
    })
  }

  /** A look has ended. @param now milliseconds since the epoch */
  looked(service: string, result: string, endpoints: number, now: number): void {
    const { writer } = this.#registry
    const index = this.#results.indexOf(result)
    writer.add(this.#refreshes.slot(service) + index, 1)
    writer.set(this.#endpoints.slot(service), endpoints)
    if (index === 0) writer.set(this.#success.slot(service), now / 1000)
  }
}

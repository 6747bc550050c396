// What the main thread counts of routes' canaries.

import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

export class CanaryInstruments {
  readonly #registry: MetricsRegistry
  readonly #share: Metric
  readonly #rollbacks: Metric

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    const labels = ["route", "service"]
    this.#share = registry.gauge({
      name: "sluice_canary_share",
      help: "Share (0-1) of a route's requests that its canary is given; 0 while it is rolled back",
      labels,
      heldBy: "main",
    })
    this.#rollbacks = registry.counter({
      name: "sluice_canary_rollbacks_total",
      help: "Times a canary was taken out of use because it broke a limit",
      labels,
      heldBy: "main",
    })
  }

  share(route: string, service: string, share: number): void {
    this.#registry.writer.set(this.#share.slot(route, service), share)
  }

  rolledBack(route: string, service: string): void {
    this.#registry.writer.add(this.#rollbacks.slot(route, service), 1)
  }
}

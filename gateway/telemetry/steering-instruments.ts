// What the main thread counts of what operators have laid over the configuration.

import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

export class SteeringInstruments {
  readonly #registry: MetricsRegistry
  readonly #drained: Metric

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    this.#drained = registry.gauge({
      name: "sluice_endpoints_drained",
      help: "Endpoints of a service that an operator has drained; services that never had any are not shown",
      labels: ["service"],
      heldBy: "main",
    })
  }

  drained(service: string, endpoints: number): void {
    this.#registry.writer.set(this.#drained.slot(service), endpoints)
  }
}

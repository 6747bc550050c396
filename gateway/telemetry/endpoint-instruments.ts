// What is counted of single endpoints, by the main thread alone: whether probes find them well, whether they are ejected and how
// often they were.

import { type EjectionReason, ejectionReasons } from "../resilience/ejection.ts"
import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

const MAX_ENDPOINTS = 16384

export class EndpointInstruments {
  readonly #registry: MetricsRegistry
  readonly #healthy: Metric
  readonly #ejected: Metric
  readonly #ejections: Metric

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    const labels = ["service", "endpoint"]
    this.#healthy = registry.gauge({
      name: "sluice_endpoint_healthy",
      help: "1 while the health checks of an endpoint succeed, 0 while it is avoided",
      labels,
      maxSeries: MAX_ENDPOINTS,
    })
    this.#ejected = registry.gauge({
      name: "sluice_endpoint_ejected",
      help: "1 while an endpoint is left out because it failed too often; endpoints that never were are not shown",
      labels,
      maxSeries: MAX_ENDPOINTS,
    })
    this.#ejections = registry.counter({
      name: "sluice_endpoint_ejections_total",
      help: "Times an endpoint was ejected because it failed too often, or failed again when it was to come back",
      labels: ["service"],
      across: { label: "reason", values: ejectionReasons },
      maxSeries: MAX_ENDPOINTS,
      omitZero: true,
    })
  }

  /** What health checks say of an endpoint. */
  healthy(service: string, endpoint: string, healthy: boolean): void {
    this.#registry.writer.set(this.#healthy.slot(service, endpoint), healthy ? 1 : 0)
  }

  ejected(service: string, endpoint: string, ejected: boolean): void {
    this.#registry.writer.set(this.#ejected.slot(service, endpoint), ejected ? 1 : 0)
  }

  /** Health checks say nothing of it any more. */
  notProbed(service: string, endpoint: string): void {
    this.#healthy.forget(service, endpoint)
  }

  /** It is no longer part of the service. */
  gone(service: string, endpoint: string): void {
    this.#healthy.forget(service, endpoint)
    this.#ejected.forget(service, endpoint)
  }

  ejection(service: string, reason: EjectionReason): void {
    this.#registry.writer.add(this.#ejections.slot(service) + ejectionReasons.indexOf(reason), 1)
  }
}

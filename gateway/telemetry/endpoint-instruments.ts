// What is counted of single endpoints: by workers what they were sent and how they answered; by the main thread whether probes find
// them well, whether they are ejected and how often they were.

import type { ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { type EjectionReason, ejectionReasons } from "../resilience/ejection.ts"
import { requestBuckets } from "./duration-buckets.ts"
import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"
import { statusClasses } from "./status-classes.ts"

const MAX_ENDPOINTS = 16384
/** Endpoints whose latency has series of their own: each takes as much room as a hundred counters. */
const MAX_TIMED = 1000

/** Slots of one endpoint. */
export interface EndpointSlots {
  /** Counters of attempts; add {@link statusIndex}. */
  readonly requests: number
  /** Counter: connections that aren't of HTTP. */
  readonly connections: number
  /** Counter: those of both that failed, as far as the endpoint is to blame. */
  readonly failures: number
  /** Histogram of {@link requestBuckets}. */
  readonly duration: number
}

export interface EndpointCounts {
  /** Attempts and TCP connections that have ended; those that were given up for others aren't in it. */
  readonly requests: number
  /** Those of them that failed, as far as the endpoint is to blame. */
  readonly failures: number
}

/** Of each endpoint of a service, in the order of its configuration. */
export type SlotsOfEndpoints = Readonly<Record<string, readonly EndpointSlots[]>>
type Services = Readonly<Record<string, Pick<ServiceConfig, "endpoints">>>

export class EndpointInstruments {
  readonly #registry: MetricsRegistry
  readonly #healthy: Metric
  readonly #ejected: Metric
  readonly #ejections: Metric
  readonly #slots: Record<keyof EndpointSlots, Metric>

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    const labels = ["service", "endpoint"]
    this.#slots = {
      requests: registry.counter({
        name: "sluice_endpoint_requests_total",
        help: "Attempts at an endpoint by class of the status; none: it gave no answer",
        labels,
        across: { label: "code", values: statusClasses },
        maxSeries: MAX_ENDPOINTS,
        omitZero: true,
        heldBy: "endpoints",
      }),
      connections: registry.counter({
        name: "sluice_endpoint_connections_total",
        help: "TCP connections to an endpoint that have ended or couldn't be made",
        labels,
        maxSeries: MAX_ENDPOINTS,
        omitZero: true,
        heldBy: "endpoints",
      }),
      failures: registry.counter({
        name: "sluice_endpoint_failures_total",
        help: "Attempts at an endpoint that failed for its sake: no answer, a 5xx, a gRPC status that blames the server, an answer cut short",
        labels,
        maxSeries: MAX_ENDPOINTS,
        omitZero: true,
        heldBy: "endpoints",
      }),
      duration: registry.histogram({
        name: "sluice_endpoint_duration_seconds",
        help: "Time from sending a request to an endpoint to the head of its answer",
        labels,
        buckets: requestBuckets,
        maxSeries: MAX_TIMED,
        omitZero: true,
        heldBy: "endpoints",
      }),
    }
    this.#healthy = registry.gauge({
      name: "sluice_endpoint_healthy",
      help: "1 while the health checks of an endpoint succeed, 0 while it is avoided",
      labels,
      maxSeries: MAX_ENDPOINTS,
      heldBy: "main",
    })
    this.#ejected = registry.gauge({
      name: "sluice_endpoint_ejected",
      help: "1 while an endpoint is left out because it failed too often; endpoints that never were are not shown",
      labels,
      maxSeries: MAX_ENDPOINTS,
      heldBy: "main",
    })
    this.#ejections = registry.counter({
      name: "sluice_endpoint_ejections_total",
      help: "Times an endpoint was ejected because it failed too often, or failed again when it was to come back",
      labels: ["service"],
      across: { label: "reason", values: ejectionReasons },
      maxSeries: MAX_ENDPOINTS,
      omitZero: true,
      heldBy: "main",
    })
  }

  /** Slots for a configuration; an endpoint that had some before gets the same ones. */
  assign(services: Services): SlotsOfEndpoints {
    const slots: Record<string, readonly EndpointSlots[]> = {}
    for (const [name, { endpoints }] of Object.entries(services)) {
      slots[name] = endpoints.map(({ address }) => slotsOf(this.#slots, (metric) => metric.slot(name, formatAddress(address))))
    }
    return slots
  }

  /** What all workers have counted of an endpoint since it is known; null: it has no series of its own. */
  counts(service: string, endpoint: string): EndpointCounts | null {
    const [requests, connections, failures] = [this.#slots.requests, this.#slots.connections, this.#slots.failures].map((metric) =>
      metric.find(service, endpoint),
    )
    if (requests < 0 || connections < 0 || failures < 0) return null
    let ended = this.#registry.read(connections)
    for (let i = 0; i < statusClasses.length; i++) ended += this.#registry.read(requests + i)
    return { requests: ended, failures: this.#registry.read(failures) }
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

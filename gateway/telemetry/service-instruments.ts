// What is counted of a service: its connections, and what became of requests to it.

import { requestBuckets } from "./duration-buckets.ts"
import { limitMetrics, type ServiceLimitSlots } from "./limit-instruments.ts"
import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

const SERVICE_SERIES = 16384

/** Slots of a service. */
export interface ServiceSlots extends ServiceLimitSlots {
  /** Counter: connections opened. */
  readonly connects: number
  /** Counter: attempts to connect that failed or timed out. */
  readonly connectFailures: number
  /** Gauge: open connections, idle ones included. */
  readonly connections: number
  /** Gauge: connections of HTTP/1.1 that carry nothing. */
  readonly idle: number
  /** Histograms of {@link requestBuckets}: seconds until a connection was made, TLS included; that requests waited for one; and from
   * a request's having left until the head of its answer. */
  readonly connectDuration: number
  readonly queueWait: number
  readonly duration: number
  /** Counter: requests sent on a connection that had served before. */
  readonly reused: number
  /** Counter: requests sent a second time. */
  readonly retries: number
  /** Counters: second attempts that set out beside the first, and those that were answered first. */
  readonly hedges: number
  readonly hedgesWon: number
  /** Gauge: requests waiting for a connection. */
  readonly pending: number
  /** Counter: requests refused because too many waited. */
  readonly overflows: number
  /** Counters: what balancers had to do because too little was available. */
  readonly panics: number
  readonly spills: number
  readonly failovers: number
}

export function serviceMetrics(registry: MetricsRegistry): Record<keyof ServiceSlots, Metric> {
  const byService = { labels: ["service"], maxSeries: SERVICE_SERIES, omitZero: false }
  const rarely = { ...byService, omitZero: true }
  return {
    connects: registry.counter({ name: "sluice_upstream_connects_total", help: "Connections opened to a service", ...byService }),
    connectFailures: registry.counter({
      name: "sluice_upstream_connect_failures_total",
      help: "Connections to a service that failed or timed out before they were open",
      ...byService,
    }),
    connections: registry.gauge({ name: "sluice_upstream_connections_active", help: "Open connections to a service", ...byService }),
    idle: registry.gauge({
      name: "sluice_upstream_connections_idle",
      help: "Open HTTP/1 connections to a service that carry no request",
      ...byService,
    }),
    connectDuration: registry.histogram({
      name: "sluice_upstream_connect_duration_seconds",
      help: "Time until a connection to a service was made, with its TLS handshake",
      buckets: requestBuckets,
      ...rarely,
    }),
    queueWait: registry.histogram({
      name: "sluice_upstream_queue_wait_seconds",
      help: "Time requests waited for a connection, of those that found none free",
      buckets: requestBuckets,
      ...rarely,
    }),
    duration: registry.histogram({
      name: "sluice_upstream_duration_seconds",
      help: "Time from sending a request to the head of its answer, of every attempt that was answered",
      buckets: requestBuckets,
      ...rarely,
    }),
    reused: registry.counter({
      name: "sluice_upstream_connections_reused_total",
      help: "Requests sent on a connection that had served before",
      ...byService,
    }),
    retries: registry.counter({ name: "sluice_upstream_retries_total", help: "Requests sent to a service once more", ...byService }),
    hedges: registry.counter({
      name: "sluice_upstream_hedges_total",
      help: "Requests sent to a second endpoint while the first had not answered",
      ...byService,
    }),
    hedgesWon: registry.counter({
      name: "sluice_upstream_hedges_won_total",
      help: "Requests whose second endpoint answered first",
      ...byService,
    }),
    pending: registry.gauge({ name: "sluice_upstream_requests_pending", help: "Requests waiting for a connection", ...byService }),
    overflows: registry.counter({
      name: "sluice_upstream_overflows_total",
      help: "Requests refused because too many waited for a connection",
      ...byService,
    }),
    panics: registry.counter({
      name: "sluice_upstream_panics_total",
      help: "Attempts for which unwell endpoints were candidates, since too few were well",
      ...rarely,
    }),
    spills: registry.counter({
      name: "sluice_upstream_spills_total",
      help: "Attempts sent to other zones, since the gateway's own could not take them",
      ...rarely,
    }),
    failovers: registry.counter({
      name: "sluice_upstream_failovers_total",
      help: "Attempts given to the service's failover",
      ...rarely,
    }),
    ...limitMetrics(registry, byService),
  }
}

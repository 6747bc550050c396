// Metrics of limits: what they refused, by service; how full they are, out of the memory they count in; and how much the gateway
// itself refuses because it has too much to do.

import { familyHead } from "./exposition.ts"
import type { Metric, MetricDescription, MetricOptions, MetricsRegistry } from "./metrics-registry.ts"

/** Values of the `limit` label: limits of a service that refuse something. */
export const limitNames = [
  "requests",
  "connections",
  "pending",
  "queueTimeout",
  "retries",
  "retryBudget",
  "concurrency",
  "admission",
  "endpoint",
] as const

/** Offset of a limit in the slots of {@link ServiceLimitSlots.limited}; an unknown one counts as `requests`. */
export function limitIndex(limit: string): number {
  const index = limitNames.indexOf(limit as (typeof limitNames)[number])
  return index === -1 ? 0 : index
}

/** Slots of a service's limits. */
export interface ServiceLimitSlots {
  /** Counters; add {@link limitIndex}. */
  readonly limited: number
  /** Gauge: requests at a time that were found out to be right. */
  readonly concurrencyLimit: number
}

export function limitMetrics(
  registry: MetricsRegistry,
  byService: Pick<MetricOptions, "labels" | "maxSeries">,
): Record<keyof ServiceLimitSlots, Metric> {
  return {
    limited: registry.counter({
      name: "sluice_upstream_limited_total",
      help: "Requests, retries and connections that a limit of their service refused",
      across: { label: "limit", values: limitNames },
      ...byService,
      omitZero: true,
    }),
    concurrencyLimit: registry.gauge({
      name: "sluice_upstream_concurrency_limit",
      help: "Requests at a time that adaptive concurrency allows a service",
      ...byService,
      omitZero: true,
    }),
  }
}

/** Slots of what every worker refuses because it has too much to do. */
export interface OverloadSlots {
  /** Counters of refused exchanges; add the priority: low, normal, high. */
  readonly shed: number
  /** Gauges; add the worker's index. */
  readonly level: number
  readonly lag: number
}

export function overloadSlots(registry: MetricsRegistry, workers: number): OverloadSlots {
  const across = { label: "worker", values: Array.from({ length: workers }, (_, i) => String(i)) }
  return {
    shed: registry
      .counter({
        name: "sluice_overload_shed_total",
        help: "Exchanges refused because the gateway had too much to do",
        across: { label: "priority", values: ["low", "normal", "high"] },
      })
      .slot(),
    level: registry
      .gauge({
        name: "sluice_overload_level",
        help: "How much is refused: to 1 a share of low priority, to 2 of normal, to 3 of high",
        across,
      })
      .slot(),
    lag: registry
      .gauge({ name: "sluice_event_loop_lag_seconds", help: "How late the last look of a worker's event loop at its clock came", across })
      .slot(),
  }
}

export const limitUsed: MetricDescription = {
  name: "sluice_upstream_limit_used",
  type: "gauge",
  labels: ["service", "limit"],
  help: "What counts against a limit of a service, over all workers",
}

/** How full limits are, in the text format. `used`: of that service and figure. */
export function limitsText(
  services: Iterable<string>,
  figures: readonly string[],
  used: (service: string, figure: string) => number,
): string {
  const { name } = limitUsed
  let text = familyHead(limitUsed)
  // Names of services have nothing that would need an escape.
  for (const service of services)
    for (const figure of figures) text += `${name}{service="${service}",limit="${figure}"} ${used(service, figure)}\n`
  return text
}

// What threads tell of themselves: how much of their heap is used, and how late their event loops are.

import { requestBuckets } from "./duration-buckets.ts"
import type { MetricsRegistry } from "./metrics-registry.ts"

/** Slots of what every worker tells. */
export interface ThreadSlots {
  /** Gauges; add the worker's index. */
  readonly heap: number
  /** Histograms of {@link requestBuckets}, by the worker's index. */
  readonly delay: readonly number[]
}

export function threadSlots(registry: MetricsRegistry, workers: number): ThreadSlots {
  const names = Array.from({ length: workers }, (_, i) => String(i))
  const heap = registry
    .gauge({
      name: "sluice_heap_used_bytes",
      help: "JavaScript memory in use by a thread, seldom looked at",
      across: { label: "worker", values: [...names, "main"] },
    })
    .slot()
  registry.onScrape(() => registry.writer.set(heap + workers, process.memoryUsage().heapUsed))
  const delay = registry.histogram({
    name: "sluice_event_loop_delay_seconds",
    help: "How late a worker's event loop came to look at its clock, ten times a second",
    labels: ["worker"],
    buckets: requestBuckets,
    maxSeries: workers,
  })
  return { heap, delay: names.map((name) => delay.slot(name)) }
}

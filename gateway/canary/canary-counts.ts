// Reads what the workers have counted of a route's canary and of its other backends. It counts nothing itself.

import { serverFaults } from "../http/grpc-status.ts"
import type { CanaryCounts, CanarySample } from "../resilience/canary.ts"
import { requestBuckets } from "../telemetry/duration-buckets.ts"
import { type RouteSlots, statusClasses, statusIndex } from "../telemetry/instruments.ts"
import { quantile } from "../telemetry/quantile.ts"

/** Metric slots of exchanges, by listener, route and service. */
export type SlotsOfRoutes = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, RouteSlots>>>>>>

/** `read`: the value of a slot, over all workers. `others`: services of the backends that are no canary. */
export function sampleCanary(
  now: number,
  route: string,
  canary: string,
  others: readonly string[],
  slots: SlotsOfRoutes,
  read: (slot: number) => number,
): CanarySample {
  const own = countsOf(route, [canary], slots, read)
  return { at: now, exchanges: own.exchanges, canary: own, stable: countsOf(route, others, slots, read) }
}

function countsOf(route: string, services: readonly string[], slots: SlotsOfRoutes, read: (slot: number) => number): CanaryCounts {
  let exchanges = 0
  let errors = 0
  // Listeners share them.
  const histograms = new Set<number>()
  for (const routes of Object.values(slots)) {
    for (const service of new Set(services)) {
      const own = routes[route]?.[service]
      if (own === undefined) continue
      for (let i = 0; i < statusClasses.length; i++) exchanges += read(own.requests + i)
      errors += read(own.requests + statusIndex(500))
      for (const code of serverFaults) errors += read(own.grpc + code)
      histograms.add(own.duration)
    }
  }
  const durations = Array.from({ length: requestBuckets.bounds.length + 1 }, () => 0)
  for (const histogram of histograms) for (let i = 0; i < durations.length; i++) durations[i] += read(histogram + i)
  return { exchanges, errors, durations }
}

/** ms below which 99 of 100 requests stayed. */
export function p99(durations: readonly number[]): number {
  return quantile(requestBuckets, durations, 0.99) * 1000
}

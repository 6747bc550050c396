// What shapes a route's traffic on purpose, made of its configuration when a snapshot is: faults, and mirrors.

import type { RouteConfig } from "../config/model.ts"
import type { HttpFilter } from "../filter/filter.ts"
import { FaultFilter } from "../filter/native/fault.ts"
import { EvenDraws } from "../router/even-draws.ts"
import { faultIndex, mirrorIndex, type ShapingSlots } from "../telemetry/shaping-instruments.ts"
import type { Service } from "../upstream/services.ts"
import { Mirrors, type MirrorTarget } from "./mirror.ts"
import type { SnapshotPin, WorkerMeans } from "./plane.ts"

/** ms a copy's answer may take at most, whatever its route's requests may. */
const LONGEST_COPY = 15_000

/** The filter that makes a route's requests fail, in front of its other filters; none where nothing is to fail. */
export function faultFilters({ fault }: RouteConfig, slots: ShapingSlots | undefined, means: WorkerMeans): HttpFilter[] {
  if (fault === undefined || slots === undefined) return []
  const { wheel, random, metrics } = means
  return [new FaultFilter(fault, { wheel, random, count: (kind) => metrics.add(slots.faults + faultIndex(kind), 1) })]
}

/** The mirrors of a route; null = it has none. `service`: the one of that name, if there is one. */
export function mirrorsOf(
  { mirrors = [], timeout }: RouteConfig,
  slots: ShapingSlots | undefined,
  means: WorkerMeans,
  snapshot: SnapshotPin,
  service: (name: string) => Service | undefined,
): Mirrors | null {
  const targets: MirrorTarget[] = []
  for (const [i, { service: name, share }] of mirrors.entries()) {
    const target = service(name)
    if (target === undefined || slots === undefined) continue
    const base = slots.mirrors[name]
    // Each falls evenly on what the split and the other mirrors make of the requests.
    const draws = new EvenDraws(means.random(), i + 1)
    targets.push({ service: target, share, draws, snapshot, count: (result) => means.metrics.add(base + mirrorIndex(result), 1) })
  }
  const limit = timeout.request === 0 ? LONGEST_COPY : Math.min(timeout.request, LONGEST_COPY)
  return targets.length === 0 ? null : new Mirrors(targets, means.mirrors, limit)
}

// Filters between the main thread and the metrics: what workers have counted of their versions, and what isn't counted but is so.

import type { Config } from "../config/model.ts"
import type { VersionCounts } from "../resilience/rollback.ts"
import { EXCHANGE_ERROR, EXCHANGE_FAILED, EXCHANGE_OK, type FilterSlots } from "../telemetry/filter-instruments.ts"
import type { Instruments } from "../telemetry/instruments.ts"
import type { FilterStore } from "./filter-store.ts"

/** `read`: the value of a slot, over all workers. */
export function versionCounts({ exchanges }: FilterSlots, read: (slot: number) => number): VersionCounts {
  const errors = read(exchanges + EXCHANGE_ERROR)
  const failures = read(exchanges + EXCHANGE_FAILED)
  return { exchanges: read(exchanges + EXCHANGE_OK) + errors + failures, failures, errors }
}

/** Of every version, by `filter version`. */
export function filterCounts(
  slots: Readonly<Record<string, Readonly<Record<string, FilterSlots>>>>,
  read: (slot: number) => number,
): ReadonlyMap<string, VersionCounts> {
  const counts = new Map<string, VersionCounts>()
  for (const [filter, versions] of Object.entries(slots)) {
    for (const [version, own] of Object.entries(versions)) counts.set(`${filter} ${version}`, versionCounts(own, read))
  }
  return counts
}

/** Shows which versions were refused, and what weight each has. */
export function showFilters(config: Config, store: Pick<FilterStore, "refusalOf" | "stored">, instruments: Instruments): void {
  for (const [name, filter] of Object.entries(config.filters)) {
    instruments.filters.refused(name, store.refusalOf(name) !== null)
    for (const version of filter.versions) instruments.filters.weight(name, version.name, store.stored(name, filter, version).weight)
  }
}

// Puts together what the admin API tells of filters: what is configured, what is loaded, what the workers' instances say, and
// what was counted.

import type { Config, FilterConfig } from "../config/model.ts"
import { filterBuckets } from "../telemetry/duration-buckets.ts"
import { EXCHANGE_ERROR, EXCHANGE_FAILED, EXCHANGE_OK, type FilterSlots, trapReasons } from "../telemetry/filter-instruments.ts"
import { quantile } from "../telemetry/quantile.ts"
import type { FilterEvent } from "../wasm/filter-state.ts"
import type { FilterStore } from "../wasm/filter-store.ts"
import type { PluginStatus } from "../wasm/plugin.ts"
import type { FilterFigures, FilterState, FilterStatus, FilterVersionStatus, Told } from "./status.ts"

export interface FilterStatusSources {
  readonly config: Config
  readonly store: Pick<FilterStore, "stored" | "refusalOf" | "heldOf">
  /** Of every plugin in every worker. */
  readonly plugins: readonly PluginStatus[]
  /** By name of the filter and of its version. */
  readonly slots: Readonly<Record<string, Readonly<Record<string, FilterSlots>>>>
  /** Value of a metric slot. */
  read(slot: number): number
  /** Budget units of a millisecond. */
  readonly unitsPerMs: number
}

export function filterStatus(sources: FilterStatusSources): FilterStatus[] {
  return Object.entries(sources.config.filters).map(([name, filter]) => statusOf(name, filter, sources))
}

function statusOf(name: string, filter: FilterConfig, sources: FilterStatusSources): FilterStatus {
  const versions = filter.versions.map((version): FilterVersionStatus => {
    const stored = sources.store.stored(name, filter, version)
    const own = sources.plugins.filter((plugin) => plugin.name === name && plugin.version === version.name)
    const failing = own.find((plugin) => plugin.lastError !== "")
    return {
      name: version.name,
      module: version.module,
      digest: stored.digest,
      generation: stored.generation,
      pushed: stored.pushed,
      restored: stored.restored,
      earlier: stored.earlier,
      weight: stored.weight,
      rolledBack: told(stored.rolledBack),
      state: stateOf(own),
      instances: own.reduce((sum, plugin) => sum + plugin.instances, 0),
      memory: own.reduce((sum, plugin) => sum + plugin.memoryBytes, 0),
      lastError: failing === undefined ? null : { message: failing.lastError, at: null },
      ...figures([sources.slots[name][version.name]], filter, sources),
    }
  })
  const [stable] = versions
  const refused = told(sources.store.refusalOf(name))
  return {
    name,
    module: stable.module,
    digest: stable.digest,
    generation: stable.generation,
    state: versions.map(({ state }) => state).reduce(worse),
    refused,
    held: told(sources.store.heldOf(name)),
    instances: versions.reduce((sum, version) => sum + version.instances, 0),
    memory: versions.reduce((sum, version) => sum + version.memory, 0),
    ...figures(Object.values(sources.slots[name]), filter, sources),
    lastError: refused ?? versions.find((version) => version.lastError !== null)?.lastError ?? null,
    onError: filter.onError,
    limits: filter.limits,
    versions,
  }
}

function told(event: FilterEvent | null): Told | null {
  return event === null ? null : { message: event.message, at: new Date(event.at).toISOString() }
}

const states: readonly FilterState[] = ["running", "starting", "backoff", "failed", "quarantined"]

function worse(a: FilterState, b: FilterState): FilterState {
  return states.indexOf(a) > states.indexOf(b) ? a : b
}

function stateOf(plugins: readonly PluginStatus[]): FilterState {
  return plugins.map(({ state }): FilterState => state).reduce(worse, "running")
}

function figures(slots: readonly FilterSlots[], filter: FilterConfig, { read, unitsPerMs }: FilterStatusSources): FilterFigures {
  const sum = (slot: (each: FilterSlots) => number): number => slots.reduce((total, each) => total + read(slot(each)), 0)
  const traps: Record<string, number> = {}
  for (const [i, reason] of trapReasons.entries()) {
    const count = sum((each) => each.traps + i)
    if (count > 0) traps[reason] = count
  }
  const durations = Array.from({ length: filterBuckets.bounds.length + 1 }, (_, i) => sum((each) => each.duration + i))
  const errors = sum((each) => each.exchanges + EXCHANGE_ERROR)
  const failures = sum((each) => each.exchanges + EXCHANGE_FAILED)
  const calls = sum((each) => each.calls)
  const units = calls === 0 ? 0 : sum((each) => each.budget) / calls
  const limit = filter.limits.cpu * unitsPerMs
  return {
    exchanges: sum((each) => each.exchanges + EXCHANGE_OK) + errors + failures,
    errors,
    failures,
    calls,
    traps,
    duration: { p50: quantile(filterBuckets, durations, 0.5) * 1e9, p99: quantile(filterBuckets, durations, 0.99) * 1e9 },
    budget: { mean: Math.round(units), limit: Math.round(limit), percent: limit === 0 ? 0 : Math.round((units / limit) * 10_000) / 100 },
  }
}

// `sluice filter ls`: the filters of a running gateway, their state and figures.

import type { FilterStatus, FilterVersionStatus } from "../admin/status.ts"
import { adminList } from "./admin-list.ts"
import type { Command } from "./command.ts"
import { printable, table } from "./table.ts"

const HEAD = ["FILTER", "VERSION", "WEIGHT", "STATE", "GEN", "DIGEST", "EXCHANGES", "CALLS", "P50", "P99", "BUDGET", "TRAPS", "MEMORY"]

export const filterLs: Command = adminList<FilterStatus>({
  what: "filters",
  description: "List the filters of a running gateway: state, version, calls, time, budget, traps, memory",
  examples: ["sluice filter ls", "sluice filter ls --admin 127.0.0.1:9901 --json"],
  table: filterTable,
})

/** Lines for a person: one a version, then what needs attention. */
function filterTable(filters: readonly FilterStatus[]): string {
  if (filters.length === 0) return "no filters\n"
  const rows: string[][] = [HEAD]
  const notes: string[] = []
  for (const filter of filters) {
    const several = filter.versions.length > 1
    for (const version of filter.versions) {
      rows.push(row(filter, version, several))
      const title = several ? `${filter.name} ${version.name}` : filter.name
      if (version.rolledBack !== null)
        notes.push(
          `${title}: rolled back until it changes or is released (sluice filter release ${filter.name}): ${version.rolledBack.message}`,
        )
      if (version.state === "quarantined" && filter.held === null)
        notes.push(`${title}: in quarantine until it changes or is released: sluice filter release ${filter.name}`)
      if (version.lastError !== null) notes.push(`${title}: ${version.lastError.message}`)
    }
    if (filter.held !== null) notes.push(`${filter.name}: in quarantine by order; sluice filter release ${filter.name} ends that`)
    if (filter.refused !== null) notes.push(`${filter.name}: newest version refused: ${filter.refused.message}`)
  }
  return `${[...table(rows), ...(notes.length === 0 ? [] : ["", ...notes])].map(printable).join("\n")}\n`
}

function row(filter: FilterStatus, version: FilterVersionStatus, several: boolean): string[] {
  const traps = Object.entries(version.traps).map(([reason, count]) => `${reason} ${count}`)
  const state = version.rolledBack !== null ? "rolled back" : version.state
  return [
    filter.name,
    `${several ? version.name : "-"}${version.pushed ? " (pushed)" : version.restored ? " (restored)" : ""}`,
    several ? String(version.weight) : "-",
    state,
    String(version.generation),
    version.digest.slice(0, 12),
    String(version.exchanges),
    String(version.calls),
    time(version.duration.p50),
    time(version.duration.p99),
    `${version.budget.percent}%`,
    traps.length === 0 ? "0" : traps.join(", "),
    size(version.memory),
  ]
}

function time(nanoseconds: number): string {
  if (nanoseconds === 0) return "-"
  if (nanoseconds < 10_000) return `${Math.round(nanoseconds)}ns`
  return nanoseconds < 10_000_000 ? `${Math.round(nanoseconds / 1000)}µs` : `${Math.round(nanoseconds / 1_000_000)}ms`
}

function size(octets: number): string {
  if (octets === 0) return "-"
  return octets < 1024 * 1024 ? `${Math.round(octets / 1024)}KiB` : `${Math.round((octets / 1024 / 1024) * 10) / 10}MiB`
}

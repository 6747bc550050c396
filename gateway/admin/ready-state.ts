// Puts together what `/ready` answers: whether the gateway serves, and what an operator should know although it does.

import type { FilterStatus, ReadyState } from "./status.ts"

export interface ReadySources extends Pick<ReadyState, "generation" | "lastReload" | "workers"> {
  readonly stopping: boolean
  readonly filters: readonly FilterStatus[]
  /** What others have to say, one sentence each. None of it keeps the gateway from serving. */
  readonly reasons: readonly string[]
}

export function readyState({ stopping, generation, lastReload, workers, filters, reasons: others }: ReadySources): ReadyState {
  const reasons: string[] = []
  if (stopping) reasons.push("shutting down")
  if (workers.running === 0) reasons.push("no worker serves")
  const filtersInTrouble: string[] = []
  for (const { name, state, refused, held, versions } of filters) {
    const before = reasons.length
    if (held !== null) reasons.push(`filter ${name} is in quarantine by order`)
    else if (state === "quarantined") reasons.push(`filter ${name} is in quarantine: it failed too often, and is not started any more`)
    else if (state !== "running") reasons.push(`filter ${name} is not running as configured`)
    if (refused !== null) reasons.push(`the newest version of filter ${name} was refused; the one before serves`)
    for (const version of versions) {
      if (version.rolledBack !== null) reasons.push(`version ${version.name} of filter ${name} is rolled back`)
    }
    if (reasons.length > before) filtersInTrouble.push(name)
  }
  reasons.push(...others)
  if (lastReload?.ok === false) reasons.push("the last configuration was refused; the one before serves")
  return { ready: !stopping && workers.running > 0, draining: stopping, reasons, generation, lastReload, workers, filtersInTrouble }
}

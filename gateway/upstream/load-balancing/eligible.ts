// Which endpoints a policy may pick: not those tried already, and those that are unwell, full or whose last connect failed
// only for want of others.

import type { Endpoint } from "../endpoint.ts"

/** Whether `endpoint` should be picked now. */
export function isEligible(endpoint: Endpoint, tried: readonly Endpoint[] | null): boolean {
  return !endpoint.suspect && !endpoint.unwell && !endpoint.full && (tried === null || !tried.includes(endpoint))
}

/**
 * For when no endpoint is eligible: one that is well and can be reached although it was tried, the one tried longest ago; else
 * one that is well, or at least wasn't tried, else the first. Null when there is none at all.
 */
export function lastResort(endpoints: readonly Endpoint[], tried: readonly Endpoint[] | null): Endpoint | null {
  let best: Endpoint | null = null
  if (tried !== null) {
    for (const endpoint of endpoints) {
      if (endpoint.unwell || endpoint.suspect) continue
      if (best === null || tried.lastIndexOf(endpoint) < tried.lastIndexOf(best)) best = endpoint
    }
  }
  if (best !== null) return best
  for (const endpoint of endpoints) if (!endpoint.unwell && tried?.includes(endpoint) !== true) return endpoint
  if (tried !== null) for (const endpoint of endpoints) if (!tried.includes(endpoint)) return endpoint
  return endpoints.length > 0 ? endpoints[0] : null
}

// Which endpoints a policy may pick: not those tried already, and those that are unwell or whose last connect failed only for
// want of others.

import type { Endpoint } from "../endpoint.ts"

/** Whether `endpoint` should be picked now. */
export function isEligible(endpoint: Endpoint, tried: readonly Endpoint[] | null): boolean {
  return !endpoint.suspect && !endpoint.unwell && (tried === null || !tried.includes(endpoint))
}

/** For when no endpoint is eligible: one that is well, or at least wasn't tried, else the first; null when there is none at all. */
export function lastResort(endpoints: readonly Endpoint[], tried: readonly Endpoint[] | null): Endpoint | null {
  for (const endpoint of endpoints) if (!endpoint.unwell && tried?.includes(endpoint) !== true) return endpoint
  if (tried !== null) for (const endpoint of endpoints) if (!tried.includes(endpoint)) return endpoint
  return endpoints.length > 0 ? endpoints[0] : null
}

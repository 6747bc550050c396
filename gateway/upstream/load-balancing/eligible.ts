// Which endpoints a policy may pick, and what is left when there is none.

import type { Endpoint } from "../endpoint.ts"

/** Whether an endpoint counts when it is asked how much of a service is available. */
export function isAvailable(endpoint: Endpoint): boolean {
  return !endpoint.unwell && !endpoint.ejected
}

/**
 * Whether `endpoint` should be picked now: not one that was tried already or is full, and none whose last connect failed a moment ago.
 * `panic`: so few are available that those that aren't are used as well.
 */
export function isEligible(endpoint: Endpoint, tried: readonly Endpoint[] | null, panic: boolean): boolean {
  return !endpoint.suspect && !endpoint.full && (panic || isAvailable(endpoint)) && (tried === null || !tried.includes(endpoint))
}

/** One that is well and can be reached although it was tried, the one tried longest ago; null when there is none. */
export function triedBefore(endpoints: readonly Endpoint[], tried: readonly Endpoint[] | null): Endpoint | null {
  if (tried === null) return null
  let best: Endpoint | null = null
  for (const endpoint of endpoints) {
    if (!isAvailable(endpoint) || endpoint.suspect) continue
    if (best === null || tried.lastIndexOf(endpoint) < tried.lastIndexOf(best)) best = endpoint
  }
  return best
}

/**
 * For when nothing else is left, since all that are well are full or can't be reached: the one of them with least under way, and of
 * those that can be reached if there is one; or one that at least wasn't tried, else the first. Null when there is none at all.
 */
export function anyOf(endpoints: readonly Endpoint[], tried: readonly Endpoint[] | null): Endpoint | null {
  let best: Endpoint | null = null
  for (const endpoint of endpoints) {
    if (!isAvailable(endpoint) || tried?.includes(endpoint) === true) continue
    if (best === null || (best.suspect === endpoint.suspect ? endpoint.active < best.active : best.suspect)) best = endpoint
  }
  if (best !== null) return best
  if (tried !== null) for (const endpoint of endpoints) if (!tried.includes(endpoint)) return endpoint
  return endpoints.length > 0 ? endpoints[0] : null
}

/** The first that is eligible from index `start` on, round the end; null when there is none. */
export function firstEligible(
  endpoints: readonly Endpoint[],
  start: number,
  tried: readonly Endpoint[] | null,
  panic: boolean,
): Endpoint | null {
  const { length } = endpoints
  for (let i = 0; i < length; i++) {
    const endpoint = endpoints[(start + i) % length]
    if (isEligible(endpoint, tried, panic)) return endpoint
  }
  return null
}

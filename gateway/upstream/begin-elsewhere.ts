// What an attempt does when the endpoint it was given has as much under way as it may: balancers pass by those that are full, so
// that either all are, or another thread was faster.

import type { Endpoint } from "./endpoint.ts"
import { isAvailable } from "./load-balancing/eligible.ts"
import type { Service } from "./services.ts"

/** Another endpoint, at which the attempt has begun; null when all are full. `key`: what balancers hash by. */
export function beginElsewhere(service: Service, full: Endpoint, tried: readonly Endpoint[] | null, key: number): Endpoint | null {
  const passed = tried === null ? [full] : [...tried, full]
  for (let left = service.endpoints.length; left > 0; left--) {
    const endpoint = service.balancer.next(passed, key)
    // A full one is better waited for than one that is unwell, or failed already, is asked in its place.
    if (endpoint === null || !isAvailable(endpoint) || endpoint.suspect || passed.includes(endpoint)) break
    if (endpoint.begin()) return endpoint
    passed.push(endpoint)
  }
  service.limits.refused("endpoint")
  return null
}

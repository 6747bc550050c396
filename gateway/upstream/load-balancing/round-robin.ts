// Smooth weighted round robin: each endpoint gains its weight a turn, the richest is taken and pays the total. Shares are
// exact over a cycle, and an endpoint's turns are spread over it.

import type { Endpoint } from "../endpoint.ts"
import { isEligible, lastResort } from "./eligible.ts"
import type { LoadBalancer } from "./load-balancer.ts"

export class RoundRobin implements LoadBalancer {
  readonly #endpoints: readonly Endpoint[]
  readonly #credit: Float64Array

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints
    this.#credit = new Float64Array(endpoints.length)
  }

  next(tried: readonly Endpoint[] | null): Endpoint | null {
    const endpoints = this.#endpoints
    const credit = this.#credit
    let total = 0
    let best = -1
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[i]
      if (!isEligible(endpoint, tried)) continue
      total += endpoint.weight
      credit[i] += endpoint.weight
      if (best === -1 || credit[i] > credit[best]) best = i
    }
    if (best === -1) return lastResort(endpoints, tried)
    credit[best] -= total
    return endpoints[best]
  }
}

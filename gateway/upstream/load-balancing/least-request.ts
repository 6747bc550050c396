// Power of two choices: of two endpoints drawn by weight the one with fewer requests under way for its weight. Near the
// best balance at the cost of two draws, and no herd when many gateways decide alike.

import type { Endpoint } from "../endpoint.ts"
import { isEligible, lastResort } from "./eligible.ts"
import type { LoadBalancer } from "./load-balancer.ts"
import { WeightedPicker } from "./weighted.ts"

export class LeastRequest implements LoadBalancer {
  readonly #endpoints: readonly Endpoint[]
  readonly #picker: WeightedPicker
  readonly #random: () => number

  constructor(endpoints: readonly Endpoint[], random: () => number) {
    this.#endpoints = endpoints
    this.#picker = new WeightedPicker(endpoints)
    this.#random = random
  }

  next(tried: readonly Endpoint[] | null): Endpoint | null {
    const endpoints = this.#endpoints
    if (endpoints.length === 0) return null
    if (endpoints.length === 1) return endpoints[0]
    const a = this.#picker.pick(this.#random())
    let b = this.#picker.pick(this.#random())
    if (a === b) b = this.#picker.pick(this.#random())
    const aOk = isEligible(a, tried)
    const bOk = isEligible(b, tried)
    // The draw has taken account of the weights: between two that are equally busy the first drawn it is.
    if (aOk && bOk) return b.active * a.weight < a.active * b.weight ? b : a
    if (aOk) return a
    if (bOk) return b
    let best: Endpoint | null = null
    for (const endpoint of endpoints) {
      if (!isEligible(endpoint, tried)) continue
      if (best === null || (endpoint.active + 1) * best.weight < (best.active + 1) * endpoint.weight) best = endpoint
    }
    return best ?? lastResort(endpoints, tried)
  }
}

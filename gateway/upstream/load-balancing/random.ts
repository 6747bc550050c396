// Weighted random choice.

import type { Endpoint } from "../endpoint.ts"
import { isEligible, lastResort } from "./eligible.ts"
import type { LoadBalancer } from "./load-balancer.ts"
import { WeightedPicker } from "./weighted.ts"

/** Draws before the endpoints are looked through in order. */
const DRAWS = 4

export class RandomChoice implements LoadBalancer {
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
    for (let i = 0; i < DRAWS; i++) {
      const endpoint = this.#picker.pick(this.#random())
      if (isEligible(endpoint, tried)) return endpoint
    }
    for (const endpoint of endpoints) if (isEligible(endpoint, tried)) return endpoint
    return lastResort(endpoints, tried)
  }
}

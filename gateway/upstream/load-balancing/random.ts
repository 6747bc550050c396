// Weighted random choice.

import type { Endpoint } from "../endpoint.ts"
import { firstEligible, isEligible } from "./eligible.ts"
import type { Candidates, Policy } from "./policy.ts"
import { WeightedPicker } from "./weighted.ts"

/** Draws before the endpoints are looked through in order. */
const DRAWS = 8

export class RandomChoice implements Policy {
  readonly #endpoints: readonly Endpoint[]
  readonly #picker: WeightedPicker
  readonly #random: () => number

  constructor({ endpoints, weights }: Candidates, random: () => number) {
    this.#endpoints = endpoints
    this.#picker = new WeightedPicker(weights)
    this.#random = random
  }

  pick(tried: readonly Endpoint[] | null, _key: number, panic: boolean): Endpoint | null {
    const endpoints = this.#endpoints
    let index = 0
    for (let i = 0; i < DRAWS; i++) {
      index = this.#picker.pick(this.#random())
      if (isEligible(endpoints[index], tried, panic)) return endpoints[index]
    }
    return firstEligible(endpoints, index, tried, panic)
  }

  reweigh(): void {
    this.#picker.reweigh()
  }
}

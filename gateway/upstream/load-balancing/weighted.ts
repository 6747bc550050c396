// Picks by weight at random: an alias-free binary search over running sums, rebuilt never, since weights are fixed.

import type { Endpoint } from "../endpoint.ts"

export class WeightedPicker {
  readonly #endpoints: readonly Endpoint[]
  readonly #sums: Float64Array

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints
    this.#sums = new Float64Array(endpoints.length)
    let sum = 0
    for (let i = 0; i < endpoints.length; i++) {
      sum += endpoints[i].weight
      this.#sums[i] = sum
    }
  }

  /** `random` in [0, 1). There must be an endpoint. */
  pick(random: number): Endpoint {
    const sums = this.#sums
    const target = random * sums[sums.length - 1]
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] > target) high = middle
      else low = middle + 1
    }
    return this.#endpoints[low]
  }
}

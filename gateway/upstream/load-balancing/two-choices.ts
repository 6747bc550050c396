// Power of two choices, which least request and peak EWMA are kinds of: of two endpoints drawn by weight the one that costs less.
// Near the best balance at the price of two draws, and no herd when many gateways decide alike.

import type { Endpoint } from "../endpoint.ts"
import { isEligible } from "./eligible.ts"
import type { Candidates, Policy } from "./policy.ts"
import { WeightedPicker } from "./weighted.ts"

/** Pairs drawn before all endpoints are looked at: needed only when most of them can't be picked. */
const PAIRS = 4

export abstract class TwoChoices implements Policy {
  protected readonly endpoints: readonly Endpoint[]
  protected readonly weights: Float64Array
  readonly #picker: WeightedPicker
  readonly #random: () => number

  constructor({ endpoints, weights }: Candidates, random: () => number) {
    this.endpoints = endpoints
    this.weights = weights
    this.#picker = new WeightedPicker(weights)
    this.#random = random
  }

  /** Whether the endpoint at `b` should be taken rather than that at `a`, both drawn by weight, `a` first. */
  protected abstract prefers(b: number, a: number): boolean
  /** What one more attempt at an endpoint costs, of its weight. */
  protected abstract cost(index: number): number

  pick(tried: readonly Endpoint[] | null, _key: number, panic: boolean): Endpoint | null {
    const { endpoints } = this
    if (endpoints.length === 1) return isEligible(endpoints[0], tried, panic) ? endpoints[0] : null
    const picker = this.#picker
    for (let pair = 0; pair < PAIRS; pair++) {
      const a = picker.pick(this.#random())
      let b = picker.pick(this.#random())
      if (a === b) b = picker.pick(this.#random())
      if (a === b) b = a + 1 === endpoints.length ? 0 : a + 1
      const aOk = isEligible(endpoints[a], tried, panic)
      const bOk = isEligible(endpoints[b], tried, panic)
      if (aOk && bOk) return endpoints[this.prefers(b, a) ? b : a]
      if (aOk) return endpoints[a]
      if (bOk) return endpoints[b]
    }
    let best = -1
    let least = 0
    for (let i = 0; i < endpoints.length; i++) {
      if (!isEligible(endpoints[i], tried, panic)) continue
      const cost = this.cost(i)
      if (best !== -1 && cost >= least) continue
      best = i
      least = cost
    }
    return best === -1 ? null : endpoints[best]
  }

  reweigh(): void {
    this.#picker.reweigh()
  }
}

// Peak EWMA: of two endpoints drawn by weight the one that should answer sooner, by its latency of late (resilience/peak-ewma.ts)
// and the requests under way to it.

import { PeakEwma } from "../../resilience/peak-ewma.ts"
import type { Endpoint } from "../endpoint.ts"
import type { Candidates } from "./policy.ts"
import { TwoChoices } from "./two-choices.ts"

export class PeakEwmaChoice extends TwoChoices {
  readonly #clock: { readonly now: number }

  constructor(candidates: Candidates, random: () => number, clock: { readonly now: number }) {
    super(candidates, random)
    this.#clock = clock
    for (const endpoint of candidates.endpoints) endpoint.latency ??= new PeakEwma(clock.now)
  }

  // The draw has taken account of the weights; requests under way count for as much less as an endpoint weighs more.
  protected override prefers(b: number, a: number): boolean {
    const { endpoints, weights } = this
    const ratio = weights[a] / weights[b]
    return this.#latency(endpoints[b]) * (endpoints[b].active * ratio + 1) < this.#latency(endpoints[a]) * (endpoints[a].active + 1)
  }

  protected override cost(index: number): number {
    const endpoint = this.endpoints[index]
    return (this.#latency(endpoint) * (endpoint.active + 1)) / this.weights[index]
  }

  #latency(endpoint: Endpoint): number {
    return (endpoint.latency as PeakEwma).latency(this.#clock.now)
  }
}

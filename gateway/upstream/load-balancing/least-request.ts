// Least request: of two endpoints drawn by weight the one with fewer requests under way for its weight.

import { TwoChoices } from "./two-choices.ts"

export class LeastRequest extends TwoChoices {
  // The draw has taken account of the weights: between two that are equally busy the first drawn it is.
  protected override prefers(b: number, a: number): boolean {
    const { endpoints, weights } = this
    return endpoints[b].active * weights[a] < endpoints[a].active * weights[b]
  }

  protected override cost(index: number): number {
    return (this.endpoints[index].active + 1) / this.weights[index]
  }
}

// Divides a route's requests among its backends by their weights.

/** A weighted choice; the weights are summed up once. */
export class WeightedSplit {
  readonly #cumulative: readonly number[]
  readonly #total: number
  /** Index of the only one with a weight, −1 when none has, −2 when there is a choice. */
  readonly #only: number
  /** Index of the last one with a weight; −1 when none has. */
  readonly #last: number

  /** `weights`: finite and not negative. */
  constructor(weights: readonly number[]) {
    let total = 0
    this.#cumulative = weights.map((weight) => (total += weight))
    this.#total = total
    const positive = weights.flatMap((weight, index) => (weight > 0 ? [index] : []))
    this.#last = positive.at(-1) ?? -1
    this.#only = positive.length > 1 ? -2 : this.#last
  }

  /** Index of the choice for `random` in [0, 1), or −1 when all weights are 0. A weight of 0 is never chosen. */
  pick(random: number): number {
    if (this.#only !== -2) return this.#only
    const cumulative = this.#cumulative
    const mark = random * this.#total
    let low = 0
    let high = this.#last
    while (low < high) {
      const middle = (low + high) >>> 1
      if (mark < cumulative[middle]) high = middle
      else low = middle + 1
    }
    return low
  }
}

// Picks by weight at random: a binary search over running sums, or none where all weigh the same.

export class WeightedPicker {
  readonly #weights: Float64Array
  readonly #sums: Float64Array
  #equal = false

  /** `weights`: above 0, at least one. */
  constructor(weights: Float64Array) {
    this.#weights = weights
    this.#sums = new Float64Array(weights.length)
    this.reweigh()
  }

  /** The weights have changed. */
  reweigh(): void {
    const weights = this.#weights
    let sum = 0
    let equal = true
    for (let i = 0; i < weights.length; i++) {
      sum += weights[i]
      this.#sums[i] = sum
      if (weights[i] !== weights[0]) equal = false
    }
    this.#equal = equal
  }

  /** An index. `random` in [0, 1). */
  pick(random: number): number {
    const sums = this.#sums
    if (this.#equal) return Math.floor(random * sums.length)
    const target = random * sums[sums.length - 1]
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (sums[middle] > target) high = middle
      else low = middle + 1
    }
    return low
  }
}

// Picks by weight at random, in one step however many there are (the alias method): all indices are alike, each sharing its place
// with one other that has more than its part.

export class WeightedPicker {
  readonly #weights: Float64Array
  /** Where a place's own part ends, 0 to 1; the rest of it belongs to {@link #others}. */
  readonly #parts: Float64Array
  readonly #others: Uint32Array

  /** `weights`: above 0, at least one. */
  constructor(weights: Float64Array) {
    this.#weights = weights
    this.#parts = new Float64Array(weights.length)
    this.#others = new Uint32Array(weights.length)
    this.reweigh()
  }

  /** The weights have changed. */
  reweigh(): void {
    const parts = this.#parts
    const others = this.#others
    const { length } = parts
    let sum = 0
    for (const weight of this.#weights) sum += weight
    // Indices with less than a place of their own from the left, those with more from the right.
    const waiting = new Uint32Array(length)
    let less = 0
    let more = length
    for (let i = 0; i < length; i++) {
      parts[i] = (this.#weights[i] * length) / sum
      others[i] = i
      if (parts[i] < 1) waiting[less++] = i
      else waiting[--more] = i
    }
    while (less > 0 && more < length) {
      const small = waiting[--less]
      const large = waiting[more]
      others[small] = large
      parts[large] -= 1 - parts[small]
      if (parts[large] >= 1) continue
      more++
      waiting[less++] = large
    }
    // What is left is as good as 1: nothing but rounding has made it less.
    while (less > 0) parts[waiting[--less]] = 1
  }

  /** An index. `random` in [0, 1). */
  pick(random: number): number {
    const place = random * this.#parts.length
    const index = Math.floor(place)
    return place - index < this.#parts[index] ? index : this.#others[index]
  }
}

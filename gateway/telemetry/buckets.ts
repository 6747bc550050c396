// Bucket bounds of histograms and the search for a value's bucket. Both threads build the same constants from the same
// bounds, so only slot numbers travel between them.

/** The upper bounds of one histogram's buckets. A series takes {@link width} slots: one a bound, +Inf, then the sum. */
export class Buckets {
  /** Ascending, inclusive upper bounds, without +Inf. */
  readonly bounds: Float64Array
  /** Offset of the sum of all observed values in a series' slots. */
  readonly sum: number
  readonly width: number
  // Bucket to start the search at, by the leading zeros of the value in ticks.
  readonly #start: Uint8Array = new Uint8Array(33)
  readonly #ticks: number

  /** @param resolution the step below which values needn't be told apart; at most 2³¹ of them are searched quickly. */
  constructor(bounds: readonly number[], resolution: number) {
    if (bounds.length === 0 || bounds.length > 255) throw new RangeError(`histogram with ${bounds.length} bounds`)
    for (let i = 0; i < bounds.length; i++) {
      if (!(bounds[i] > (i === 0 ? 0 : bounds[i - 1]))) throw new RangeError("histogram bounds must be positive and ascend")
    }
    this.bounds = Float64Array.from(bounds)
    this.sum = bounds.length + 1
    this.width = bounds.length + 2
    this.#ticks = 1 / resolution
    for (let zeros = 0; zeros < 32; zeros++) {
      // Rounding may lift a value over a power of two: start low enough to be right all the same.
      const least = 2 ** (31 - zeros) * resolution * (1 - 1e-9)
      let i = 0
      while (i < bounds.length && bounds[i] < least) i++
      this.#start[zeros] = i
    }
  }

  /** Index of the bucket `value` (≥ 0, not NaN) falls into; the number of bounds for +Inf. */
  find(value: number): number {
    const bounds = this.bounds
    const ticks = value * this.#ticks
    let i = this.#start[Math.clz32(ticks < 0x7fffffff ? ticks : 0x7fffffff)]
    while (i < bounds.length && value > bounds[i]) i++
    return i
  }
}

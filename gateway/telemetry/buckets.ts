// Bucket bounds of histograms and the search for a value's bucket. Both threads build the same constants from the same
// bounds, so only slot numbers travel between them.

/** First figures of the bounds in a power of ten: no bound is more than 12 % above the one before. */
export const FINE: readonly number[] = [
  1, 1.1, 1.2, 1.34, 1.5, 1.67, 1.85, 2, 2.24, 2.5, 2.75, 3, 3.3, 3.65, 4.05, 4.5, 5, 5.6, 6.25, 7, 7.6, 8.3, 9.1,
]
/** Those of them that a scraper is told by default: none is more than twice the one before. */
export const COARSE: readonly number[] = [1, 2, 3, 5, 7]

/** Bounds from `least` to `most`, both included, with these first figures. */
export function decimalBounds(least: number, most: number, figures: readonly number[]): number[] {
  const bounds: number[] = []
  const last = Math.floor(Math.log10(most) + 1e-9)
  for (let exponent = Math.floor(Math.log10(least) + 1e-9); exponent <= last; exponent++) {
    // Read from text, so that a bound is the number that it is written as.
    for (const figure of figures) bounds.push(Number(`${figure}e${exponent}`))
  }
  const within = bounds.filter((bound) => bound > least && bound < most)
  return [least, ...within, most]
}

/** Searches begin at a bound for each of so many parts of a power of two. */
const PARTS_BITS = 2
const PARTS = 1 << PARTS_BITS

/**
 * The upper bounds of one histogram's buckets. A series takes {@link width} slots: one a bound, +Inf, the sum, and how many
 * values there were.
 */
export class Buckets {
  /** Ascending, inclusive upper bounds, without +Inf. */
  readonly bounds: Float64Array
  /** Indexes of the bounds that are exposed unless all are asked for; ascending. */
  readonly coarse: readonly number[]
  /** Offset of the sum of all observed values in a series' slots. */
  readonly sum: number
  /** Offset of their number. */
  readonly count: number
  readonly width: number
  // Bucket to start the search at, by the leading zeros of the value in ticks and the bits that follow.
  readonly #start: Uint8Array = new Uint8Array(33 * PARTS)
  readonly #ticks: number

  /**
   * @param resolution the step below which values needn't be told apart; at most 2³¹ of them are searched quickly.
   * @param coarse those of the bounds that are exposed by default; absent: all.
   */
  constructor(bounds: readonly number[], resolution: number, coarse: readonly number[] = bounds) {
    if (bounds.length === 0 || bounds.length > 255) throw new RangeError(`histogram with ${bounds.length} bounds`)
    for (let i = 0; i < bounds.length; i++) {
      if (!(bounds[i] > (i === 0 ? 0 : bounds[i - 1]))) throw new RangeError("histogram bounds must be positive and ascend")
    }
    this.bounds = Float64Array.from(bounds)
    this.coarse = coarse.map((bound) => bounds.indexOf(bound))
    if (this.coarse.includes(-1)) throw new RangeError("a coarse bound must be one of the bounds")
    this.sum = bounds.length + 1
    this.count = bounds.length + 2
    this.width = bounds.length + 3
    this.#ticks = 1 / resolution
    for (let zeros = 0; zeros < 32; zeros++) {
      for (let part = 0; part < PARTS; part++) {
        // Rounding may lift a value over the least one of its part: start low enough to be right all the same.
        const least = 2 ** (31 - zeros) * (1 + part / PARTS) * resolution * (1 - 1e-9)
        let i = 0
        while (i < bounds.length && bounds[i] < least) i++
        this.#start[zeros * PARTS + part] = i
      }
    }
  }

  /** Index of the bucket `value` (≥ 0, not NaN) falls into; the number of bounds for +Inf. */
  find(value: number): number {
    const bounds = this.bounds
    const ticks = value * this.#ticks
    const whole = ticks < 0x7fffffff ? ticks | 0 : 0x7fffffff
    const zeros = Math.clz32(whole)
    const shift = 31 - zeros - PARTS_BITS
    // A value of so few ticks has no bits for its part, and begins with the first.
    let i = this.#start[zeros * PARTS + (shift < 0 ? 0 : (whole >>> shift) & (PARTS - 1))]
    while (i < bounds.length && value > bounds[i]) i++
    return i
  }
}

// Reads quantiles out of a histogram. What comes out lies in the bucket of the true value: with the bounds of `duration-buckets.ts`
// it is off by 12 % at most between 0.1 ms and 60 s. Below that it says 0.1 ms or less, above it 60 s.

import type { Buckets } from "./buckets.ts"

/**
 * What was counted in the buckets of the histogram at `slot` over all threads, added to `into`; the last is +Inf. `read`: value of a
 * slot ({@link MetricsRegistry.read}). Of what happened between two moments: subtract.
 */
export function readCounts(
  read: (slot: number) => number,
  slot: number,
  buckets: Buckets,
  into: Float64Array = new Float64Array(buckets.bounds.length + 1),
): Float64Array {
  for (let i = 0; i < into.length; i++) into[i] += read(slot + i)
  return into
}

/** The value below which a share `q` of what was observed lies, by linear interpolation in its bucket; 0 when nothing was. */
export function quantile(buckets: Buckets, counts: ArrayLike<number>, q: number): number {
  return quantiles(buckets, counts, [q])[0]
}

/** The same for several shares, ascending, in one pass. */
export function quantiles(buckets: Buckets, counts: ArrayLike<number>, shares: readonly number[]): number[] {
  const { bounds } = buckets
  let total = 0
  for (let i = 0; i <= bounds.length; i++) total += counts[i]
  if (total === 0) return shares.map(() => 0)
  const values: number[] = []
  let i = 0
  let below = 0
  for (const q of shares) {
    const rank = q * total
    while (i < bounds.length && (counts[i] <= 0 || rank > below + counts[i])) below += counts[i++]
    // Above the last bound nothing more is known.
    if (i === bounds.length) values.push(bounds[bounds.length - 1])
    else {
      const low = i === 0 ? 0 : bounds[i - 1]
      values.push(low + ((bounds[i] - low) * Math.max(0, rank - below)) / counts[i])
    }
  }
  return values
}

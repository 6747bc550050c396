// Reads quantiles out of a histogram.

import type { Buckets } from "./buckets.ts"

/** The value below which a share `q` of what was observed lies, by linear interpolation in its bucket; 0 when nothing was. */
export function quantile(buckets: Buckets, counts: ArrayLike<number>, q: number): number {
  const { bounds } = buckets
  let total = 0
  for (let i = 0; i <= bounds.length; i++) total += counts[i]
  if (total === 0) return 0
  let left = q * total
  for (let i = 0; i < bounds.length; i++) {
    if (left <= counts[i] && counts[i] > 0) {
      const low = i === 0 ? 0 : bounds[i - 1]
      return low + ((bounds[i] - low) * left) / counts[i]
    }
    left -= counts[i]
  }
  // Above the last bound nothing more is known.
  return bounds[bounds.length - 1]
}

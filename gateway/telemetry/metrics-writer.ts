// How one thread writes metrics: plain additions into memory that only it writes and the main thread reads. No atomics,
// since nobody else writes here; a reader may see an addition late, never half of one (aligned doubles on 64-bit machines).

import type { Buckets } from "./buckets.ts"

/**
 * log2 of the slots in a segment: 131072 slots, 1 MiB, of which a thread has those pages in memory that it has counted in. Runtimes write
 * smaller ones full of zeros as they make them, so that the histograms of ten thousand routes would be there whether used or not. A series
 * never straddles two segments.
 */
export const SEGMENT_BITS = 17
export const SEGMENT_SLOTS: number = 1 << SEGMENT_BITS
const MASK = SEGMENT_SLOTS - 1

/** The memory of one worker's metrics; can be posted to it. Later handles of the same worker begin with the same segments. */
export interface MetricsHandle {
  readonly segments: readonly SharedArrayBuffer[]
  /** What the worker answers with when it has done what came with it. */
  readonly order: number
}

/** Writes the metrics of one thread. Slots come from the main thread with the snapshot. */
export class MetricsWriter {
  readonly #segments: Float64Array[] = []

  constructor(memory: Pick<MetricsHandle, "segments">) {
    this.update(memory)
  }

  /** Takes up segments added since the last handle. Must happen before a snapshot with slots in them is used. */
  update({ segments }: Pick<MetricsHandle, "segments">): void {
    for (let i = this.#segments.length; i < segments.length; i++) this.#segments.push(new Float64Array(segments[i]))
  }

  /** Adds to a counter (`n` ≥ 0) or a gauge. */
  add(slot: number, n: number): void {
    this.#segments[slot >>> SEGMENT_BITS][slot & MASK] += n
  }

  /** Sets this thread's part of a gauge; readers see the sum over threads. */
  set(slot: number, value: number): void {
    this.#segments[slot >>> SEGMENT_BITS][slot & MASK] = value
  }

  /**
   * Adds a value to the histogram at `slot`, `times` over when it is a sample that stands for so many. Negative and non-finite values
   * (a clock that jumped) count as 0.
   */
  observe(slot: number, value: number, buckets: Buckets, times = 1): void {
    const segment = this.#segments[slot >>> SEGMENT_BITS]
    const base = slot & MASK
    const v = value >= 0 && value < Number.POSITIVE_INFINITY ? value : 0
    segment[base + buckets.find(v)] += times
    segment[base + buckets.sum] += v * times
    segment[base + buckets.count] += times
  }

  /** {@link observe} for one value in two histograms with the same buckets, which is looked for once. */
  observeIn(first: number, second: number, value: number, buckets: Buckets): void {
    const v = value >= 0 && value < Number.POSITIVE_INFINITY ? value : 0
    const bucket = buckets.find(v)
    for (let slot = first; ; slot = second) {
      const segment = this.#segments[slot >>> SEGMENT_BITS]
      const base = slot & MASK
      segment[base + bucket]++
      segment[base + buckets.sum] += v
      segment[base + buckets.count]++
      if (slot === second) return
    }
  }
}

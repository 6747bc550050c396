// Traces that stand for a bucket of a histogram: of each bucket the one that came last. Kept on the main thread, out of traces it was
// given; workers know nothing of it.

import type { Buckets } from "./buckets.ts"

export interface Exemplar {
  readonly traceId: string
  /** In the histogram's unit. */
  readonly value: number
  /** Seconds since the epoch. */
  readonly at: number
}

/** Buckets that have one; the one that was noted longest ago makes room. */
const MOST = 4096

export class Exemplars {
  /** By the slot of their bucket; in the order in which they came. */
  readonly #bySlot = new Map<number, Exemplar>()

  /** `slot`: of the histogram that `value` was counted in. @param now milliseconds since the epoch */
  note(slot: number, buckets: Buckets, value: number, traceId: string, now: number): void {
    const key = slot + buckets.find(value >= 0 ? value : 0)
    this.#bySlot.delete(key)
    if (this.#bySlot.size >= MOST) for (const [oldest] of this.#bySlot) if (this.#bySlot.delete(oldest)) break
    this.#bySlot.set(key, { traceId, value, at: now / 1000 })
  }

  /** The newest of the buckets in the slots `[from, to)`. */
  newest(from: number, to: number): Exemplar | undefined {
    let newest: Exemplar | undefined
    if (this.#bySlot.size === 0) return newest
    for (let slot = from; slot < to; slot++) {
      const exemplar = this.#bySlot.get(slot)
      if (exemplar !== undefined && (newest === undefined || exemplar.at >= newest.at)) newest = exemplar
    }
    return newest
  }

  /** These slots are another series' now. */
  forget(slot: number, width: number): void {
    if (this.#bySlot.size === 0) return
    for (let i = 0; i < width; i++) this.#bySlot.delete(slot + i)
  }

  clear(): void {
    this.#bySlot.clear()
  }
}

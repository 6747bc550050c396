// What load-balancing policies share: each picks among the endpoints of one group, those of a priority and perhaps of a zone.

import type { Endpoint } from "../endpoint.ts"

/** The endpoints a policy picks from. */
export interface Candidates {
  /** Never empty. */
  readonly endpoints: readonly Endpoint[]
  /** Their shares as they are now, above 0, in the same order; {@link Policy.reweigh} tells of changes. */
  readonly weights: Float64Array
}

export interface Policy {
  /**
   * One that is eligible (eligible.ts), other than those in `tried`; null when there is none. `key`: what the request is hashed
   * by, an unsigned 32-bit number, or −1. `panic`: those that are unwell will do as well.
   */
  pick(tried: readonly Endpoint[] | null, key: number, panic: boolean): Endpoint | null
  /** Weights have changed, as those of new endpoints do while they warm up. */
  reweigh(): void
}

// What the main thread and its workers say to each other about taps.

import type { TapQuery } from "./query.ts"

export interface TapSubscription {
  /** Never used again in the process's life. */
  readonly id: number
  readonly query: TapQuery
}

/** To a worker. */
export type TapOrder =
  /** All there are, from now on; `version` goes up with each change, and is told back. */
  | { readonly kind: "subscriptions"; readonly version: number; readonly subscriptions: readonly TapSubscription[] }
  /** So many characters of what it has told are dealt with. */
  | { readonly kind: "taken"; readonly length: number }

/** One event, for those who want it. */
export interface TapLine {
  readonly ids: readonly number[]
  readonly line: string
}

/** What has happened to a subscription since the last report. */
export interface TapCount {
  readonly id: number
  /** Exchanges it wants to see. */
  readonly matched: number
  /** Those of them that aren't told, for there were too many. */
  readonly dropped: number
}

/** From a worker. */
export interface TapReport {
  /** Of the subscriptions that it goes by. */
  readonly version: number
  readonly lines: readonly TapLine[]
  readonly counts: readonly TapCount[]
}

// One key of a global limit in one worker: what is known of it, and the requests that wait until more is.

import type { RateLimitAsk, RateLimitRule } from "../filter/native/rate-limit-decider.ts"
import { LeasedBucket, leaseCap } from "../resilience/leased-bucket.ts"
import { countKey } from "./gcra-script.ts"
import type { PendingRequest } from "./pending-requests.ts"

export class CountedKey implements RateLimitAsk {
  readonly rule: RateLimitRule
  readonly values: readonly string[]
  readonly requests: number
  readonly per: number
  readonly burst: number
  readonly bucket: LeasedBucket
  /** µs between two requests at the limit's rate, and µs of burst. */
  readonly interval: number
  readonly tolerance: number
  /** The store is being asked about it. */
  asking = false
  /** Requests granted that the store is to be given back. */
  owed = 0
  /** Oldest first. */
  readonly waiting: PendingRequest[] = []
  #name = ""

  /** `share`: of the burst that may be on lease, `holders`: workers that may have a lease. */
  constructor(ask: RateLimitAsk, share: number, holders: number) {
    this.rule = ask.rule
    this.values = [...ask.values]
    this.requests = ask.requests
    this.per = ask.per
    this.burst = ask.burst
    const interval = ask.per / ask.requests
    this.interval = interval * 1000
    this.tolerance = this.interval * ask.burst
    this.bucket = new LeasedBucket(interval, leaseCap(ask.burst, share, holders))
  }

  /** Whether it is counted as the ask says, now that configurations may have changed. */
  fits(ask: RateLimitAsk): boolean {
    return this.requests === ask.requests && this.per === ask.per && this.burst === ask.burst
  }

  /** Its name in the store. */
  name(prefix: string): string {
    if (this.#name === "") this.#name = countKey(prefix, this.rule.name, this.values)
    return this.#name
  }
}

/** What a worker finds it by. */
export function keyOf({ rule, values }: RateLimitAsk): string {
  if (values.length === 0) return rule.name
  if (values.length === 1) return `${rule.name}\n${values[0]}`
  let key = rule.name
  for (const value of values) key += `\n${value.length}:${value}`
  return key
}

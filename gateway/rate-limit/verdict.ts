// The verdict of a decider: one object, filled in anew for every request.

import type { RateLimitVerdict } from "../filter/native/rate-limit-decider.ts"
import type { CountedKey } from "./counted-key.ts"

export const NO_HEADERS: readonly string[] = []

export class Verdict implements RateLimitVerdict {
  allowed = true
  decided = true
  index = 0
  limit = -1
  remaining = 0
  reset = 0
  retryAfter = 0
  requestHeaders: readonly string[] = NO_HEADERS
  responseHeaders: readonly string[] = NO_HEADERS

  /** By what is known of the key the figures are of. */
  of(allowed: boolean, index: number, key: CountedKey, now: number): this {
    const { bucket } = key
    this.allowed = allowed
    this.index = index
    this.limit = key.requests
    this.remaining = bucket.remaining
    this.reset = bucket.reset(now)
    this.retryAfter = allowed ? 0 : bucket.retryAfter(now)
    return this
  }
}

/** What the configuration says for when nobody can be asked. */
export function undecided(allowed: boolean): RateLimitVerdict {
  const verdict = new Verdict()
  verdict.allowed = allowed
  verdict.decided = false
  return verdict
}

// A rate limit that holds for the whole gateway process, whatever the number of its threads.

import { now } from "./clock"
import { readLong, replaceLong, slotOf } from "./shared"
import { decimal } from "./text"

/** Attempts against other threads before a request is turned away. */
const MAX_ATTEMPTS: i32 = 64

/**
 * A token bucket per key: `limit` requests at once, then as many again per window, evenly. All workers count together.
 *
 * ```ts
 * const limit = new RateLimit("api", 100, 60_000)         // 100 a minute
 *
 * export function onRequest(request: Request): Reply | null {
 *   const wait = limit.take("everyone")
 *   if (wait > 0) return new Reply(429, "slow down").header("retry-after", seconds(wait))
 *   return null
 * }
 * ```
 */
@final
export class RateLimit {
  private interval: i64

  /**
   * @param name keeps this limit's counters apart from others in shared data.
   * @param limit requests per window, at least 1.
   * @param window in milliseconds.
   * @param slots most counters that are kept; keys beyond share them. 0 = one for each key, so the number of different keys
   *   must be bounded.
   */
  constructor(
    private name: string,
    limit: i32,
    private window: i64,
    private slots: i32 = 0,
  ) {
    this.window = max<i64>(window, 1) * 1000
    this.interval = max<i64>(this.window / max(limit, 1), 1)
  }

  /**
   * Counts a request. 0 = within the limit; otherwise the milliseconds until the next one will be let through (the request
   * isn't counted then). `key` says whose requests are counted together.
   */
  take(key: string): i64 {
    const name = "rate/" + this.name + "/" + slotOf(key, this.slots)
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      // One number per key suffices: the time at which the bucket will be full again, in microseconds.
      const time = now() * 1000
      const full = min(max(readLong(name, time), time), time + this.window) + this.interval
      const wait = full - this.window - time
      if (wait > 0) return (wait + 999) / 1000
      if (replaceLong(name, full)) return 0
    }
    return max<i64>(this.interval / 1000, 1)
  }
}

/**
 * Milliseconds as whole seconds, rounded up: the form of `retry-after`.
 *
 * ```ts
 * return new Reply(429).header("retry-after", seconds(wait))
 * ```
 */
export function seconds(milliseconds: i64): string {
  return decimal((milliseconds + 999) / 1000)
}

// Limits that count requests per window of time, for the whole gateway process.

import { now } from "./clock"
import { readCell, replaceCell, slotOf } from "./shared"

/** Attempts against other threads before a request is turned away. */
const MAX_ATTEMPTS: i32 = 64

/**
 * What a window's limit says to a request.
 *
 * ```ts
 * const left = quota.take(user)
 * request.headers.set("x-remaining", left.remaining.toString())
 * if (!left.allowed) return new Reply(429).header("retry-after", seconds(left.reset))
 * ```
 */
@final
export class Quota {
  /** @internal */
  constructor(
    /** Whether it is within the limit. */
    public readonly allowed: boolean,
    /** Requests per window. */
    public readonly limit: i64,
    /** Requests that are left now. */
    public readonly remaining: i64,
    /** Milliseconds until the window ends, or, of a sliding one that is used up, until there is room again. */
    public readonly reset: i64,
  ) {}
}

/** The stored counts of a key: number of the window, requests in it, requests in the one before. */
const CELL_SIZE: i32 = 24

function cell(): usize {
  return memory.data(24, 8)
}

/** Reads the counts of `key`, moved on to the window `index`. */
function readCounts(key: string, index: i64): void {
  const at = cell()
  const found = readCell(key, at, CELL_SIZE)
  const last = found ? load<i64>(at) : index
  if (found && last >= index) return // the clock of this thread may be a moment behind
  store<i64>(at, found && last + 1 == index ? load<i64>(at, 8) : 0, 16)
  store<i64>(at, 0, 8)
  store<i64>(at, index)
}

/**
 * So many requests per key in each window of time; all workers count together. Windows begin at multiples of their length
 * since 1970, so one of an hour begins with the hour.
 *
 * ```ts
 * const quota = new FixedWindow("quota", 1000, 3_600_000)
 *
 * export function onRequest(request: Request): Reply | null {
 *   const left = quota.take("everyone")
 *   if (!left.allowed) return new Reply(429, "quota used up").header("retry-after", seconds(left.reset))
 *   return null
 * }
 * ```
 */
@final
export class FixedWindow {
  private limit: i64
  private window: i64

  /**
   * @param name keeps this limit's counters apart from others in shared data.
   * @param limit requests per window, at least 1.
   * @param window in milliseconds.
   * @param slots most counters that are kept; keys beyond share them. 0 = one for each key, so the number of different keys
   *   must be bounded.
   */
  constructor(
    private name: string,
    limit: i64,
    window: i64,
    private slots: i32 = 0,
  ) {
    this.limit = max<i64>(limit, 1)
    this.window = max<i64>(window, 1)
  }

  /** Counts a request of `key`, if it is within the limit. `cost`: it counts as that many. */
  take(key: string, cost: i64 = 1): Quota {
    const name = "window/" + this.name + "/" + slotOf(key, this.slots)
    const at = cell()
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const time = now()
      readCounts(name, time / this.window)
      const used = load<i64>(at, 8)
      if (cost > this.limit - used) return this.quota(false, used, time)
      store<i64>(at, used + max<i64>(cost, 0), 8)
      if (replaceCell(name, at, CELL_SIZE)) return this.quota(true, used + max<i64>(cost, 0), time)
    }
    return this.quota(false, this.limit, now())
  }

  /** What is left of `key`, without counting. */
  peek(key: string): Quota {
    const time = now()
    readCounts("window/" + this.name + "/" + slotOf(key, this.slots), time / this.window)
    const used = load<i64>(cell(), 8)
    return this.quota(used < this.limit, used, time)
  }

  private quota(allowed: boolean, used: i64, time: i64): Quota {
    return new Quota(allowed, this.limit, max<i64>(this.limit - used, 0), this.window - (time % this.window))
  }
}

/**
 * As {@link FixedWindow}, but the window before counts by the part of it that still overlaps one window's length from now.
 * So twice the limit at a window's edge isn't possible.
 *
 * ```ts
 * const limit = new SlidingWindow("login", 5, 60_000, 65536)
 * if (!limit.take(request.peer.address).allowed) return new Reply(429)
 * ```
 */
@final
export class SlidingWindow {
  private limit: i64
  private window: i64

  /**
   * @param name keeps this limit's counters apart from others in shared data.
   * @param limit requests per window, at least 1.
   * @param window in milliseconds.
   * @param slots most counters that are kept; keys beyond share them. 0 = one for each key, so the number of different keys
   *   must be bounded.
   */
  constructor(
    private name: string,
    limit: i64,
    window: i64,
    private slots: i32 = 0,
  ) {
    this.limit = max<i64>(limit, 1)
    this.window = max<i64>(window, 1)
  }

  /** Counts a request of `key`, if it is within the limit. `cost`: it counts as that many. */
  take(key: string, cost: i64 = 1): Quota {
    const name = "sliding/" + this.name + "/" + slotOf(key, this.slots)
    const at = cell()
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const time = now()
      readCounts(name, time / this.window)
      const used = this.used(time)
      if (cost > this.limit - used) return this.quota(false, used, time, cost)
      store<i64>(at, load<i64>(at, 8) + max<i64>(cost, 0), 8)
      if (replaceCell(name, at, CELL_SIZE)) return this.quota(true, used + max<i64>(cost, 0), time, cost)
    }
    return new Quota(false, this.limit, 0, 1)
  }

  /** What is left of `key`, without counting. */
  peek(key: string): Quota {
    const time = now()
    readCounts("sliding/" + this.name + "/" + slotOf(key, this.slots), time / this.window)
    const used = this.used(time)
    return this.quota(used < this.limit, used, time, 1)
  }

  /** Requests that count now, rounded up. */
  private used(time: i64): i64 {
    const at = cell()
    const overlap = this.window - (time % this.window)
    return load<i64>(at, 8) + <i64>Math.ceil((<f64>load<i64>(at, 16) * <f64>overlap) / <f64>this.window)
  }

  private quota(allowed: boolean, used: i64, time: i64, cost: i64): Quota {
    const at = cell()
    const overlap = this.window - (time % this.window)
    let reset = overlap
    const free = this.limit - load<i64>(at, 8) - cost
    const before = load<i64>(at, 16)
    // Room comes as the window before passes out of sight; where that isn't enough, in the next window.
    if (!allowed && free >= 0 && before > 0) reset = max<i64>(overlap - <i64>((<f64>free * <f64>this.window) / <f64>before), 1)
    return new Quota(allowed, this.limit, max<i64>(this.limit - used, 0), reset)
  }
}

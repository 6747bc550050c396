// When something that failed may be started again. Pure: time comes in, nothing is scheduled.
//
// Failures below `threshold` within `window` cost nothing: a restart is allowed at once. The one that reaches it and each
// one after it make the next restart wait `base`, 2·`base`, 4·`base` … up to `max`. A `window` without a failure, counted
// from the moment the restart was allowed, forgets everything.

export interface BackoffOptions {
  /** Failures within the window from which on a restart has to wait. Default 3. */
  readonly threshold?: number
  /** ms; default 10 s. */
  readonly window?: number
  /** First wait, ms; default 500. */
  readonly base?: number
  /** Longest wait, ms; default 60 s. */
  readonly max?: number
}

export class Backoff {
  readonly #threshold: number
  readonly #window: number
  readonly #base: number
  readonly #max: number
  /** Times of the last failures while no wait is in force, oldest first; at most `threshold`. */
  #recent: number[] = []
  /** Waits imposed in a row; 0 = none in force. */
  #level = 0
  #retryAt = 0

  constructor(options: BackoffOptions = {}) {
    this.#threshold = options.threshold ?? 3
    this.#window = options.window ?? 10_000
    this.#base = options.base ?? 500
    this.#max = options.max ?? 60_000
  }

  /** Counts a failure at `now` (ms) and returns how long a restart has to wait, in ms; 0 = not at all. */
  fail(now: number): number {
    if (this.#level > 0 && now - this.#retryAt > this.#window) this.#level = 0
    if (this.#level === 0) {
      this.#recent.push(now)
      while (now - this.#recent[0] > this.#window) this.#recent.shift()
      if (this.#recent.length < this.#threshold) {
        this.#retryAt = now
        return 0
      }
      this.#recent = []
    }
    this.#level++
    const wait = Math.min(this.#max, this.#base * 2 ** (this.#level - 1))
    this.#retryAt = now + wait
    return wait
  }

  /** Whether a restart is allowed at `now`. */
  ready(now: number): boolean {
    return now >= this.#retryAt
  }

  /** Time (ms) from which on a restart is allowed. */
  get retryAt(): number {
    return this.#retryAt
  }
}

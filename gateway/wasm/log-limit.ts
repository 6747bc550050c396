// Keeps a filter from flooding the log: so many lines a window, then one line that says how many were left out.

export class LogLimit {
  readonly #lines: number
  readonly #window: number
  #start = Number.NEGATIVE_INFINITY
  #used = 0
  #dropped = 0

  /** `lines` in each `window` (ms). */
  constructor(lines: number, window: number) {
    this.#lines = lines
    this.#window = window
  }

  /** Whether a line at `now` (ms) may be written. */
  allow(now: number): boolean {
    if (now - this.#start >= this.#window) {
      this.#start = now
      this.#used = 0
    }
    if (this.#used < this.#lines) {
      this.#used++
      return true
    }
    this.#dropped++
    return false
  }

  /** Lines left out since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }
}

// When something that keeps failing is given up. Pure: time comes in. Failures in a window, or starts that fail one after
// the other, put it into quarantine; there it stays until it is released.

export interface QuarantineOptions {
  /** Failures within the window that are one too many. Default 8: with the waits of a back-off, a quarter of a minute. */
  readonly failures?: number
  /** ms; default 60 s. */
  readonly window?: number
  /** Starts in a row that may fail but for the last. Default 5. */
  readonly starts?: number
}

export class Quarantine {
  readonly #failures: number
  readonly #window: number
  readonly #starts: number
  /** Times of the failures in the window, oldest first. */
  #recent: number[] = []
  #failedStarts = 0
  #reason: string | null = null

  constructor({ failures = 8, window = 60_000, starts = 5 }: QuarantineOptions = {}) {
    this.#failures = failures
    this.#window = window
    this.#starts = starts
  }

  /** Why it is in quarantine; null when it is not. */
  get reason(): string | null {
    return this.#reason
  }

  /** Counts a failure at `now` (ms), of a start or of what had started. Whether it is in quarantine from now on. */
  fail(now: number, starting: boolean): boolean {
    if (this.#reason !== null) return false
    this.#recent.push(now)
    while (now - this.#recent[0] > this.#window) this.#recent.shift()
    if (starting) this.#failedStarts++
    if (this.#failedStarts >= this.#starts) this.#reason = `${this.#failedStarts} starts in a row failed`
    else if (this.#recent.length >= this.#failures) this.#reason = `it failed ${this.#recent.length} times in ${this.#window / 1000} s`
    return this.#reason !== null
  }

  /** It has started. */
  started(): void {
    this.#failedStarts = 0
  }

  /** Forgets everything; whether it was in quarantine. */
  release(): boolean {
    const was = this.#reason !== null
    this.#recent = []
    this.#failedStarts = 0
    this.#reason = null
    return was
  }
}

// When something that was looked up is looked up again, and what a look that found nothing is worth. Pure: chance comes in, nothing
// is scheduled.
//
// After a look that found something: when the answer says so, a second later at least and five minutes at most, or after the fixed
// pause that is configured; a tenth more or less, so that gateways that began together don't ask together.
// After one that failed, or found nothing: after 1 s, 2 s, 4 s … up to 30 s, never longer than the fixed pause, drawn anew between
// half and all of it. An answer that says "there are none" is believed the third time in a row: one that is wrong for a moment
// must not take a service away. A failure says nothing: what was known before it stays, for as long as it lasts.

const MIN_TTL = 1000
const MAX_TTL = 300_000
const JITTER = 0.1
const FIRST_RETRY = 1000
const LAST_RETRY = 30_000
/** Empty answers in a row that are believed. */
const EMPTY_BELIEVED = 3

export class Refresh {
  /** ms; 0 = as the answers say. */
  readonly #fixed: number
  readonly #random: () => number
  #inVain = 0
  #empty = 0

  /** `random` yields [0, 1). */
  constructor(fixed: number, random: () => number) {
    this.#fixed = fixed
    this.#random = random
  }

  /** A look found something that is good for `ttl` seconds; ms until the next. */
  found(ttl: number): number {
    this.#inVain = 0
    this.#empty = 0
    const pause = this.#fixed > 0 ? this.#fixed : Math.min(MAX_TTL, Math.max(MIN_TTL, ttl * 1000))
    return Math.max(1, Math.round(pause * (1 - JITTER + 2 * JITTER * this.#random())))
  }

  /** A look said that there is nothing; ms until the next. */
  empty(): number {
    this.#empty++
    return this.#retry()
  }

  /** A look failed; ms until the next. */
  failed(): number {
    this.#empty = 0
    return this.#retry()
  }

  /** There really is nothing. */
  get emptyBelieved(): boolean {
    return this.#empty >= EMPTY_BELIEVED
  }

  #retry(): number {
    const longest = this.#fixed > 0 ? Math.min(LAST_RETRY, this.#fixed) : LAST_RETRY
    const pause = Math.min(longest, FIRST_RETRY * 2 ** Math.min(this.#inVain, 10))
    this.#inVain++
    return Math.max(1, Math.round(pause * (0.5 + 0.5 * this.#random())))
  }
}

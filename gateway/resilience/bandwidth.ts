// A bandwidth that octets may not exceed. Pure: the clock is handed in.
//
// In any t ms no more than rate · (t + 100) / 1000 octets pass. What isn't used is kept for 100 ms, so that a timer which looks
// every few dozen milliseconds loses nothing of the rate.

/** ms of the rate that may pass at once. */
const BURST = 100

export class Bandwidth {
  /** Octets a millisecond. */
  readonly #rate: number
  readonly #most: number
  #left: number
  #at: number

  /** `rate`: octets a second, more than 0. */
  constructor(rate: number, now: number) {
    this.#rate = rate / 1000
    this.#most = Math.max(1, this.#rate * BURST)
    this.#left = this.#most
    this.#at = now
  }

  /** How many of `wanted` octets pass now: they count as passed. */
  take(wanted: number, now: number): number {
    this.#refill(now)
    const passed = Math.min(wanted, Math.floor(this.#left))
    this.#left -= passed
    return passed
  }

  /** Whether all of `wanted` octets pass now; then they count as passed. */
  takeAll(wanted: number, now: number): boolean {
    this.#refill(now)
    if (this.#left < wanted) return false
    this.#left -= wanted
    return true
  }

  #refill(now: number): void {
    if (now <= this.#at) return
    this.#left = Math.min(this.#most, this.#left + (now - this.#at) * this.#rate)
    this.#at = now
  }
}

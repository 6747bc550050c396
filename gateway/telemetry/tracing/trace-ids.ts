// Random ids of traces and spans, cut from a store of hex digits, so that randomness is drawn seldom.

const TRACE = 32
const SPAN = 16
/** Digits of one draw. */
const STORE = 4096

export class TraceIds {
  readonly #random: (octets: number) => string
  #digits = ""
  #at = 0

  /** `random` yields that many random octets as hex digits. */
  constructor(random: (octets: number) => string) {
    this.#random = random
  }

  trace(): string {
    return this.#take(TRACE)
  }

  span(): string {
    return this.#take(SPAN)
  }

  // One of zeros alone would be none (W3C Trace Context §3.2.2.3): it comes once in 2^64 draws, and gets a 1.
  #take(length: number): string {
    if (this.#at + length > this.#digits.length) {
      this.#digits = this.#random(STORE / 2)
      this.#at = 0
    }
    const id = this.#digits.slice(this.#at, this.#at + length)
    this.#at += length
    return /[^0]/.test(id) ? id : `${id.slice(1)}1`
  }
}

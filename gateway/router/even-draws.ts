// Numbers in [0, 1) that fall evenly, not by chance: of any hundred in a row close to ten are below a tenth. So a share of
// requests is met by every hundred of them, and not just in the long run.

import { mixBits } from "../http/text-hash.ts"

// Fractional parts of square roots of primes, in units of 2⁻³². Steps by one of them fall evenly for good, and steps by
// two of them evenly in both at once: a mirror of a tenth takes a tenth of each side of a split.
const STEPS = [2, 3, 5, 7, 11, 13, 17, 19, 23].map((prime) => Math.floor((Math.sqrt(prime) % 1) * 2 ** 32))

export class EvenDraws {
  readonly #step: number
  #at: number

  /** `start`: in [0, 1), anything. `kind`: draws that are combined with each other need different ones, from 0 on. */
  constructor(start: number, kind: number) {
    this.#at = mixBits(start * 2 ** 32)
    this.#step = STEPS[kind % STEPS.length]
  }

  next(): number {
    this.#at = (this.#at + this.#step) >>> 0
    return this.#at / 2 ** 32
  }
}

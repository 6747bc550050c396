// How much useless or abusive work one peer may make: frames that move nothing cost, requests and data that do earn. What a
// flood of any kind (pings, settings, empty frames, resets) has in common is that it spends without earning.

/** What a connection may spend before it has earned anything, and the most it can save up. */
const MOST = 2000
/** Earned by time alone, in each ms. */
const REFILL = 0.1

/** A request, or a response that was carried to its end. */
export const EARN_MESSAGE = 10
/** A DATA frame with data, either way: its receiver may announce both windows and measure round trips by it. */
export const EARN_DATA = 3
/** Octets from which on one of ours earns: to a peer whose windows open by a few octets, each of them costs. */
export const EARNING_DATA = 256
/** A frame that moves nothing. */
export const COST_FRAME = 1
/** A frame of a stream that we have reset, and whose peer may not know yet. */
export const COST_LATE = 1 / 8
/** A stream that is given up before its response was, or broke the protocol: work was begun for nothing. */
export const COST_RESET = 25

export class Patience {
  #left = MOST
  #at: number

  /** `now`: ms. */
  constructor(now: number) {
    this.#at = now
  }

  earn(amount: number): void {
    const left = this.#left + amount
    this.#left = left > MOST ? MOST : left
  }

  /** False: it is over. */
  spend(cost: number, now: number): boolean {
    this.#left = Math.min(MOST, this.#left + (now - this.#at) * REFILL) - cost
    this.#at = now
    return this.#left >= 0
  }
}

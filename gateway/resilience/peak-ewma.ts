// How long an endpoint takes to answer, as a moving average that believes bad news at once and good news slowly.
//
// Contract: a sample above the average becomes the average. One below it pulls it down, and so does time: what was known
// fades with e^(−t/10 s), so that an endpoint nobody asks any more is tried again. At first it is 30 ms. Pure: the clock
// comes in with every call, in ms.

/** ms in which a sample's weight falls to 1/e. */
const EWMA_DECAY = 10_000
/** ms taken for the latency of an endpoint nothing is known of. */
export const EWMA_INITIAL = 30
/** ms a failure, or an answer that says the endpoint is overloaded, counts as. */
export const PENALTY = 5000
/** ms; more than this of a Retry-After is not believed. */
export const MAX_PENALTY = 300_000
/** ms below which latencies are alike, so that the number of attempts under way still tells endpoints apart. */
const LEAST = 0.01

export class PeakEwma {
  #average = EWMA_INITIAL
  #at: number

  constructor(now: number) {
    this.#at = now
  }

  /** An attempt took `latency` ms. */
  observe(latency: number, now: number): void {
    if (latency >= this.#average) this.#average = latency
    else this.#average = latency + (this.#average - latency) * Math.exp((this.#at - now) / EWMA_DECAY)
    this.#at = now
  }

  /** An attempt was given up after `latency` ms. */
  atLeast(latency: number, now: number): void {
    if (latency > this.latency(now)) this.observe(latency, now)
  }

  /** An attempt failed, or was turned down. `retryAfter`: ms the endpoint asked to be left alone for; 0 = it didn't say. */
  penalize(latency: number, retryAfter: number, now: number): void {
    const penalty = retryAfter > 0 ? Math.min(retryAfter, MAX_PENALTY) : PENALTY
    this.observe(Math.max(latency, penalty), now)
  }

  /** What is expected of the next attempt, ms. */
  latency(now: number): number {
    return Math.max(LEAST, this.#average * Math.exp((this.#at - now) / EWMA_DECAY))
  }
}

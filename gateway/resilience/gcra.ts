// The generic cell rate algorithm: the state of a limit is one time, that at which all of its requests would be there again.
// A request moves it on by what one request costs, and is refused when it would lie further ahead than the burst allows.
//
// Pure: times come in, the new state goes out, and where it is kept is the caller's. Contract: in any span of t ms at most
// `burst + t × requests / per` requests pass, and a client that waits as it is told is let through. Refused requests cost nothing.
//
// Times are counted in fractions of a request, so that what one costs is a whole number and no rounding adds up: the rate is
// exact over any time. States are 32-bit words that wrap around (serial numbers as in RFC 1982): one is only meaningful
// for SLACK ms after it has passed, and who keeps it must forget it by then.

/** Fractions of a request that time is counted in, at most. */
const MAX_COST = 1024
/** A state lies ahead by a quarter of all words at most. */
const AHEAD = 2 ** 30
/** ms in which no state may wrap around. */
const WRAP = 600_000
const WORDS = 2 ** 32

/** ms for which a state is good after the time it stands for has passed. */
export const SLACK = 60_000
/** What {@link Gcra.next} says of a request that doesn't pass; no state is this. */
export const REFUSED = WORDS

/** One limit's figures. */
export class Gcra {
  readonly requests: number
  /** ms. */
  readonly per: number
  readonly burst: number
  /** What a request costs. */
  readonly #cost: number
  readonly #perMs: number
  readonly #tolerance: number
  /** A state further ahead than this is none: it has wrapped around. */
  readonly #most: number

  /**
   * @param requests in every `per` ms, 1 at least, and 1000 in a ms at most
   * @param burst 1 to 2²⁰, filled in a year at most
   */
  constructor(requests: number, per: number, burst: number) {
    this.requests = requests
    this.per = per
    this.burst = burst
    const rate = requests / per
    this.#cost = Math.max(1, Math.min(MAX_COST, Math.floor(AHEAD / burst), Math.floor(WORDS / (rate * WRAP))))
    this.#perMs = rate * this.#cost
    this.#tolerance = burst * this.#cost
    this.#most = this.#tolerance + this.#perMs * SLACK
  }

  /** A time in this limit's count. @param now ms since any moment, the same for all who share a state */
  at(now: number): number {
    return Math.floor(now * this.#perMs) | 0
  }

  // How far ahead a state lies; what lies in the past, or can't be, is a limit that nobody has used. Clocks of threads differ a
  // little, so that one may see a state a little further ahead than it can be.
  #ahead(state: number, at: number): number {
    const ahead = (state - at) | 0
    return ahead < 0 || ahead > this.#most ? 0 : ahead
  }

  /** The state after one more request at that time, or {@link REFUSED}. */
  next(state: number, at: number): number {
    const ahead = this.#ahead(state, at) + this.#cost
    return ahead > this.#tolerance ? REFUSED : (at + ahead) | 0
  }

  /** What to take off a state to give one request back. */
  get cost(): number {
    return this.#cost
  }

  /** Requests that would pass at once. */
  left(state: number, at: number): number {
    return Math.max(0, Math.floor((this.#tolerance - this.#ahead(state, at)) / this.#cost))
  }

  /** ms until as many would pass as may at most. */
  reset(state: number, at: number): number {
    return this.#ahead(state, at) / this.#perMs
  }

  /** ms until the next would pass; 0 = now. */
  wait(state: number, at: number): number {
    const over = this.#ahead(state, at) + this.#cost - this.#tolerance
    return over <= 0 ? 0 : over / this.#perMs
  }
}

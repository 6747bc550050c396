// What a worker knows of one key of a limit that is counted elsewhere: the requests it has been granted in advance, or until
// when it has been refused. Pure: time and the store's answers come in, nothing is sent.
//
// A busy key is granted some requests ahead (a lease), so that most requests ask nobody: as many as were taken in the last
// 100 ms, at most `cap`. Asked for again when half of it is gone; given back when it was not renewed for 250 ms. A key that
// is not busy, and every key of a limit too small for leases (`cap` 0 or 1), is asked about request by request. What was
// refused is refused without asking until the next request could pass. So what all workers admit in any time t is at most
// `burst + requests × t / per` and what is on lease.

/** ms over which a key's use is measured. */
const HORIZON = 100
/** Requests in that time from which on a lease is worth it. */
const BUSY = 4
/** ms after which a lease that was not renewed is given back. */
const LIFETIME = 250
/** ms for which a refusal stands at least, where requests pass more often: a flood must not ask at every one. */
const LEAST_REFUSAL = 10

/** What is asked for has been granted already. */
export const HELD = 0
/** It would be refused. */
export const REFUSED = 1
/** Only the store can tell. */
export const UNKNOWN = 2
export type Standing = typeof HELD | typeof REFUSED | typeof UNKNOWN

/** What may be on lease to one worker: a share of the burst, over all workers of all gateways. */
export function leaseCap(burst: number, share: number, holders: number): number {
  const cap = Math.floor((burst * share) / holders)
  return cap < 2 ? 0 : cap
}

export class LeasedBucket {
  /** Requests granted and not taken. */
  held = 0
  /** Requests that would pass at the store, as it last said; −1 = it was never asked. */
  left = -1
  readonly #cap: number
  /** ms between two requests at the limit's rate. */
  readonly #interval: number
  #expiresAt = 0
  #refusedUntil = 0
  /** When as many would pass as may at most, by the store's last answer. */
  #fullAt = 0
  #since = 0
  #taken = 0
  #takenBefore = 0

  /** `interval`: ms between two requests at the limit's rate; `cap`: {@link leaseCap}. */
  constructor(interval: number, cap: number) {
    this.#interval = interval
    this.#cap = cap
  }

  standing(now: number): Standing {
    if (this.held > 0) return HELD
    return now < this.#refusedUntil ? REFUSED : UNKNOWN
  }

  /** One request passes, of those held. */
  take(now: number): void {
    this.held--
    if (now - this.#since >= HORIZON) {
      this.#takenBefore = now - this.#since < 2 * HORIZON ? this.#taken : 0
      this.#taken = 0
      this.#since = now
    }
    this.#taken++
  }

  /** How many to ask the store for while `waiting` requests wait for it; 0 = there are enough. */
  wanted(now: number, waiting: number): number {
    const lease = now < this.#refusedUntil ? 0 : this.#lease(now)
    if (waiting === 0 && (lease === 0 || this.held > lease / 2)) return 0
    return Math.max(0, waiting + lease - this.held)
  }

  #lease(now: number): number {
    const age = now - this.#since
    const busy = age < HORIZON ? Math.max(this.#taken, this.#takenBefore) : age < 2 * HORIZON ? this.#taken : 0
    return busy < BUSY ? 0 : Math.min(this.#cap, busy)
  }

  /**
   * The store has granted `granted` of `wanted`; `left` more would pass there, the next after the last of them in `retryAfter` ms, and
   * as many as may at most in `reset` ms.
   */
  answered(now: number, wanted: number, granted: number, left: number, retryAfter: number, reset: number): void {
    this.held += granted
    this.left = left
    this.#expiresAt = now + LIFETIME
    this.#fullAt = now + reset
    this.#refusedUntil = granted < wanted ? now + Math.max(retryAfter, Math.min(LEAST_REFUSAL, this.#cap * this.#interval)) : 0
  }

  /** How many of those held have to be given back by now: they are not held any more. */
  overdue(now: number): number {
    if (this.held === 0 || now < this.#expiresAt) return 0
    return this.surrender()
  }

  /** Gives up everything held. */
  surrender(): number {
    const { held } = this
    this.held = 0
    return held
  }

  /** Requests that would pass now, as far as is known. */
  get remaining(): number {
    return Math.max(0, this.left) + this.held
  }

  /** ms until the next would pass. */
  retryAfter(now: number): number {
    return Math.max(0, this.#refusedUntil - now)
  }

  /** ms until as many would pass as may at most. */
  reset(now: number): number {
    return Math.max(0, this.#fullAt - now)
  }

  /** Whether nothing would be lost by forgetting it. */
  idle(now: number): boolean {
    return this.held === 0 && now >= this.#refusedUntil && now - this.#since >= 2 * HORIZON
  }
}

// A limit that gateways share, as their workers keep it with leases from one store: on a clock of its own, without a Redis.

import { HELD, LeasedBucket, leaseCap, UNKNOWN } from "../../gateway/resilience/leased-bucket.ts"

/** Requests a second, and at once. */
const RATE = 1000
const BURST = 1000
/** Two gateways of two workers. */
const WORKERS = 4
/** ms to the store and back. */
const ROUND_TRIP = 1
/** ms between two looks at leases that nobody uses. */
const LOOK = 50
const END = 60_000

/** The store's count: the same algorithm as the script's, in ms. */
class Store {
  #full = 0

  take(now: number, wanted: number, returned: number): { granted: number; left: number; after: number; reset: number } {
    const interval = 1000 / RATE
    const tolerance = BURST * interval
    const full = Math.max(now, Math.min(this.#full, now + tolerance) - returned * interval)
    const room = Math.floor((tolerance - (full - now)) / interval + 1e-6)
    const granted = Math.max(0, Math.min(wanted, room))
    this.#full = full + granted * interval
    const left = Math.max(0, room - granted)
    const after = Math.max(0, this.#full - now + (left + 1) * interval - tolerance)
    return { granted, left, after: Math.ceil(after), reset: Math.ceil(this.#full - now) }
  }
}

export interface LeaseOutcome {
  readonly requests: number
  readonly passed: number
  /** `burst` and what the rate brings in the time. */
  readonly allowed: number
  /** Requests that waited for the store. */
  readonly waited: number
  /** Questions to the store. */
  readonly asked: number
}

/** `rate` requests a second for a minute, at random times, at whichever worker; `lease`: share of the burst. */
export function share(rate: number, lease: number, random: () => number): LeaseOutcome {
  const store = new Store()
  const cap = leaseCap(BURST, lease, WORKERS)
  const workers = Array.from({ length: WORKERS }, () => ({ bucket: new LeasedBucket(1000 / RATE, cap), waiting: 0, due: 0, wanted: 0 }))
  const sum = { requests: 0, passed: 0, allowed: BURST + (RATE * END) / 1000, waited: 0, asked: 0 }
  let next = 0
  for (let now = 0; now < END; now++) {
    for (const worker of workers) {
      const { bucket } = worker
      if (worker.due === now && worker.wanted > 0) {
        const { granted, left, after, reset } = store.take(now, worker.wanted, 0)
        bucket.answered(now, worker.wanted, granted, left, after, reset)
        worker.wanted = 0
        for (; worker.waiting > 0; worker.waiting--) {
          if (bucket.held === 0) continue
          bucket.take(now)
          sum.passed++
        }
      }
      if (now % LOOK === 0) {
        const returned = bucket.overdue(now)
        if (returned > 0) store.take(now, 0, returned)
      }
    }
    for (; next < now + 1; next += (-Math.log(1 - random()) * 1000) / rate) {
      const worker = workers[Math.floor(random() * WORKERS)]
      const standing = worker.bucket.standing(now)
      sum.requests++
      if (standing === HELD) {
        worker.bucket.take(now)
        sum.passed++
      } else if (standing === UNKNOWN) {
        worker.waiting++
        sum.waited++
      }
    }
    for (const worker of workers) {
      if (worker.wanted > 0) continue
      worker.wanted = worker.bucket.wanted(now, worker.waiting)
      worker.due = now + ROUND_TRIP
      if (worker.wanted > 0) sum.asked++
    }
  }
  return sum
}

// The states of all rate limits of the process, in memory that every worker shares: a limit is exact however many workers
// there are. Limits without a key have a bucket of their own; those with one share a table of fixed size, in which a key is
// found by a hash that clients can't foresee.
//
// The table is 8-way associative: a key lies in one of the eight places of its set. When all are taken, the key that would
// be full again first is forgotten, which is none at all if it is full already. So memory is bounded, and a flood of keys costs
// those who flood: each of their keys has its burst once more. No locks: a worker may die at any point and leaves nothing that
// others wait for. Two workers that see a new key in the same microsecond agree on its place; if a third had just taken it away,
// one request too many may pass.

import { type Gcra, REFUSED, SLACK } from "./gcra.ts"

/** Buckets of limits without a key; one beyond them is kept among the keys. */
export const BUCKETS = 32_768
/** Sets of keys, a power of two: 131 072 keys. */
const SETS = 16_384
const WAYS = 8

// Words of a place: the key's fingerprint, the state, and when it will be full again, in units of FULL_UNIT ms, wrapping.
const WIDTH = 4
const STATE = 1
const FULL_AT = 2
const EMPTY = 0
/** Fingerprint of a place that another worker is just taking. */
const TAKING = 1
const FULL_UNIT = 16
const FULL_SLACK = SLACK / FULL_UNIT
/** Word 0 of the memory: keys forgotten though they weren't full. */
const EVICTIONS = 0
const FIRST_BUCKET = WIDTH
const FIRST_SET = FIRST_BUCKET + BUCKETS * WIDTH
const TOTAL = FIRST_SET + SETS * WAYS * WIDTH

/** Rounds of a loop that others can make us repeat. */
const TRIES = 128

export function createRateMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(TOTAL * 4)
}

export class RateTable {
  readonly #words: Int32Array
  /** Of the last request: the state it left, for figures. */
  state = 0
  /** Where it is kept, for {@link giveBack}; −1 = nowhere. */
  place = -1

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory)
  }

  /** Lets a request of the limit that has this bucket pass, or not. @param now ms since the process's epoch */
  takeBucket(gcra: Gcra, bucket: number, now: number): boolean {
    return this.#take(gcra, FIRST_BUCKET + bucket * WIDTH, now)
  }

  /** The same of one key; `low` and `high` are a hash of it and of its limit. */
  takeKey(gcra: Gcra, low: number, high: number, now: number): boolean {
    const place = this.#find(gcra, low, high, now)
    if (place >= 0) return this.#take(gcra, place, now)
    this.place = -1
    this.state = gcra.at(now)
    return false
  }

  #take(gcra: Gcra, place: number, now: number): boolean {
    const words = this.#words
    const at = gcra.at(now)
    const time = fullTime(now)
    this.place = place
    for (let tries = 0; tries < TRIES; tries++) {
      const state = Atomics.load(words, place + STATE)
      if (((time - Atomics.load(words, place + FULL_AT)) | 0) > FULL_SLACK) {
        // Full for so long that its state may stand for any time. It is made one of now, and said to be so before anything
        // is taken: who reads a state that was taken from reads the new time after it.
        if (Atomics.compareExchange(words, place + STATE, state, at) === state) this.#fullAt(place, time)
        continue
      }
      const next = gcra.next(state, at)
      if (next === REFUSED) {
        this.state = state
        return false
      }
      if (Atomics.compareExchange(words, place + STATE, state, next) !== state) continue
      this.state = next
      this.#fullAt(place, fullTime(now + gcra.reset(next, at)) + 1)
      return true
    }
    // Others took it each time: there is nothing left by now.
    this.state = Atomics.load(words, place + STATE)
    return false
  }

  // Only ever later: the worker that comes here last may have been the first to take.
  #fullAt(place: number, time: number): void {
    const words = this.#words
    for (let tries = 0; tries < TRIES; tries++) {
      const known = Atomics.load(words, place + FULL_AT)
      if (((time - known) | 0) <= 0) return
      if (Atomics.compareExchange(words, place + FULL_AT, known, time) === known) return
    }
  }

  /** Gives back what was taken at a place that {@link place} said. */
  giveBack(gcra: Gcra, place: number): void {
    if (place >= 0) Atomics.sub(this.#words, place + STATE, gcra.cost)
  }

  // The place of a key, old or new.
  #find(gcra: Gcra, low: number, high: number, now: number): number {
    const words = this.#words
    const set = FIRST_SET + (low & (SETS - 1)) * WAYS * WIDTH
    const end = set + WAYS * WIDTH
    const time = fullTime(now)
    const key = high === EMPTY || high === TAKING ? high + 2 : high
    for (let tries = 0; ; tries++) {
      let busy = false
      let victim = -1
      let victimKey = EMPTY
      let longest = -Infinity
      for (let place = set; place < end; place += WIDTH) {
        const found = Atomics.load(words, place)
        if (found === key) return place
        if (found === TAKING && tries < TRIES) {
          busy = true
          break
        }
        const age = found === EMPTY ? Infinity : (time - Atomics.load(words, place + FULL_AT)) | 0
        if (age <= longest) continue
        longest = age
        victim = place
        victimKey = found
      }
      // It may become this very key. A worker that has died in the middle is not waited for.
      if (busy) continue
      if (tries >= 2 * TRIES) return -1
      if (Atomics.compareExchange(words, victim, victimKey, TAKING) !== victimKey && victimKey !== TAKING) continue
      if (longest < 0) Atomics.add(words, EVICTIONS, 1)
      Atomics.store(words, victim + STATE, gcra.at(now))
      Atomics.store(words, victim + FULL_AT, time)
      Atomics.store(words, victim, key)
      return victim
    }
  }

  /** The main thread: a bucket is given to another limit. */
  clearBucket(bucket: number, now: number): void {
    const place = FIRST_BUCKET + bucket * WIDTH
    Atomics.store(this.#words, place + FULL_AT, (fullTime(now) - FULL_SLACK - 1) | 0)
  }

  /** Keys that were forgotten before they were full, over all workers. */
  get evictions(): number {
    return Atomics.load(this.#words, EVICTIONS) >>> 0
  }

  /** Keys that are not full at this time. Looks at the whole table: some tenths of a ms. */
  keys(now: number): number {
    const words = this.#words
    let keys = 0
    for (let place = FIRST_SET; place < TOTAL; place += WIDTH) {
      if (words[place] !== EMPTY && ((words[place + FULL_AT] - fullTime(now)) | 0) > 0) keys++
    }
    return keys
  }
}

function fullTime(now: number): number {
  return Math.floor(now / FULL_UNIT) | 0
}

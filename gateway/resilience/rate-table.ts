// The states of all rate limits of the process, in memory that every worker shares: a limit is exact however many workers
// there are. Limits without a key have a bucket of their own; those with one share a table of fixed size, in which a key is
// found by a hash that clients can't foresee.
//
// The table is 8-way associative: a key lies in one of the eight places of its set. When all are taken, the key that is or will
// be full first is forgotten, which changes nothing if it is full already. So memory is bounded, and a flood of keys costs those
// who flood: each of their keys has its burst once more.
//
// No locks: a worker may die at any point and leaves nothing that others wait for. A place says when its limit will be full
// before it says that something was taken, so that a state is never forgotten too early; past that time the state means
// nothing. Only where keys are forgotten that aren't full may a request too many pass.

import { type Gcra, REFUSED } from "./gcra.ts"

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
const FULL_UNIT = 16
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
    const words = this.#words
    const time = fullTime(now)
    const key = high === EMPTY ? 1 : high
    const place = this.#find(low, key, time)
    if (place < 0) {
      this.place = -1
      this.state = gcra.at(now)
      return false
    }
    const passes = this.#take(gcra, place, now)
    // It was forgotten meanwhile, and what was taken was another key's, in another measure: that one begins anew.
    if (Atomics.load(words, place) !== key) Atomics.store(words, place + FULL_AT, (time - 1) | 0)
    return passes
  }

  #take(gcra: Gcra, place: number, now: number): boolean {
    const words = this.#words
    const at = gcra.at(now)
    const time = fullTime(now)
    this.place = place
    for (let tries = 0; tries < TRIES; tries++) {
      const state = Atomics.load(words, place + STATE)
      if (((time - Atomics.load(words, place + FULL_AT)) | 0) > 0) {
        // Whatever the state is, it is full, and has to say so before anything is taken from it.
        if (Atomics.compareExchange(words, place + STATE, state, at) === state) this.#fullAt(place, time)
        continue
      }
      const next = gcra.next(state, at)
      if (next === REFUSED) {
        // It may have been one that was just made to say that it is full.
        if (Atomics.load(words, place + STATE) !== state) continue
        this.state = state
        return false
      }
      this.#fullAt(place, fullTime(now + gcra.reset(next, at)) + 1)
      if (Atomics.compareExchange(words, place + STATE, state, next) !== state) continue
      this.state = next
      return true
    }
    // Others took it each time: there is nothing left by now.
    this.state = Atomics.load(words, place + STATE)
    return false
  }

  // Only ever later: another worker may have taken more.
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

  // The place of a key, old or new; −1 = others took every one of them each time.
  #find(low: number, key: number, time: number): number {
    const words = this.#words
    const set = FIRST_SET + (low & (SETS - 1)) * WAYS * WIDTH
    for (let tries = 0; tries < TRIES; tries++) {
      let victim = -1
      let victimKey = EMPTY
      let longest = Number.NEGATIVE_INFINITY
      for (let place = set; place < set + WAYS * WIDTH; place += WIDTH) {
        const found = Atomics.load(words, place)
        if (found === key) return place
        const age = found === EMPTY ? Number.POSITIVE_INFINITY : (time - Atomics.load(words, place + FULL_AT)) | 0
        if (age <= longest) continue
        longest = age
        victim = place
        victimKey = found
      }
      // What is not full yet is made so; nobody but this key's owner would notice.
      if (longest <= 0) Atomics.store(words, victim + FULL_AT, (time - 1) | 0)
      if (Atomics.compareExchange(words, victim, victimKey, key) !== victimKey) continue
      if (this.#alone(set, victim, key)) {
        if (longest <= 0) Atomics.add(words, EVICTIONS, 1)
        return victim
      }
      // Another worker has put the same key elsewhere: who comes second gives way, if need be both, and looks again.
      Atomics.compareExchange(words, victim, key, EMPTY)
    }
    return -1
  }

  #alone(set: number, place: number, key: number): boolean {
    for (let other = set; other < set + WAYS * WIDTH; other += WIDTH) {
      if (other !== place && Atomics.load(this.#words, other) === key) return false
    }
    return true
  }

  /** The main thread: a bucket is given to another limit. */
  clearBucket(bucket: number, now: number): void {
    const place = FIRST_BUCKET + bucket * WIDTH
    Atomics.store(this.#words, place + FULL_AT, (fullTime(now) - 1) | 0)
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

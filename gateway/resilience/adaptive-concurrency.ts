// How many requests a service is given at a time, found out from how long it takes to answer: as many as it answers about as
// fast as when it has nothing else to do. Pure: the clock comes in. Off unless a service asks for it.
//
// Contract: at least `least` and at most `most` requests at a time. Once a window (100 ms, and ten answers) the limit is
// multiplied by how much faster the service would be at rest (`baseline` / median, a quarter of slack, never less than a half),
// and the square root of itself is added, so that it looks for more all the time. So at rest it grows, and where the service
// queues it settles some 10 to 40 % over what is worked on at once. It doesn't grow while nobody comes near it.
//
// The baseline is the least median of the last half to whole minute. Where requests have been at the limit all that time, none of it
// has seen the service at rest: the limit is a quarter for one window then, after which it is what it was; the first time after a second. Envoy goes down to 3
// requests once a minute for that, at a loss of what comes meanwhile; Netflix's gradient2 lets its baseline drift upwards.
//
// Answers that failed fast say nothing of how long work takes, and are left out.

import { DROPPED, FAILED, type Outcome } from "./outcome.ts"

/** ms of a window, and answers it has at least. */
const WINDOW = 100
const SAMPLES = 10
/** The last answers of a window, of which the median is taken. */
const KEPT = 128
/** ms after which the baseline is found anew; the one before counts as long again. The first is short. */
const PERIOD = 30_000
const FIRST_PERIOD = 1000
/** Part of the limit that is left to see the service at rest. */
const DIP = 0.25
/** How much slower than at rest is all right. */
const SLACK = 1.25
const STEEPEST = 0.5
const START = 20

export interface AdaptiveConcurrencySettings {
  readonly least: number
  readonly most: number
}

export class AdaptiveConcurrency {
  #settings: AdaptiveConcurrencySettings
  #limit: number
  #underWay = 0
  /** Most under way in this window, and whether any was refused. */
  #peak = 0
  #refused = false
  #windowStart = -1
  readonly #latencies = new Float64Array(KEPT)
  readonly #sorted = new Float64Array(KEPT)
  #samples = 0
  #low = Number.POSITIVE_INFINITY
  #lowBefore = Number.POSITIVE_INFINITY
  #periodStart = -1
  /** Some window of the period was not at the limit. */
  #rested = false
  /** The limit to come back to after a window at part of it; 0 = none is under way. */
  #dippedFrom = 0

  constructor(settings: AdaptiveConcurrencySettings) {
    this.#settings = settings
    this.#limit = clamp(START, settings)
  }

  /** Requests that may be under way. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  set settings(settings: AdaptiveConcurrencySettings) {
    this.#settings = settings
    this.#limit = clamp(this.#limit, settings)
    if (this.#dippedFrom > 0) this.#dippedFrom = clamp(this.#dippedFrom, settings)
  }

  /** Whether one more may begin; {@link release} follows when it is over. */
  admit(): boolean {
    if (this.#underWay >= this.limit) {
      this.#refused = true
      return false
    }
    this.#underWay++
    if (this.#underWay > this.#peak) this.#peak = this.#underWay
    return true
  }

  /** One is over, `latency` ms after it began. */
  release(now: number, latency: number, outcome: Outcome): void {
    // It may have begun before there was this.
    if (this.#underWay > 0) this.#underWay--
    if (outcome === DROPPED || (outcome === FAILED && latency < this.#baseline)) return
    if (this.#windowStart < 0) {
      // What was under way before the limit went down has waited longer than it would have.
      if (this.#dippedFrom > 0 && this.#underWay > this.limit) return
      this.#windowStart = now
      if (this.#periodStart < 0) this.#periodStart = now - PERIOD + FIRST_PERIOD
    }
    this.#latencies[this.#samples++ % KEPT] = latency
    const enough = this.#dippedFrom > 0 ? Math.max(SAMPLES, 2 * this.#limit) : SAMPLES
    if (now - this.#windowStart >= WINDOW && this.#samples >= enough) this.#close(now)
  }

  get #baseline(): number {
    return Math.min(this.#low, this.#lowBefore)
  }

  #close(now: number): void {
    const median = this.#median()
    const bound = this.#refused || this.#peak >= this.limit
    if (median < this.#low) this.#low = median
    if (this.#dippedFrom > 0) {
      this.#limit = this.#dippedFrom
      this.#dippedFrom = 0
      this.#low = median
      this.#lowBefore = median
    } else {
      if (!bound) this.#rested = true
      this.#adjust(median)
      if (now - this.#periodStart >= PERIOD) this.#newPeriod(now)
    }
    this.#windowStart = -1
    this.#samples = 0
    this.#refused = false
    this.#peak = this.#underWay
  }

  #adjust(median: number): void {
    const gradient = median <= 0 ? 1 : Math.max(STEEPEST, Math.min(1, (this.#baseline * SLACK) / median))
    const next = gradient * this.#limit + Math.sqrt(this.#limit)
    // It says nothing about more requests that few were answered fast.
    if (next > this.#limit && !this.#refused && this.#peak * 2 < this.#limit) return
    this.#limit = clamp(next, this.#settings)
  }

  #newPeriod(now: number): void {
    this.#periodStart = now
    if (this.#rested) {
      this.#lowBefore = this.#low
      this.#low = Number.POSITIVE_INFINITY
    } else {
      this.#dippedFrom = this.#limit
      this.#limit = clamp(this.#limit * DIP, this.#settings)
    }
    this.#rested = false
  }

  #median(): number {
    const count = Math.min(this.#samples, KEPT)
    const sorted = this.#sorted.subarray(0, count)
    sorted.set(this.#latencies.subarray(0, count))
    sorted.sort()
    return sorted[count >> 1]
  }
}

function clamp(limit: number, { least, most }: AdaptiveConcurrencySettings): number {
  return Math.min(most, Math.max(least, limit))
}

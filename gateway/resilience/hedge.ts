// When a second attempt sets out beside one that has no answer yet. Pure: latencies and time come in, a delay comes out.
//
// The delay is fixed, or a percentile of how long answers took lately, so that only the slowest few are raced. What was
// measured in the window under way and in the one before it counts; with fewer than 100 answers nothing is known, and there
// is no race.

/** ms a window lasts. */
const WINDOW = 10_000
/** Answers without which a percentile says nothing. */
const ENOUGH = 100
/** Buckets a doubling of the latency is divided into: a percentile is at most 9 % too high. */
const PER_DOUBLING = 8
/** From 0.1 ms to about 100 s. */
const LEAST = 0.1
const BUCKETS = 20 * PER_DOUBLING

export interface HedgeSettings {
  /** ms; with a percentile the least there is. */
  readonly after: number
  /** 0–100; 0 = the delay is `after`. */
  readonly percentile: number
}

/** One route's, in one worker. */
export class HedgePolicy {
  readonly #after: number
  readonly #percentile: number
  #window = new Uint32Array(BUCKETS)
  #before = new Uint32Array(BUCKETS)
  #until = 0
  #count = 0
  #countBefore = 0
  #delay: number = Number.POSITIVE_INFINITY
  /** Answers since the percentile was last worked out. */
  #news = 0

  constructor({ after, percentile }: HedgeSettings) {
    this.#after = after
    this.#percentile = percentile
  }

  /** ms a request that is sent `now` waits for an answer before another attempt sets out; infinite = as long as it takes. */
  delay(now: number): number {
    if (this.#percentile === 0) return this.#after
    this.#turn(now)
    if (this.#news >= ENOUGH) this.#work()
    return this.#count + this.#countBefore < ENOUGH ? Number.POSITIVE_INFINITY : Math.max(this.#after, this.#delay)
  }

  /** A request was answered after `latency` ms. */
  observe(latency: number, now: number): void {
    if (this.#percentile === 0) return
    this.#turn(now)
    const bucket = Math.ceil(Math.log2(latency / LEAST) * PER_DOUBLING)
    this.#window[bucket > 0 ? Math.min(bucket, BUCKETS - 1) : 0]++
    this.#count++
    this.#news++
  }

  #turn(now: number): void {
    if (now < this.#until) return
    // A window nobody sent anything in is none.
    const idle = now - this.#until >= WINDOW
    const old = this.#before
    this.#before = this.#window
    this.#countBefore = idle ? 0 : this.#count
    if (idle) this.#before.fill(0)
    old.fill(0)
    this.#window = old
    this.#count = 0
    this.#until = now + WINDOW
    this.#news = ENOUGH
  }

  #work(): void {
    this.#news = 0
    const rank = Math.ceil(((this.#count + this.#countBefore) * this.#percentile) / 100)
    let seen = 0
    for (let i = 0; i < BUCKETS; i++) {
      seen += this.#window[i] + this.#before[i]
      if (seen < rank) continue
      this.#delay = LEAST * 2 ** (i / PER_DOUBLING)
      return
    }
  }
}

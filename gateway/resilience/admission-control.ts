// Whether a service that has been failing is spared some of its requests, by chance, before they are sent (the client-side throttling of
// Google's SRE book, chapter 21, in the form Envoy gave it). Pure: clock and chance come in. Off unless a service asks for it.
//
// Contract: over the last `window`, with n requests sent of which s succeeded, a request is refused with the probability
// (n − s / target) / (n + 1), at least 0 and at most `mostRejected`: none while at least `target` of them succeed, and the more
// the fewer do. What was refused isn't counted, so that the share that still passes finds out when the service is well again.
// With fewer than 20 requests in the window none is refused.

/** ms; the window is cut into slices of that. */
const SLICE = 1000
/** Requests that say nothing yet. */
const FEW = 20

export interface AdmissionControlSettings {
  /** ms; default 30 s. */
  readonly window: number
  /** Share of requests that should succeed; default 0.95. */
  readonly target: number
  /** Largest share that is refused; default 0.8. */
  readonly mostRejected: number
}

export class AdmissionControl {
  readonly #settings: AdmissionControlSettings
  readonly #random: () => number
  readonly #sent: Float64Array
  readonly #succeeded: Float64Array
  /** Number of the slice under way. */
  #slice = Number.NEGATIVE_INFINITY
  #sentSum = 0
  #succeededSum = 0

  /** @param random [0, 1) */
  constructor(settings: AdmissionControlSettings, random: () => number) {
    this.#settings = settings
    this.#random = random
    const slices = Math.ceil(settings.window / SLICE)
    this.#sent = new Float64Array(slices)
    this.#succeeded = new Float64Array(slices)
  }

  /** Share of requests that are refused at `now`, ms. */
  rejection(now: number): number {
    this.#advance(now)
    const sent = this.#sentSum
    if (sent < FEW) return 0
    const { target, mostRejected } = this.#settings
    return Math.min(mostRejected, Math.max(0, (sent - this.#succeededSum / target) / (sent + 1)))
  }

  /** Whether a request may be sent at `now`. */
  admits(now: number): boolean {
    const rejection = this.rejection(now)
    return rejection === 0 || this.#random() >= rejection
  }

  /** One that was sent is over. */
  record(now: number, succeeded: boolean): void {
    this.#advance(now)
    const at = this.#slice % this.#sent.length
    this.#sent[at]++
    this.#sentSum++
    if (!succeeded) return
    this.#succeeded[at]++
    this.#succeededSum++
  }

  // Forgets slices that are out of the window.
  #advance(now: number): void {
    const slice = Math.floor(now / SLICE)
    if (slice <= this.#slice) return
    const slices = this.#sent.length
    if (slice - this.#slice >= slices) {
      this.#sent.fill(0)
      this.#succeeded.fill(0)
      this.#sentSum = 0
      this.#succeededSum = 0
    } else {
      for (let each = this.#slice + 1; each <= slice; each++) {
        const at = each % slices
        this.#sentSum -= this.#sent[at]
        this.#succeededSum -= this.#succeeded[at]
        this.#sent[at] = 0
        this.#succeeded[at] = 0
      }
    }
    this.#slice = slice
  }
}

// Whether a new version of something does so much worse than the stable one that it has to be taken out of use. Pure: counts
// and time come in, a verdict comes out.
//
// Looked at is what happened within a sliding window. A version is judged once it has had `minimum` exchanges in it: by its
// own failures, and by how many more of its exchanges ended with an error than of the stable version's. Errors are compared
// only when the stable version has had `minimum` exchanges as well, for what fails for everyone is nobody's fault.

export interface RollbackLimits {
  /** Share (0–1) of its exchanges a version may fail in. */
  readonly failures: number
  /** How much larger (0–1) than the stable version's its share of errors may be. */
  readonly errors: number
  /** ms. */
  readonly window: number
  readonly minimum: number
}

/** Totals since any fixed point; they only grow. */
export interface VersionCounts {
  readonly exchanges: number
  readonly failures: number
  readonly errors: number
}

/** Totals at a moment (ms). */
export interface VersionSample {
  readonly at: number
  readonly stable: VersionCounts
  readonly version: VersionCounts
}

/** Samples kept in a window; more frequent ones are thinned out. */
const MAX_SAMPLES = 60

export class RollbackJudge {
  readonly #limits: RollbackLimits
  /** Oldest first; the first is the newest of those outside the window, if there is one. */
  #samples: VersionSample[]

  /** `start`: what had been counted when the version began. */
  constructor(limits: RollbackLimits, start: VersionSample) {
    this.#limits = limits
    this.#samples = [start]
  }

  /** Takes the totals at `now` (ms). Answers with why the version has to go, or null. */
  judge(now: number, stable: VersionCounts, version: VersionCounts): string | null {
    const { window, minimum, failures, errors } = this.#limits
    const last = this.#samples[this.#samples.length - 1]
    if (now - last.at >= window / MAX_SAMPLES) this.#samples.push({ at: now, stable, version })
    let first = 0
    while (first + 1 < this.#samples.length && now - this.#samples[first + 1].at >= window) first++
    if (first > 0) this.#samples = this.#samples.slice(first)
    const base = this.#samples[0]
    const exchanges = version.exchanges - base.version.exchanges
    if (exchanges < minimum) return null
    const span = `the last ${Math.round(Math.min(window, now - base.at) / 1000)} s`
    const failed = version.failures - base.version.failures
    if (failed / exchanges > failures) return `failed in ${failed} of ${exchanges} exchanges of ${span}; ${percent(failures)} are allowed`
    const stableExchanges = stable.exchanges - base.stable.exchanges
    if (stableExchanges < minimum) return null
    const rate = (version.errors - base.version.errors) / exchanges
    const stableRate = (stable.errors - base.stable.errors) / stableExchanges
    if (rate - stableRate <= errors) return null
    return `${percent(rate)} of ${exchanges} exchanges of ${span} ended with a 5xx, of the first version's ${percent(stableRate)}; ${percent(errors)} more are allowed`
  }
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}

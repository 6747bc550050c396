// Whether an endpoint is well, by its probes: it takes some in a row to change one's mind. Time and chance come in from
// outside; it sends nothing.

/** Part of the interval by which a pause between two probes is shortened or lengthened, so that gateways don't probe in step. */
const JITTER = 0.1

export interface HealthThresholds {
  /** Failed probes in a row after which it is taken for unwell. */
  readonly unhealthy: number
  /** Good ones in a row after which it is taken for well again. */
  readonly healthy: number
}

/** One endpoint. Taken for well until probes show otherwise, so that a gateway that starts can serve at once. */
export class EndpointHealth {
  healthy = true
  readonly #thresholds: HealthThresholds
  /** Probes in a row that contradict {@link healthy}. */
  #against = 0

  constructor(thresholds: HealthThresholds) {
    this.#thresholds = thresholds
  }

  /** A probe has ended; whether that has changed {@link healthy}. */
  record(well: boolean): boolean {
    if (well === this.healthy) {
      this.#against = 0
      return false
    }
    if (++this.#against < (well ? this.#thresholds.healthy : this.#thresholds.unhealthy)) return false
    this.healthy = well
    this.#against = 0
    return true
  }
}

/** ms until the next probe. `random` in [0, 1). */
export function probePause(interval: number, random: number): number {
  return Math.max(1, Math.round(interval * (1 - JITTER + 2 * JITTER * random)))
}

/** ms until the first probe: spread over an interval, a second at most. */
export function firstProbe(interval: number, random: number): number {
  return Math.max(1, Math.round(Math.min(interval, 1000) * random))
}

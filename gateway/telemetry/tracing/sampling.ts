// Which new traces are recorded: a share of them, decided by the trace's id, so that everyone who has the same share decides alike.
// The lower 64 bits count, as in the TraceIdRatioBased samplers of OpenTelemetry's Go and Python.

/** Where the digits that count begin. */
const FROM = 16
const DIGITS = 16

/** One share, as it is asked for every request: a comparison of digits, most of which ends with the first. */
export class RatioSampler {
  /** 0–1. */
  readonly ratio: number
  /** Ids below this are recorded; "" = all. */
  readonly #bound: string

  constructor(ratio: number) {
    this.ratio = ratio
    this.#bound = ratio >= 1 ? "" : boundOf(ratio)
  }

  /** `traceId`: 32 lower-case hex digits. */
  samples(traceId: string): boolean {
    const bound = this.#bound
    if (bound === "") return true
    // Hex digits of one case are in the order of their codes.
    for (let i = 0; i < DIGITS; i++) {
      const difference = traceId.charCodeAt(FROM + i) - bound.charCodeAt(i)
      if (difference !== 0) return difference < 0
    }
    return false
  }
}

// In two halves, for a number has 53 bits.
function boundOf(ratio: number): string {
  const scaled = Math.max(0, ratio) * 2 ** 32
  const high = Math.floor(scaled)
  const low = Math.floor((scaled - high) * 2 ** 32)
  return hex(high) + hex(low)
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0")
}

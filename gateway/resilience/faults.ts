// What goes wrong on purpose, for one request: drawn from what a route says, or from what a request asks for within that.
// Pure: randomness is handed in.
//
// The whole has a share of requests, and every kind a share of those; kinds are drawn independently of each other. A request
// can ask for a kind that its route has, and never for more than that has: no longer delay, no narrower bandwidth.

/** How long a delay is, ms. */
export type DelayShape =
  | { readonly kind: "fixed"; readonly fixed: number }
  /** A normal distribution, cut off at 0 and four deviations above the mean. */
  | { readonly kind: "normal"; readonly mean: number; readonly deviation: number }
  /**
   * `points`: a share of requests (0–1], and the ms which that share doesn't exceed; both grow. Straight lines in between, from
   * 0; what is beyond the last takes as long as that.
   */
  | { readonly kind: "percentiles"; readonly points: readonly (readonly [share: number, ms: number])[] }

export interface FaultRules {
  /** Of requests, 0–1; each kind's is a share of those. */
  readonly share: number
  readonly delay: (DelayShape & { readonly share: number }) | null
  /** `grpcStatus`: for calls; −1 = the one that stands for `status`. */
  readonly abort: { readonly status: number; readonly grpcStatus: number; readonly share: number } | null
  readonly reset: { readonly share: number } | null
  /** `rate`: octets a second of the response's body. */
  readonly bandwidth: { readonly rate: number; readonly share: number } | null
}

/** The faults of one request. At least one of them is there. */
export interface Faults {
  /** ms; 0 = none. */
  readonly delay: number
  /** 0 = it isn't aborted. */
  readonly status: number
  readonly grpcStatus: number
  readonly reset: boolean
  /** Octets a second; 0 = as fast as it comes. */
  readonly rate: number
}

/** What a request asks for. 0 = not of this kind. */
export interface AskedFaults {
  readonly delay: number
  readonly status: number
  readonly grpcStatus: number
  readonly reset: boolean
  readonly rate: number
}

/** Deviations above the mean beyond which a delay is cut off. */
const FURTHEST = 4

/** Null = nothing goes wrong. `random`: [0, 1). */
export function drawFaults(rules: FaultRules, random: () => number): Faults | null {
  if (!falls(rules.share, random)) return null
  const { delay, abort, reset, bandwidth } = rules
  const ms = delay !== null && falls(delay.share, random) ? drawDelay(delay, random) : 0
  const aborted = abort !== null && falls(abort.share, random)
  const isReset = reset !== null && falls(reset.share, random)
  const rate = bandwidth !== null && falls(bandwidth.share, random) ? bandwidth.rate : 0
  return made(ms, aborted ? abort.status : 0, aborted ? abort.grpcStatus : -1, isReset, rate)
}

/** What a request asks for, as far as its route goes along. */
export function grantFaults(rules: FaultRules, asked: AskedFaults): Faults | null {
  const { delay, abort, reset, bandwidth } = rules
  const ms = delay === null ? 0 : Math.min(asked.delay, longestDelay(delay))
  const status = abort === null ? 0 : asked.status
  const rate = bandwidth === null || asked.rate === 0 ? 0 : Math.max(asked.rate, bandwidth.rate)
  return made(ms, status, status === 0 ? -1 : asked.grpcStatus, reset !== null && asked.reset, rate)
}

function made(delay: number, status: number, grpcStatus: number, reset: boolean, rate: number): Faults | null {
  return delay === 0 && status === 0 && !reset && rate === 0 ? null : { delay, status, grpcStatus, reset, rate }
}

function falls(share: number, random: () => number): boolean {
  return share >= 1 || (share > 0 && random() < share)
}

/** One delay, ms. */
export function drawDelay(shape: DelayShape, random: () => number): number {
  switch (shape.kind) {
    case "fixed":
      return shape.fixed
    case "normal": {
      // Box and Muller; 1 − random is never 0.
      const deviations = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
      return Math.max(0, shape.mean + Math.min(deviations, FURTHEST) * shape.deviation)
    }
    default:
      return quantile(shape.points, random())
  }
}

function quantile(points: readonly (readonly [share: number, ms: number])[], at: number): number {
  let share = 0
  let ms = 0
  for (const [nextShare, nextMs] of points) {
    if (at < nextShare) return ms + ((at - share) / (nextShare - share)) * (nextMs - ms)
    share = nextShare
    ms = nextMs
  }
  return ms
}

/** The longest that can be drawn, ms. */
export function longestDelay(shape: DelayShape): number {
  switch (shape.kind) {
    case "fixed":
      return shape.fixed
    case "normal":
      return shape.mean + FURTHEST * shape.deviation
    default:
      return shape.points[shape.points.length - 1][1]
  }
}

// Which endpoints of a service do so much worse than its others that they should be ejected, by what was counted over an
// interval. Pure: counts come in, a verdict comes out, the worst first. Endpoints are compared only with each other, so that what
// fails for all is nobody's fault.

import type { EjectionReason } from "./ejection.ts"

export interface RateLimits {
  /** Endpoints that must have had `minRequests` in the interval; with fewer nothing is compared. */
  readonly minEndpoints: number
  readonly minRequests: number
}

export interface OutlierLimits {
  /** Ejected whose share of successes is `factor` standard deviations below the mean of all. */
  readonly successRate: (RateLimits & { readonly factor: number }) | null
  /** Ejected whose share (0–1) of failures is `threshold` or more. */
  readonly failurePercentage: (RateLimits & { readonly threshold: number }) | null
  /** Ejected whose mean latency is more than `factor` times the median of the others'. */
  readonly latency: (RateLimits & { readonly factor: number }) | null
}

/** What one endpoint had in an interval. */
export interface OutlierSample {
  readonly requests: number
  readonly successes: number
  /** ms, of all answers together, and how many there were. */
  readonly latency: number
  readonly answers: number
}

export interface Outlier {
  /** In the list of samples. */
  readonly index: number
  readonly reason: EjectionReason
  /** For the log. */
  readonly details: string
}

/** Shares of successes that differ by less are alike: where nearly nothing fails, deviations are small as well. */
const NOTICEABLE_SHARE = 0.01
/** ms; mean latencies that differ by less are alike. */
const NOTICEABLE_LATENCY = 5

/** Each endpoint at most once. */
export function findOutliers(samples: readonly OutlierSample[], limits: OutlierLimits): Outlier[] {
  const found: Outlier[] = []
  for (const outlier of [
    ...bySuccessRate(samples, limits.successRate),
    ...byFailures(samples, limits.failurePercentage),
    ...byLatency(samples, limits.latency),
  ]) {
    if (!found.some(({ index }) => index === outlier.index)) found.push(outlier)
  }
  return found
}

interface Ranked {
  readonly index: number
  readonly value: number
}

function rank(samples: readonly OutlierSample[], limits: RateLimits, value: (sample: OutlierSample) => number): Ranked[] {
  const ranked: Ranked[] = []
  for (const [index, sample] of samples.entries()) {
    if (sample.requests >= limits.minRequests && sample.requests > 0) ranked.push({ index, value: value(sample) })
  }
  return ranked.length < limits.minEndpoints ? [] : ranked.sort((a, b) => b.value - a.value)
}

const failureRate = ({ requests, successes }: OutlierSample): number => 1 - Math.min(1, successes / requests)

function bySuccessRate(samples: readonly OutlierSample[], limits: OutlierLimits["successRate"]): Outlier[] {
  if (limits === null) return []
  const ranked = rank(samples, limits, failureRate)
  const mean = ranked.reduce((sum, { value }) => sum + value, 0) / ranked.length
  const deviation = Math.sqrt(ranked.reduce((sum, { value }) => sum + (value - mean) ** 2, 0) / ranked.length)
  const most = mean + Math.max(limits.factor * deviation, NOTICEABLE_SHARE)
  return ranked
    .filter(({ value }) => value > most)
    .map(({ index, value }) => ({
      index,
      reason: "successRate",
      details: `${percent(1 - value)} of its requests succeeded, of all endpoints' ${percent(1 - mean)}`,
    }))
}

function byFailures(samples: readonly OutlierSample[], limits: OutlierLimits["failurePercentage"]): Outlier[] {
  if (limits === null) return []
  return rank(samples, limits, failureRate)
    .filter(({ value }) => value >= limits.threshold)
    .map(({ index, value }) => ({ index, reason: "failurePercentage", details: `${percent(value)} of its requests failed` }))
}

function byLatency(samples: readonly OutlierSample[], limits: OutlierLimits["latency"]): Outlier[] {
  if (limits === null) return []
  const answered = samples.map((sample) => ({ ...sample, requests: sample.answers }))
  const ranked = rank(answered, limits, ({ latency, answers }) => latency / answers)
  const found: Outlier[] = []
  for (let i = 0; i < ranked.length; i++) {
    const { index, value } = ranked[i]
    const others = medianWithout(ranked, i)
    if (value <= limits.factor * others || value - others < NOTICEABLE_LATENCY) continue
    found.push({
      index,
      reason: "latency",
      details: `it took ${rounded(value)} ms on average, the median of the others ${rounded(others)}`,
    })
  }
  return found
}

/** Of sorted values without the one at `i`; 0 when there are no others. */
function medianWithout(ranked: readonly Ranked[], i: number): number {
  const others = ranked.length - 1
  if (others === 0) return 0
  const at = (k: number): number => ranked[k < i ? k : k + 1].value
  const middle = others >> 1
  return others % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10}%`
}

function rounded(ms: number): number {
  return Math.round(ms * 10) / 10
}

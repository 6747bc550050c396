// What one filter does in one worker while a profile of it runs: every callback is timed, not one in so many as for metrics. There is
// none otherwise, which costs each callback a comparison.

import type { FilterStream } from "../filter/filter.ts"

/** Buckets of durations: eight to a doubling, from 1/16 µs on. */
const PER_DOUBLING = 8
const FIRST = 2 ** -14
const BUCKETS = 256
/** Exchanges that are told. */
const SLOWEST = 10
/** Characters of a path that are told. */
const MAX_PATH = 200

export interface CallbackReport {
  /** As the guest exports it: `proxy_on_request_headers`. */
  readonly callback: string
  readonly calls: number
  /** Those of them that trapped. */
  readonly failed: number
  /** ms. */
  readonly total: number
  readonly max: number
  /** Of CPU budget. */
  readonly units: number
  /** Of bodies and connections that it was shown. */
  readonly octets: number
  /** Counts by bucket, see {@link bucketTop}. */
  readonly buckets: readonly number[]
}

export interface SlowExchange {
  readonly requestId: string
  readonly route: string
  readonly method: string
  /** Without its query. */
  readonly path: string
  /** ms in the filter, over all phases. */
  readonly took: number
}

/** Of one version of a filter in one worker. */
export interface ProfileReport {
  readonly version: string
  readonly callbacks: readonly CallbackReport[]
  readonly slowest: readonly SlowExchange[]
}

/** Upper end of a bucket, ms. */
export function bucketTop(index: number): number {
  return FIRST * 2 ** ((index + 1) / PER_DOUBLING)
}

function bucketOf(ms: number): number {
  return Math.max(0, Math.min(BUCKETS - 1, Math.floor(Math.log2(ms / FIRST) * PER_DOUBLING)))
}

class CallbackFigures {
  calls = 0
  failed = 0
  total = 0
  max = 0
  units = 0
  octets = 0
  readonly buckets = new Uint32Array(BUCKETS)
}

export class FilterProfile {
  readonly #callbacks = new Map<string, CallbackFigures>()
  /** Slowest first. */
  readonly #slowest: SlowExchange[] = []

  /** A callback has returned. `octets`: that it was shown. */
  called(callback: string, ms: number, units: number, octets: number): void {
    const figures = this.#of(callback)
    figures.calls++
    figures.total += ms
    if (ms > figures.max) figures.max = ms
    figures.units += units
    figures.octets += octets
    figures.buckets[bucketOf(ms)]++
  }

  /** A callback has trapped: how long it ran is not known. */
  failed(callback: string): void {
    const figures = this.#of(callback)
    figures.calls++
    figures.failed++
  }

  // Names are the host's own.
  #of(callback: string): CallbackFigures {
    let figures = this.#callbacks.get(callback)
    if (figures === undefined) {
      figures = new CallbackFigures()
      this.#callbacks.set(callback, figures)
    }
    return figures
  }

  /** An exchange is over, of which the filter took `ms`. */
  exchange(ms: number, { info, request }: FilterStream): void {
    const slowest = this.#slowest
    if (slowest.length === SLOWEST && ms <= slowest[SLOWEST - 1].took) return
    const path = request.path.split("?", 1)[0].slice(0, MAX_PATH)
    const entry = { requestId: info.requestId, route: info.routeName, method: request.method, path, took: ms }
    let at = slowest.length
    while (at > 0 && slowest[at - 1].took < ms) at--
    slowest.splice(at, 0, entry)
    if (slowest.length > SLOWEST) slowest.pop()
  }

  report(version: string): ProfileReport {
    const callbacks = [...this.#callbacks].map(([callback, { buckets, ...figures }]) => ({ callback, ...figures, buckets: [...buckets] }))
    return { version, callbacks, slowest: [...this.#slowest] }
  }
}

// Profiles of filters, on the main thread: has all workers measure a filter for some seconds, and puts together what they found.

import type { Outcome } from "../http/outcome.ts"
import { bucketTop, type CallbackReport, type ProfileReport, type SlowExchange } from "./filter-profile.ts"

/** Profiles at a time. */
const MAX_RUNNING = 4
/** ms a worker has to tell what it found. */
const ANSWER_TIMEOUT = 5000
const SLOWEST = 10

/** What a worker is told: to measure a filter from now on, or to tell what it found and measure no more. */
export interface ProfileOrder {
  readonly kind: "profile"
  readonly filter: string
  readonly run: number
  readonly on: boolean
}

export interface FilterProfilesOptions {
  /** Whether there is a filter of that name, and what one callback of it may use: units of CPU budget; null: there is none. */
  budgetOf(filter: string): number | null
  /** Tells all workers, and answers with how many there are. */
  tell(order: ProfileOrder): number
  /** Runs `what` in `ms`, unless what it returns is called before; default by a timer. */
  readonly after?: (ms: number, what: () => void) => () => void
}

function byTimer(ms: number, what: () => void): () => void {
  const timer = setTimeout(what, ms)
  return () => clearTimeout(timer)
}

/** Durations in ms. */
export interface CallbackProfile {
  readonly callback: string
  readonly calls: number
  readonly failed: number
  readonly total: number
  readonly mean: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Units of CPU budget, of a call on average; and what of its budget that is, in percent. */
  readonly units: number
  readonly budget: number
  readonly octets: number
}

export interface VersionProfile {
  readonly version: string
  readonly callbacks: readonly CallbackProfile[]
  readonly slowest: readonly SlowExchange[]
}

export interface FilterProfileResult {
  readonly filter: string
  readonly seconds: number
  /** Workers that measured, and those that have told what they found. */
  readonly workers: { readonly asked: number; readonly answered: number }
  readonly versions: readonly VersionProfile[]
}

interface Running {
  readonly run: number
  readonly reports: ProfileReport[]
  answered: number
  wanted: number
  onAnswered: (() => void) | null
}

export class FilterProfiles {
  readonly #options: FilterProfilesOptions
  /** By filter. */
  readonly #running = new Map<string, Running>()
  #runs = 0

  constructor(options: FilterProfilesOptions) {
    this.#options = options
  }

  async profile(filter: string, seconds: number): Promise<FilterProfileResult | Outcome> {
    const { budgetOf, tell, after = byTimer } = this.#options
    const limit = budgetOf(filter)
    if (limit === null) return { status: 404, message: `there is no filter ${filter}; /filters lists them` }
    if (this.#running.has(filter)) return { status: 409, message: `a profile of filter ${filter} runs already; wait until it is over` }
    if (this.#running.size >= MAX_RUNNING) return { status: 409, message: `${MAX_RUNNING} profiles run already; wait until one is over` }
    const running: Running = { run: ++this.#runs, reports: [], answered: 0, wanted: Number.POSITIVE_INFINITY, onAnswered: null }
    this.#running.set(filter, running)
    const order = { kind: "profile", filter, run: running.run } as const
    try {
      tell({ ...order, on: true })
      await new Promise<void>((resolve) => after(seconds * 1000, resolve))
      const answered = new Promise<void>((resolve) => {
        running.onAnswered = resolve
      })
      running.wanted = tell({ ...order, on: false })
      if (running.wanted === 0) running.onAnswered?.()
      const forget = after(ANSWER_TIMEOUT, () => running.onAnswered?.())
      await answered
      forget()
    } finally {
      this.#running.delete(filter)
    }
    const { reports, wanted } = running
    return { filter, seconds, workers: { asked: wanted, answered: running.answered }, versions: merge(reports, limit) }
  }

  /** What a worker found. */
  answered(filter: string, run: number, reports: readonly ProfileReport[]): void {
    const running = this.#running.get(filter)
    // It may come too late.
    if (running?.run !== run) return
    running.reports.push(...reports)
    running.answered++
    if (running.answered >= running.wanted) running.onAnswered?.()
  }
}

function merge(reports: readonly ProfileReport[], limit: number): VersionProfile[] {
  const versions = new Map<string, ProfileReport[]>()
  for (const report of reports) {
    const known = versions.get(report.version)
    if (known === undefined) versions.set(report.version, [report])
    else known.push(report)
  }
  return [...versions].map(([version, own]) => {
    const callbacks = new Map<string, CallbackReport[]>()
    for (const each of own.flatMap((report) => report.callbacks)) {
      const known = callbacks.get(each.callback)
      if (known === undefined) callbacks.set(each.callback, [each])
      else known.push(each)
    }
    return {
      version,
      callbacks: [...callbacks].map(([callback, each]) => profileOf(callback, each, limit)).sort((a, b) => b.total - a.total),
      slowest: own
        .flatMap((report) => report.slowest)
        .sort((a, b) => b.took - a.took)
        .slice(0, SLOWEST),
    }
  })
}

function profileOf(callback: string, reports: readonly CallbackReport[], limit: number): CallbackProfile {
  const sum = (figure: (report: CallbackReport) => number): number => reports.reduce((total, report) => total + figure(report), 0)
  const calls = sum((report) => report.calls)
  const failed = sum((report) => report.failed)
  const timed = calls - failed
  const total = sum((report) => report.total)
  const max = Math.max(...reports.map((report) => report.max))
  const units = timed === 0 ? 0 : sum((report) => report.units) / timed
  const buckets = reports[0].buckets.map((_, i) => sum((report) => report.buckets[i]))
  // The upper end of its bucket, which is less than a tenth above.
  const quantile = (q: number): number => {
    let left = q * timed
    for (const [i, count] of buckets.entries()) {
      left -= count
      if (count > 0 && left <= 0) return Math.min(max, bucketTop(i))
    }
    return 0
  }
  return {
    callback,
    calls,
    failed,
    total: ms(total),
    mean: ms(timed === 0 ? 0 : total / timed),
    p50: ms(quantile(0.5)),
    p99: ms(quantile(0.99)),
    max: ms(max),
    units: Math.round(units),
    budget: limit === 0 ? 0 : Math.round((units / limit) * 10_000) / 100,
    octets: sum((report) => report.octets),
  }
}

/** To the nearest 10 ns. */
function ms(value: number): number {
  return Math.round(value * 1e5) / 1e5
}

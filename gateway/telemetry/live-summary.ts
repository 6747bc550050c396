// Sums the last seconds of traffic up into what people look at: rates, success, quantiles, of everything and of each thing that had
// any. Pure.

import type { Buckets } from "./buckets.ts"
import { filterBuckets, requestBuckets } from "./duration-buckets.ts"
import { FilterCell, type LiveTick, type SparseCounts, TrafficCell, type TrafficKind } from "./live-tick.ts"
import { quantiles } from "./quantile.ts"

/** ms; null where nothing was timed. */
export interface Latency {
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
}

/** Rates are for one second. */
export interface TrafficFigures {
  readonly name: string
  readonly requests: number
  /** Share (0–1) of requests that were answered, and not with a 5xx or a gRPC status that blames the server; null: there were none. */
  readonly success: number | null
  /** Of them, answered with a 4xx. */
  readonly rejected: number
  readonly latency: Latency | null
  /** Body octets from and to clients. */
  readonly received: number
  readonly sent: number
  /** Requests sent to a service once more. */
  readonly retries: number
  /** Requests of each second that is kept, oldest first; empty unless asked for. */
  readonly history: readonly number[]
}

export interface FilterFigures {
  readonly name: string
  readonly requests: number
  readonly failures: number
  readonly calls: number
  readonly traps: number
  /** µs of one call: `mean` of CPU, `p50` and `p99` by the clock. Null where none was timed. */
  readonly cost: { readonly mean: number; readonly p50: number; readonly p99: number } | null
  /** Seconds of CPU in a second, and as a share (0–1) of what the whole process used. */
  readonly cpu: number
  readonly share: number
  readonly history: readonly number[]
}

/** From a listener by a route to a service; `route` "" for connections that are carried as they are, "-" where there is none. */
export interface EdgeFigures {
  readonly listener: string
  readonly route: string
  readonly service: string
  /** The listener asks clients for a certificate: some of them, or all, are among the callers. */
  readonly asksWho: boolean
  readonly requests: number
  readonly success: number | null
}

/** From a client that is known by its certificate to a service, "-" where there is none. gRPC statuses don't count as failures here. */
export interface CallerFigures {
  /** Its identity; `overflow`: of those that have no series of their own. */
  readonly source: string
  readonly service: string
  readonly requests: number
  readonly success: number | null
}

/** Of every second that is kept, oldest first; null where nothing was timed. */
export interface TrafficHistory {
  readonly requests: readonly number[]
  readonly failures: readonly number[]
  readonly sent: readonly number[]
  readonly p50: readonly (number | null)[]
  readonly p99: readonly (number | null)[]
  /** Seconds of CPU in a second. */
  readonly cpu: readonly number[]
}

export interface Figures {
  /** Seconds that these figures are of; 0: somebody has only just begun to look. */
  readonly seconds: number
  readonly total: TrafficFigures & { readonly cpu: number }
  readonly listeners: readonly TrafficFigures[]
  readonly routes: readonly TrafficFigures[]
  readonly services: readonly TrafficFigures[]
  /** `name`: service and address, with a space between. */
  readonly endpoints: readonly TrafficFigures[]
  readonly filters: readonly FilterFigures[]
  readonly edges: readonly EdgeFigures[]
  readonly callers: readonly CallerFigures[]
  /** Things with traffic that are not among them, by kind. */
  readonly omitted: Readonly<Record<TrafficKind, number>>
  readonly history: TrafficHistory
}

export interface FiguresQuestion {
  /** Of how many of the last seconds. */
  readonly seconds: number
  /** Things of a kind, those with the most requests. */
  readonly limit: number
  /** A part of the names of the routes, services and endpoints that are wanted; "" = any. */
  readonly search: string
  /** Whether each thing comes with the history of its own. */
  readonly history: boolean
}

/** @param all the seconds that are kept, oldest first. @param asksWho whether a listener asks clients for a certificate */
export function figuresOf(
  all: readonly LiveTick[],
  { seconds, limit, search, history }: FiguresQuestion,
  asksWho: (listener: string) => boolean,
): Figures {
  const ticks = all.slice(-seconds)
  const length = ticks.reduce((sum, tick) => sum + tick.length, 0) / 1000
  const cpu = ticks.reduce((sum, tick) => sum + tick.cpu, 0)
  const omitted: Record<TrafficKind, number> = { listeners: 0, routes: 0, services: 0, endpoints: 0, edges: 0, callers: 0 }
  const window: Window = { past: history ? all : [], ticks, length, limit, cpu }
  const list = (kind: TrafficKind, wanted: string): TrafficFigures[] => {
    const names = namesOf(window, kind, wanted)
    omitted[kind] = omittedOf(window, kind, names.length)
    return names.slice(0, limit).map((name) => trafficOf(window, name.replace("\n", " "), (tick) => tick.cells[kind].get(name)))
  }
  return {
    seconds: Math.round(length * 10) / 10,
    total: { ...trafficOf(window, "", (tick) => tick.total), cpu: perSecond(cpu, length) },
    listeners: list("listeners", ""),
    routes: list("routes", search),
    services: list("services", search),
    endpoints: list("endpoints", search),
    filters: filtersOf(window),
    edges: edgesOf(window, "edges", omitted, (key) => {
      const [listener, route, service] = key.split("\n")
      return { listener, route, service, asksWho: asksWho(listener) }
    }),
    callers: edgesOf(window, "callers", omitted, (key) => {
      const end = key.indexOf("\n")
      return { source: key.slice(end + 1), service: key.slice(0, end) }
    }),
    omitted,
    history: historyOf(all),
  }
}

interface Window {
  /** Those that things have a history of. */
  readonly past: readonly LiveTick[]
  /** Those the figures are of. */
  readonly ticks: readonly LiveTick[]
  /** Seconds. */
  readonly length: number
  readonly limit: number
  /** Seconds of CPU the process used. */
  readonly cpu: number
}

/** Names with a part, most requests first. */
function namesOf({ ticks }: Window, kind: TrafficKind, part: string): string[] {
  const sums = new Map<string, number>()
  for (const tick of ticks) {
    for (const [name, cell] of tick.cells[kind]) if (name.includes(part)) sums.set(name, (sums.get(name) ?? 0) + cell.requests)
  }
  return [...sums].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)).map(([name]) => name)
}

/** Things with traffic that aren't shown: over what was asked for, and over what is kept. */
function omittedOf({ ticks, limit }: Window, kind: TrafficKind, known: number): number {
  const forgotten = ticks.reduce((most, tick) => Math.max(most, tick.omitted[kind] ?? 0), 0)
  return Math.max(0, known - limit) + forgotten
}

function trafficOf({ past, ticks, length }: Window, name: string, cellOf: (tick: LiveTick) => TrafficCell | undefined): TrafficFigures {
  const sum = new TrafficCell()
  const counts = new Float64Array(requestBuckets.width)
  for (const tick of ticks) {
    const cell = cellOf(tick)
    if (cell === undefined) continue
    sum.requests += cell.requests
    sum.failures += cell.failures
    sum.rejected += cell.rejected
    sum.received += cell.received
    sum.sent += cell.sent
    sum.retries += cell.retries
    addSparse(counts, cell.durations)
  }
  return {
    name,
    requests: perSecond(sum.requests, length),
    success: success(sum),
    rejected: perSecond(sum.rejected, length),
    latency: latencyOf(requestBuckets, counts),
    received: perSecond(sum.received, length),
    sent: perSecond(sum.sent, length),
    retries: perSecond(sum.retries, length),
    history: past.map((tick) => perSecond(cellOf(tick)?.requests ?? 0, tick.length / 1000)),
  }
}

function filtersOf({ past, ticks, length, cpu }: Window): FilterFigures[] {
  const names = new Set(ticks.flatMap((tick) => [...tick.filters.keys()]))
  return [...names].map((name) => {
    const sum = new FilterCell()
    const counts = new Float64Array(filterBuckets.width)
    for (const tick of ticks) {
      const cell = tick.filters.get(name)
      if (cell === undefined) continue
      sum.requests += cell.requests
      sum.failures += cell.failures
      sum.calls += cell.calls
      sum.traps += cell.traps
      sum.busy += cell.busy
      addSparse(counts, cell.durations)
    }
    const busy = secondsOf(sum, counts, cpu)
    let timed = 0
    for (let i = 0; i <= filterBuckets.bounds.length; i++) timed += counts[i]
    const [p50, p99] = quantiles(filterBuckets, counts, [0.5, 0.99]).map((seconds) => round(seconds * 1e6))
    return {
      name,
      requests: perSecond(sum.requests, length),
      failures: perSecond(sum.failures, length),
      calls: perSecond(sum.calls, length),
      traps: sum.traps,
      cost: timed === 0 || sum.calls === 0 ? null : { mean: round((busy / sum.calls) * 1e6), p50, p99 },
      cpu: perSecond(busy, length),
      share: cpu === 0 ? 0 : round(Math.min(1, busy / cpu)),
      history: past.map((tick) => perSecond(secondsIn(tick, name), tick.length / 1000)),
    }
  })
}

/** Part of a filter's calls, the fastest, that say by the clock what all of them take. */
const UNDISTURBED = 0.5

/**
 * Seconds of CPU of a filter's calls: what its code used by its budget, or what calls took by the clock, if that is more. By the clock
 * only the faster half counts: where more wants to run than there are cores, or a container may use no more of them, the others are as
 * long as they had to wait. What all of a filter's calls need in its own code its budget has, which is left alone where the clock says
 * more than `cpu`, what the whole process used: then most had to wait.
 */
function secondsOf({ busy, calls }: FilterCell, counts: Float64Array, cpu: number): number {
  const { bounds } = filterBuckets
  let timed = 0
  for (let i = 0; i <= bounds.length; i++) timed += counts[i]
  if (timed === 0) return busy
  let left = timed * UNDISTURBED
  let sum = 0
  for (let i = 0; i < bounds.length && left > 0; i++) {
    const n = Math.min(left, counts[i])
    sum += n * (((i === 0 ? 0 : bounds[i - 1]) + bounds[i]) / 2)
    left -= n
  }
  const byClock = (sum / (timed * UNDISTURBED - left)) * calls || 0
  return byClock > cpu ? busy : Math.max(busy, byClock)
}

function secondsIn({ filters, cpu }: LiveTick, name: string): number {
  const cell = filters.get(name)
  if (cell === undefined) return 0
  const counts = new Float64Array(filterBuckets.width)
  addSparse(counts, cell.durations)
  return secondsOf(cell, counts, cpu)
}

function edgesOf<Ends>(
  window: Window,
  kind: "edges" | "callers",
  omitted: Record<TrafficKind, number>,
  endsOf: (key: string) => Ends,
): (Ends & Pick<EdgeFigures, "requests" | "success">)[] {
  const names = namesOf(window, kind, "")
  omitted[kind] = omittedOf(window, kind, names.length)
  return names.slice(0, window.limit).map((key) => {
    const sum = { requests: 0, failures: 0 }
    for (const tick of window.ticks) {
      const cell = tick.cells[kind].get(key)
      sum.requests += cell?.requests ?? 0
      sum.failures += cell?.failures ?? 0
    }
    return { ...endsOf(key), requests: perSecond(sum.requests, window.length), success: success(sum) }
  })
}

function historyOf(ticks: readonly LiveTick[]): TrafficHistory {
  const quantiles = ticks.map(({ total }) => {
    const counts = new Float64Array(requestBuckets.width)
    addSparse(counts, total.durations)
    return latencyOf(requestBuckets, counts)
  })
  return {
    requests: ticks.map(({ total, length }) => perSecond(total.requests, length / 1000)),
    failures: ticks.map(({ total, length }) => perSecond(total.failures, length / 1000)),
    sent: ticks.map(({ total, length }) => perSecond(total.sent, length / 1000)),
    p50: quantiles.map((latency) => latency?.p50 ?? null),
    p99: quantiles.map((latency) => latency?.p99 ?? null),
    cpu: ticks.map(({ cpu, length }) => perSecond(cpu, length / 1000)),
  }
}

function addSparse(counts: Float64Array, sparse: SparseCounts): void {
  for (let i = 0; i < sparse.length; i += 2) counts[sparse[i]] += sparse[i + 1]
}

function latencyOf(buckets: Buckets, counts: Float64Array): Latency | null {
  let total = 0
  for (let i = 0; i <= buckets.bounds.length; i++) total += counts[i]
  if (total === 0) return null
  const [p50, p95, p99, p999] = quantiles(buckets, counts, [0.5, 0.95, 0.99, 0.999]).map((seconds) => round(seconds * 1000))
  return { p50, p95, p99, p999 }
}

function success({ requests, failures }: Pick<TrafficCell, "requests" | "failures">): number | null {
  return requests === 0 ? null : Math.round((1 - failures / requests) * 1e6) / 1e6
}

function perSecond(value: number, seconds: number): number {
  return seconds === 0 ? 0 : round(value / seconds)
}

/** As much as anybody reads. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

// What a filter costs: the time and the budget of each phase of an exchange, measured around the calls into it, host calls
// included and everything of the harness left out.

import type { BodyBuffer } from "../filter/body-buffer.ts"
import type { BodyAction, FilterAction, StreamFilter } from "../filter/filter.ts"
import type { Fields } from "../http/fields.ts"
import { Plugin } from "../wasm/plugin.ts"
import type { TestRequest, TestResponse } from "./exchange-parts.ts"
import { TEST_UNITS_PER_MS } from "./host.ts"
import type { TestFilter } from "./testing.ts"

export const phases = [
  "request headers",
  "request body",
  "request trailers",
  "callouts",
  "response headers",
  "response body",
  "response trailers",
  "end",
] as const
export type PhaseName = (typeof phases)[number]

/** Index in {@link phases}. */
const REQUEST_HEADERS = 0
const REQUEST_BODY = 1
const REQUEST_TRAILERS = 2
const CALLOUTS = 3
const RESPONSE_HEADERS = 4
const RESPONSE_BODY = 5
const RESPONSE_TRAILERS = 6
const END = 7

export interface PhaseCost {
  readonly phase: PhaseName
  /** Calls in one exchange. */
  readonly calls: number
  /** Nanoseconds in one exchange: the median of many batches. */
  readonly ns: number
  /** Budget units in one exchange; callouts are not counted. */
  readonly units: number
  /** The most one call has used, as a share of what one call may use. */
  readonly budget: number
}

export interface BenchResult {
  readonly exchanges: number
  /** Nanoseconds of the whole exchange in the filter. */
  readonly ns: number
  readonly phases: readonly PhaseCost[]
  /** How often each status was answered; "none" = the client got nothing. */
  readonly statuses: Readonly<Record<string, number>>
}

export interface BenchOptions {
  /** Milliseconds to measure; default 500. */
  readonly duration?: number
}

/** Exchanges of one batch; a number a batch is compared by. */
const BATCH = 50
const MIN_BATCHES = 10
const WARM_UP = 0.3

class Meter {
  readonly ns: Float64Array = new Float64Array(phases.length)
  readonly calls: Float64Array = new Float64Array(phases.length)
  readonly units: Float64Array = new Float64Array(phases.length)
  readonly most: Float64Array = new Float64Array(phases.length)
  /** ms that taking the time takes. */
  readonly #overhead: number

  constructor(overhead: number) {
    this.#overhead = overhead
  }

  /** `entered`: the guest was called; the host's own work counts either way. */
  add(phase: number, ms: number, units: number, entered: boolean): void {
    this.ns[phase] += Math.max(0, ms - this.#overhead) * 1e6
    if (entered) this.calls[phase]++
    this.units[phase] += units
    if (units > this.most[phase]) this.most[phase] = units
  }

  reset(): void {
    for (const each of [this.ns, this.calls, this.units]) each.fill(0)
  }
}

/**
 * Times the calls into `plugin`. Its own methods are covered, since filters and chains know each other by identity: nothing
 * may stand between them.
 */
function time(plugin: Plugin, meter: Meter): void {
  const vms = new WeakSet<object>()
  let entries = 0
  // Many callbacks of the host find nothing to call in the guest: they cost no budget.
  const watch = (): void => {
    const vm = plugin.root?.vm
    if (vm === undefined || vms.has(vm)) return
    vms.add(vm)
    const { enter } = vm
    vm.enter = (root, stream): void => {
      entries++
      enter.call(vm, root, stream)
    }
  }
  const timed = <T>(phase: number, run: () => T): T => {
    watch()
    const before = entries
    const from = performance.now()
    const result = run()
    const ms = performance.now() - from
    const entered = entries > before
    meter.add(phase, ms, entered ? Math.max(0, plugin.root?.vm.used() ?? 0) : 0, entered)
    return result
  }
  const known = new WeakSet<StreamFilter>()
  const cover = (stream: StreamFilter): void => {
    const { onRequestHeaders, onRequestBody, onRequestTrailers, onResponseHeaders, onResponseBody, onResponseTrailers, onDone } = stream
    stream.onRequestHeaders = (end): FilterAction => timed(REQUEST_HEADERS, () => onRequestHeaders.call(stream, end))
    stream.onRequestBody = (body: BodyBuffer, end): BodyAction => timed(REQUEST_BODY, () => onRequestBody.call(stream, body, end))
    stream.onRequestTrailers = (fields: Fields): FilterAction => timed(REQUEST_TRAILERS, () => onRequestTrailers.call(stream, fields))
    stream.onResponseHeaders = (end): FilterAction => timed(RESPONSE_HEADERS, () => onResponseHeaders.call(stream, end))
    stream.onResponseBody = (body: BodyBuffer, end): BodyAction => timed(RESPONSE_BODY, () => onResponseBody.call(stream, body, end))
    stream.onResponseTrailers = (fields: Fields): FilterAction => timed(RESPONSE_TRAILERS, () => onResponseTrailers.call(stream, fields))
    stream.onDone = (): void => timed(END, () => onDone.call(stream))
  }
  const { open } = plugin
  plugin.open = (stream): StreamFilter | null => {
    const opened = open.call(plugin, stream)
    if (opened !== null && !known.has(opened)) {
      known.add(opened)
      cover(opened)
    }
    return opened
  }
}

/** ms that two readings of the clock take, at the least. */
function clockOverhead(): number {
  let least = Number.POSITIVE_INFINITY
  const rounds = 100
  for (let i = 0; i < 50; i++) {
    const from = performance.now()
    for (let j = 0; j < rounds; j++) performance.now()
    least = Math.min(least, (performance.now() - from) / rounds)
  }
  return least
}

/** Measures exchanges like this one. `cpuMs`: what one call may use. The filter is closed at the end. */
export async function bench(
  filter: TestFilter,
  request: TestRequest,
  upstream: TestResponse,
  cpuMs: number,
  options: BenchOptions = {},
): Promise<BenchResult> {
  const { host } = filter
  const meter = new Meter(clockOverhead())
  for (const each of host.filters) if (each instanceof Plugin) time(each, meter)
  host.services.around = (run) => {
    const from = performance.now()
    run()
    meter.add(CALLOUTS, performance.now() - from, 0, true)
  }
  const statuses: Record<string, number> = {}
  const batch = async (): Promise<void> => {
    meter.reset()
    for (let i = 0; i < BATCH; i++) {
      const run = await host.exchange(request, upstream)
      const status = run.over ? String(run.client?.status ?? "none") : "held back"
      statuses[status] = (statuses[status] ?? 0) + 1
      if (!run.over) run.abandon()
    }
    host.forget()
  }
  const duration = options.duration ?? 500
  const start = performance.now()
  while (performance.now() - start < duration * WARM_UP) await batch()
  meter.most.fill(0)
  for (const status of Object.keys(statuses)) delete statuses[status]
  const rows: number[][] = phases.map(() => [])
  const totals: number[] = []
  const from = performance.now()
  while (totals.length < MIN_BATCHES || performance.now() - from < duration) {
    await batch()
    for (const [i, row] of rows.entries()) row.push(meter.ns[i] / BATCH)
    totals.push(meter.ns.reduce((sum, ns) => sum + ns, 0) / BATCH)
  }
  const limit = cpuMs * TEST_UNITS_PER_MS
  const costs = phases.map((phase, i) => ({
    phase,
    calls: meter.calls[i] / BATCH,
    ns: median(rows[i]),
    units: meter.units[i] / BATCH,
    budget: meter.most[i] / limit,
  }))
  filter.close()
  return { exchanges: totals.length * BATCH, ns: median(totals), phases: costs.filter((cost) => cost.calls > 0), statuses }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted.length === 0 ? 0 : sorted[sorted.length >> 1]
}

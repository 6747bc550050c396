// The main thread's side of the metrics: gives out slots for label sets, one region of memory to every worker, and reads
// their sum. A slot keeps its meaning over configurations, and what a dead worker counted is kept.

import type { Registry } from "prom-client"
import type { Buckets } from "./buckets.ts"
import { type MetricsHandle, MetricsWriter, SEGMENT_BITS, SEGMENT_SLOTS } from "./metrics-writer.ts"

export interface MetricOptions {
  /** With its unit and, for counters, `_total`. */
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** One more label whose values are known: a series takes one slot for each, in this order. Not for histograms. */
  readonly across?: { readonly label: string; readonly values: readonly string[] }
  /** Label sets beyond this many share one series, its labels all `overflow`; default 1000. */
  readonly maxSeries?: number
  /** Leave series that are all zero out of the exposition; default false. */
  readonly omitZero?: boolean
}

export interface HistogramOptions extends Omit<MetricOptions, "across"> {
  readonly buckets: Buckets
}

export type MetricType = "counter" | "gauge" | "histogram"

interface Series {
  readonly slot: number
  readonly labels: Readonly<Record<string, string>>
  /** Generation that asked for it last. */
  generation: number
}

/** One metric with all its series. */
export class Metric {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly #labels: readonly string[]
  readonly across: { readonly label: string; readonly values: readonly string[] } | null
  readonly buckets: Buckets | null
  readonly omitZero: boolean
  readonly series: Map<string, Series> = new Map()
  /** Label sets that found no place; each counts once a generation. */
  overflowed = 0
  readonly width: number
  readonly #maxSeries: number
  #overflow: Series | null = null
  readonly #registry: MetricsRegistry

  /** Made by {@link MetricsRegistry}. */
  constructor(registry: MetricsRegistry, type: MetricType, options: MetricOptions, buckets: Buckets | null) {
    this.#registry = registry
    this.name = options.name
    this.help = options.help
    this.type = type
    this.#labels = options.labels ?? []
    this.across = options.across ?? null
    this.buckets = buckets
    this.omitZero = options.omitZero ?? false
    this.width = buckets !== null ? buckets.width : this.across !== null ? this.across.values.length : 1
    this.#maxSeries = options.maxSeries ?? 1000
  }

  /**
   * First slot of the series with these values, in the order of the metric's labels: of the only value, of the first of
   * `across`, or of a histogram. The same values give the same slot as long as the series lives.
   */
  slot(...values: string[]): number {
    if (values.length !== this.#labels.length)
      throw new RangeError(`${this.name}: ${values.length} values for ${this.#labels.length} labels`)
    const key = values.length === 1 ? values[0] : JSON.stringify(values)
    let series = this.series.get(key)
    if (series === undefined) {
      if (this.series.size >= this.#maxSeries) return this.#overflowSlot()
      series = this.#create(values)
      this.series.set(key, series)
    }
    series.generation = this.#registry.generation
    return series.slot
  }

  /** Forgets the series with these values, if there is one. Only for series that no worker writes. */
  forget(...values: string[]): void {
    const key = values.length === 1 ? values[0] : JSON.stringify(values)
    const series = this.series.get(key)
    if (series === undefined) return
    this.series.delete(key)
    this.#registry.release(series.slot, this.width)
  }

  #overflowSlot(): number {
    this.overflowed++
    this.#overflow ??= this.#create(this.#labels.map(() => "overflow"))
    return this.#overflow.slot
  }

  #create(values: readonly string[]): Series {
    const labels: Record<string, string> = {}
    for (let i = 0; i < values.length; i++) labels[this.#labels[i]] = values[i]
    return { slot: this.#registry.allocate(this.width), labels, generation: 0 }
  }

  /** Every series, that of the overflow last. */
  *all(): Generator<Series> {
    yield* this.series.values()
    if (this.#overflow !== null) yield this.#overflow
  }
}

interface Region {
  readonly buffers: SharedArrayBuffer[]
  readonly segments: Float64Array[]
}

/** All that prom-client's registry asks of a metric. */
interface Shown {
  readonly name: string
  get(): Promise<{ name: string; help: string; type: MetricType; values: Sample[] }>
}

function register(registry: Registry, shown: Shown): void {
  registry.registerMetric(shown as unknown as Parameters<Registry["registerMetric"]>[0])
}

/** All metrics of the process. Lives on the main thread. */
export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>()
  readonly #workers = new Map<number, Region>()
  // Written by the main thread: its own metrics, and what workers that are gone had counted.
  readonly #own: Region = { buffers: [], segments: [] }
  readonly #free = new Map<number, number[]>()
  /** What the exposition shows; prom-client is loaded when it is first asked for, since it is no small part of the memory. */
  readonly #shown: Shown[] = []
  #exposed: Registry | null = null
  readonly #texts: (() => string)[] = []
  #next = 0
  #generation = 0
  /** Writes metrics of the main thread. */
  readonly writer: MetricsWriter

  constructor() {
    this.#grow()
    this.writer = new MetricsWriter({ segments: this.#own.buffers })
    this.#expose({ name: "sluice_metrics_overflow_total", help: "Label sets that found no series of their own", type: "counter" }, () => {
      const full = [...this.#metrics.values()].filter((metric) => metric.overflowed > 0)
      return full.map((metric) => ({ value: metric.overflowed, labels: { metric: metric.name } }))
    })
  }

  counter(options: MetricOptions): Metric {
    return this.#define("counter", options, null)
  }

  /** The value exposed is the sum over all threads. */
  gauge(options: MetricOptions): Metric {
    return this.#define("gauge", options, null)
  }

  histogram(options: HistogramOptions): Metric {
    return this.#define("histogram", options, options.buckets)
  }

  #define(type: MetricType, options: MetricOptions, buckets: Buckets | null): Metric {
    if (this.#metrics.has(options.name)) throw new RangeError(`metric ${options.name} is defined twice`)
    const metric = new Metric(this, type, options, buckets)
    this.#metrics.set(options.name, metric)
    this.#expose(metric, () => this.#samples(metric))
    return metric
  }

  #expose({ name, help, type }: Pick<Metric, "name" | "help" | "type">, samples: () => Sample[]): void {
    const shown: Shown = { name, get: () => Promise.resolve({ name, help, type, values: samples() }) }
    this.#shown.push(shown)
    if (this.#exposed !== null) register(this.#exposed, shown)
  }

  get generation(): number {
    return this.#generation
  }

  /** Starts handing out the slots of the next configuration: series it doesn't ask for can be reclaimed one day. */
  beginGeneration(): number {
    return ++this.#generation
  }

  /**
   * Forgets labelled series that no generation from `oldest` on asked for, and reuses their slots. To be called only when no thread
   * holds slots of an older generation any more: all their exchanges and connections have ended.
   */
  reclaim(oldest: number): number {
    let reclaimed = 0
    for (const metric of this.#metrics.values()) {
      for (const [key, series] of metric.series) {
        if (series.generation === 0 || series.generation >= oldest) continue
        metric.series.delete(key)
        this.release(series.slot, metric.width)
        reclaimed++
      }
    }
    return reclaimed
  }

  /** Takes the slots of a series back. Only for {@link Metric}. */
  release(slot: number, width: number): void {
    this.#clear(this.#own, slot, width)
    for (const region of this.#workers.values()) this.#clear(region, slot, width)
    const free = this.#free.get(width)
    if (free === undefined) this.#free.set(width, [slot])
    else free.push(slot)
  }

  #clear(region: Region, slot: number, width: number): void {
    const start = slot % SEGMENT_SLOTS
    region.segments[slot >>> SEGMENT_BITS].fill(0, start, start + width)
  }

  /** Slots for one series. Only for {@link Metric}. */
  allocate(width: number): number {
    const free = this.#free.get(width)?.pop()
    if (free !== undefined) return free
    const room = SEGMENT_SLOTS - (this.#next % SEGMENT_SLOTS)
    if (room < width) this.#next += room
    const slot = this.#next
    this.#next += width
    while (this.#own.segments.length * SEGMENT_SLOTS < this.#next) this.#grow()
    return slot
  }

  #grow(): void {
    addSegment(this.#own)
    for (const region of this.#workers.values()) addSegment(region)
    // The constructor's first segment comes before there is a writer.
    if (this.#own.segments.length > 1) this.writer.update({ segments: this.#own.buffers })
  }

  /** Makes the memory for a worker's metrics. Its index must be free: a replaced worker is detached first. */
  attach(worker: number): MetricsHandle {
    if (this.#workers.has(worker)) throw new RangeError(`worker ${worker} is attached already`)
    const region: Region = { buffers: [], segments: [] }
    while (region.segments.length < this.#own.segments.length) addSegment(region)
    this.#workers.set(worker, region)
    return this.handle(worker)
  }

  /** The worker's memory as of now: to be posted with every snapshot, after its slots were asked for. */
  handle(worker: number): MetricsHandle {
    const region = this.#workers.get(worker)
    if (region === undefined) throw new RangeError(`worker ${worker} is not attached`)
    return { segments: region.buffers.slice() }
  }

  /** Takes over what a worker counted; its gauges fall to zero. Only once its thread has ended. Harmless when repeated. */
  detach(worker: number): void {
    const region = this.#workers.get(worker)
    if (region === undefined) return
    this.#workers.delete(worker)
    for (const metric of this.#metrics.values()) {
      if (metric.type === "gauge") for (const series of metric.all()) this.#clear(region, series.slot, metric.width)
    }
    for (let s = 0; s < region.segments.length; s++) {
      const from = region.segments[s]
      const to = this.#own.segments[s]
      for (let i = 0; i < SEGMENT_SLOTS; i++) if (from[i] !== 0) to[i] += from[i]
    }
  }

  /** Value of one slot, summed over all threads. */
  read(slot: number): number {
    const segment = slot >>> SEGMENT_BITS
    const i = slot % SEGMENT_SLOTS
    let value = this.#own.segments[segment][i]
    for (const region of this.#workers.values()) value += region.segments[segment][i]
    return value
  }

  /** Adds metrics that are kept elsewhere to the exposition: whole families in the text format, asked for at each scrape. */
  include(text: () => string): void {
    this.#texts.push(text)
  }

  /** Every metric in the Prometheus text format. */
  async exposition(): Promise<{ contentType: string; body: string }> {
    let exposed = this.#exposed
    if (exposed === null) {
      const [{ Registry }, { registerProcessMetrics }] = await Promise.all([import("prom-client"), import("./process-metrics.ts")])
      // Another call may have got there first.
      exposed = this.#exposed
      if (exposed === null) {
        exposed = this.#exposed = new Registry()
        registerProcessMetrics(exposed)
        for (const shown of this.#shown) register(exposed, shown)
      }
    }
    let body = await exposed.metrics()
    for (const text of this.#texts) body += text()
    return { contentType: exposed.contentType, body }
  }

  #samples(metric: Metric): Sample[] {
    const values: Sample[] = []
    const sums = new Float64Array(metric.width)
    for (const { slot, labels } of metric.all()) {
      let some = false
      for (let i = 0; i < sums.length; i++) {
        sums[i] = this.read(slot + i)
        if (sums[i] !== 0) some = true
      }
      if (!some && metric.omitZero) continue
      if (metric.buckets !== null) pushHistogram(values, metric.name, labels, metric.buckets, sums)
      else if (metric.across === null) values.push({ value: sums[0], labels })
      else {
        for (let i = 0; i < sums.length; i++) {
          if (sums[i] === 0 && metric.omitZero) continue
          values.push({ value: sums[i], labels: { [metric.across.label]: metric.across.values[i] }, sharedLabels: labels })
        }
      }
    }
    return values
  }
}

/** One line of the exposition, as prom-client takes it. */
interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly sharedLabels?: Readonly<Record<string, string>>
  readonly metricName?: string
}

function addSegment(region: Region): void {
  const buffer = new SharedArrayBuffer(SEGMENT_SLOTS * 8)
  region.buffers.push(buffer)
  region.segments.push(new Float64Array(buffer))
}

function pushHistogram(out: Sample[], name: string, labels: Readonly<Record<string, string>>, buckets: Buckets, sums: Float64Array): void {
  const metricName = `${name}_bucket`
  let count = 0
  for (let i = 0; i < buckets.bounds.length; i++) {
    count += sums[i]
    out.push({ value: count, labels: { le: buckets.bounds[i] }, sharedLabels: labels, metricName })
  }
  count += sums[buckets.bounds.length]
  out.push({ value: count, labels: { le: "+Inf" }, sharedLabels: labels, metricName })
  out.push({ value: sums[buckets.sum], labels: {}, sharedLabels: labels, metricName: `${name}_sum` })
  out.push({ value: count, labels: {}, sharedLabels: labels, metricName: `${name}_count` })
}

/** A slot of each of these metrics. */
export function slotsOf<K extends string>(metrics: Record<K, Metric>, slot: (metric: Metric) => number): Record<K, number> {
  const out = {} as Record<K, number>
  for (const key in metrics) out[key] = slot(metrics[key])
  return out
}

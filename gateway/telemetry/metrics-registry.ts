// The main thread's side of the metrics: gives out slots for label sets, one region of memory to every worker, and reads
// their sum. A slot keeps its meaning over configurations, and what a dead worker counted is kept. The slots of what is gone are
// given to others only when no thread can count in them any more.

import type { Buckets } from "./buckets.ts"
import { Exemplars } from "./exemplars.ts"
import { Exposition, type Rendered, type Shown, type Written, wantsOpenMetrics } from "./exposition.ts"
import { type HistogramOptions, Metric, type MetricDescription, type MetricOptions, type MetricType } from "./metric.ts"
import { metricText } from "./metric-text.ts"
import { type MetricsHandle, MetricsWriter, SEGMENT_BITS, SEGMENT_SLOTS } from "./metrics-writer.ts"
import { processMetrics } from "./process-metrics.ts"
import { type HeldBy, type HeldEpochs, SlotHolds } from "./slot-holds.ts"

export type { Metric, MetricDescription, MetricOptions } from "./metric.ts"

interface Region {
  readonly buffers: SharedArrayBuffer[]
  readonly segments: Float64Array[]
}

/** All metrics of the process. Lives on the main thread. */
export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>()
  readonly #workers = new Map<number, Region>()
  // Written by the main thread: its own metrics, and what workers that are gone had counted.
  readonly #own: Region = { buffers: [], segments: [] }
  readonly #free = new Map<number, number[]>()
  readonly #exposition = new Exposition()
  readonly #described: MetricDescription[] = []
  readonly #looks: (() => void)[] = []
  /** Traces that stand for buckets. */
  readonly exemplars = new Exemplars()
  /** Scrapers are given all buckets of histograms, not only the coarse ones. */
  fineHistograms = false
  readonly #means = {
    sum: (sums: Float64Array, slot: number): boolean => this.readAll(slot, sums),
    read: (slot: number): number => this.read(slot),
    exemplars: this.exemplars,
  }
  #next = 0
  readonly #holds = new SlotHolds()
  /** Epochs that were held when series were last looked for that can be reclaimed. */
  readonly #reclaimed: Record<HeldBy, string> = { snapshots: "", endpoints: "" }
  readonly #onKnown: (() => void)[] = []
  /** Writes metrics of the main thread. */
  readonly writer: MetricsWriter

  constructor() {
    this.#grow()
    this.writer = new MetricsWriter({ segments: this.#own.buffers })
    for (const metric of processMetrics) this.show(metric)
    this.show({
      name: "sluice_metrics_overflow_total",
      help: "Label sets that found no series of their own",
      type: "counter",
      labels: ["metric"],
      samples: () => {
        const full = [...this.#metrics.values()].filter((metric) => metric.overflowed > 0)
        return full.map((metric) => ({ value: metric.overflowed, labels: { metric: metric.name } }))
      },
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
    const { name, help, across } = metric
    const labels = across === null ? metric.labels : [...metric.labels, across.label]
    const written: Written = {
      ...{ name, help, type, labels, ...(across === null ? {} : { values: across.values }) },
      lines: (openMetrics) => metricText(metric, { openMetrics, fine: this.fineHistograms }, this.#means),
    }
    this.#described.push(written)
    this.#exposition.write(written)
    return metric
  }

  /** Exposes a metric that is kept elsewhere; asked for its values at each scrape. */
  show(shown: Shown): void {
    this.#described.push(shown)
    this.#exposition.show(shown)
  }

  /** All that is exposed, in no order: for documentation. */
  get described(): readonly MetricDescription[] {
    return this.#described
  }

  /** What slots are given out in: grows with each configuration, and each change of endpoints. */
  get epoch(): number {
    return this.#holds.epoch
  }

  /** Starts handing out the slots of the next configuration, or of other endpoints. Followed by {@link settle} or {@link abandon}. */
  begin(): number {
    this.#reclaimed.snapshots = this.#reclaimed.endpoints = ""
    return this.#holds.begin()
  }

  /** What was begun is in force in all workers that run, as far as they have answered. */
  settle(epoch: number, ...kinds: readonly HeldBy[]): void {
    this.#holds.settle(epoch, ...kinds)
    this.reclaim()
  }

  /** What was begun never came into force. */
  abandon(epoch: number): void {
    this.#holds.abandon(epoch)
    this.reclaim()
  }

  /** What a worker may still count in, as it tells. */
  told(worker: number, held: HeldEpochs): void {
    this.#holds.told(worker, held)
    this.reclaim()
  }

  /** `look` is called whenever all workers have done what they were told last. */
  onKnown(look: () => void): void {
    this.#onKnown.push(look)
  }

  /**
   * Forgets series that were asked for only by what has gone, and in which no thread can count any more: their slots are for others.
   * How many. Harmless at any time.
   */
  reclaim(): number {
    let reclaimed = 0
    for (const kind of ["snapshots", "endpoints"] as const) {
      const held = this.#holds.held(kind)
      // Looked for once: tens of thousands of series may be there.
      if (held === null || held.join() === this.#reclaimed[kind]) continue
      this.#reclaimed[kind] = held.join()
      for (const metric of this.#metrics.values()) {
        if (metric.heldBy !== kind) continue
        reclaimed += metric.forgetAll(({ first, last }) => first > 0 && !held.some((epoch) => first <= epoch && epoch <= last))
      }
    }
    if (this.#holds.known) for (const look of this.#onKnown) look()
    return reclaimed
  }

  /** Forgets those series which the main thread alone writes that aren't `kept`. */
  keepOwn(kept: (labels: Readonly<Record<string, string>>) => boolean): void {
    for (const metric of this.#metrics.values()) {
      if (metric.heldBy === "main") metric.forgetAll(({ labels }) => !kept(labels))
    }
  }

  /** Takes the slots of a series back. Only for {@link Metric}. */
  release(slot: number, width: number): void {
    this.exemplars.forget(slot, width)
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
    this.#holds.attach(worker)
    return { segments: region.buffers.slice(), order: 0 }
  }

  /**
   * The worker's memory as of now: to be posted with every snapshot and every change of endpoints, after their slots were asked for,
   * and when it is to forget some. It answers with what it holds ({@link told}).
   */
  handle(worker: number): MetricsHandle {
    return { ...this.memory(worker), order: this.#holds.send(worker) }
  }

  /** The same for slots that it has asked for by itself. */
  memory(worker: number): Omit<MetricsHandle, "order"> {
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
    this.#holds.detach(worker)
    this.reclaim()
  }

  /** Value of one slot, summed over all threads. */
  read(slot: number): number {
    const segment = slot >>> SEGMENT_BITS
    const i = slot % SEGMENT_SLOTS
    let value = this.#own.segments[segment][i]
    for (const region of this.#workers.values()) value += region.segments[segment][i]
    return value
  }

  /** What one worker that is attached has counted in a slot. */
  readOf(worker: number, slot: number): number {
    return this.#workers.get(worker)?.segments[slot >>> SEGMENT_BITS][slot % SEGMENT_SLOTS] ?? 0
  }

  /** Values of the slots from `slot` on, as many as `into` has room for; whether there is anything but zeros. All are of one series. */
  readAll(slot: number, into: Float64Array): boolean {
    const segment = slot >>> SEGMENT_BITS
    const base = slot % SEGMENT_SLOTS
    let some = addInto(into, this.#own.segments[segment], base, true)
    for (const region of this.#workers.values()) some = addInto(into, region.segments[segment], base, false) || some
    return some
  }

  /** Adds metrics that are kept elsewhere to the exposition: whole families in the text format, asked for at each scrape. */
  include(text: () => string, families: readonly MetricDescription[]): void {
    this.#described.push(...families)
    this.#exposition.include(text)
  }

  /** Called before every scrape, to write what is only then to be known. */
  onScrape(look: () => void): void {
    this.#looks.push(look)
  }

  /** Every metric, in OpenMetrics when `accept`, a scraper's field of that name, asks for it. */
  exposition(accept = ""): Promise<Rendered> {
    for (const look of this.#looks) look()
    return this.#exposition.render(wantsOpenMetrics(accept))
  }
}

/** `first`: `sums` begin with these; else they are added. Whether any of them isn't zero. */
function addInto(sums: Float64Array, cells: Float64Array, base: number, first: boolean): boolean {
  let some = false
  for (let i = 0; i < sums.length; i++) {
    const value = cells[base + i]
    sums[i] = first ? value : sums[i] + value
    if (value !== 0) some = true
  }
  return some
}

function addSegment(region: Region): void {
  const buffer = new SharedArrayBuffer(SEGMENT_SLOTS * 8)
  region.buffers.push(buffer)
  region.segments.push(new Float64Array(buffer))
}

/** A slot of each of these metrics. */
export function slotsOf<K extends string>(metrics: Record<K, Metric>, slot: (metric: Metric) => number): Record<K, number> {
  const out = {} as Record<K, number>
  for (const key in metrics) out[key] = slot(metrics[key])
  return out
}

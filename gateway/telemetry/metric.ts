// One metric: its name and meaning, and the slots of its series. It counts nothing, and knows of no thread.

import type { Buckets } from "./buckets.ts"
import type { HeldBy } from "./slot-holds.ts"

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
  /**
   * Who counts in its series, and so has to let go of those that nobody asks for any more; default: exchanges and connections of
   * snapshots. `main`: the main thread alone, which asks for a series whenever it writes one. `identities`: workers that asked for
   * one, until they are told to forget it.
   */
  readonly heldBy?: HeldBy | "main" | "identities"
}

export interface HistogramOptions extends Omit<MetricOptions, "across"> {
  readonly buckets: Buckets
}

export type MetricType = "counter" | "gauge" | "histogram"

/** What is said of a metric wherever metrics are listed. */
export interface MetricDescription {
  readonly name: string
  readonly type: MetricType
  readonly labels: readonly string[]
  /** Values of the last label, where they are known. */
  readonly values?: readonly string[]
  readonly help: string
}

/** One set of label values of a metric. */
export interface Series {
  readonly slot: number
  readonly labels: Readonly<Record<string, string>>
  /** Epochs that asked for it first and last; 0 = before any: it stays. */
  readonly first: number
  last: number
  /** Its labels as they are exposed; null: they haven't been. */
  text: string | null
}

/** Where series get their slots. */
export interface SlotSource {
  /** Grows with each configuration, and each change of endpoints. */
  readonly epoch: number
  allocate(width: number): number
  release(slot: number, width: number): void
}

/** One metric with all its series. */
export class Metric {
  readonly name: string
  readonly help: string
  readonly type: MetricType
  readonly labels: readonly string[]
  readonly across: { readonly label: string; readonly values: readonly string[] } | null
  readonly buckets: Buckets | null
  readonly omitZero: boolean
  readonly series: Map<string, Series> = new Map()
  readonly heldBy: HeldBy | "main" | "identities"
  /** Label sets that found no place; each counts once an epoch. */
  overflowed = 0
  readonly width: number
  readonly #maxSeries: number
  /** Series that the present epoch has asked for. */
  #asked = 0
  #epoch = 0
  #overflow: Series | null = null
  readonly #registry: SlotSource

  /** Made by the registry. */
  constructor(registry: SlotSource, type: MetricType, options: MetricOptions, buckets: Buckets | null) {
    this.#registry = registry
    this.name = options.name
    this.help = options.help
    this.type = type
    this.labels = options.labels ?? []
    this.across = options.across ?? null
    this.buckets = buckets
    this.omitZero = options.omitZero ?? false
    this.width = buckets !== null ? buckets.width : this.across !== null ? this.across.values.length : 1
    this.#maxSeries = options.maxSeries ?? 1000
    this.heldBy = options.heldBy ?? "snapshots"
  }

  /**
   * First slot of the series with these values, in the order of the metric's labels: of the only value, of the first of
   * `across`, or of a histogram. The same values give the same slot as long as the series lives.
   */
  slot(...values: string[]): number {
    if (values.length !== this.labels.length) throw new RangeError(`${this.name}: ${values.length} values for ${this.labels.length} labels`)
    const key = keyOf(values)
    const { epoch } = this.#registry
    if (this.#epoch !== epoch) {
      this.#epoch = epoch
      this.#asked = 0
    }
    let series = this.series.get(key)
    if (series === undefined) {
      if (this.#full) return this.#overflowSlot()
      series = this.#create(values)
      this.series.set(key, series)
      this.#asked++
    } else if (series.last !== epoch) {
      series.last = epoch
      this.#asked++
    }
    return series.slot
  }

  // What has gone, and can't be let go of yet, takes no place of what there is: as much again of it is borne.
  get #full(): boolean {
    if (this.heldBy === "main" || this.heldBy === "identities") return this.series.size >= this.#maxSeries
    return this.#asked >= this.#maxSeries || this.series.size >= 2 * this.#maxSeries
  }

  /** First slot of the series with these values; −1 = there is none of its own. */
  find(...values: string[]): number {
    return this.series.get(keyOf(values))?.slot ?? -1
  }

  /** Forgets the series with these values, if there is one. Only for series that no thread writes any more. */
  forget(...values: string[]): void {
    const key = keyOf(values)
    const series = this.series.get(key)
    if (series !== undefined) this.#drop(key, series)
  }

  /** Forgets those series that `gone` says of that no thread writes them any more; how many. */
  forgetAll(gone: (series: Series) => boolean): number {
    let forgotten = 0
    for (const [key, series] of this.series) {
      if (!gone(series)) continue
      this.#drop(key, series)
      forgotten++
    }
    return forgotten
  }

  #drop(key: string, { slot }: Series): void {
    this.series.delete(key)
    this.#registry.release(slot, this.width)
  }

  #overflowSlot(): number {
    this.overflowed++
    return this.shared()
  }

  /** First slot of the series of those that have none of their own. */
  shared(): number {
    this.#overflow ??= this.#create(this.labels.map(() => "overflow"))
    return this.#overflow.slot
  }

  #create(values: readonly string[]): Series {
    const labels: Record<string, string> = {}
    for (let i = 0; i < values.length; i++) labels[this.labels[i]] = values[i]
    const { epoch } = this.#registry
    return { slot: this.#registry.allocate(this.width), labels, first: epoch, last: epoch, text: null }
  }

  /** Every series, that of the overflow last. */
  *all(): Generator<Series> {
    yield* this.series.values()
    if (this.#overflow !== null) yield this.#overflow
  }
}

function keyOf(values: readonly string[]): string {
  return values.length === 1 ? values[0] : JSON.stringify(values)
}

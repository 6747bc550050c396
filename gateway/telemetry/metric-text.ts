// The lines of a metric's series in the text formats of Prometheus. Ten thousand busy routes are 300,000 lines a scrape: what stays the
// same of a series is put together once, and a caller can do something else between two pieces.

import type { Buckets } from "./buckets.ts"
import type { Exemplar, Exemplars } from "./exemplars.ts"
import type { Metric, Series } from "./metric.ts"

/** Series in a piece. */
const PIECE = 250

export interface MetricTextMeans {
  /** What all threads have in the slots from `slot` on, into `sums`; whether there is anything but zeros. */
  sum(sums: Float64Array, slot: number): boolean
  /** Value of a slot. */
  read(slot: number): number
  readonly exemplars: Exemplars
}

export interface MetricTextForm {
  readonly openMetrics: boolean
  /** All bounds of histograms, not only the coarse ones. */
  readonly fine: boolean
}

/** Its lines, some at a time, each with its line break; without the family's head. */
export function* metricText(metric: Metric, { openMetrics, fine }: MetricTextForm, means: MetricTextMeans): Generator<string> {
  const { name, buckets, across, omitZero } = metric
  const sums = new Float64Array(metric.width)
  const histogram = buckets === null ? null : new HistogramText(name, buckets, fine, openMetrics ? means.exemplars : null)
  const others = across?.values.map((value) => `${across.label}="${escapeLabel(value)}"`) ?? []
  let text = ""
  let series = 0
  for (const each of metric.all()) {
    if (++series % PIECE === 0) {
      yield text
      text = ""
    }
    // A histogram is told from an empty one by its number of values alone: most of thousands may be empty.
    if (omitZero && buckets !== null && means.read(each.slot + buckets.count) === 0) continue
    if (!means.sum(sums, each.slot) && omitZero) continue
    const labels = labelsOf(each)
    if (histogram !== null) text += histogram.lines(labels, sums, each.slot)
    else if (across === null) text += `${name}${labels === "" ? "" : `{${labels}}`} ${valueText(sums[0])}\n`
    else {
      const rest = labels === "" ? "" : `,${labels}`
      for (let i = 0; i < sums.length; i++) {
        if (sums[i] === 0 && omitZero) continue
        text += `${name}{${others[i]}${rest}} ${valueText(sums[i])}\n`
      }
    }
  }
  yield text
}

/** What is written of any series of one histogram. */
class HistogramText {
  readonly #name: string
  readonly #buckets: Buckets
  readonly #exemplars: Exemplars | null
  /** Of each line the last of its buckets, and how the line begins. */
  readonly #last: readonly number[]
  readonly #begins: readonly string[]

  constructor(name: string, buckets: Buckets, fine: boolean, exemplars: Exemplars | null) {
    const { bounds, coarse } = buckets
    this.#name = name
    this.#buckets = buckets
    this.#exemplars = exemplars
    this.#last = [...(fine ? bounds.keys() : coarse), bounds.length]
    this.#begins = this.#last.map((i) => `${name}_bucket{le="${i === bounds.length ? "+Inf" : bounds[i]}"`)
  }

  lines(labels: string, sums: Float64Array, slot: number): string {
    const rest = labels === "" ? "} " : `,${labels}} `
    let text = ""
    let count = 0
    let next = 0
    for (let i = 0; i < this.#last.length; i++) {
      const from = next
      for (; next <= this.#last[i]; next++) count += sums[next]
      text += this.#begins[i] + rest + count
      const newest = this.#exemplars?.newest(slot + from, slot + next)
      text += newest === undefined ? "\n" : exemplarText(newest)
    }
    const all = labels === "" ? " " : `{${labels}} `
    return `${text}${this.#name}_sum${all}${valueText(sums[this.#buckets.sum])}\n${this.#name}_count${all}${count}\n`
  }
}

function exemplarText({ traceId, value, at }: Exemplar): string {
  return ` # {trace_id="${escapeLabel(traceId)}"} ${valueText(value)} ${at}\n`
}

function labelsOf(series: Series): string {
  series.text ??= Object.entries(series.labels)
    .map(([name, value]) => `${name}="${escapeLabel(value)}"`)
    .join(",")
  return series.text
}

function escapeLabel(value: string): string {
  return /[\\\n"]/.test(value) ? value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"') : value
}

function valueText(value: number): string {
  return Number.isFinite(value) ? String(value) : Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf"
}

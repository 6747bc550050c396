// What scrapers are given: every metric in the text format of Prometheus, or in OpenMetrics 1.0 where that is asked for. It reads;
// it counts nothing.

import type { Registry } from "prom-client"
import type { Buckets } from "./buckets.ts"
import type { Exemplars } from "./exemplars.ts"
import type { MetricDescription } from "./metric.ts"
import { toOpenMetrics } from "./open-metrics.ts"

/** One line of the exposition, as prom-client takes it. */
export interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
  readonly sharedLabels?: Readonly<Record<string, string>>
  readonly metricName?: string
  readonly exemplar?: { readonly labelSet: Readonly<Record<string, string>>; readonly value: number; readonly timestamp: number }
}

/** A metric whose values are asked for at each scrape. */
export interface Shown extends MetricDescription {
  samples(): Sample[]
}

export interface Rendered {
  readonly contentType: string
  readonly body: string
}

const EOF_LINE = "# EOF\n"

export class Exposition {
  readonly #shown: Shown[] = []
  readonly #texts: (() => string)[] = []
  /** prom-client is loaded when it is first asked for, since it is no small part of the memory. */
  #plain: Registry | null = null
  #open: Registry | null = null

  show(shown: Shown): void {
    this.#shown.push(shown)
    if (this.#plain !== null) register(this.#plain, shown, false)
    if (this.#open !== null) register(this.#open, shown, true)
  }

  /** Whole families in the text format of Prometheus. */
  include(text: () => string): void {
    this.#texts.push(text)
  }

  async render(openMetrics: boolean): Promise<Rendered> {
    const registry = (openMetrics ? this.#open : this.#plain) ?? (await this.#registry(openMetrics))
    const own = await registry.metrics()
    const included = this.#texts.map((text) => text()).join("")
    if (!openMetrics) return { contentType: registry.contentType, body: own + included }
    return { contentType: registry.contentType, body: own.slice(0, -EOF_LINE.length) + toOpenMetrics(included) + EOF_LINE }
  }

  // Each format has metrics of its own, since prom-client renames those it renders in OpenMetrics.
  async #registry(openMetrics: boolean): Promise<Registry> {
    const [{ Registry }, { registerProcessMetrics }] = await Promise.all([import("prom-client"), import("./process-metrics.ts")])
    // Another call may have got there first.
    const known = openMetrics ? this.#open : this.#plain
    if (known !== null) return known
    const registry = new Registry() as Registry
    if (openMetrics) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
    registerProcessMetrics(registry)
    for (const shown of this.#shown) register(registry, shown, openMetrics)
    if (openMetrics) this.#open = registry
    else this.#plain = registry
    return registry
  }
}

function register(registry: Registry, { name, help, type, samples }: Shown, openMetrics: boolean): void {
  const family = openMetrics && type === "counter" ? name.replace(/_total$/, "") : name
  const metric = { name: family, type, get: () => Promise.resolve({ name: family, help, type, values: samples() }) }
  registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0])
}

/**
 * Whether a scraper with this `Accept` is given OpenMetrics: it names it, and likes it no less than the text format. Who accepts
 * anything gets the text format.
 */
export function wantsOpenMetrics(accept: string): boolean {
  let open = 0
  let plain = 0
  for (const part of accept.toLowerCase().split(",")) {
    const [type, ...parameters] = part.split(";").map((each) => each.trim())
    const weight = parameters.find((parameter) => parameter.startsWith("q="))
    const q = weight === undefined ? 1 : Number(weight.slice(2)) || 0
    if (type === "application/openmetrics-text") open = Math.max(open, q)
    else if (type === "text/plain") plain = Math.max(plain, q)
  }
  return open > 0 && open >= plain
}

/** The first lines of a family that is kept as text. */
export function familyHead({ name, help, type }: MetricDescription): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
}

/** The lines of one histogram, at `slot`, whose values are `sums`. `fine`: all of its bounds. */
export function pushHistogram(
  out: Sample[],
  name: string,
  labels: Readonly<Record<string, string>>,
  buckets: Buckets,
  sums: Float64Array,
  fine: boolean,
  exemplars: { readonly of: Exemplars; readonly slot: number } | null,
): void {
  const metricName = `${name}_bucket`
  const { bounds } = buckets
  let count = 0
  let next = 0
  const push = (last: number, le: number | "+Inf"): void => {
    const from = next
    for (; next <= last; next++) count += sums[next]
    const newest = exemplars === null ? undefined : exemplars.of.newest(exemplars.slot + from, exemplars.slot + next)
    const line = { value: count, labels: { le }, sharedLabels: labels, metricName }
    if (newest === undefined) out.push(line)
    else out.push({ ...line, exemplar: { labelSet: { trace_id: newest.traceId }, value: newest.value, timestamp: newest.at } })
  }
  if (fine) for (let i = 0; i < bounds.length; i++) push(i, bounds[i])
  else for (const i of buckets.coarse) push(i, bounds[i])
  push(bounds.length, "+Inf")
  out.push({ value: sums[buckets.sum], labels: {}, sharedLabels: labels, metricName: `${name}_sum` })
  out.push({ value: count, labels: {}, sharedLabels: labels, metricName: `${name}_count` })
}

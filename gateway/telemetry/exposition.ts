// What scrapers are given: every metric in the text format of Prometheus, or in OpenMetrics 1.0 where that is asked for. It reads;
// it counts nothing.

import { setImmediate as turn } from "node:timers/promises"
import type { Registry } from "prom-client"
import type { MetricDescription } from "./metric.ts"
import { toOpenMetrics } from "./open-metrics.ts"

/** One line of the exposition, as prom-client takes it. */
export interface Sample {
  readonly value: number
  readonly labels: Readonly<Record<string, string | number>>
}

/** A metric whose values are asked for at each scrape. */
export interface Shown extends MetricDescription {
  samples(): Sample[]
}

/** A metric that may have very many series: it writes its own lines, some at a time. */
export interface Written extends MetricDescription {
  lines(openMetrics: boolean): Iterable<string>
}

export interface Rendered {
  readonly contentType: string
  readonly body: string
}

const EOF_LINE = "# EOF\n"
/** ms of one go: the main thread has other things to do, and a scrape can wait. */
const STRETCH = 15

export class Exposition {
  readonly #shown: Shown[] = []
  readonly #written: Written[] = []
  readonly #texts: (() => string)[] = []
  /** prom-client is loaded when it is first asked for, since it is no small part of the memory. */
  #plain: Registry | null = null
  #open: Registry | null = null

  show(shown: Shown): void {
    this.#shown.push(shown)
    if (this.#plain !== null) register(this.#plain, shown, false)
    if (this.#open !== null) register(this.#open, shown, true)
  }

  write(written: Written): void {
    this.#written.push(written)
  }

  /** Whole families in the text format of Prometheus. */
  include(text: () => string): void {
    this.#texts.push(text)
  }

  async render(openMetrics: boolean): Promise<Rendered> {
    const registry = (openMetrics ? this.#open : this.#plain) ?? (await this.#registry(openMetrics))
    const shown = await registry.metrics()
    const pieces: string[] = []
    let began = performance.now()
    for (const { name, help, type, lines } of this.#written) {
      pieces.push(familyHead({ name: openMetrics ? familyOf(name, type) : name, help, type }))
      for (const piece of lines(openMetrics)) {
        pieces.push(piece)
        if (performance.now() - began < STRETCH) continue
        await turn()
        began = performance.now()
      }
      if (!openMetrics) pieces.push("\n")
    }
    const own = pieces.join("")
    const included = this.#texts.map((text) => text()).join("")
    if (!openMetrics) return { contentType: registry.contentType, body: `${shown}\n${own}${included}` }
    return { contentType: registry.contentType, body: shown.slice(0, -EOF_LINE.length) + own + toOpenMetrics(included) + EOF_LINE }
  }

  // Each format has metrics of its own, since prom-client renames those it renders in OpenMetrics.
  async #registry(openMetrics: boolean): Promise<Registry> {
    const { Registry } = await import("prom-client")
    // Another call may have got there first.
    const known = openMetrics ? this.#open : this.#plain
    if (known !== null) return known
    const registry = new Registry() as Registry
    if (openMetrics) registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
    for (const shown of this.#shown) register(registry, shown, openMetrics)
    if (openMetrics) this.#open = registry
    else this.#plain = registry
    return registry
  }
}

function register(registry: Registry, { name, help, type, samples }: Shown, openMetrics: boolean): void {
  const family = openMetrics ? familyOf(name, type) : name
  const metric = { name: family, type, get: () => Promise.resolve({ name: family, help, type, values: samples() }) }
  registry.registerMetric(metric as unknown as Parameters<Registry["registerMetric"]>[0])
}

/** In OpenMetrics a counter's family goes without the suffix its values have. */
function familyOf(name: string, type: MetricDescription["type"]): string {
  return type === "counter" ? name.replace(/_total$/, "") : name
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
export function familyHead({ name, help, type }: Pick<MetricDescription, "name" | "help" | "type">): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
}

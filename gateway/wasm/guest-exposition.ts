// What filters count and queue, in the Prometheus text format: the series they defined as `sluice_wasm_…`, and how full
// their queues are. Names come from guests, and parts of them from clients: nothing in them can leave its line, and no two
// series come out alike.

import { familyHead } from "../telemetry/exposition.ts"
import type { MetricDescription } from "../telemetry/metrics-registry.ts"
import { type GuestMetricsTable, type GuestSeries, histogramBounds } from "./guest-metrics.ts"
import { MetricType } from "./proxy-wasm/enums.ts"
import type { SharedQueueStore } from "./shared-queues.ts"

/** No metric of the gateway's own begins with it. */
const PREFIX = "sluice_wasm_"
/** Characters of a guest's name that go into the family's; more are in the label that holds the whole of it. */
const MAX_FAMILY = 200
const typeNames = ["counter", "gauge", "histogram"] as const

const refused = own("sluice_filter_metrics_refused_total", "counter", [], "Metrics filters defined that found no room")
const queueItems = own("sluice_filter_queue_items", "gauge", ["vm", "queue"], "Items in a shared queue of filters")
const queueBytes = own("sluice_filter_queue_bytes", "gauge", ["vm", "queue"], "Bytes taken in a shared queue of filters")
const queueRefused = own("sluice_filter_queue_refused_total", "counter", ["vm", "queue"], "Items a shared queue was too full for")
/** Families that are there whatever filters define. */
export const guestFamilies: readonly MetricDescription[] = [refused, queueItems, queueBytes, queueRefused]

function own(name: string, type: "counter" | "gauge", labels: readonly string[], help: string): MetricDescription {
  return { name, type, labels, help }
}

interface Family {
  readonly name: string
  readonly type: number
  readonly lines: string[]
  readonly seen: Set<string>
}

/**
 * Everything filters have defined. A name becomes a family's name: what Prometheus does not allow in it turns to `_`, and
 * then the label `name` has the original; counters end in `_total`. Labels packed into a name as Istio's filters do it
 * (`reporter=.=source;.;istio_requests_total`) become labels.
 */
export function guestMetricsText(table: GuestMetricsTable): string {
  const families = new Map<string, Family>()
  // Names of families and of the lines in them; a histogram's are several.
  const taken = new Map<string, Family>()
  for (const series of table.all()) {
    const { base, labels } = unpack(series)
    const plain = base.replace(/[^a-zA-Z0-9_]/g, "_").slice(0, MAX_FAMILY)
    const family = familyOf(plain, series.type, families, taken)
    if (plain !== base) labels.push(label("name", base))
    if (family.seen.has(keyOf(labels))) {
      // The same labels in another order, or the same family for another name.
      if (labels.at(-1)?.startsWith('name="')) labels.pop()
      labels.push(label("name", series.name))
      if (family.seen.has(keyOf(labels))) continue
    }
    family.seen.add(keyOf(labels))
    pushLines(family, series, labels.join(","))
  }
  let text = ""
  for (const family of families.values()) {
    const { name, type, lines } = family
    text += `# HELP ${name} Defined by a filter\n# TYPE ${name} ${typeNames[type]}\n${lines.join("\n")}\n`
  }
  return `${text}${rowsText(refused, [["", table.refused]])}`
}

/** How full each queue is, by the namespace (vm_id) and name it has. */
export function queuesText(queues: SharedQueueStore): string {
  const rows = new Map(queues.stats().map((each) => [`${label("vm", each.namespace)},${label("queue", each.name)}`, each]))
  const of = (what: "items" | "bytes" | "refused"): [string, number][] => [...rows].map(([labels, each]) => [labels, each[what]])
  return rowsText(queueItems, of("items")) + rowsText(queueBytes, of("bytes")) + rowsText(queueRefused, of("refused"))
}

function rowsText(family: MetricDescription, rows: readonly (readonly [labels: string, value: number])[]): string {
  const lines = rows.map(([labels, value]) => `${family.name}${labels === "" ? "" : `{${labels}}`} ${value}\n`)
  return `${familyHead(family)}${lines.join("")}`
}

function unpack(series: GuestSeries): { base: string; labels: string[] } {
  const { name, type } = series
  const plain = { base: name, labels: [] }
  if (!name.includes("=.=")) return plain
  const labels: string[] = []
  const keys = new Set(type === MetricType.HISTOGRAM ? ["name", "le"] : ["name"])
  let base = ""
  for (const part of name.split(";.;")) {
    const at = part.indexOf("=.=")
    if (at === -1) {
      // Exactly one part is the name itself.
      if (base !== "" || part === "") return plain
      base = part
      continue
    }
    const key = part
      .slice(0, at)
      .replace(/[^a-zA-Z0-9_]/g, "_")
      .replace(/^(?=\d)|^_+/, "_")
    if (key === "" || keys.has(key)) return plain
    keys.add(key)
    labels.push(label(key, part.slice(at + 3)))
  }
  return base === "" ? plain : { base, labels }
}

/** Equal for equal sets of labels. */
function keyOf(labels: readonly string[]): string {
  return labels.length < 2 ? labels.join("") : labels.toSorted().join(",")
}

/** The family for series of that name and type: another's name is never taken a second time. */
function familyOf(plain: string, type: number, families: Map<string, Family>, taken: Map<string, Family>): Family {
  for (let base = plain; ; base = `${base}_${typeNames[type]}`) {
    const name = `${PREFIX}${type === MetricType.COUNTER && !base.endsWith("_total") ? `${base}_total` : base}`
    const family = families.get(name)
    if (family !== undefined && family.type === type) return family
    const names = type === MetricType.HISTOGRAM ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
    if (names.some((each) => taken.has(each))) continue
    const made: Family = { name, type, lines: [], seen: new Set() }
    families.set(name, made)
    for (const each of names) taken.set(each, made)
    return made
  }
}

function pushLines(family: Family, series: GuestSeries, labels: string): void {
  const { name, lines } = family
  const braced = labels === "" ? "" : `{${labels}}`
  if (series.type !== MetricType.HISTOGRAM) {
    lines.push(`${name}${braced} ${series.value}`)
    return
  }
  const before = labels === "" ? "" : `${labels},`
  let count = 0n
  for (let i = 0; i <= histogramBounds.length; i++) {
    count += series.buckets[i]
    lines.push(`${name}_bucket{${before}le="${i === histogramBounds.length ? "+Inf" : histogramBounds[i]}"} ${count}`)
  }
  lines.push(`${name}_sum${braced} ${series.sum}`, `${name}_count${braced} ${count}`)
}

function label(name: string, value: string): string {
  const escaped = value.replace(/[\\"\n]/g, (each) => (each === "\n" ? "\\n" : `\\${each}`))
  // Allowed by the format's letter, but not by every parser of it.
  return `${name}="${escaped.replace(/[\x00-\x1f\x7f]/g, "\ufffd")}"`
}

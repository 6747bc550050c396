// The table of all metrics in gateway/OBSERVABILITY.md, made from what the code says of them.

import { lookResults } from "../gateway/discovery/source.ts"
import { SharedMemory } from "../gateway/supervisor/shared-memory.ts"
import { CanaryInstruments } from "../gateway/telemetry/canary-instruments.ts"
import { DiscoveryInstruments } from "../gateway/telemetry/discovery-instruments.ts"
import { Instruments } from "../gateway/telemetry/instruments.ts"
import { type MetricDescription, MetricsRegistry } from "../gateway/telemetry/metrics-registry.ts"
import { showState } from "../gateway/telemetry/state-instruments.ts"
import { SteeringInstruments } from "../gateway/telemetry/steering-instruments.ts"
import { TraceInstruments } from "../gateway/telemetry/trace-instruments.ts"

export const DOCUMENT = "gateway/OBSERVABILITY.md"
const BEGIN = "<!-- metrics: made by npm run docs:metrics -->"
const MOST_VALUES = 10
const END = "<!-- end of metrics -->"

/** Every metric a gateway may expose, but for those that filters define. */
export function allMetrics(): MetricDescription[] {
  const registry = new MetricsRegistry()
  const instruments = new Instruments(registry)
  new CanaryInstruments(registry)
  new SteeringInstruments(registry)
  new TraceInstruments(registry)
  new DiscoveryInstruments(registry, lookResults)
  new SharedMemory({ workers: 1, registry, instruments, logger: { enabled: () => false, log: () => {} }, wake: () => {} }).close()
  showState(registry, { config: () => null, filters: () => [], expiries: () => [], used: () => 0, runtime: "", version: "" })
  return registry.described.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}

export function metricsTable(): string {
  const rows = allMetrics().map(({ name, type, labels, values = [], help }) => {
    // Longer lists have a place of their own: flags, statuses of gRPC.
    const known = values.length > 1 && values.length <= MOST_VALUES ? `: ${values.join(", ")}` : ""
    const named = labels.length === 0 ? "" : `${labels.map((label) => `\`${label}\``).join(", ")}${known}`
    return `| \`${name}\` | ${type} | ${named} | ${help.replaceAll("|", "\\|")} |`
  })
  return `| name | type | labels | meaning |\n|---|---|---|---|\n${rows.join("\n")}\n`
}

/** `document` with the table as the code has it now; null: it has no place for it. */
export function withTable(document: string): string | null {
  const begin = document.indexOf(BEGIN)
  const end = document.indexOf(END)
  if (begin === -1 || end < begin) return null
  return `${document.slice(0, begin + BEGIN.length)}\n\n${metricsTable()}\n${document.slice(end)}`
}

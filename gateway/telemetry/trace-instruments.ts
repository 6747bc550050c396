// What is counted of traces on their way to a collector. A series is there once something is counted in it.

import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

/** What became of a recorded trace, in the order of the slots. */
const results = ["exported", "failed", "dropped"] as const
export type TraceResult = (typeof results)[number]

/** What a worker counts: all traces it has recorded, and those of them that were lost there. */
export interface TraceSlots {
  readonly recorded: number
  readonly dropped: number
}

export class TraceInstruments {
  readonly #registry: MetricsRegistry
  readonly #traces: Metric
  readonly #recorded: Metric
  readonly #exports: Metric
  readonly #waiting: Metric

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    this.#traces = registry.counter({
      name: "sluice_traces_total",
      help: "Recorded traces: taken by the collector, refused by it or not delivered, or dropped because too many waited or their worker died",
      across: { label: "result", values: results },
      omitZero: true,
    })
    this.#recorded = registry.counter({
      name: "sluice_traces_recorded_total",
      help: "Exchanges that were recorded as a trace; those that are in no result of sluice_traces_total are on their way",
      omitZero: true,
    })
    this.#exports = registry.counter({
      name: "sluice_trace_exports_total",
      help: "Batches of spans sent to the collector, each time they were",
      across: { label: "result", values: ["ok", "failed"] },
      omitZero: true,
      heldBy: "main",
    })
    this.#waiting = registry.gauge({
      name: "sluice_trace_spans_waiting",
      help: "Spans that wait to be sent to the collector",
      omitZero: true,
      heldBy: "main",
    })
  }

  /** Counters of workers. */
  get slots(): TraceSlots {
    return { recorded: this.#recorded.slot(), dropped: this.#traces.slot() + results.indexOf("dropped") }
  }

  count(result: TraceResult, traces: number): void {
    this.#registry.writer.add(this.#traces.slot() + results.indexOf(result), traces)
  }

  exported(well: boolean): void {
    this.#registry.writer.add(this.#exports.slot() + (well ? 0 : 1), 1)
  }

  waiting(spans: number): void {
    this.#registry.writer.set(this.#waiting.slot(), spans)
  }
}

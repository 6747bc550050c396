// One worker thread as the pool knows it.

import type { Worker } from "node:worker_threads"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import type { TraceSlots } from "../telemetry/trace-instruments.ts"
import type { PluginStatus } from "../wasm/plugin.ts"

export interface Member {
  readonly index: number
  readonly thread: Worker
  readonly born: number
  serving: boolean
  drained: boolean
  /** Traces that it has handed over. */
  traces: number
  /** What it may yet have said is no longer taken: it has been counted as lost. */
  gone: boolean
  plugins: readonly PluginStatus[]
  /** Generation of the snapshot it uses; 0 before the first. */
  generation: number
  /** Settles the step of a snapshot that it is asked for. */
  settle: ((reason: string | null) => void) | null
  /** Until a replacement has what its predecessor had: one snapshot at a time. */
  starting: Promise<void>
}

export function newMember(index: number, thread: Worker): Member {
  return {
    index,
    thread,
    born: Date.now(),
    serving: false,
    drained: false,
    traces: 0,
    gone: false,
    plugins: [],
    generation: 0,
    settle: null,
    starting: Promise.resolve(),
  }
}

/** Traces that it has recorded, and neither lost nor handed over. To be asked while its metrics are attached. */
export function tracesLeft({ index, traces }: Member, registry: MetricsRegistry, { recorded, dropped }: TraceSlots): number {
  return registry.readOf(index, recorded) - registry.readOf(index, dropped) - traces
}

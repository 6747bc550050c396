// What the main thread and its workers say to each other.

import type { SnapshotSpec } from "./snapshot.ts"
import type { WorkerSlots } from "./telemetry/instruments.ts"
import type { LogEvent, LogLevel } from "./telemetry/log.ts"
import type { MetricsHandle } from "./telemetry/metrics-writer.ts"
import type { PluginStatus } from "./wasm/plugin.ts"

/** What a worker is started with. */
export interface WorkerStart {
  readonly index: number
  /** Workers of the process. */
  readonly workers: number
  readonly metrics: MetricsHandle
  readonly slots: WorkerSlots
  /** Memory of the store that filters share data in. */
  readonly shared: SharedArrayBuffer
  /** Budget units a millisecond of CPU pays for. */
  readonly unitsPerMs: number
  readonly logLevel: LogLevel
}

export type ToWorker =
  | { readonly kind: "snapshot"; readonly spec: SnapshotSpec; readonly metrics: MetricsHandle }
  /** Stop accepting; finish what runs. */
  | { readonly kind: "drain" }
  /** That many characters of the access log were written. */
  | { readonly kind: "written"; readonly length: number }

export type FromWorker =
  | { readonly kind: "started" }
  | { readonly kind: "applied"; readonly generation: number }
  | { readonly kind: "refused"; readonly generation: number; readonly reason: string }
  | { readonly kind: "log"; readonly event: LogEvent }
  | { readonly kind: "access"; readonly lines: string }
  | { readonly kind: "filters"; readonly plugins: readonly PluginStatus[] }
  | { readonly kind: "drained" }

// What the main thread and its workers say to each other.

import type { EndpointsChange, SnapshotSpec } from "./snapshot.ts"
import type { TapOrder, TapReport } from "./tap/messages.ts"
import type { AccessBatch } from "./telemetry/access-output.ts"
import type { IdentityPair, IdentitySlots } from "./telemetry/identity-instruments.ts"
import type { WorkerSlots } from "./telemetry/instruments.ts"
import type { OverloadSlots } from "./telemetry/limit-instruments.ts"
import type { LogEvent, LogLevel } from "./telemetry/log.ts"
import type { MetricsHandle } from "./telemetry/metrics-writer.ts"
import type { HeldEpochs } from "./telemetry/slot-holds.ts"
import type { ThreadSlots } from "./telemetry/thread-instruments.ts"
import type { TraceSlots } from "./telemetry/trace-instruments.ts"
import type { EjectionEvent } from "./upstream/endpoint-watch.ts"
import type { ProfileReport } from "./wasm/filter-profile.ts"
import type { ProfileOrder } from "./wasm/filter-profiles.ts"
import type { PluginStatus } from "./wasm/plugin.ts"
import type { Answer, Question } from "./worker-questions.ts"

/** What a worker is started with. */
export interface WorkerStart {
  readonly index: number
  /** Workers of the process. */
  readonly workers: number
  readonly metrics: MetricsHandle
  readonly slots: WorkerSlots
  readonly overloadSlots: OverloadSlots
  readonly threadSlots: ThreadSlots
  /** Of clients whose identity has no series of its own. */
  readonly identityOverflow: IdentitySlots
  /** Memory that limits of services count in, and that says how full the process's memory is. */
  readonly limits: SharedArrayBuffer
  readonly memoryLevel: SharedArrayBuffer
  /** Memory of the store that filters share data in, of their queues and of the metrics they define. */
  readonly shared: SharedArrayBuffer
  readonly queues: SharedArrayBuffer
  readonly guestMetrics: SharedArrayBuffer
  /** Budget units a millisecond of CPU pays for. */
  readonly unitsPerMs: number
  readonly logLevel: LogLevel
  readonly traceSlots: TraceSlots
}

export type ToWorker =
  /** Get ready to use a snapshot. `strict`: refuse it when a filter that is new in it can't start here. */
  | { readonly kind: "snapshot"; readonly spec: SnapshotSpec; readonly metrics: MetricsHandle; readonly strict: boolean }
  /** Use the snapshot you are ready for, or forget it. */
  | { readonly kind: "commit"; readonly generation: number }
  | { readonly kind: "abandon"; readonly generation: number }
  /** Services of the snapshot in use have other endpoints from now on. */
  | { readonly kind: "endpoints"; readonly generation: number; readonly change: EndpointsChange; readonly metrics: MetricsHandle }
  /** Serve as before, and tell clients to go elsewhere. */
  | { readonly kind: "announce" }
  /** Stop accepting; finish what runs. */
  | { readonly kind: "drain" }
  /** The time for that is over: end what still runs. */
  | { readonly kind: "cut" }
  /** That many characters of the access log were written. */
  | { readonly kind: "written"; readonly length: number }
  /** Log from this level on, whatever the configuration says; null: as it says. */
  | { readonly kind: "logLevel"; readonly level: LogLevel | null }
  | { readonly kind: "question"; readonly id: number; readonly question: Question }
  /** Traces of that many characters have come. */
  | { readonly kind: "spansTaken"; readonly length: number }
  /** A filter that is in quarantine is to be started again. */
  | { readonly kind: "lift"; readonly filter: string }
  /** A filter is to be measured, or no longer. */
  | ProfileOrder
  /** Where requests of a client with this identity to a service are counted. */
  | {
      readonly kind: "identity"
      readonly source: string
      readonly service: string
      readonly slots: IdentitySlots
      readonly metrics: Omit<MetricsHandle, "order">
    }
  /** Nothing more is counted where these were: whoever of them comes again is to be asked for again. */
  | { readonly kind: "forgetIdentities"; readonly pairs: readonly IdentityPair[]; readonly metrics: MetricsHandle }
  /** A queue that a filter of this worker receives from has items. */
  | { readonly kind: "queue" }
  /** What somebody wants to see of the traffic. */
  | { readonly kind: "tap"; readonly order: TapOrder }

export type FromWorker =
  | { readonly kind: "started" }
  | { readonly kind: "prepared"; readonly generation: number }
  | { readonly kind: "applied"; readonly generation: number }
  | { readonly kind: "refused"; readonly generation: number; readonly reason: string }
  | { readonly kind: "log"; readonly event: LogEvent }
  | { readonly kind: "access"; readonly batch: AccessBatch }
  /** What a filter did while it was measured. */
  | { readonly kind: "profiled"; readonly filter: string; readonly run: number; readonly reports: readonly ProfileReport[] }
  /** Exchanges that were recorded: a list of so many `FinishedTrace`, as JSON. */
  | { readonly kind: "spans"; readonly traces: string; readonly count: number }
  | { readonly kind: "filters"; readonly plugins: readonly PluginStatus[] }
  /** An endpoint was ejected, or is used again. */
  | { readonly kind: "ejection"; readonly event: EjectionEvent }
  /** Requests of a client with this identity to a service need slots. */
  | { readonly kind: "identity"; readonly source: string; readonly service: string }
  /** Of which epochs it still holds metric slots. */
  | { readonly kind: "held"; readonly held: HeldEpochs }
  /** That worker is to be told of a queue's items. */
  | { readonly kind: "queue"; readonly worker: number }
  /** Exchanges that somebody wants to see. */
  | { readonly kind: "tap"; readonly report: TapReport }
  | { readonly kind: "answer"; readonly id: number; readonly answer: Answer }
  | { readonly kind: "drained" }

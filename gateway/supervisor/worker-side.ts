// What the main thread has of its workers, put together: the memory it shares with them, the threads, and the snapshots they are handed.
// It decides nothing, and starts no thread before there is a snapshot.

import type { CanaryChanges } from "../canary/canary-changes.ts"
import type { Discovery } from "../discovery/discovery.ts"
import type { Steering } from "../steering/steering.ts"
import type { AccessOutput } from "../telemetry/access-output.ts"
import type { Instruments } from "../telemetry/instruments.ts"
import type { LogEvent, Logger, LogLevel } from "../telemetry/log.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import type { TraceExports } from "../telemetry/tracing/trace-exports.ts"
import { SharedMemory } from "./shared-memory.ts"
import { Snapshots } from "./snapshots.ts"
import { WorkerPool } from "./worker-pool.ts"

export interface WorkerSideOptions {
  /** Workers there are to be. */
  readonly size: number
  readonly registry: MetricsRegistry
  readonly instruments: Instruments
  readonly logger: Logger
  readonly logLevel: LogLevel
  readonly unitsPerMs: number
  readonly access: AccessOutput
  readonly traces: TraceExports
  readonly discovery: Discovery
  readonly canaries: CanaryChanges
  readonly steering: Steering
  onLog(event: LogEvent): void
}

export interface WorkerSide {
  readonly shared: SharedMemory
  readonly pool: WorkerPool
  readonly snapshots: Snapshots
}

export function workerSide(options: WorkerSideOptions): WorkerSide {
  const { size, registry, instruments, logger, logLevel, unitsPerMs, access, traces, discovery, canaries, steering, onLog } = options
  const shared = new SharedMemory({ workers: size, registry, instruments, logger, wake: (worker) => pool.wake(worker) })
  const pool = new WorkerPool({
    size,
    registry,
    logger,
    onLog,
    start: { ...shared.start, unitsPerMs, logLevel, traceSlots: traces.slots },
    onAccess: (...batch) => access.write(...batch),
    onTraces: (finished) => traces.take(finished),
    onTracesDied: (count) => traces.died(count),
    onEjection: (event) => shared.heard(event),
    identity: (source, service) => instruments.identities.slots(source, service),
    onLost: (worker) => {
      shared.forget(worker)
      instruments.workerRestarted()
    },
    onCount: (running) => instruments.workersRunning(running),
  })
  instruments.identities.onForget((pairs) => pool.forgetIdentities(pairs))
  const { drained, weights } = steering
  const snapshots = new Snapshots({ registry, instruments, discovery, canaries, drained, weights, shared, pool, access, traces })
  return { shared, pool, snapshots }
}

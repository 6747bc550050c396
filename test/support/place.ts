// The workers' side of the main thread alone, with real threads: what a snapshot is made of is handed to it, and nothing is read from
// files or looked up.

import { parseConfig } from "../../gateway/config/load.ts"
import type { Config } from "../../gateway/config/model.ts"
import { SharedMemory } from "../../gateway/supervisor/shared-memory.ts"
import { Snapshots, type SnapshotsMeans } from "../../gateway/supervisor/snapshots.ts"
import { WorkerPool } from "../../gateway/supervisor/worker-pool.ts"
import { Instruments } from "../../gateway/telemetry/instruments.ts"
import type { LogEvent, Logger } from "../../gateway/telemetry/log.ts"
import { MetricsRegistry } from "../../gateway/telemetry/metrics-registry.ts"
import { TraceInstruments } from "../../gateway/telemetry/trace-instruments.ts"
import { TlsFiles } from "../../gateway/tls/tls-files.ts"
import type { PreparedFilters } from "../../gateway/wasm/assemble-filters.ts"

const ending: (() => unknown)[] = []

/** Ends all that was started here, the last first. */
export async function endPlaces(): Promise<void> {
  for (const end of ending.splice(0).reverse()) await end()
}

/** Has something end with the places. */
export function atEnd(end: () => unknown): void {
  ending.push(end)
}

/** None. */
function noFilters({ routes, listeners }: Config): PreparedFilters {
  return { plugins: [], routes: routes.map(() => []), listeners: listeners.map(() => []) }
}

export interface Place {
  readonly registry: MetricsRegistry
  readonly instruments: Instruments
  readonly snapshots: Snapshots
  readonly shared: SharedMemory
  readonly pool: WorkerPool
  readonly events: LogEvent[]
  /** Endpoints that are found from now on, by service. */
  readonly found: Record<string, Config["services"][string]["endpoints"]>
  apply(config: Config, prepared?: PreparedFilters): Promise<void>
}

export function startPlace(workers: number, { pool: instead, access }: Partial<Pick<SnapshotsMeans, "pool" | "access">> = {}): Place {
  const registry = new MetricsRegistry()
  const instruments = new Instruments(registry)
  const events: LogEvent[] = []
  const logger: Logger = { enabled: () => true, log: (level, message) => events.push({ level, message } as LogEvent) }
  const shared = new SharedMemory({ workers, registry, instruments, logger, wake: () => {} })
  const pool = new WorkerPool({
    size: workers,
    registry,
    logger,
    start: { ...shared.start, unitsPerMs: 1000, logLevel: "info", traceSlots: new TraceInstruments(registry).slots },
    onLog: (event) => events.push(event),
    onAccess: (_, written) => written(),
    onTraces: () => {},
    onTracesDied: () => {},
    onEjection: () => {},
    identity: (source, service) => instruments.identities.slots(source, service),
    onLost: (worker) => shared.forget(worker),
    onCount: () => {},
  })
  ending.push(
    () => pool.terminate(),
    () => shared.close(),
  )
  instruments.identities.onForget((pairs) => pool.forgetIdentities(pairs))
  const found: Place["found"] = {}
  const snapshots = new Snapshots({
    registry,
    instruments,
    discovery: {
      resolved: (config) => ({
        ...config,
        services: Object.fromEntries(
          Object.entries(config.services).map(([name, each]) => [name, name in found ? { ...each, endpoints: found[name] } : each]),
        ),
      }),
      use: () => {},
    },
    canaries: { prepare: () => ({ weights: {}, commit: () => {} }) },
    drained: { laidOver: (config) => config, use: () => {} },
    weights: { prepare: () => ({ weights: {}, commit: () => {} }) },
    shared,
    traces: { use: () => {} },
    pool: instead ?? pool,
    access: access ?? { prepare: () => {}, keepOnly: () => {} },
  })
  const apply = (config: Config, prepared = noFilters(config)): Promise<void> =>
    snapshots.apply(config, prepared, new TlsFiles().read(config).materials)
  return { registry, instruments, snapshots, shared, pool, events, found, apply }
}

/** A configuration as it would be read from a file. */
export function configFrom(value: unknown): Config {
  const result = parseConfig(JSON.stringify(value), { file: "sluice.yaml", baseDir: "/" })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

// The filters of the gateway on its main thread: their modules, how these change while it runs, and what the metrics tell of both. It
// hands nothing to workers by itself: what is prepared here is part of a snapshot.

import type { Config } from "../config/model.ts"
import type { Instruments } from "../telemetry/instruments.ts"
import type { StructuredLogger } from "../telemetry/log.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import type { PreparedFilters } from "../wasm/assemble-filters.ts"
import { FilterCompiler } from "../wasm/compiler.ts"
import { FilterChanges } from "../wasm/filter-changes.ts"
import { showFilters, versionCounts } from "../wasm/filter-gauges.ts"
import type { FilterLogs } from "../wasm/filter-logs.ts"
import { FilterStore } from "../wasm/filter-store.ts"
import { openModuleCache } from "../wasm/module-cache.ts"
import { systemClock } from "../wasm/system-clock.ts"
import type { Snapshots } from "./snapshots.ts"
import type { WorkerPool } from "./worker-pool.ts"

/** ms the compiler is kept ready after a filter was edited. */
const EDITING = 15 * 60_000

export interface LiveFiltersOptions {
  readonly registry: MetricsRegistry
  readonly instruments: Instruments
  readonly logger: StructuredLogger
  readonly logs: FilterLogs
  /** Budget units of a millisecond. */
  readonly unitsPerMs: number
}

/** What changes of filters need once there is something in force. */
export interface LiveFiltersMeans {
  readonly snapshots: Snapshots
  readonly pool: WorkerPool
  /** Gives them to all workers, or rejects with why none has them. */
  apply(filters: PreparedFilters): Promise<void>
  inTurn(change: () => Promise<void>): Promise<void>
}

export class LiveFilters {
  readonly store: FilterStore
  readonly #options: LiveFiltersOptions
  readonly #compiler = new FilterCompiler()
  #changes: FilterChanges | null = null
  #snapshots: Snapshots | null = null

  constructor(options: LiveFiltersOptions) {
    this.#options = options
    this.store = new FilterStore({
      compiler: this.#compiler,
      unitsPerMs: options.unitsPerMs,
      clock: systemClock,
      cache: openModuleCache(),
    })
  }

  /** The first configuration is in force. */
  start({ snapshots, pool, apply, inTurn }: LiveFiltersMeans): FilterChanges {
    const { registry, instruments, logger, logs } = this.#options
    this.#snapshots = snapshots
    this.#changes = new FilterChanges({
      store: this.store,
      logger: logs.beside(logger),
      // There is one for as long as filters change.
      config: () => snapshots.current?.config as Config,
      apply: async (filters) => {
        await apply(filters)
        return snapshots.generation
      },
      inTurn: (change) =>
        inTurn(async () => {
          await change()
          this.#show()
        }),
      counts: (filter, version) => {
        const slots = snapshots.current?.slots.filters ?? {}
        return versionCounts(slots[filter][version], (slot) => registry.read(slot))
      },
      countsBefore: (filter, version) => snapshots.countsBefore(filter, version),
      onRolledBack: (filter, version) => instruments.filters.rolledBack(filter, version),
      lift: (filter) => pool.lift(filter),
    })
    this.taken(true)
    return this.#changes
  }

  /** A configuration was read again; `changed`: another is in force. */
  taken(changed: boolean): void {
    if (changed) this.#changes?.look(performance.now())
    this.#show()
  }

  /** A file that may be a filter's has changed. In turn with other changes. */
  async fileChanged(file: string): Promise<void> {
    // Someone is at work on a filter: the next save should meet a warm compiler.
    this.#compiler.idleTimeout = EDITING
    await this.#changes?.fileChanged(file)
    this.#show()
  }

  /** Has the compiler ready if a module is one that has to be compiled. */
  warm({ filters }: Config): void {
    const modules = Object.values(filters).flatMap((filter) => filter.versions.map((version) => version.module))
    if (modules.some((module) => module.endsWith(".ts"))) this.#compiler.warm()
  }

  #show(): void {
    const config = this.#snapshots?.current?.config
    if (config !== undefined) showFilters(config, this.store, this.#options.instruments)
  }

  close(): void {
    this.#changes?.close()
    this.#compiler.close()
  }
}

// The main thread: reads the configuration, prepares filters, hands snapshots to the workers, watches files, serves the
// admin API, and ends it all in order. It carries no traffic.

import { availableParallelism } from "node:os"
import { resolve } from "node:path"
import { filterStatus } from "./admin/filter-status.ts"
import { readyState } from "./admin/ready-state.ts"
import type { AdminServer } from "./admin/server.ts"
import { serviceStatus } from "./admin/service-status.ts"
import type { FilterStatus, ReadyState } from "./admin/status.ts"
import { CanaryChanges } from "./canary/canary-changes.ts"
import { loadConfigInChild } from "./config/load-in-child.ts"
import type { Config } from "./config/model.ts"
import { formatProblems } from "./config/problem.ts"
import { formatAddress } from "./config/units.ts"
import { type FileWatch, watchFiles } from "./config/watch.ts"
import { canChangeAlone } from "./discovery/alone.ts"
import { Discovery } from "./discovery/discovery.ts"
import { lookResults } from "./discovery/source.ts"
import { RateLimitState } from "./filter/native/rate-limit-state.ts"
import { claimPorts } from "./ports.ts"
import type { VersionCounts } from "./resilience/rollback.ts"
import type { SnapshotSpec } from "./snapshot.ts"
import { snapshotSlots } from "./snapshot-slots.ts"
import { CanaryInstruments } from "./telemetry/canary-instruments.ts"
import { DiscoveryInstruments } from "./telemetry/discovery-instruments.ts"
import { Instruments } from "./telemetry/instruments.ts"
import { overloadSlots } from "./telemetry/limit-instruments.ts"
import type { LogEvent, StructuredLogger } from "./telemetry/log.ts"
import { MemoryWatch } from "./telemetry/memory-watch.ts"
import { MetricsRegistry } from "./telemetry/metrics-registry.ts"
import { TlsChanges } from "./tls/tls-changes.ts"
import { sameTls, TlsFiles, type TlsMaterials } from "./tls/tls-files.ts"
import { EndpointWatch } from "./upstream/endpoint-watch.ts"
import { LimitsTable } from "./upstream/limits-table.ts"
import type { PreparedFilters } from "./wasm/assemble-filters.ts"
import { FilterCompiler } from "./wasm/compiler.ts"
import { FilterChanges } from "./wasm/filter-changes.ts"
import { filterCounts, showFilters, versionCounts } from "./wasm/filter-gauges.ts"
import { FilterStore } from "./wasm/filter-store.ts"
import { guestMetricsText, queuesText } from "./wasm/guest-exposition.ts"
import { createGuestMetrics, GuestMetricsTable } from "./wasm/guest-metrics.ts"
import { calibrate } from "./wasm/meter/calibrate.ts"
import { openModuleCache } from "./wasm/module-cache.ts"
import { createSharedStore } from "./wasm/shared-data.ts"
import { createSharedQueues, SharedQueueStore } from "./wasm/shared-queues.ts"
import { systemClock } from "./wasm/system-clock.ts"
import { WorkerPool } from "./worker-pool.ts"

export interface SupervisorOptions {
  /** Path of the configuration. */
  readonly file: string
  readonly logger: StructuredLogger
  /** Writes an event of a worker's log. */
  onLog(event: LogEvent): void
  /** Writes lines of the access log; `written` once they are dealt with. */
  onAccess(lines: string, written: () => void): void
  /** Form of the log whatever the configuration says. */
  readonly logFormat?: "auto" | "human" | "json" | undefined
  /** Watch the configuration and the filters' files; default true. */
  readonly watch?: boolean
}

/** ms the compiler is kept ready after a filter was edited. */
const EDITING = 15 * 60_000

/** Thrown by {@link Supervisor.start}: the text says what is wrong and what to do. */
export class StartError extends Error {}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #logger: StructuredLogger
  readonly #file: string
  readonly #registry = new MetricsRegistry()
  readonly #instruments = new Instruments(this.#registry)
  readonly #rateLimits = new RateLimitState(this.#registry)
  readonly #compiler = new FilterCompiler()
  readonly #tls: TlsChanges
  readonly #discovery: Discovery
  readonly #canaries = new CanaryChanges({
    log: (...event) => this.#logger.log(...event),
    instruments: new CanaryInstruments(this.#registry),
    read: (slot) => this.#registry.read(slot),
    slots: () => (this.#spec as SnapshotSpec).slots.routes,
    apply: () => {
      const { filters, tls } = this.#spec as SnapshotSpec
      return this.#apply(this.#config as Config, filters, tls)
    },
    inTurn: (change) => this.#inTurn(change),
  })
  readonly #memory = new MemoryWatch()
  #limits: LimitsTable | null = null
  #filters: FilterStore | null = null
  #changes: FilterChanges | null = null
  #unitsPerMs = 0
  #pool: WorkerPool | null = null
  #endpoints: EndpointWatch | null = null
  #admin: AdminServer | null = null
  #watch: FileWatch | null = null
  #spec: SnapshotSpec | null = null
  /** The configuration in force as it is written: without the endpoints that were found. */
  #config: Config | null = null
  /** What versions of filters had counted when the snapshot in force was about to be handed out, by `filter version`. */
  #countsBefore: ReadonlyMap<string, VersionCounts> = new Map()
  #generation = 0
  #lastReload: ReadyState["lastReload"] = null
  #stopping = false
  /** Changes happen one after another. */
  #turn: Promise<void> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#logger = options.logger
    this.#file = resolve(options.file)
    this.#tls = new TlsChanges({
      log: (...event) => this.#logger.log(...event),
      inForce: () => this.#spec as SnapshotSpec,
      apply: async (tls) => {
        await this.#apply(this.#config as Config, (this.#spec as SnapshotSpec).filters, tls)
        return this.#generation
      },
      inTurn: (change) => this.#inTurn(change),
    })
    const looks = new DiscoveryInstruments(this.#registry, lookResults)
    this.#discovery = new Discovery({
      watch: options.watch !== false,
      onChange: () => this.#inTurn(() => this.#endpointsChanged()),
      onLooked: (...look) => looks.looked(...look, Date.now()),
      log: (...event) => this.#logger.log(...event),
    })
  }

  /** Bound addresses, `host:port` by listener name. */
  get addresses(): Record<string, string> {
    const addresses: Record<string, string> = {}
    for (const { name, address } of this.#spec?.config.listeners ?? []) {
      addresses[name] = formatAddress({ host: address.host, port: this.#spec?.ports[name] ?? address.port })
    }
    return addresses
  }

  /** Port of the admin API; 0 when there is none. */
  get adminPort(): number {
    return this.#admin?.port ?? 0
  }

  get generation(): number {
    return this.#generation
  }

  /** For tests. */
  get pool(): WorkerPool | null {
    return this.#pool
  }

  /** Serves. Rejects with a {@link StartError} when it can't. */
  async start(): Promise<void> {
    const loaded = await loadConfigInChild(this.#file)
    if (!loaded.ok) throw new StartError(formatProblems(loaded.problems, { excerpt: true }))
    const { config } = loaded
    this.#configureLog(config)
    for (const warning of loaded.warnings)
      this.#logger.log("warn", warning.message, { at: `${warning.file}:${warning.line}:${warning.column}` })
    const unitsPerMs = calibrate()
    this.#unitsPerMs = unitsPerMs
    const store = new FilterStore({ compiler: this.#compiler, unitsPerMs, clock: systemClock, cache: openModuleCache() })
    this.#filters = store
    const tls = this.#tls.read(config)
    if (typeof tls === "string") throw new StartError(tls)
    const [prepared] = await Promise.all([store.prepare(config), this.#discovery.prepare(config)])
    if (!prepared.ok) {
      this.#discovery.close()
      throw new StartError(prepared.problems.join("\n"))
    }
    const size = config.workers === "auto" ? availableParallelism() : config.workers
    const queueMemory = createSharedQueues({ threads: size })
    const queues = new SharedQueueStore(queueMemory, { thread: -1, wake: (worker) => this.#pool?.wake(worker) })
    const guestMetrics = createGuestMetrics()
    const defined = new GuestMetricsTable(guestMetrics)
    this.#registry.include(() => guestMetricsText(defined) + queuesText(queues))
    this.#registry.include(() => this.#tls.exposition)
    const endpoints = new EndpointWatch({
      workers: size,
      random: Math.random,
      logger: this.#logger,
      instruments: this.#instruments.endpoints,
    })
    this.#endpoints = endpoints
    const limits = new LimitsTable(size)
    this.#limits = limits
    this.#registry.include(() => limits.exposition)
    this.#pool = new WorkerPool({
      size,
      registry: this.#registry,
      logger: this.#logger,
      start: {
        workers: size,
        slots: this.#instruments.worker,
        overloadSlots: overloadSlots(this.#registry, size),
        limits: limits.memory,
        memoryLevel: this.#memory.memory,
        shared: createSharedStore(),
        queues: queueMemory,
        guestMetrics,
        unitsPerMs,
        logLevel: config.log.level,
      },
      onLog: (event) => this.#options.onLog(event),
      onAccess: (lines, written) => this.#options.onAccess(lines, written),
      onEjection: (event) => endpoints.heard(event),
      onLost: (worker) => {
        queues.forget(worker)
        limits.forget(worker)
        this.#instruments.workerRestarted()
      },
      onCount: (running) => this.#instruments.workersRunning(running),
    })
    try {
      await this.#apply(config, prepared.filters, tls)
      this.#taken()
      prepared.commit()
      const changes = this.#filterChanges(store)
      this.#changes = changes
      changes.look(performance.now())
      this.#showFilters()
      if (config.admin !== null) {
        const [{ createAdmin }, { serveAdmin }] = await Promise.all([import("./admin/app.ts"), import("./admin/server.ts")])
        const app = createAdmin(
          {
            live: () => true,
            ready: () => this.#ready(),
            exposition: () => this.#registry.exposition(),
            config: () => this.#config,
            filters: () => this.#filterStatus(),
            services: () =>
              serviceStatus(
                this.#spec?.config ?? null,
                (...endpoint) => endpoints.state(...endpoint),
                (...figure) => limits.used(...figure),
              ),
            push: (...order) => changes.push(...order),
            unpush: (...order) => changes.unpush(...order),
            release: (...order) => changes.release(...order),
            canaries: () => this.#canaries.status(),
            steer: (...order) => this.#canaries.order(...order),
          },
          config.admin.address.host,
        )
        this.#admin = await serveAdmin(app, config.admin.address, this.#logger)
      }
    } catch (error) {
      await this.#pool.terminate()
      this.#compiler.close()
      endpoints.close()
      this.#discovery.close()
      this.#memory.close()
      this.#changes?.close()
      this.#canaries.close()
      throw new StartError(error instanceof Error ? error.message : String(error))
    }
    for (const [listener, address] of Object.entries(this.addresses)) this.#logger.log("info", "listening", { listener, address })
    if (config.admin !== null) {
      this.#logger.log("info", "admin listening", { address: formatAddress({ host: config.admin.address.host, port: this.adminPort }) })
    }
    if (this.#options.watch !== false) this.#watchFiles()
    this.#tls.start()
    const modules = Object.values(config.filters).flatMap((filter) => filter.versions.map((version) => version.module))
    if (modules.some((module) => module.endsWith(".ts"))) this.#compiler.warm()
    this.#logger.log("info", "ready", { generation: this.#generation, workers: size, routes: config.routes.length })
  }

  #configureLog(config: Config): void {
    this.#logger.level = config.log.level
    this.#logger.format = this.#options.logFormat ?? config.log.format
  }

  // ------------------------------------------------------------------------------------------------------- snapshots

  async #apply(written: Config, filters: PreparedFilters, tls: TlsMaterials): Promise<void> {
    const config = this.#discovery.resolved(written)
    const ports = await claimPorts(config.listeners, this.#spec)
    this.#registry.beginGeneration()
    const endpoints = this.#endpoints as EndpointWatch
    const records = endpoints.records(config)
    const slots = snapshotSlots(config, this.#instruments)
    const canaries = this.#canaries.prepare(config, slots.routes)
    const spec: SnapshotSpec = {
      generation: this.#generation + 1,
      config,
      filters,
      ports,
      tls,
      records,
      limits: (this.#limits as LimitsTable).assign(config.services),
      rateLimits: this.#rateLimits.assign(config),
      slots,
      weights: canaries.weights,
    }
    const counts = filterCounts(slots.filters, (slot) => this.#registry.read(slot))
    await (this.#pool as WorkerPool).apply(spec)
    this.#spec = spec
    this.#config = written
    canaries.commit()
    endpoints.use(config, tls.services)
    this.#discovery.use(config)
    this.#limits?.keepOnly(config.services)
    this.#memory.use(config.overload)
    this.#rateLimits.keepOnly(config)
    this.#countsBefore = counts
    this.#generation = spec.generation
    this.#instruments.generation(spec.generation)
  }

  #taken(): void {
    this.#lastReload = { ok: true, error: null, at: new Date().toISOString() }
    this.#instruments.configTaken(Date.now())
  }

  // ---------------------------------------------------------------------------------------------------------- changes

  #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (!this.#stopping) await change()
    })
    this.#turn = turn.catch((error: unknown) => this.#logger.log("error", "a change failed", { error }))
    return this.#turn
  }

  /** Reads the configuration again. A bad one is refused and the one in force stays. */
  reload(why: string): Promise<void> {
    return this.#inTurn(() => this.#reload(why))
  }

  async #reload(why: string): Promise<void> {
    const loaded = await loadConfigInChild(this.#file)
    if (!loaded.ok) return this.#refused(formatProblems(loaded.problems))
    const { config } = loaded
    for (const warning of loaded.warnings)
      this.#logger.log("warn", warning.message, { at: `${warning.file}:${warning.line}:${warning.column}` })
    const before = this.#config as Config
    for (const key of ["workers", "admin"] as const) {
      if (JSON.stringify(config[key]) !== JSON.stringify(before[key])) {
        this.#logger.log("warn", `a change of \`${key}\` takes effect at the next start`)
      }
    }
    const prepared = await (this.#filters as FilterStore).prepare(config)
    if (!prepared.ok) return this.#refused(prepared.problems.join("\n"))
    const tls = this.#tls.read(config)
    if (typeof tls === "string") return this.#refused(tls)
    if (prepared.kept !== null) {
      const { names, problems } = prepared.kept
      this.#logger.log("error", "filter refused; the version in force stays", { filters: names, reason: problems.join("\n") })
    }
    await this.#discovery.prepare(config)
    const sameMaterials = sameTls(tls, (this.#spec as SnapshotSpec).tls)
    if (prepared.names.length === 0 && sameMaterials && JSON.stringify(config) === JSON.stringify(before)) {
      prepared.commit()
      this.#showFilters()
      this.#watch?.update(this.#filesToWatch())
      this.#lastReload = { ok: true, error: null, at: new Date().toISOString() }
      this.#instruments.configUnchanged(Date.now())
      this.#logger.log("info", "configuration is unchanged", { why })
      return
    }
    const addresses = this.addresses
    try {
      await this.#apply(config, prepared.filters, tls)
    } catch (error) {
      this.#discovery.use((this.#spec as SnapshotSpec).config)
      return this.#refused(error instanceof Error ? error.message : String(error))
    }
    this.#taken()
    prepared.commit()
    this.#changes?.look(performance.now())
    this.#showFilters()
    this.#watch?.update(this.#filesToWatch())
    for (const [listener, address] of Object.entries(this.addresses)) {
      if (address !== addresses[listener]) this.#logger.log("info", "listening", { listener, address })
    }
    this.#configureLog(config)
    const { names: filters } = prepared
    this.#logger.log("info", "configuration taken", { generation: this.#generation, why, ...(filters.length === 0 ? {} : { filters }) })
  }

  /** Services have other endpoints than the workers know. What isn't about these stays: it is no new generation. */
  async #endpointsChanged(): Promise<void> {
    const before = this.#spec as SnapshotSpec
    const config = this.#discovery.resolved(this.#config as Config)
    const names = Object.keys(config.services).filter((name) => config.services[name].endpoints !== before.config.services[name].endpoints)
    if (names.length === 0) return
    if (!canChangeAlone(config, names)) return this.#apply(this.#config as Config, before.filters, before.tls)
    const services = pick(config.services, names)
    const endpoints = this.#endpoints as EndpointWatch
    const records = endpoints.records(config)
    const table = this.#limits as LimitsTable
    const limits = table.assign(config.services)
    const spec = { ...before, config, records, limits }
    await (this.#pool as WorkerPool).change(spec, {
      services,
      tls: pick(before.tls.services, names),
      records: { ...records, services: pick(records.services, names) },
      limits: pick(limits, names),
      zone: config.zone,
    })
    this.#spec = spec
    endpoints.use(config, spec.tls.services)
    table.keepOnly(config.services)
    this.#discovery.use(config)
  }

  #refused(reason: string): void {
    this.#lastReload = { ok: false, error: reason, at: new Date().toISOString() }
    this.#instruments.configRefused(Date.now())
    this.#logger.log("error", "configuration refused; the one in force stays", { reason, generation: this.#generation })
  }

  #filterChanges(store: FilterStore): FilterChanges {
    const inForce = (): SnapshotSpec => this.#spec as SnapshotSpec
    return new FilterChanges({
      store,
      logger: this.#logger,
      config: () => inForce().config,
      apply: async (filters) => {
        await this.#apply(this.#config as Config, filters, inForce().tls)
        return this.#generation
      },
      inTurn: (change) =>
        this.#inTurn(async () => {
          await change()
          this.#showFilters()
        }),
      counts: (filter, version) => versionCounts(inForce().slots.filters[filter][version], (slot) => this.#registry.read(slot)),
      countsBefore: (filter, version) => this.#countsBefore.get(`${filter} ${version}`) as VersionCounts,
      onRolledBack: (filter, version) => this.#instruments.filterRolledBack(filter, version),
      lift: (filter) => this.#pool?.lift(filter) ?? false,
    })
  }

  async #filterChanged(file: string): Promise<void> {
    // Someone is at work on a filter: the next save should meet a warm compiler.
    this.#compiler.idleTimeout = EDITING
    await this.#changes?.fileChanged(file)
    this.#showFilters()
    this.#watch?.update(this.#filesToWatch())
  }

  #showFilters(): void {
    if (this.#filters !== null && this.#spec !== null) showFilters(this.#spec.config, this.#filters, this.#instruments)
  }

  #filesToWatch(): string[] {
    const { config } = this.#spec as SnapshotSpec
    return [this.#file, ...(this.#filters?.files() ?? []), ...TlsFiles.paths(config)]
  }

  #watchFiles(): void {
    this.#watch = watchFiles(this.#filesToWatch(), (path) => {
      if (path === this.#file) void this.reload("file changed")
      else if (!this.#tls.fileChanged(path)) void this.#inTurn(() => this.#filterChanged(path))
    })
  }

  // ------------------------------------------------------------------------------------------------------------ status

  #ready(): ReadyState {
    return readyState({
      stopping: this.#stopping,
      generation: this.#generation,
      lastReload: this.#lastReload,
      workers: { running: this.#pool?.running ?? 0, wanted: this.#pool?.size ?? 0 },
      filters: this.#filterStatus(),
      reasons: [...this.#canaries.reasons, ...this.#tls.reasons, ...this.#discovery.reasons],
    })
  }

  #filterStatus(): FilterStatus[] {
    const spec = this.#spec
    const store = this.#filters
    if (spec === null || store === null) return []
    return filterStatus({
      config: spec.config,
      store,
      plugins: this.#pool?.plugins ?? [],
      slots: spec.slots.filters,
      read: (slot) => this.#registry.read(slot),
      unitsPerMs: this.#unitsPerMs,
    })
  }

  // --------------------------------------------------------------------------------------------------------------- end

  /**
   * Lets clients go elsewhere for the drain's delay, stops accepting, lets what runs finish within the drain time-out, and ends.
   * Resolves to whether all had finished.
   */
  async stop(): Promise<boolean> {
    if (this.#stopping) return false
    this.#changeNothing()
    const { delay, timeout } = this.#spec?.config.drain ?? { delay: 0, timeout: 0 }
    this.#logger.log("info", "draining", { delayMs: delay, timeoutMs: timeout })
    if (delay > 0) {
      await this.#pool?.announce(delay)
      this.#logger.log("info", "closing listeners")
    }
    this.#endpoints?.close()
    this.#memory.close()
    const finished = (await this.#pool?.drain(timeout)) ?? true
    await this.#admin?.close()
    this.#logger.log(finished ? "info" : "warn", finished ? "stopped" : "stopped; some exchanges were cut off by the drain time-out")
    return finished
  }

  /** Ends at once. */
  async kill(): Promise<void> {
    this.#changeNothing()
    this.#endpoints?.close()
    this.#memory.close()
    await this.#pool?.terminate()
    await this.#admin?.close()
  }

  #changeNothing(): void {
    this.#stopping = true
    this.#watch?.close()
    this.#tls.close()
    this.#changes?.close()
    this.#canaries.close()
    this.#discovery.close()
    this.#compiler.close()
  }
}

function pick<T>(values: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(values, name)).map((name) => [name, values[name]]))
}

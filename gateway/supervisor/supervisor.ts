// The main thread: reads the configuration, prepares filters, has snapshots handed to the workers (`snapshots.ts`), watches files,
// serves the admin API, and ends it all in order. It carries no traffic.

import { availableParallelism } from "node:os"
import { resolve } from "node:path"
import { ChangeHistory } from "../admin/change-history.ts"
import type { AdminServer } from "../admin/server.ts"
import { CanaryChanges } from "../canary/canary-changes.ts"
import { ConfigHistory } from "../config/config-history.ts"
import { loadConfigInChild } from "../config/load-in-child.ts"
import type { AdminConfig, Config } from "../config/model.ts"
import { formatProblems } from "../config/problem.ts"
import { formatAddress } from "../config/units.ts"
import { type FileWatch, watchFiles } from "../config/watch.ts"
import { Discovery } from "../discovery/discovery.ts"
import { lookResults } from "../discovery/source.ts"
import type { SnapshotSpec } from "../snapshot.ts"
import { Steering } from "../steering/steering.ts"
import type { AccessOutput } from "../telemetry/access-output.ts"
import { CanaryInstruments } from "../telemetry/canary-instruments.ts"
import { DiscoveryInstruments } from "../telemetry/discovery-instruments.ts"
import { Instruments, NONE } from "../telemetry/instruments.ts"
import type { LogEvent, StructuredLogger } from "../telemetry/log.ts"
import { LogLevels } from "../telemetry/log-levels.ts"
import { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import { TraceExports } from "../telemetry/tracing/trace-exports.ts"
import { TlsChanges } from "../tls/tls-changes.ts"
import { TlsFiles } from "../tls/tls-files.ts"
import { FilterLogs } from "../wasm/filter-logs.ts"
import type { FilterStore } from "../wasm/filter-store.ts"
import { calibrate } from "../wasm/meter/calibrate.ts"
import type { AdminSources } from "./admin-means.ts"
import { ConfigChanges, logWarnings } from "./config-changes.ts"
import { LiveFilters } from "./live-filters.ts"
import type { SharedMemory } from "./shared-memory.ts"
import type { Snapshots } from "./snapshots.ts"
import type { WorkerPool } from "./worker-pool.ts"
import { workerSide } from "./worker-side.ts"

export interface SupervisorOptions {
  /** Path of the configuration. */
  readonly file: string
  readonly logger: StructuredLogger
  /** Writes an event of a worker's log. */
  onLog(event: LogEvent): void
  /** Takes lines of the access log where the configuration wants them. */
  readonly access: AccessOutput
  /** Form of the log whatever the configuration says. */
  readonly logFormat?: "auto" | "human" | "json" | undefined
  /** Watch the configuration and the filters' files; default true. */
  readonly watch?: boolean
}

/** Thrown by {@link Supervisor.start}: the text says what is wrong and what to do. */
export class StartError extends Error {}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #logger: StructuredLogger
  readonly #file: string
  readonly #registry = new MetricsRegistry()
  readonly #instruments = new Instruments(this.#registry)
  readonly #traces: TraceExports
  readonly #tls: TlsChanges
  readonly #discovery: Discovery
  readonly #canaries: CanaryChanges
  readonly #steering: Steering
  readonly #history: ChangeHistory
  readonly #filterLogs = new FilterLogs()
  readonly #logLevels: LogLevels
  readonly #configHistory = new ConfigHistory(Date.now)
  #filters: LiveFilters | null = null
  #shared: SharedMemory | null = null
  #pool: WorkerPool | null = null
  #snapshots: Snapshots | null = null
  #admin: AdminServer | null = null
  #watch: FileWatch | null = null
  #configs: ConfigChanges | null = null
  #stopping = false
  /** Changes happen one after another. */
  #turn: Promise<void> = Promise.resolve()

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#logger = options.logger
    this.#file = resolve(options.file)
    this.#logLevels = new LogLevels({
      logger: options.logger,
      tellWorkers: (level) => {
        if (this.#pool !== null) this.#pool.logLevel = level
      },
    })
    options.access.onLost = (lines) => this.#instruments.accessLost(lines)
    const log = (...event: Parameters<StructuredLogger["log"]>): void => this.#logger.log(...event)
    this.#traces = new TraceExports({
      registry: this.#registry,
      log,
      environment: process.env,
      onTrace: ({ route, service, duration, traceId }) =>
        this.#instruments.exemplar(route || NONE, service || NONE, duration / 1000, traceId),
    })
    const inTurn = (change: () => Promise<void>): Promise<void> => this.#inTurn(change)
    this.#history = new ChangeHistory({
      now: Date.now,
      generation: () => this.generation,
      onRecorded: ({ who, kind, what, refused }, unsaid) => {
        // What the file says is logged where it is taken.
        if (kind === "config") return
        log("info", "admin order", { kind, what, who, ...(refused === null ? {} : { refused }), ...(unsaid === 0 ? {} : { unsaid }) })
      },
    })
    this.#canaries = new CanaryChanges({
      log,
      instruments: new CanaryInstruments(this.#registry),
      read: (slot) => this.#registry.read(slot),
      slots: () => this.#inForce.slots.routes,
      apply: () => this.#apply({}),
      inTurn,
    })
    this.#steering = new Steering({
      registry: this.#registry,
      snapshots: () => this.#snapshots,
      apply: () => this.#apply({}),
      inTurn,
      log,
      isUsable: (...endpoint) => this.#shared?.isUsable(...endpoint) === true,
    })
    this.#tls = new TlsChanges({
      log,
      inForce: () => this.#inForce,
      apply: async (tls) => {
        await this.#apply({ tls })
        return this.generation
      },
      inTurn,
    })
    const looks = new DiscoveryInstruments(this.#registry, lookResults)
    this.#discovery = new Discovery({
      watch: options.watch !== false,
      onChange: () => this.#endpointsChanged(),
      onLooked: (...look) => looks.looked(...look, Date.now()),
      log,
    })
  }

  /** Bound addresses, `host:port` by listener name. */
  get addresses(): Record<string, string> {
    const addresses: Record<string, string> = {}
    const spec = this.#snapshots?.current ?? null
    for (const { name, address } of spec?.config.listeners ?? []) {
      addresses[name] = formatAddress({ host: address.host, port: spec?.ports[name] ?? address.port })
    }
    return addresses
  }

  /** Port of the admin API; 0 when there is none. */
  get adminPort(): number {
    return this.#admin?.port ?? 0
  }

  get generation(): number {
    return this.#snapshots?.generation ?? 0
  }

  /** What the workers serve by; for what only happens once there is something. */
  get #inForce(): SnapshotSpec {
    return this.#snapshots?.current as SnapshotSpec
  }

  /** Serves. Rejects with a {@link StartError} when it can't. Told to stop meanwhile, it doesn't serve, and nothing is left of it. */
  async start(): Promise<void> {
    try {
      await this.#start()
    } catch (error) {
      const stopped = this.#stopping
      await this.kill()
      if (!stopped) throw error instanceof StartError ? error : new StartError(error instanceof Error ? error.message : String(error))
    }
    if (this.#stopping) await this.kill()
  }

  async #start(): Promise<void> {
    const loaded = await loadConfigInChild(this.#file)
    if (!loaded.ok) throw new StartError(formatProblems(loaded.problems, { excerpt: true }))
    const { config } = loaded
    this.#configureLog(config)
    logWarnings(this.#logger, loaded.warnings)
    const unitsPerMs = calibrate()
    if (this.#stopping) return
    const filters = new LiveFilters({
      registry: this.#registry,
      instruments: this.#instruments,
      logger: this.#logger,
      logs: this.#filterLogs,
      unitsPerMs,
    })
    this.#filters = filters
    const { store } = filters
    const tls = this.#tls.read(config)
    if (typeof tls === "string") throw new StartError(tls)
    const [prepared] = await Promise.all([store.prepare(config), this.#discovery.prepare(config)])
    if (!prepared.ok) throw new StartError(prepared.problems.join("\n"))
    if (this.#stopping) return
    const size = config.workers === "auto" ? availableParallelism() : config.workers
    const { shared, pool, snapshots } = workerSide({
      size,
      registry: this.#registry,
      instruments: this.#instruments,
      logger: this.#logger,
      logLevel: config.log.level,
      unitsPerMs,
      access: this.#options.access,
      traces: this.#traces,
      discovery: this.#discovery,
      canaries: this.#canaries,
      steering: this.#steering,
      onLog: (event) => {
        this.#filterLogs.hear(event)
        this.#options.onLog(event)
      },
    })
    this.#shared = shared
    this.#pool = pool
    this.#snapshots = snapshots
    await snapshots.apply(config, prepared.filters, tls)
    if (this.#stopping) return
    this.#configs = this.#configChanges(store, snapshots)
    this.#configs.start(loaded.packed)
    prepared.commit()
    const changes = filters.start({
      snapshots,
      pool,
      apply: (prepared) => this.#apply({ filters: prepared }),
      inTurn: (change) => this.#inTurn(change),
    })
    if (config.admin !== null) {
      this.#admin = await this.#serveAdmin(config.admin, { shared, pool, snapshots, store, changes, configs: this.#configs, unitsPerMs })
    }
    if (this.#stopping) return
    for (const [listener, address] of Object.entries(this.addresses)) this.#logger.log("info", "listening", { listener, address })
    if (this.#admin !== null) this.#logger.log("info", "admin listening", this.#admin.places)
    if (this.#options.watch !== false) this.#watchFiles()
    this.#tls.start()
    filters.warm(config)
    this.#logger.log("info", "ready", { generation: this.generation, workers: size, routes: config.routes.length })
  }

  async #serveAdmin(
    config: AdminConfig,
    sources: Pick<AdminSources, "shared" | "pool" | "snapshots" | "store" | "changes" | "configs" | "unitsPerMs">,
  ): Promise<AdminServer> {
    const [{ adminMeans }, { serveAdmin }] = await Promise.all([import("./admin-means.ts"), import("../admin/server.ts")])
    const means = adminMeans({
      ...sources,
      history: this.#history,
      registry: this.#registry,
      identities: this.#instruments.identities,
      canaries: this.#canaries,
      steering: this.#steering,
      filterLogs: this.#filterLogs,
      tls: this.#tls,
      discovery: this.#discovery,
      configHistory: this.#configHistory,
      logLevels: this.#logLevels,
      inTurn: (change) => this.#inTurn(change),
      stopping: () => this.#stopping,
    })
    return serveAdmin(means, config, process.env, this.#logger)
  }

  #configureLog(config: Config): void {
    this.#logLevels.configured(config.log.level)
    this.#logger.format = this.#options.logFormat ?? config.log.format
  }

  // ---------------------------------------------------------------------------------------------------------- changes

  /** Gives all workers a snapshot of the configuration in force; what isn't said stays as it is. */
  #apply({ filters, tls }: Partial<Pick<SnapshotSpec, "filters" | "tls">>): Promise<void> {
    const snapshots = this.#snapshots as Snapshots
    return snapshots.apply(snapshots.written as Config, filters ?? this.#inForce.filters, tls ?? this.#inForce.tls)
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(async () => {
      if (!this.#stopping) await change()
    })
    this.#turn = turn.catch((error: unknown) => this.#logger.log("error", "a change failed", { error }))
    return this.#turn
  }

  /** Null, or why endpoints that were found aren't in force. */
  async #endpointsChanged(): Promise<string | null> {
    let refusal: string | null = null
    await this.#inTurn(async () => {
      try {
        await this.#snapshots?.endpointsChanged()
      } catch (error) {
        refusal = error instanceof Error ? error.message : String(error)
      }
    })
    return refusal
  }

  /** Files of the access log are opened anew, for those who have moved them away. */
  reopenLogs(): void {
    this.#pool?.reopenLogs()
  }

  /** Reads the configuration again. A bad one is refused and the one in force stays. */
  reload(why: string): Promise<void> {
    return this.#inTurn(async () => this.#configs?.reload(why))
  }

  /** A configuration that was read again is in force. */
  #onTaken(config: Config, changed: boolean, before: Readonly<Record<string, string>>): void {
    this.#filters?.taken(changed)
    if (changed) {
      for (const [listener, address] of Object.entries(this.addresses)) {
        if (address !== before[listener]) this.#logger.log("info", "listening", { listener, address })
      }
      this.#configureLog(config)
    }
    this.#watch?.update(this.#filesToWatch())
  }

  #configChanges(store: FilterStore, snapshots: Snapshots): ConfigChanges {
    let before = this.addresses
    return new ConfigChanges({
      file: this.#file,
      logger: this.#logger,
      instruments: this.#instruments,
      store,
      tls: this.#tls,
      discovery: this.#discovery,
      snapshots,
      configs: this.#configHistory,
      history: this.#history,
      stopping: () => this.#stopping,
      onTaken: (config, changed) => {
        this.#onTaken(config, changed, before)
        before = this.addresses
      },
    })
  }

  async #filterChanged(file: string): Promise<void> {
    await this.#filters?.fileChanged(file)
    this.#watch?.update(this.#filesToWatch())
  }

  #filesToWatch(): string[] {
    return [this.#file, ...(this.#filters?.store.files() ?? []), ...TlsFiles.paths(this.#inForce.config)]
  }

  #watchFiles(): void {
    this.#watch = watchFiles(this.#filesToWatch(), (path) => {
      if (path === this.#file) void this.reload("file changed")
      else if (!this.#tls.fileChanged(path)) void this.#inTurn(() => this.#filterChanged(path))
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
    const { delay, timeout } = this.#snapshots?.current?.config.drain ?? { delay: 0, timeout: 0 }
    this.#logger.log("info", "draining", { delayMs: delay, timeoutMs: timeout })
    if (delay > 0) {
      await this.#pool?.announce(delay)
      this.#logger.log("info", "closing listeners")
    }
    this.#shared?.close()
    const drainedBy = performance.now() + timeout
    const finished = (await this.#pool?.drain(timeout)) ?? true
    await this.#traces.close(Math.min(5000, Math.max(1000, drainedBy - performance.now())))
    await this.#admin?.close()
    this.#logger.log(finished ? "info" : "warn", finished ? "stopped" : "stopped; some exchanges were cut off by the drain time-out")
    return finished
  }

  /** Ends at once. */
  async kill(): Promise<void> {
    this.#changeNothing()
    this.#shared?.close()
    await this.#pool?.terminate()
    await this.#traces.close(0)
    await this.#admin?.close()
  }

  #changeNothing(): void {
    this.#stopping = true
    this.#snapshots?.close()
    this.#watch?.close()
    this.#tls.close()
    this.#filters?.close()
    this.#canaries.close()
    this.#filterLogs.close()
    this.#discovery.close()
  }
}

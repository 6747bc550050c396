// Configurations while the gateway runs: reads the file again, and has the workers take what it says, or refuses it, in which case
// nothing has changed. What belongs to the process as a whole stays as it was at the start.

import type { ReadyState } from "./admin/status.ts"
import { loadConfigInChild } from "./config/load-in-child.ts"
import type { Config } from "./config/model.ts"
import { formatProblems, type Problem } from "./config/problem.ts"
import type { Discovery } from "./discovery/discovery.ts"
import type { SnapshotSpec } from "./snapshot.ts"
import type { Snapshots } from "./snapshots.ts"
import type { Instruments } from "./telemetry/instruments.ts"
import type { StructuredLogger } from "./telemetry/log.ts"
import type { TlsChanges } from "./tls/tls-changes.ts"
import { sameTls } from "./tls/tls-files.ts"
import type { FilterStore } from "./wasm/filter-store.ts"

export interface ConfigChangesOptions {
  /** Path of the configuration. */
  readonly file: string
  readonly logger: StructuredLogger
  readonly instruments: Instruments
  readonly store: FilterStore
  readonly tls: TlsChanges
  readonly discovery: Discovery
  readonly snapshots: Snapshots
  /** The gateway ends: what is given up for that says nothing of a configuration. */
  stopping(): boolean
  /** It is in force; `changed`: it, or a file of it, is another than before. */
  onTaken(config: Config, changed: boolean): void
}

export class ConfigChanges {
  readonly #options: ConfigChangesOptions
  #last: ReadyState["lastReload"] = null

  constructor(options: ConfigChangesOptions) {
    this.#options = options
  }

  /** What became of the newest one. */
  get last(): ReadyState["lastReload"] {
    return this.#last
  }

  /** The one the gateway started with is in force. */
  taken(): void {
    this.#last = { ok: true, error: null, at: new Date().toISOString() }
    this.#options.instruments.configTaken(Date.now())
  }

  /** To be called in turn with other changes. */
  async reload(why: string): Promise<void> {
    const { file, logger, instruments, store, tls, discovery, snapshots, stopping, onTaken } = this.#options
    const loaded = await loadConfigInChild(file)
    if (!loaded.ok) return this.#refused(formatProblems(loaded.problems))
    const { config } = loaded
    logWarnings(logger, loaded.warnings)
    const before = snapshots.written as Config
    for (const key of ["workers", "admin"] as const) {
      if (JSON.stringify(config[key]) !== JSON.stringify(before[key])) {
        logger.log("warn", `a change of \`${key}\` takes effect at the next start`)
      }
    }
    const prepared = await store.prepare(config)
    if (!prepared.ok) return this.#refused(prepared.problems.join("\n"))
    const materials = tls.read(config)
    if (typeof materials === "string") return this.#refused(materials)
    if (prepared.kept !== null) {
      const { names, problems } = prepared.kept
      logger.log("error", "filter refused; the version in force stays", { filters: names, reason: problems.join("\n") })
    }
    await discovery.prepare(config)
    const { tls: materialsInForce } = snapshots.current as SnapshotSpec
    const sameFiles = prepared.names.length === 0 && sameTls(materials, materialsInForce)
    if (sameFiles && JSON.stringify(config) === JSON.stringify(before)) {
      prepared.commit()
      onTaken(config, false)
      this.#last = { ok: true, error: null, at: new Date().toISOString() }
      instruments.configUnchanged(Date.now())
      logger.log("info", "configuration is unchanged", { why })
      return
    }
    try {
      await snapshots.apply(config, prepared.filters, materials)
    } catch (error) {
      discovery.use(snapshots.found as Config)
      return this.#refused(error instanceof Error ? error.message : String(error))
    }
    if (stopping()) return
    this.taken()
    prepared.commit()
    onTaken(config, true)
    const { names: filters } = prepared
    const { generation } = snapshots
    logger.log("info", "configuration taken", { generation, why, ...(filters.length === 0 ? {} : { filters }) })
  }

  #refused(reason: string): void {
    const { logger, instruments, snapshots, stopping } = this.#options
    if (stopping()) return
    this.#last = { ok: false, error: reason, at: new Date().toISOString() }
    instruments.configRefused(Date.now())
    logger.log("error", "configuration refused; the one in force stays", { reason, generation: snapshots.generation })
  }
}

/** What is doubtful in a configuration that is taken. */
export function logWarnings(logger: StructuredLogger, warnings: readonly Problem[]): void {
  for (const { message, file, line, column } of warnings) logger.log("warn", message, { at: `${file}:${line}:${column}` })
}

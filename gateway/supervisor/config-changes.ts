// Configurations while the gateway runs: reads the file again, or takes a former one out of the history, and has the workers take it,
// or refuses it, in which case nothing has changed. What belongs to the process as a whole stays as it was at the start.

import type { Recorder } from "../admin/change-history.ts"
import type { ReadyState } from "../admin/status.ts"
import type { ConfigHistory } from "../config/config-history.ts"
import { type LoadedConfig, loadConfigInChild, loadDocumentInChild } from "../config/load-in-child.ts"
import type { Config } from "../config/model.ts"
import type { PackedConfig } from "../config/packed-config.ts"
import { formatProblems, type Problem } from "../config/problem.ts"
import type { Discovery } from "../discovery/discovery.ts"
import type { Outcome } from "../http/outcome.ts"
import type { SnapshotSpec } from "../snapshot.ts"
import type { Instruments } from "../telemetry/instruments.ts"
import type { StructuredLogger } from "../telemetry/log.ts"
import type { TlsChanges } from "../tls/tls-changes.ts"
import { sameTls } from "../tls/tls-files.ts"
import type { FilterStore } from "../wasm/filter-store.ts"
import type { Snapshots } from "./snapshots.ts"

export interface ConfigChangesOptions {
  /** Path of the configuration. */
  readonly file: string
  readonly logger: StructuredLogger
  readonly instruments: Instruments
  readonly store: FilterStore
  readonly tls: TlsChanges
  readonly discovery: Discovery
  readonly snapshots: Snapshots
  readonly configs: ConfigHistory
  readonly history: Recorder
  /** The gateway ends: what is given up for that says nothing of a configuration. */
  stopping(): boolean
  /** It is in force; `changed`: it, or a file of it, is another than before. */
  onTaken(config: Config, changed: boolean): void
}

/** What became of a configuration; a text: why it was refused. */
type Result = "taken" | "unchanged" | "stopping" | { readonly refused: string }

/** Who takes what is in the file. */
const FILE = "the file"

export class ConfigChanges {
  readonly #options: ConfigChangesOptions
  #last: ReadyState["lastReload"] = null
  /** A former configuration is in force instead of the file's; null: it isn't. */
  #departed: { readonly generation: number; readonly who: string; readonly at: string } | null = null
  /** Digest of what the file said when it was last looked at; "": it was refused. */
  #filed = ""
  /** Of what is in force. */
  #digest = ""

  constructor(options: ConfigChangesOptions) {
    this.#options = options
  }

  /** What became of the newest one. */
  get last(): ReadyState["lastReload"] {
    return this.#last
  }

  /** Why what is in force is not what the file says; null: it is, or the file was refused. */
  get departure(): string | null {
    if (this.#departed === null) return null
    const { generation, who, at } = this.#departed
    return `the configuration of generation ${generation} is in force again, not that of the file (${who}, ${at}); the next change of the file, or SIGHUP, takes the file's`
  }

  /** The one the gateway started with is in force. */
  start(packed: PackedConfig): void {
    this.#filed = packed.digest
    this.#taken(packed, FILE, "start")
  }

  #taken(packed: PackedConfig, who: string, why: string): void {
    const { instruments, configs, snapshots } = this.#options
    this.#digest = packed.digest
    this.#last = { ok: true, error: null, at: new Date().toISOString() }
    instruments.configTaken(Date.now())
    configs.add(packed, snapshots.generation, who, why)
  }

  /** Takes what the file says. To be called in turn with other changes. */
  async reload(why: string): Promise<void> {
    const { file, logger, instruments, history } = this.#options
    const loaded = await loadConfigInChild(file)
    let result: Result
    if (loaded.ok) {
      logWarnings(logger, loaded.warnings)
      result = await this.#take(loaded, FILE, why)
    } else result = { refused: formatProblems(loaded.problems) }
    if (typeof result === "object") return this.#refused(result.refused, why)
    if (result === "stopping") return
    this.#departed = null
    if (loaded.ok) this.#filed = loaded.packed.digest
    if (result === "taken") {
      history.record({ who: FILE, kind: "config", what: why })
      return
    }
    this.#last = { ok: true, error: null, at: new Date().toISOString() }
    instruments.configUnchanged(Date.now())
    logger.log("info", "configuration is unchanged", { why })
  }

  /** Takes what was in force at a generation, if it passes what the file has to pass. To be called in turn with other changes. */
  async rollback(generation: number, who: string): Promise<Outcome> {
    const { file, configs, snapshots, logger } = this.#options
    const found = generation > snapshots.generation ? null : configs.at(generation)
    if (found === null) {
      const { entries } = configs
      return {
        status: 404,
        message: `there is no generation ${generation} to go back to; those from ${entries.at(-1)?.generation ?? 0} to ${snapshots.generation} are kept`,
      }
    }
    const same: Outcome = { status: 409, message: `the configuration of generation ${generation} is the one in force` }
    if (found.packed.digest === this.#digest) return same
    const loaded = await loadDocumentInChild(found.packed.document, file)
    const result = loaded.ok
      ? await this.#take(loaded, who, `rollback to generation ${generation}`)
      : { refused: formatProblems(loaded.problems) }
    if (result === "stopping") return { status: 503, message: "the gateway is shutting down" }
    if (result === "unchanged") return same
    if (typeof result === "object") {
      logger.log("error", "rollback refused; the configuration in force stays", { to: generation, who, reason: result.refused })
      return {
        status: 422,
        message: `the configuration of generation ${generation} can't be taken any more, and nothing has changed: ${result.refused}`,
      }
    }
    // Back to what the file says is no departure from it.
    this.#departed = this.#digest === this.#filed ? null : { generation, who, at: new Date().toISOString() }
    return {
      status: 200,
      message: `the configuration of generation ${generation} is in force as generation ${snapshots.generation}; the file is as it was, and its next change wins`,
    }
  }

  async #take({ config, packed }: LoadedConfig, who: string, why: string): Promise<Result> {
    const { logger, store, tls, discovery, snapshots, stopping, onTaken } = this.#options
    const before = snapshots.written as Config
    for (const key of ["workers", "admin"] as const) {
      if (JSON.stringify(config[key]) !== JSON.stringify(before[key])) {
        logger.log("warn", `a change of \`${key}\` takes effect at the next start`)
      }
    }
    const prepared = await store.prepare(config)
    if (!prepared.ok) return { refused: prepared.problems.join("\n") }
    const materials = tls.read(config)
    if (typeof materials === "string") return { refused: materials }
    if (prepared.kept !== null) {
      const { names, problems } = prepared.kept
      logger.log("error", "filter refused; the version in force stays", { filters: names, reason: problems.join("\n") })
    }
    await discovery.prepare(config)
    const { tls: materialsInForce } = snapshots.current as SnapshotSpec
    const sameFiles = prepared.names.length === 0 && sameTls(materials, materialsInForce)
    if (sameFiles && packed.digest === this.#digest) {
      prepared.commit()
      onTaken(config, false)
      return "unchanged"
    }
    try {
      await snapshots.apply(config, prepared.filters, materials)
    } catch (error) {
      discovery.use(snapshots.found as Config)
      return { refused: error instanceof Error ? error.message : String(error) }
    }
    if (stopping()) return "stopping"
    this.#taken(packed, who, why)
    prepared.commit()
    onTaken(config, true)
    const { names: filters } = prepared
    const { generation } = snapshots
    logger.log("info", "configuration taken", { generation, why, ...(filters.length === 0 ? {} : { filters }) })
    return "taken"
  }

  #refused(reason: string, why: string): void {
    const { logger, instruments, snapshots, history, stopping } = this.#options
    if (stopping()) return
    this.#filed = ""
    this.#last = { ok: false, error: reason, at: new Date().toISOString() }
    instruments.configRefused(Date.now())
    history.record({ who: FILE, kind: "config", what: why, refused: reason })
    logger.log("error", "configuration refused; the one in force stays", { reason, generation: snapshots.generation })
  }
}

/** What is doubtful in a configuration that is taken. */
export function logWarnings(logger: StructuredLogger, warnings: readonly Problem[]): void {
  for (const { message, file, line, column } of warnings) logger.log("warn", message, { at: `${file}:${line}:${column}` })
}

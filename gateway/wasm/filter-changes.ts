// Changes of filters while the gateway runs: a file that was saved, a module that was pushed, a version that does badly. Each
// is prepared, handed to all workers, and only then in force.

import type { Config, FilterVersionConfig } from "../config/model.ts"
import type { Outcome } from "../http/outcome.ts"
import { RollbackJudge, type VersionCounts } from "../resilience/rollback.ts"
import type { Logger } from "../telemetry/log.ts"
import type { PreparedFilters } from "./assemble-filters.ts"
import type { FilterChange, FilterRefusal, FilterStore } from "./filter-store.ts"

export interface FilterChangesOptions {
  readonly store: FilterStore
  readonly logger: Logger
  /** The configuration in force. */
  config(): Config
  /** Gives filters to all workers, or rejects with why none has them. Answers with the generation they are now at. */
  apply(filters: PreparedFilters): Promise<number>
  /** Runs a change when those before it are done; resolves when it is, however it went. */
  inTurn(change: () => Promise<void>): Promise<void>
  /** What a version has counted so far, over all workers. */
  counts(filter: string, version: string): VersionCounts
  /** The same when the filters in force were about to be handed to the workers. */
  countsBefore(filter: string, version: string): VersionCounts
  onRolledBack(filter: string, version: string): void
  /** Lets a filter that is in quarantine start again; whether it was, in any worker. */
  lift(filter: string): boolean
}

/** ms between two looks at versions. */
const LOOK_INTERVAL = 1000

interface Watched {
  readonly judge: RollbackJudge
  /** What is judged: another module or other limits begin anew. */
  readonly identity: string
}

export class FilterChanges {
  readonly #options: FilterChangesOptions
  readonly #watched = new Map<string, Watched>()
  readonly #timer: ReturnType<typeof setInterval>

  constructor(options: FilterChangesOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.look(performance.now()), LOOK_INTERVAL)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** A file has changed. In turn with other changes. */
  async fileChanged(file: string): Promise<void> {
    const started = performance.now()
    const { store, config } = this.#options
    const change = await store.changed(file, config())
    if (change === null) return
    const reason = await this.#take(change, "filter swapped", started)
    if (reason === null) return
    store.refused(change.names, reason)
    this.#options.logger.log("error", "filter refused; the version in force stays", { filters: change.names, reason })
  }

  push(filter: string, version: string | null, module: Uint8Array): Promise<Outcome> {
    return this.#order(filter, version, async (config, target) => {
      const started = performance.now()
      const change = this.#options.store.push(config, filter, target, module)
      const reason = await this.#take(change, "pushed filter serves", started)
      if (reason !== null) {
        this.#options.logger.log("warn", "pushed filter refused; the version in force stays", { filters: [filter], reason })
        return { status: 422, message: reason }
      }
      const { digest } = this.#options.store.stored(filter, config.filters[filter], target)
      return {
        status: 200,
        message: `filter ${filter} serves the pushed module ${digest} until its file or its module in the configuration changes, or the process ends`,
      }
    })
  }

  unpush(filter: string, version: string | null): Promise<Outcome> {
    return this.#order(filter, version, async (config, target) => {
      const change = this.#options.store.unpush(config, filter, target)
      if (change === null) return { status: 409, message: `filter ${filter} serves the module of the configuration already` }
      const reason = await this.#take(change, "filter goes back to its own module", performance.now())
      return reason === null
        ? { status: 200, message: `filter ${filter} serves the module of the configuration` }
        : { status: 422, message: reason }
    })
  }

  /** Goes back to the module that served before. */
  restore(filter: string, version: string | null): Promise<Outcome> {
    return this.#order(filter, version, async (config, target) => {
      const { store } = this.#options
      const change = store.restore(config, filter, target)
      if (change === null) {
        return {
          status: 409,
          message: `filter ${filter} has served no other module that it could go back to; push one, or change its file`,
        }
      }
      const reason = await this.#take(change, "filter goes back to the module before", performance.now())
      if (reason !== null) return { status: 422, message: reason }
      const { digest, restored } = store.stored(filter, config.filters[filter], target)
      const until = restored
        ? "until its file or its module in the configuration changes, or the process ends"
        : "which is that of the configuration"
      return { status: 200, message: `filter ${filter} serves the module before, ${digest}, ${until}` }
    })
  }

  /** Takes a filter out of use, or gives a version of it no exchanges (`version` null: all of them). */
  quarantine(filter: string, version: string | null): Promise<Outcome> {
    return this.#order(filter, version ?? "", async (config, target) => {
      const { store, logger } = this.#options
      const until = "until it changes or is released"
      const { onError, versions } = config.filters[filter]
      if (version === null || versions.length === 1) {
        if (store.heldOf(filter) !== null) return { status: 409, message: `filter ${filter} is in quarantine by order already` }
        const reason = await this.#take(store.hold(config, filter, "by order"), null, 0)
        if (reason !== null) return { status: 422, message: reason }
        logger.log("warn", "filter is in quarantine by order, until it changes or is released", { filter, onError })
        const then = onError === "deny" ? "are refused" : "pass it by"
        return { status: 200, message: `filter ${filter} is in quarantine ${until}: its exchanges ${then}` }
      }
      const { rolledBack } = store.stored(filter, config.filters[filter], target)
      if (rolledBack !== null) return { status: 409, message: `version ${version} of filter ${filter} gets no exchanges already` }
      const others = versions.filter((each) => each !== target && store.stored(filter, config.filters[filter], each).weight > 0)
      if (others.length === 0) {
        return {
          status: 409,
          message: `version ${version} of filter ${filter} is the last that gets exchanges; quarantine the whole filter instead`,
        }
      }
      const reason = await this.#take(store.rollBack(config, filter, target.name, "by order"), null, 0)
      if (reason !== null) return { status: 422, message: reason }
      logger.log("warn", "filter version gets no exchanges by order, until it changes or is released", { filter, version })
      return {
        status: 200,
        message: `version ${version} of filter ${filter} gets no exchanges ${until}: ${others.map(({ name }) => name).join(", ")} get them`,
      }
    })
  }

  release(filter: string): Promise<Outcome> {
    return this.#order(filter, "", async (config) => {
      const lifted = this.#options.lift(filter)
      const change = this.#options.store.release(config, filter)
      if (change === null && !lifted) {
        return { status: 409, message: `filter ${filter} is not in quarantine, and no version of it is rolled back` }
      }
      const reason = change === null ? null : await this.#take(change, "filter version released", performance.now())
      return reason === null ? { status: 200, message: `filter ${filter} is released` } : { status: 422, message: reason }
    })
  }

  /**
   * Compares the versions of every filter, and takes those out of use that do too badly. `now`: ms. To be called as soon as
   * filters have come into force, too: a version is judged from its start on.
   */
  look(now: number): void {
    const { config, store, counts, countsBefore } = this.#options
    const seen = new Set<string>()
    for (const [name, filter] of Object.entries(config().filters)) {
      if (filter.rollback === null || filter.versions.length === 1) continue
      for (const version of filter.versions.slice(1)) {
        const { digest, weight } = store.stored(name, filter, version)
        if (weight === 0) continue
        const key = `${name} ${version.name}`
        const identity = JSON.stringify([digest, store.stored(name, filter, filter.versions[0]).digest, filter])
        seen.add(key)
        let watched = this.#watched.get(key)
        if (watched?.identity !== identity) {
          const start = { at: now, stable: countsBefore(name, filter.versions[0].name), version: countsBefore(name, version.name) }
          watched = { judge: new RollbackJudge(filter.rollback, start), identity }
          this.#watched.set(key, watched)
        }
        const reason = watched.judge.judge(now, counts(name, filter.versions[0].name), counts(name, version.name))
        if (reason === null) continue
        this.#watched.delete(key)
        void this.#options.inTurn(() => this.#rollBack(name, version.name, digest, reason))
      }
    }
    for (const key of this.#watched.keys()) if (!seen.has(key)) this.#watched.delete(key)
  }

  async #rollBack(name: string, version: string, digest: string, reason: string): Promise<void> {
    const { store, logger, onRolledBack } = this.#options
    const config = this.#options.config()
    const filter = config.filters[name] ?? null
    const target = filter?.versions.find((each) => each.name === version) ?? null
    // Another change came first.
    if (filter === null || target === null || store.stored(name, filter, target).digest !== digest) return
    const failure = await this.#take(store.rollBack(config, name, version, reason), null, 0)
    if (failure !== null) {
      logger.log("error", "filter version can't be rolled back", { filter: name, version, reason: failure })
      return
    }
    onRolledBack(name, version)
    logger.log("error", "filter version rolled back; others get its exchanges until it changes or is released", {
      filter: name,
      version,
      reason,
    })
  }

  // Null once it is in force, else why it isn't.
  async #take(change: FilterChange | FilterRefusal, message: string | null, started: number): Promise<string | null> {
    if (!change.ok) return change.problems.join("\n")
    let generation: number
    try {
      generation = await this.#options.apply(change.filters)
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
    change.commit()
    this.look(performance.now())
    if (message !== null) {
      this.#options.logger.log("info", message, { filters: change.names, generation, ms: Math.round(performance.now() - started) })
    }
    return null
  }

  // `version` null: the only one; "": none in particular.
  async #order(
    name: string,
    version: string | null,
    carryOut: (config: Config, target: FilterVersionConfig) => Promise<Outcome>,
  ): Promise<Outcome> {
    let outcome: Outcome = { status: 503, message: "it could not be done; the log says why" }
    await this.#options.inTurn(async () => {
      const config = this.#options.config()
      const filter = Object.hasOwn(config.filters, name) ? config.filters[name] : undefined
      if (filter === undefined) {
        outcome = { status: 404, message: `there is no filter ${name}; there are ${Object.keys(config.filters).join(", ") || "none"}` }
        return
      }
      const { versions } = filter
      const names = versions.map((each) => each.name).join(", ")
      const target = version === null || version === "" ? versions[0] : versions.find((each) => each.name === version)
      if (target === undefined) outcome = { status: 404, message: `filter ${name} has no version ${version}; it has ${names}` }
      else if (version === null && versions.length > 1)
        outcome = { status: 409, message: `filter ${name} has the versions ${names}; say which one` }
      else outcome = await carryOut(config, target)
    })
    return outcome
  }
}

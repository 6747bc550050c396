// The main thread's filters: which module every version of every filter has at the moment. A change is prepared and tried
// out beside what serves, handed to the workers, and only then committed; whatever fails before leaves all as it was.

import type { Config, FilterConfig, FilterVersionConfig } from "../config/model.ts"
import { isUrl } from "../config/units.ts"
import { type Assembled, assemble, type PreparedFilters } from "./assemble-filters.ts"
import type { FilterCompiler } from "./compiler.ts"
import { type EarlierModules, NO_EARLIER, remembered } from "./earlier-modules.ts"
import {
  type FilterEvent,
  filesOf,
  fingerprintOf,
  isOther,
  keyOf,
  type Pushed,
  type RolledBack,
  type Serving,
  type Sourced,
  type State,
  type StoredVersion,
  sourceOf,
  useKey,
  usesOf,
  versionOf,
} from "./filter-state.ts"
import { manifestBeside } from "./manifest.ts"
import type { ModuleCache } from "./module-cache.ts"
import { type LoadedModule, ModuleLoader, type ModuleSource, manifestGrants } from "./module-loader.ts"
import type { PluginSpec } from "./plugin.ts"
import { type TrialOptions, trialConfigure } from "./trial.ts"

export interface FilterStoreOptions {
  readonly compiler: FilterCompiler
  readonly unitsPerMs: number
  readonly clock: TrialOptions["clock"]
  /** Keeps modules over restarts; nothing is kept when absent. */
  readonly cache?: ModuleCache | null
}

/** A change that has proved itself: to be given to the workers, and committed when all have taken it. */
export interface FilterChange {
  readonly ok: true
  /** Filters that change: of a new configuration, those whose module or manifest is another than before. */
  readonly names: readonly string[]
  /** Filters whose newest module can't be used, so that the one that serves stays; null when there are none. */
  readonly kept: FilterRefusal | null
  readonly filters: PreparedFilters
  commit(): void
}

/** Filters that can't be used, and why: one text each, with source positions. */
export interface FilterRefusal {
  readonly ok: false
  readonly names: readonly string[]
  readonly problems: readonly string[]
}

/** The modules of a configuration as they were found. */
interface Newest {
  readonly sources: ReadonlyMap<string, Sourced>
  /** Filters with another module or manifest than before. */
  readonly changed: ReadonlySet<string>
  readonly kept: FilterRefusal | null
}

export class FilterStore {
  readonly #loader: ModuleLoader
  readonly #trial: Pick<TrialOptions, "unitsPerMs" | "clock">
  readonly #refused = new Map<string, FilterEvent>()
  #state: State = {
    sources: new Map(),
    pushed: new Map(),
    rolledBack: new Map(),
    generations: new Map(),
    earlier: NO_EARLIER,
    held: new Map(),
  }

  constructor({ compiler, unitsPerMs, clock, cache = null }: FilterStoreOptions) {
    this.#loader = new ModuleLoader({ compiler, cache })
    this.#trial = { unitsPerMs, clock }
  }

  /** Prepares and tries out everything `config` needs. Files are read anew; what is known by its digest is kept. */
  async prepare(config: Config): Promise<FilterChange | FilterRefusal> {
    const newest = await this.#read(config)
    if (!newest.ok) return newest
    const change = this.#take(config, newest)
    if (change.ok || newest.changed.size === 0) return change
    // It may be a file that somebody is working on, and not the configuration: then the module that serves goes on.
    const { sources: serving } = this.#state
    const sources = new Map([...newest.sources].map(([key, read]) => [key, serving.get(key) ?? read]))
    const kept: FilterRefusal = { ok: false, names: change.names.filter((name) => newest.changed.has(name)), problems: change.problems }
    const before = this.#take(config, { sources, changed: new Set(), kept })
    return before.ok ? before : change
  }

  // Reads the modules and manifests of all filters. What can't be read or compiled any more stays what it was.
  async #read(config: Config): Promise<(Newest & { readonly ok: true }) | FilterRefusal> {
    const sources = new Map<string, Sourced>()
    const failed = new Set<string>()
    const changed = new Set<string>()
    const problems: string[] = []
    const keptNames = new Set<string>()
    const keptProblems: string[] = []
    for (const [name, filter] of Object.entries(config.filters)) {
      for (const version of filter.versions) {
        const source = sourceOf(filter, version)
        const key = keyOf(source)
        const before = this.#state.sources.get(key)
        const read = sources.get(key)
        if (read !== undefined) {
          if (isOther(read, before)) changed.add(name)
          continue
        }
        const loaded = this.#pinned(source, before) ?? (await this.#loader.load(source, before?.loaded))
        const grants = manifestGrants(source)
        if (typeof loaded !== "string" && typeof grants !== "string") {
          const sourced = { source, loaded, grants }
          sources.set(key, sourced)
          if (isOther(sourced, before)) changed.add(name)
          continue
        }
        const reasons = [loaded, grants].filter((each) => typeof each === "string").map((each) => `filter ${name}: ${each}`)
        if (before === undefined) {
          failed.add(name)
          problems.push(...reasons)
        } else {
          sources.set(key, before)
          keptNames.add(name)
          keptProblems.push(...reasons)
        }
      }
    }
    if (problems.length > 0) return { ok: false, names: [...failed], problems }
    return { ok: true, sources, changed, kept: keptNames.size === 0 ? null : { ok: false, names: [...keptNames], problems: keptProblems } }
  }

  #take(config: Config, { sources, changed, kept }: Newest): FilterChange | FilterRefusal {
    const pushed = new Map(this.#state.pushed)
    // What was pushed stands in the place of what the file held then.
    for (const { name, filter, version } of usesOf(config)) {
      const key = keyOf(sourceOf(filter, version))
      const before = this.#state.sources.get(key)?.loaded.prepared.digest
      if (before !== undefined && before !== sources.get(key)?.loaded.prepared.digest) pushed.delete(useKey(name, version.name))
    }
    // Modules that no configuration names any more are let go with the next one that comes into force.
    const change = this.#change(config, { sources, pushed }, [...changed], Object.keys(config.filters))
    const committed = andThen(change, () => {
      for (const name of this.#refused.keys()) {
        // A pinned file was not looked at.
        const filter = Object.hasOwn(config.filters, name) ? config.filters[name] : null
        if (filter === null || filter.versions.every(({ sha256 }) => sha256 === "")) this.#refused.delete(name)
      }
      if (kept !== null) this.refused(kept.names, kept.problems.join("\n"))
    })
    return committed.ok ? { ...committed, kept } : committed
  }

  // What has a digest is the same wherever it comes from.
  #pinned({ sha256, memory }: ModuleSource, before: Sourced | undefined): LoadedModule | null {
    if (sha256 === "") return null
    if (before !== undefined) return before.loaded
    for (const { source, loaded } of this.#state.sources.values()) {
      if (source.sha256 === sha256 && source.memory === memory) return { prepared: loaded.prepared, files: [] }
    }
    return null
  }

  /** Every file whose change is a change of a filter. */
  files(): string[] {
    return [...new Set([...this.#state.sources.values()].flatMap(filesOf))]
  }

  /** Takes a changed file: loads and tries out the new version. Null: it makes no difference to any filter. */
  async changed(file: string, config: Config): Promise<FilterChange | FilterRefusal | null> {
    const touched = [...this.#state.sources].filter(([, each]) => each.source.module === file || filesOf(each).includes(file))
    const keys = new Set(touched.map(([key]) => key))
    const uses = usesOf(config).filter(({ filter, version }) => keys.has(keyOf(sourceOf(filter, version))))
    const names = [...new Set(uses.map(({ name }) => name))]
    const sources = new Map(this.#state.sources)
    let different = false
    for (const [key, { source, loaded: before, grants: grantedBefore }] of touched) {
      const loaded = await this.#loader.load(source)
      if (typeof loaded === "string") return this.#refuse(names, loaded)
      const grants = manifestGrants(source)
      if (typeof grants === "string") return this.#refuse(names, grants)
      sources.set(key, { source, loaded, grants })
      different ||= isOther({ loaded, grants }, { loaded: before, grants: grantedBefore })
    }
    const pushed = new Map(this.#state.pushed)
    const isManifest = touched.every(([, { source }]) => !isUrl(source.module) && manifestBeside(source.module) === file)
    // What was pushed stands in the place of code, not of a manifest.
    if (!isManifest) for (const { name, version } of uses) different = pushed.delete(useKey(name, version.name)) || different
    if (!different) {
      // It may import other files than before.
      this.#state = { ...this.#state, sources }
      for (const name of names) this.#refused.delete(name)
      return null
    }
    const change = this.#change(config, { sources, pushed }, names)
    if (!change.ok) this.refused(names, change.problems.join("\n"))
    return andThen(change, () => {
      for (const name of names) this.#refused.delete(name)
    })
  }

  /** Puts a module in the place of a version's own, until its file or its source in the configuration changes. */
  push(config: Config, name: string, version: FilterVersionConfig, bytes: Uint8Array): FilterChange | FilterRefusal {
    const source = sourceOf(config.filters[name], version)
    const loaded = this.#loader.accept("the pushed module", bytes, source.memory)
    // Nothing is wrong with what serves: such a refusal is told to who pushed, and to nobody else.
    if (typeof loaded === "string") return { ok: false, names: [name], problems: [loaded] }
    const pushed = new Map(this.#state.pushed).set(useKey(name, version.name), { source: keyOf(source), loaded, restored: false })
    return this.#change(config, { pushed }, [name])
  }

  /** Takes back what was pushed; null when nothing was. */
  unpush(config: Config, name: string, version: FilterVersionConfig): FilterChange | FilterRefusal | null {
    const pushed = new Map(this.#state.pushed)
    return pushed.delete(useKey(name, version.name)) ? this.#change(config, { pushed }, [name]) : null
  }

  /**
   * Puts the module that served before in the place of the one that serves, until its file or its source in the configuration
   * changes; null when there is none. A second time it is the one before that.
   */
  restore(config: Config, name: string, version: FilterVersionConfig): FilterChange | FilterRefusal | null {
    const filter = config.filters[name]
    const key = useKey(name, version.name)
    const [before, ...rest] = this.#state.earlier.get(key) ?? []
    if (before === undefined) return null
    const source = keyOf(sourceOf(filter, version))
    const pushed = new Map(this.#state.pushed)
    if (this.#state.sources.get(source)?.loaded.prepared.digest === before.loaded.prepared.digest) pushed.delete(key)
    else pushed.set(key, { source, loaded: before.loaded, restored: true })
    return this.#change(config, { pushed, earlier: new Map(this.#state.earlier).set(key, rest) }, [name], [name], key)
  }

  /** Takes a filter out of use in all its versions: its exchanges go on as its `onError` says. */
  hold(config: Config, name: string, reason: string): FilterChange | FilterRefusal {
    const held = new Map(this.#state.held)
    held.set(name, {
      fingerprint: this.#fingerprintOf(this.#state, config.filters[name], name),
      event: { message: reason, at: Date.now() },
    })
    return this.#change(config, { held }, [name], [])
  }

  /** Why an order has put a filter into quarantine; null: none has. */
  heldOf(name: string): FilterEvent | null {
    return this.#state.held.get(name)?.event ?? null
  }

  // Of all its versions.
  #fingerprintOf(state: State, filter: FilterConfig, name: string): string {
    return fingerprintOf(filter, filter.versions.map((version) => this.#loadedOf(state, filter, name, version).prepared.digest).join(" "))
  }

  /** Gives a version no exchanges any more. */
  rollBack(config: Config, name: string, version: string, reason: string): FilterChange | FilterRefusal {
    const filter = config.filters[name]
    const rolledBack = new Map(this.#state.rolledBack)
    const { digest } = this.#loadedOf(this.#state, filter, name, versionOf(filter, version)).prepared
    rolledBack.set(useKey(name, version), { fingerprint: fingerprintOf(filter, digest), event: { message: reason, at: Date.now() } })
    return this.#change(config, { rolledBack }, [name])
  }

  /** Gives a filter that an order took out of use, and its versions that were rolled back, another chance; null when there are none. */
  release(config: Config, name: string): FilterChange | FilterRefusal | null {
    const rolledBack = new Map(this.#state.rolledBack)
    for (const version of config.filters[name].versions) rolledBack.delete(useKey(name, version.name))
    const held = new Map(this.#state.held)
    if (!held.delete(name) && rolledBack.size === this.#state.rolledBack.size) return null
    return this.#change(config, { rolledBack, held }, [name])
  }

  /** Remembers that the newest version of these filters does not serve. */
  refused(names: readonly string[], reason: string): void {
    for (const name of names) this.#refused.set(name, { message: reason, at: Date.now() })
  }

  #refuse(names: readonly string[], reason: string): FilterRefusal {
    this.refused(names, reason)
    return { ok: false, names, problems: [reason] }
  }

  /** Why the newest version of a filter's files isn't the one that serves; null when it is. */
  refusalOf(name: string): FilterEvent | null {
    return this.#refused.get(name) ?? null
  }

  stored(name: string, filter: FilterConfig, version: FilterVersionConfig): StoredVersion {
    const key = useKey(name, version.name)
    const { generations, pushed, rolledBack, earlier } = this.#state
    const { digest = "", generation = 0 } = generations.get(key) ?? {}
    const event = rolledBack.get(key)?.event ?? null
    const others = filter.versions.some((each) => each.weight > 0 && !rolledBack.has(useKey(name, each.name)))
    const weight = event !== null ? 0 : !others && version === filter.versions[0] ? 1 : version.weight
    const before = (earlier.get(key) ?? []).map(({ loaded }) => loaded.prepared.digest)
    const handedIn = pushed.get(key)
    const isPushed = handedIn !== undefined && !handedIn.restored
    return { digest, generation, pushed: isPushed, restored: handedIn?.restored === true, earlier: before, rolledBack: event, weight }
  }

  // The state after `edits`, which change `names`; tried out as far as `tried` are concerned. `restored`: version that goes back.
  #change(
    config: Config,
    edits: Partial<State>,
    names: readonly string[],
    tried = names,
    restored: string | null = null,
  ): FilterChange | FilterRefusal {
    const next = this.#settle(config, { ...this.#state, ...edits }, restored)
    const { filters, plugins } = this.#assemble(config, next)
    const services = new Set(Object.keys(config.services))
    const problems: string[] = []
    for (const plugin of plugins) {
      if (!tried.includes(plugin.name)) continue
      const reason = this.#try(plugin, services)
      if (reason !== null) problems.push(`filter ${plugin.title ?? plugin.name}: ${reason}`)
    }
    if (problems.length > 0) return { ok: false, names: tried, problems }
    return {
      ok: true,
      names,
      kept: null,
      filters,
      commit: () => {
        this.#state = next
      },
    }
  }

  // Forgets what no longer applies, and counts what has changed.
  #settle(config: Config, draft: State, restored: string | null): State {
    const pushed = new Map<string, Pushed>()
    const rolledBack = new Map<string, RolledBack>()
    const generations = new Map<string, Serving>()
    let earlier: EarlierModules = NO_EARLIER
    for (const { name, filter, version } of usesOf(config)) {
      const key = useKey(name, version.name)
      const handedIn = draft.pushed.get(key)
      if (handedIn !== undefined && handedIn.source === keyOf(sourceOf(filter, version))) pushed.set(key, handedIn)
      const loaded = this.#loadedOf({ ...draft, pushed }, filter, name, version)
      const { digest } = loaded.prepared
      const back = draft.rolledBack.get(key)
      if (back !== undefined && back.fingerprint === fingerprintOf(filter, digest)) rolledBack.set(key, back)
      const before = draft.generations.get(key)
      const generation = before === undefined ? 1 : before.digest === digest ? before.generation : before.generation + 1
      generations.set(key, { digest, generation, loaded })
      const replaced = before === undefined || before.digest === digest || key === restored ? null : before.loaded
      earlier = remembered(earlier, key, draft.earlier.get(key) ?? [], { replaced, memory: filter.limits.memory, serving: digest })
    }
    const settled = { sources: draft.sources, pushed, rolledBack, generations, earlier, held: draft.held }
    const held = new Map<string, RolledBack>()
    for (const [name, each] of draft.held) {
      const filter = Object.hasOwn(config.filters, name) ? config.filters[name] : null
      if (filter !== null && each.fingerprint === this.#fingerprintOf(settled, filter, name)) held.set(name, each)
    }
    return { ...settled, held }
  }

  #assemble(config: Config, state: State): Assembled {
    return assemble(config, (name, filter, version) => {
      const key = useKey(name, version.name)
      return {
        prepared: this.#loadedOf(state, filter, name, version).prepared,
        grants: state.sources.get(keyOf(sourceOf(filter, version)))?.grants ?? null,
        generation: state.generations.get(key)?.generation ?? 0,
        weight: state.rolledBack.has(key) ? 0 : version.weight,
        held: state.held.has(name),
      }
    })
  }

  #loadedOf(state: State, filter: FilterConfig, name: string, version: FilterVersionConfig): LoadedModule {
    const found = state.pushed.get(useKey(name, version.name)) ?? state.sources.get(keyOf(sourceOf(filter, version)))
    if (found === undefined) throw new Error(`filter ${name} was not prepared`)
    return found.loaded
  }

  #try(plugin: PluginSpec, services: ReadonlySet<string>): string | null {
    const result = trialConfigure(plugin, { ...this.#trial, services })
    return result.ok ? null : result.reason
  }
}

function andThen(change: FilterChange | FilterRefusal, more: () => void): FilterChange | FilterRefusal {
  if (!change.ok) return change
  return {
    ...change,
    commit: () => {
      change.commit()
      more()
    },
  }
}

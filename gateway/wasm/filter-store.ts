// The main thread's filters: reads, compiles, instruments and tries out the modules a configuration names, and keeps the
// version that serves until a better one has proved itself.

import { readFile, stat } from "node:fs/promises"
import { extname } from "node:path"
import type { Config, FilterConfig } from "../config/model.ts"
import type { FilterCompiler } from "./compiler.ts"
import { type PreparedModule, prepareModule } from "./module.ts"
import type { PluginSpec } from "./plugin.ts"
import type { Clock } from "./proxy-wasm/host.ts"
import { trialConfigure } from "./trial.ts"

/** Octets of a module file; a larger one is refused. */
const MAX_MODULE = 64 * 1024 * 1024

/** One version of one module, ready for use. */
interface Version {
  readonly prepared: PreparedModule & { readonly ok: true }
  /** Its sources: what is watched. */
  readonly files: readonly string[]
}

/** A module file, prepared with one memory limit. */
interface Entry {
  readonly path: string
  readonly memory: number
  version: Version
  generation: number
}

/** The filters of one configuration, for a snapshot. */
export interface PreparedFilters {
  readonly plugins: readonly PluginSpec[]
  /** For each route the indices in {@link plugins}, in order. */
  readonly routes: readonly (readonly number[])[]
}

export type PrepareResult =
  | { readonly ok: true; readonly filters: PreparedFilters }
  /** One text a filter that can't be used, with source positions. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** What became of a changed file. `unchanged`: it compiles to what serves already, or isn't part of any filter. */
export type ChangeResult =
  | { readonly kind: "unchanged" }
  | { readonly kind: "ready"; readonly filters: readonly string[]; readonly commit: () => void }
  | { readonly kind: "refused"; readonly filters: readonly string[]; readonly reason: string }

/** What is told of a filter beside what its instances say. */
export interface StoredFilter {
  readonly digest: string
  readonly generation: number
  /** Why the newest version of its file isn't the one that serves; null when it is. */
  readonly refused: { readonly message: string; readonly at: number } | null
}

export class FilterStore {
  readonly #compiler: FilterCompiler
  readonly #unitsPerMs: number
  readonly #clock: Clock
  #entries = new Map<string, Entry>()
  readonly #refused = new Map<string, { message: string; at: number }>()

  constructor(options: { compiler: FilterCompiler; unitsPerMs: number; clock: Clock }) {
    this.#compiler = options.compiler
    this.#unitsPerMs = options.unitsPerMs
    this.#clock = options.clock
  }

  /** Prepares and tries out everything `config` needs. Versions that serve are kept, others are loaded. */
  async prepare(config: Config): Promise<PrepareResult> {
    const entries = new Map<string, Entry>()
    const problems: string[] = []
    for (const [name, filter] of Object.entries(config.filters)) {
      const key = keyOf(filter)
      if (entries.has(key)) continue
      const kept = this.#entries.get(key)
      if (kept !== undefined) {
        entries.set(key, kept)
        continue
      }
      const loaded = await this.#load(filter.module, filter.limits.memory)
      if (typeof loaded === "string") problems.push(`filter ${name}: ${loaded}`)
      else entries.set(key, { path: filter.module, memory: filter.limits.memory, version: loaded, generation: 1 })
    }
    if (problems.length > 0) return { ok: false, problems }
    const filters = assemble(config, entries)
    for (const plugin of filters.plugins) {
      const reason = this.#try(plugin)
      if (reason !== null) problems.push(`filter ${plugin.name}: ${reason}`)
    }
    if (problems.length > 0) return { ok: false, problems }
    // Modules that no configuration names any more are let go with the next one that comes into force.
    this.#entries = entries
    return { ok: true, filters }
  }

  /** The filters of `config`, all of which {@link prepare} has seen. */
  assemble(config: Config): PreparedFilters {
    return assemble(config, this.#entries)
  }

  /** Every file whose change is a change of a filter. */
  files(): string[] {
    return [...new Set([...this.#entries.values()].flatMap((entry) => [entry.path, ...entry.version.files]))]
  }

  /** Takes a changed file: loads and tries out the new version. Nothing that serves is touched before `commit`. */
  async changed(file: string, config: Config): Promise<ChangeResult> {
    const touched = [...this.#entries].filter(([, entry]) => entry.path === file || entry.version.files.includes(file))
    const replaced = new Map<string, Entry>()
    const names = Object.entries(config.filters)
      .filter(([, filter]) => touched.some(([key]) => key === keyOf(filter)))
      .map(([name]) => name)
    for (const [key, entry] of touched) {
      const loaded = await this.#load(entry.path, entry.memory)
      if (typeof loaded === "string") return this.#refuse(names, loaded)
      if (loaded.prepared.digest === entry.version.prepared.digest) {
        entry.version = { prepared: entry.version.prepared, files: loaded.files }
        continue
      }
      replaced.set(key, { path: entry.path, memory: entry.memory, version: loaded, generation: entry.generation + 1 })
    }
    if (replaced.size === 0) {
      for (const name of names) this.#refused.delete(name)
      return { kind: "unchanged" }
    }
    const entries = new Map([...this.#entries, ...replaced])
    for (const plugin of assemble(config, entries).plugins) {
      if (!names.includes(plugin.name)) continue
      const reason = this.#try(plugin)
      if (reason !== null) return this.#refuse(names, reason)
    }
    return {
      kind: "ready",
      filters: names,
      commit: () => {
        this.#entries = entries
        for (const name of names) this.#refused.delete(name)
      },
    }
  }

  #refuse(names: readonly string[], reason: string): ChangeResult {
    for (const name of names) this.#refused.set(name, { message: reason, at: Date.now() })
    return { kind: "refused", filters: names, reason }
  }

  stored(name: string, filter: FilterConfig): StoredFilter {
    const entry = this.#entries.get(keyOf(filter))
    return {
      digest: entry?.version.prepared.digest ?? "",
      generation: entry?.generation ?? 0,
      refused: this.#refused.get(name) ?? null,
    }
  }

  #try(plugin: PluginSpec): string | null {
    const result = trialConfigure(plugin, { unitsPerMs: this.#unitsPerMs, clock: this.#clock })
    return result.ok ? null : result.reason
  }

  // The version a file holds now, or why there is none.
  async #load(path: string, memory: number): Promise<Version | string> {
    let bytes: Uint8Array
    let files: readonly string[] = [path]
    if (extname(path) === ".ts") {
      const compiled = await this.#compiler.compile(path)
      if (!compiled.ok) {
        return compiled.diagnostics
          .map((each) => `${each.file}:${each.line}:${each.column}: ${each.message}${each.excerpt === "" ? "" : `\n${each.excerpt}`}`)
          .join("\n")
      }
      bytes = compiled.wasm
      files = compiled.files
    } else {
      try {
        if ((await stat(path)).size > MAX_MODULE) return `${path} is larger than ${MAX_MODULE / 1024 / 1024} MiB`
        bytes = await readFile(path)
      } catch (error) {
        return `${path} can't be read: ${error instanceof Error ? error.message : String(error)}`
      }
    }
    const prepared = prepareModule(bytes, { memory })
    return prepared.ok ? { prepared, files } : `${path}: ${prepared.reason}`
  }
}

function keyOf(filter: FilterConfig): string {
  return `${filter.limits.memory} ${filter.module}`
}

function assemble(config: Config, entries: ReadonlyMap<string, Entry>): PreparedFilters {
  const plugins: PluginSpec[] = []
  const indices = new Map<string, number>()
  const use = (name: string, settings: unknown): number => {
    const filter = config.filters[name]
    const text = configText(filter.config, settings)
    const key = JSON.stringify([name, text])
    let index = indices.get(key)
    if (index === undefined) {
      const entry = entries.get(keyOf(filter))
      if (entry === undefined) throw new Error(`filter ${name} was not prepared`)
      const { module, abi, digest } = entry.version.prepared
      index = plugins.length
      indices.set(key, index)
      plugins.push({
        name,
        module,
        abi,
        digest,
        generation: entry.generation,
        // Data shared by a module's instances outlives its versions: a limiter goes on counting when it is edited.
        vmKey: entry.path,
        rootId: "",
        config: text,
        onError: filter.onError,
        cpuMs: filter.limits.cpu,
        memory: filter.limits.memory,
      })
    }
    return index
  }
  const routes = config.routes.map((route) => route.filters.map((each) => use(each.use, each.with)))
  // A filter that no route uses is tried out all the same: its mistakes show when it is written.
  for (const name of Object.keys(config.filters)) if (!plugins.some((plugin) => plugin.name === name)) use(name, undefined)
  return { plugins, routes }
}

/** The text a plugin is configured with: the filter's settings, with a route's laid over them key by key. */
function configText(base: unknown, settings: unknown): string {
  if (settings === undefined) return base === undefined ? "" : JSON.stringify(base)
  return JSON.stringify(isObject(base) && isObject(settings) ? { ...base, ...settings } : settings)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

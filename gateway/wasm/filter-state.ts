// What the main thread's filters are at, as one value: which module every version has, what was handed in or rolled back, what served
// before. And the names by which it all is found.

import type { Config, FilterConfig, FilterVersionConfig } from "../config/model.ts"
import { isUrl } from "../config/units.ts"
import type { EarlierModules } from "./earlier-modules.ts"
import { manifestBeside } from "./manifest.ts"
import type { LoadedModule, ModuleSource } from "./module-loader.ts"
import type { Grants } from "./proxy-wasm/host.ts"

/** Something that happened to a filter, and when: ms since the epoch. */
export interface FilterEvent {
  readonly message: string
  readonly at: number
}

/** What is told of one version of a filter beside what its instances say. */
export interface StoredVersion {
  readonly digest: string
  readonly generation: number
  /** It was handed in and is not what its file holds. */
  readonly pushed: boolean
  /** It is one from before, which an order went back to. */
  readonly restored: boolean
  /** Digests of modules that one can go back to, the latest first. */
  readonly earlier: readonly string[]
  /** Why it gets no exchanges; null when it may. */
  readonly rolledBack: FilterEvent | null
  /** As it is in force. */
  readonly weight: number
}

export interface Pushed {
  /** Source in whose place it stands. */
  readonly source: string
  readonly loaded: LoadedModule
  /** It served before. */
  readonly restored: boolean
}

export interface RolledBack {
  /** What it was then: another module or other settings are another chance. */
  readonly fingerprint: string
  readonly event: FilterEvent
}

export interface Sourced {
  readonly source: ModuleSource
  readonly loaded: LoadedModule
  /** From the manifest beside it; what is pushed in its place may do no more. */
  readonly grants: Grants | null
}

/** Never edited: the next one takes its place. Sources and versions by their keys. */
export interface State {
  readonly sources: ReadonlyMap<string, Sourced>
  readonly pushed: ReadonlyMap<string, Pushed>
  readonly rolledBack: ReadonlyMap<string, RolledBack>
  readonly generations: ReadonlyMap<string, Serving>
  /** What versions served before. */
  readonly earlier: EarlierModules
  /** Filters that an order has put into quarantine. */
  readonly held: ReadonlyMap<string, RolledBack>
}

export interface Serving {
  readonly digest: string
  readonly generation: number
  readonly loaded: LoadedModule
}

/** Whether a source holds another module or manifest than before. */
export function isOther(now: Pick<Sourced, "loaded" | "grants">, before: Pick<Sourced, "loaded" | "grants"> | undefined): boolean {
  if (before === undefined || now.loaded.prepared.digest !== before.loaded.prepared.digest) return true
  return JSON.stringify(now.grants) !== JSON.stringify(before.grants)
}

export function sourceOf(filter: FilterConfig, { module, sha256 }: FilterVersionConfig): ModuleSource {
  return { module, sha256, memory: filter.limits.memory }
}

/** The manifest too, whether or not there is one: it may come. */
export function filesOf({ source, loaded }: Sourced): readonly string[] {
  return isUrl(source.module) ? loaded.files : [...loaded.files, manifestBeside(source.module)]
}

export function keyOf({ module, sha256, memory }: ModuleSource): string {
  return `${memory} ${sha256} ${module}`
}

/** Of one version of one filter; names hold no spaces. */
export function useKey(filter: string, version: string): string {
  return `${filter} ${version}`
}

export function usesOf(config: Config): { name: string; filter: FilterConfig; version: FilterVersionConfig }[] {
  return Object.entries(config.filters).flatMap(([name, filter]) => filter.versions.map((version) => ({ name, filter, version })))
}

export function versionOf(filter: FilterConfig, name: string): FilterVersionConfig {
  const version = filter.versions.find((each) => each.name === name)
  if (version === undefined) throw new Error(`there is no version ${name}`)
  return version
}

export function fingerprintOf(filter: FilterConfig, digest: string): string {
  return JSON.stringify([digest, filter])
}

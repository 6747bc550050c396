// From a configuration and the modules its filters have now: the plugins to be made, and which of them each route uses.

import { tcpPart } from "../config/listener-parts.ts"
import type { Config, FilterConfig, FilterVersionConfig } from "../config/model.ts"
import { narrowed, toGrants } from "./grants.ts"
import type { PluginSpec } from "./plugin.ts"
import type { UsableModule } from "./prepared-modules.ts"
import type { Grants } from "./proxy-wasm/host.ts"
import type { FilterSpec } from "./versioned-filter.ts"

/** The filters of one configuration, for a snapshot. */
export interface PreparedFilters {
  readonly plugins: readonly FilterSpec[]
  /** For each route the indices in {@link plugins}, in order. */
  readonly routes: readonly (readonly number[])[]
  /** The same for each listener; only those that carry TCP have any. */
  readonly listeners: readonly (readonly number[])[]
}

/** What a version of a filter is made of at the moment. */
export interface VersionState {
  readonly prepared: UsableModule
  /** From its manifest; null = everything. */
  readonly grants: Grants | null
  readonly generation: number
  /** 0 while it is rolled back, whatever the configuration says. */
  readonly weight: number
  /** It is in quarantine by order. */
  readonly held: boolean
}

export interface Assembled {
  readonly filters: PreparedFilters
  /** Every plugin of every version, those without weight included: what has to be tried out. */
  readonly plugins: readonly PluginSpec[]
}

export function assemble(
  config: Config,
  stateOf: (name: string, filter: FilterConfig, version: FilterVersionConfig) => VersionState,
): Assembled {
  const specs: FilterSpec[] = []
  const plugins: PluginSpec[] = []
  const indices = new Map<string, number>()
  const use = (name: string, settings: unknown): number => {
    const key = JSON.stringify([name, settings])
    let index = indices.get(key)
    if (index === undefined) {
      const filter = config.filters[name]
      const versions = filter.versions.map((version) => {
        const state = stateOf(name, filter, version)
        return { plugin: pluginSpec(name, filter, version, state, settings), weight: state.weight }
      })
      for (const { plugin } of versions) plugins.push(plugin)
      index = specs.length
      indices.set(key, index)
      const used = versions.filter(({ weight }) => weight > 0)
      // The first serves when no other may.
      if (used.length === 0) specs.push(versions[0].plugin)
      else specs.push(used.length === 1 ? used[0].plugin : { name, versions: used })
    }
    return index
  }
  const routes = config.routes.map((route) => route.filters.map((each) => use(each.use, each.with)))
  const listeners = config.listeners.map((listener) => tcpPart(listener)?.filters.map((each) => use(each.use, each.with)) ?? [])
  // A filter that nothing uses is tried out all the same: its mistakes show when it is written.
  for (const name of Object.keys(config.filters)) if (!plugins.some((plugin) => plugin.name === name)) use(name, undefined)
  return { filters: { plugins: specs, routes, listeners }, plugins }
}

function pluginSpec(
  name: string,
  filter: FilterConfig,
  version: FilterVersionConfig,
  { prepared: { module, abi, digest }, grants, generation, held }: VersionState,
  settings: unknown,
): PluginSpec {
  return {
    name,
    version: version.name,
    title: filter.versions.length === 1 ? name : `${name} (${version.name})`,
    module,
    abi,
    digest,
    generation,
    // Data shared by a filter's instances outlives its versions: a limiter goes on counting when it is edited.
    vmKey: filter.vm === "" ? filter.versions[0].module : filter.vm,
    vmConfig: settingsText(filter.vmConfig),
    env: filter.env,
    rootId: filter.rootId,
    config: settingsText(overlay(overlay(filter.config, version.config), settings)),
    onError: filter.onError,
    grants: narrowed(grants, filter.permissions === undefined ? null : toGrants(filter.permissions)),
    cpuMs: filter.limits.cpu,
    memory: filter.limits.memory,
    bodyLimit: filter.limits.body,
    reroute: filter.reroute,
    held,
  }
}

/** `base` with `settings` laid over it, key by key. */
function overlay(base: unknown, settings: unknown): unknown {
  if (settings === undefined) return base
  return isObject(base) && isObject(settings) ? { ...base, ...settings } : settings
}

/** What a guest reads: a text as it is, so that plugins with a format of their own can be configured; all else as JSON. */
function settingsText(settings: unknown): string {
  if (settings === undefined) return ""
  return typeof settings === "string" ? settings : JSON.stringify(settings)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

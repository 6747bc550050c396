// The WASM filters of one worker: which plugins there are, and which of them share a VM.

import type { HttpFilter } from "../filter/filter.ts"
import type { NetworkFilter } from "../filter/network-filter.ts"
import type { Logger } from "../telemetry/log.ts"
import type { FilterMetrics } from "./filter-metrics.ts"
import { FilterProfile, type ProfileReport } from "./filter-profile.ts"
import { workOfAll } from "./own-work.ts"
import { Plugin, type PluginSpec, type PluginStatus } from "./plugin.ts"
import type { HostEnvironment } from "./proxy-wasm/host.ts"
import { type FilterSpec, VersionedFilter } from "./versioned-filter.ts"
import { type VmEnvironment, VmSlot } from "./vm-slot.ts"

export interface WasmRuntimeOptions {
  readonly logger: Logger
  readonly environment: HostEnvironment
  /** Budget units a millisecond of CPU pays for. */
  readonly unitsPerMs: number
  /** Where the counts of that version of a filter go. */
  metrics(name: string, version: string): FilterMetrics
  /** [0, 1); default Math.random. */
  readonly random?: () => number
}

/** A filter for requests, and for connections. */
export type WasmFilter = HttpFilter & NetworkFilter

/** Plugins of one worker thread. Equal specifications are one plugin, however many snapshots name it. */
export class WasmRuntime {
  readonly #options: WasmRuntimeOptions & VmEnvironment
  readonly #plugins = new Map<string, Plugin>()
  readonly #slots = new Map<string, VmSlot>()
  /** Profiles that run, by filter, then by version. */
  readonly #profiles = new Map<string, Map<string, FilterProfile>>()
  /** Made since they were last asked for. */
  #made: Plugin[] = []

  constructor(options: WasmRuntimeOptions) {
    this.#options = { ...options, work: workOfAll(options.environment.clock) }
  }

  /**
   * The filter for `spec`, started at once. Never fails: a filter that can't start answers as its `onError` says, and its
   * status why. Each call is paid back by one {@link release}.
   */
  filter(spec: FilterSpec): WasmFilter {
    if (!("versions" in spec)) return this.plugin(spec)
    const versions = spec.versions.map(({ plugin }) => this.plugin(plugin))
    const weights = spec.versions.map(({ weight }) => weight)
    return new VersionedFilter(spec.name, versions, weights, this.#options.random ?? Math.random)
  }

  /** As {@link filter}, for a filter with one version. */
  plugin(spec: PluginSpec): WasmFilter {
    const key = JSON.stringify([
      vmKeyOf(spec),
      spec.name,
      spec.version,
      spec.rootId,
      spec.config,
      spec.onError,
      spec.bodyLimit,
      spec.reroute,
      spec.held === true,
    ])
    let plugin = this.#plugins.get(key)
    if (plugin !== undefined) {
      plugin.references++
      plugin.spec = spec
      return plugin
    }
    const vmKey = vmKeyOf(spec)
    let slot = this.#slots.get(vmKey)
    if (slot === undefined) {
      slot = new VmSlot(spec, this.#options)
      this.#slots.set(vmKey, slot)
    }
    plugin = new Plugin(spec, slot, this.#options.metrics(spec.name, spec.version ?? "stable"))
    plugin.references = 1
    plugin.profile = this.#profileOf(spec)
    this.#plugins.set(key, plugin)
    slot.add(plugin)
    this.#made.push(plugin)
    return plugin
  }

  /** Gives back what {@link filter} returned. Its plugins end with their last exchange. */
  release(filter: WasmFilter): void {
    if (filter instanceof VersionedFilter) {
      for (const version of filter.versions) this.release(version)
      return
    }
    for (const [key, plugin] of this.#plugins) {
      if (plugin !== filter) continue
      plugin.references--
      if (plugin.references > 0) return
      this.#plugins.delete(key)
      const { slot } = plugin
      if (plugin.idle) slot.finish(plugin)
      // A slot whose plugins are all on their way out takes no new ones: a fresh VM starts beside it.
      const vmKey = vmKeyOf(plugin.spec)
      if (![...this.#plugins.values()].some((other) => other.slot === slot)) this.#slots.delete(vmKey)
      return
    }
    throw new Error(`filter ${filter.name} was released more often than it was asked for`)
  }

  /** Of a filter that was released: an exchange has it open still. */
  isLeaving(filter: WasmFilter): boolean {
    if (filter instanceof VersionedFilter) return filter.versions.some((version) => this.isLeaving(version))
    return filter instanceof Plugin && filter.references === 0 && !filter.idle
  }

  /** Of the plugins made since the last call, those that could not start, each with why. */
  takeFailedStarts(): string[] {
    const made = this.#made
    this.#made = []
    return made
      .filter(({ root, spec }) => root === null && spec.held !== true)
      .map(({ name, lastError }) => `filter ${name} can't start: ${lastError}`)
  }

  /** Lets a filter that is in quarantine start again, in all its versions and settings. */
  lift(name: string): void {
    for (const plugin of this.#plugins.values()) if (plugin.name === name) plugin.slot.lift(plugin)
  }

  #profileOf({ name, version = "stable" }: PluginSpec): FilterProfile | null {
    const versions = this.#profiles.get(name)
    if (versions === undefined) return null
    let profile = versions.get(version)
    if (profile === undefined) {
      profile = new FilterProfile()
      versions.set(version, profile)
    }
    return profile
  }

  /** Measures every callback of a filter from now on, in all its versions and settings. */
  beginProfile(name: string): void {
    this.#profiles.set(name, new Map())
    for (const plugin of this.#plugins.values()) if (plugin.name === name) plugin.profile = this.#profileOf(plugin.spec)
  }

  /** Measures it no more; what was found. */
  endProfile(name: string): ProfileReport[] {
    const versions = this.#profiles.get(name)
    this.#profiles.delete(name)
    for (const plugin of this.#plugins.values()) if (plugin.name === name) plugin.profile = null
    return [...(versions ?? [])].map(([version, profile]) => profile.report(version))
  }

  /** Every plugin in use. */
  status(): PluginStatus[] {
    const now = this.#options.environment.clock.now()
    return [...this.#plugins.values()].map((plugin) => plugin.status(now))
  }
}

/** Plugins with the same key live in one instance. */
function vmKeyOf(spec: PluginSpec): string {
  return JSON.stringify([spec.digest, spec.vmKey ?? "", spec.vmConfig ?? "", spec.env ?? {}, spec.cpuMs, spec.memory, spec.grants ?? null])
}

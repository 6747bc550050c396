// The WASM filters of one worker: which plugins there are, and which of them share a VM.

import type { HttpFilter } from "../filter/filter.ts"
import type { Logger } from "../telemetry/log.ts"
import type { FilterMetrics } from "./filter-metrics.ts"
import { Plugin, type PluginSpec, type PluginStatus } from "./plugin.ts"
import type { Clock, SharedData } from "./proxy-wasm/host.ts"
import { VmSlot } from "./vm-slot.ts"

export interface WasmRuntimeOptions {
  readonly logger: Logger
  readonly clock: Clock
  readonly shared: SharedData
  /** Budget units a millisecond of CPU pays for. */
  readonly unitsPerMs: number
  /** Where the counts of the filter of that name go. */
  metrics(name: string): FilterMetrics
}

/** Plugins of one worker thread. Equal specifications are one plugin, however many snapshots name it. */
export class WasmRuntime {
  readonly #options: WasmRuntimeOptions
  readonly #plugins = new Map<string, Plugin>()
  readonly #slots = new Map<string, VmSlot>()

  constructor(options: WasmRuntimeOptions) {
    this.#options = options
  }

  /**
   * The filter for `spec`, started at once. Never fails: a filter that can't start answers as its `onError` says, and its
   * status why. Each call is paid back by one {@link release}.
   */
  plugin(spec: PluginSpec): HttpFilter {
    const key = JSON.stringify([vmKeyOf(spec), spec.name, spec.rootId, spec.config, spec.onError])
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
    plugin = new Plugin(spec, slot, this.#options.metrics(spec.name))
    plugin.references = 1
    this.#plugins.set(key, plugin)
    slot.add(plugin)
    return plugin
  }

  /** Gives back what {@link plugin} returned. The plugin ends with its last exchange. */
  release(filter: HttpFilter): void {
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

  /** Every plugin in use. */
  status(): PluginStatus[] {
    const now = this.#options.clock.now()
    return [...this.#plugins.values()].map((plugin) => plugin.status(now))
  }
}

/** Plugins with the same key live in one instance. */
function vmKeyOf(spec: PluginSpec): string {
  return JSON.stringify([spec.digest, spec.vmKey ?? "", spec.vmConfig ?? "", spec.cpuMs, spec.memory])
}

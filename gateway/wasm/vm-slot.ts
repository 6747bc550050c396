// The place of one module's VM in a worker: the instance that serves now, the plugins in it, and what happens when it
// traps: its exchanges are resolved, a fresh instance takes over, and one that keeps failing has to wait.

import { Backoff } from "../resilience/backoff.ts"
import type { Logger, LogLevel } from "../telemetry/log.ts"
import { LogLimit } from "./log-limit.ts"
import { MAX_BUDGET } from "./meter/instrument.ts"
import type { Plugin, PluginSpec } from "./plugin.ts"
import type { HostEnvironment } from "./proxy-wasm/host.ts"
import { RootContext } from "./root-context.ts"
import { Trap } from "./trap.ts"
import { Vm, type VmOptions } from "./vm.ts"
import { WasmStream } from "./wasm-filter.ts"

/** ms of CPU each step of a start (module start, vm_start, configure) may use at least: keys are parsed, tables built there. */
const START_CPU_MS = 200

/** Lines of guests' logs in a second, and trap reports in ten seconds, of one VM. */
const GUEST_LINES = 200
const TRAP_LINES = 5

export interface VmEnvironment {
  readonly logger: Logger
  readonly environment: HostEnvironment
  /** Budget units a millisecond of CPU pays for. */
  readonly unitsPerMs: number
}

/** Budget units of `ms` milliseconds. */
export function budgetOf(ms: number, unitsPerMs: number): number {
  return Math.max(1, Math.min(MAX_BUDGET, Math.round(ms * unitsPerMs)))
}

export function vmOptions(spec: PluginSpec, environment: VmEnvironment, hooks: Pick<VmOptions, "logs" | "log" | "failed">): VmOptions {
  const { unitsPerMs } = environment
  return {
    module: spec.module,
    abi: spec.abi,
    id: spec.vmKey ?? spec.digest,
    vmConfig: new TextEncoder().encode(spec.vmConfig ?? ""),
    variables: Object.entries(spec.env ?? {}).map(([name, value]) => new TextEncoder().encode(`${name}=${value}\0`)),
    budget: budgetOf(spec.cpuMs, unitsPerMs),
    startBudget: budgetOf(Math.max(spec.cpuMs, START_CPU_MS), unitsPerMs),
    environment: environment.environment,
    grants: null,
    ...hooks,
  }
}

export class VmSlot {
  readonly #environment: VmEnvironment
  readonly #options: VmOptions
  /** Name for the log while no root is current. */
  readonly #name: string
  readonly #backoff = new Backoff()
  readonly #guestLines = new LogLimit(GUEST_LINES, 1000)
  readonly #trapLines = new LogLimit(TRAP_LINES, 10_000)
  readonly #plugins = new Set<Plugin>()
  #vm: Vm | null = null
  #starting = false

  constructor(spec: PluginSpec, environment: VmEnvironment) {
    this.#environment = environment
    this.#name = spec.name
    this.#options = vmOptions(spec, environment, {
      logs: (level) => environment.logger.enabled(level),
      log: (level, text, root) => this.#guestLog(level, text, root),
      failed: (trap, root) => this.failed(root.vm, trap, null, this.#pluginOf(root)),
    })
  }

  /** Gives the plugin a context, in the instance there is or a new one. */
  add(plugin: Plugin): void {
    this.#plugins.add(plugin)
    if (this.#vm === null) this.revive()
    else this.#startRoot(this.#vm, plugin)
  }

  /** Whether no plugin is left. */
  get empty(): boolean {
    return this.#plugins.size === 0
  }

  /** Ends a plugin's context; with the last one goes the instance. */
  finish(plugin: Plugin): void {
    if (!this.#plugins.delete(plugin)) return
    const root = plugin.root
    plugin.root = null
    plugin.metrics.instances(0)
    if (root !== null) {
      // It may wait for callouts of its own, and the instance with it.
      root.whenEnded(() => this.#leave())
      const trap = root.vm.finishRoot(root)
      if (trap !== null) this.failed(root.vm, trap, null)
    }
    this.#leave()
  }

  // The instance goes with the last plugin, once no root context of it waits for its end.
  #leave(): void {
    const vm = this.#vm
    if (vm === null || this.#plugins.size > 0 || vm.contexts.size > 0) return
    this.#vm = null
    vm.drop()
  }

  #now(): number {
    return this.#environment.environment.clock.now()
  }

  /** Whether a restart has to wait. */
  waiting(now: number): boolean {
    return this.#vm === null && !this.#backoff.ready(now)
  }

  /** Starts an instance with all plugins in it, unless there is one or a restart has to wait. */
  revive(): void {
    const now = this.#now()
    if (this.#vm !== null || this.#starting || !this.#backoff.ready(now)) return
    if (![...this.#plugins].some(startable)) return
    this.#starting = true
    const vm = new Vm(this.#options)
    const trap = vm.start()
    this.#starting = false
    if (trap !== null) {
      this.#resolve(vm, trap, null, null)
      return
    }
    this.#vm = vm
    for (const plugin of this.#plugins) {
      if (startable(plugin) && !this.#startRoot(vm, plugin)) return
    }
  }

  /** False when the instance died of it. */
  #startRoot(vm: Vm, plugin: Plugin): boolean {
    const started = vm.startRoot(plugin.spec)
    if (started instanceof RootContext) {
      plugin.root = started
      started.metrics = plugin.metrics
      plugin.metrics.instances(1)
      return true
    }
    if (started instanceof Trap) {
      plugin.lastError = started.toString()
      // The others in this VM must not die of this one's configuration again.
      plugin.refused = this.#plugins.size > 1
      this.#resolve(vm, started, null, null)
      return false
    }
    plugin.refused = true
    plugin.lastError = `${started.refused} refused`
    this.#environment.logger.log("error", `filter ${plugin.name}: ${plugin.lastError}; its log says why`, { filter: plugin.name })
    return true
  }

  /** `vm` is dead of `trap`. Resolves its streams but `current`, whose callback resolves itself, and starts another at once. */
  failed(vm: Vm, trap: Trap, current: WasmStream | null, culprit: Plugin | null = current === null ? null : current.plugin): void {
    if (this.#resolve(vm, trap, current, culprit) === 0) this.revive()
  }

  #pluginOf(root: RootContext): Plugin | null {
    for (const plugin of this.#plugins) if (plugin.root === root) return plugin
    return null
  }

  /** How long, in ms, a restart has to wait. A start that failed is tried again when the next exchange asks for it. */
  #resolve(vm: Vm, trap: Trap, current: WasmStream | null, culprit: Plugin | null): number {
    const now = this.#now()
    if (this.#vm === vm) this.#vm = null
    const contexts = [...vm.contexts.values()]
    vm.contexts.clear()
    const wait = this.#backoff.fail(now)
    for (const plugin of this.#plugins) {
      const affected = plugin.root === null ? culprit === null && !plugin.refused : plugin.root.vm === vm
      if (!affected) continue
      if (plugin.root !== null) plugin.metrics.instances(0)
      plugin.root = null
      plugin.lastError = trap.toString()
      // Blamed on the filter whose callback it was; on all when it was none's.
      if (culprit !== null && culprit !== plugin) continue
      plugin.traps++
      plugin.metrics.trap(trap.reason)
    }
    this.#report(trap, culprit, wait, now)
    for (const context of contexts) {
      if (context instanceof WasmStream && context !== current) context.orphaned(trap)
    }
    return wait
  }

  #report(trap: Trap, culprit: Plugin | null, wait: number, now: number): void {
    if (!this.#trapLines.allow(now)) return
    const name = culprit === null ? this.#name : culprit.name
    const left = this.#trapLines.takeDropped()
    this.#environment.logger.log("error", `filter ${name} failed: ${trap}`, {
      filter: name,
      reason: trap.reason,
      callback: trap.callback,
      function: trap.where,
      retryInMs: wait,
      ...(left === 0 ? {} : { unreported: left }),
    })
  }

  #guestLog(level: LogLevel, text: string, root: RootContext | null): void {
    if (!this.#guestLines.allow(this.#now())) return
    const left = this.#guestLines.takeDropped()
    this.#environment.logger.log(level, text, {
      filter: root === null ? this.#name : root.name,
      ...(left === 0 ? {} : { dropped: left }),
    })
  }
}

/** What refused its configuration would do so again; what only waits for its last exchanges gets no new context. */
function startable(plugin: Plugin): boolean {
  return !plugin.refused && plugin.references > 0
}

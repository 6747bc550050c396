// The place of one module's VM in a worker: the instance that serves now, the plugins in it, and what happens when it
// traps: its exchanges are resolved, a fresh instance takes over, and one that keeps failing has to wait.

import { Backoff } from "../resilience/backoff.ts"
import type { Logger, LogLevel } from "../telemetry/log.ts"
import { refusalText } from "./grants.ts"
import { LogLimit } from "./log-limit.ts"
import { budgetFor } from "./meter/calibrate.ts"
import type { WorkAccount } from "./own-work.ts"
import type { Plugin, PluginSpec } from "./plugin.ts"
import type { Grants, HostEnvironment, RefusalKind } from "./proxy-wasm/host.ts"
import { RootContext } from "./root-context.ts"
import { Trap } from "./trap.ts"
import { Vm, type VmOptions } from "./vm.ts"
import type { WasmStream } from "./wasm-filter.ts"
import type { WasmConnection } from "./wasm-network-filter.ts"

/** Whose callbacks run in an instance. */
type WasmContext = WasmStream | WasmConnection

/** ms of CPU each step of a start (module start, vm_start, configure) may use at least: keys are parsed, tables built there. */
const START_CPU_MS = 200

/** Lines of guests' logs in a second, and trap reports in ten seconds, of one VM. */
const GUEST_LINES = 200
const TRAP_LINES = 5

/** ms after which a start that failed is tried again, if nobody asks before and it needn't wait longer. */
const RETRY_MS = 500

/** ms of a start that nobody else need feel. From the second failure in a minute on, a longer one waits so many times as long. */
const SHORT_START_MS = 20
const START_SHARE = 100
const MAX_START_WAIT_MS = 60_000

/** Refusals of one VM that are logged, each once. */
const MAX_TOLD = 32

export interface VmEnvironment {
  readonly logger: Logger
  readonly environment: HostEnvironment
  /** Budget units a millisecond of CPU pays for. */
  readonly unitsPerMs: number
  /** Of all VMs of the worker: what they do by themselves. Absent: they don't count together. */
  readonly work?: WorkAccount
}

export function vmOptions(
  spec: PluginSpec,
  environment: VmEnvironment,
  hooks: Pick<VmOptions, "logs" | "log" | "failed" | "refused">,
): VmOptions {
  const { unitsPerMs } = environment
  return {
    module: spec.module,
    abi: spec.abi,
    id: spec.vmKey ?? spec.digest,
    vmConfig: new TextEncoder().encode(spec.vmConfig ?? ""),
    variables: Object.entries(spec.env ?? {}).map(([name, value]) => new TextEncoder().encode(`${name}=${value}\0`)),
    budget: budgetFor(spec.cpuMs, unitsPerMs),
    startBudget: budgetFor(Math.max(spec.cpuMs, START_CPU_MS), unitsPerMs),
    environment: environment.environment,
    work: environment.work ?? null,
    grants: spec.grants ?? null,
    ...hooks,
  }
}

export class VmSlot {
  readonly #environment: VmEnvironment
  readonly #options: VmOptions
  /** Of the first plugin: whose the log says it is while no root is current. */
  readonly #spec: PluginSpec
  #backoff = new Backoff()
  readonly #guestLines = new LogLimit(GUEST_LINES, 1000)
  readonly #trapLines = new LogLimit(TRAP_LINES, 10_000)
  readonly #plugins = new Set<Plugin>()
  readonly #grants: Grants | null
  /** Refusals that were told: filter, kind and name. */
  readonly #told = new Set<string>()
  #vm: Vm | null = null
  #starting = false
  /** ms the last start took, and what it has others wait for: ms since the epoch. */
  #startMs = 0
  #notBefore = 0
  #failedAt = Number.NEGATIVE_INFINITY
  /** Takes the next start back. */
  #cancelStart: (() => void) | null = null

  constructor(spec: PluginSpec, environment: VmEnvironment) {
    this.#environment = environment
    this.#spec = spec
    this.#grants = spec.grants ?? null
    this.#options = vmOptions(spec, environment, {
      logs: (level) => environment.logger.enabled(level),
      log: (level, text, root) => this.#guestLog(level, text, root),
      failed: (trap, root) => this.failed(root.vm, trap, null, this.#pluginOf(root)),
      refused: (kind, name, root) => this.#refused(kind, name, root),
    })
  }

  /** Gives the plugin a context, in the instance there is or a new one. */
  add(plugin: Plugin): void {
    this.#plugins.add(plugin)
    if (plugin.spec.held === true) {
      plugin.metrics.quarantined(1)
      return
    }
    if (this.#vm !== null) {
      this.#startRoot(this.#vm, plugin)
      return
    }
    // It is not to blame for the failures of those before it.
    this.#backoff = new Backoff()
    this.#notBefore = 0
    this.revive()
  }

  /** Starts a plugin that was in quarantine. */
  lift(plugin: Plugin): void {
    if (!plugin.quarantine.release()) return
    plugin.metrics.quarantined(0)
    this.#environment.logger.log("info", `filter ${plugin.name} is released from quarantine`, { filter: plugin.name })
    this.add(plugin)
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
    plugin.metrics.quarantined(0)
    if (root !== null) {
      // It may wait for callouts of its own, and the instance with it.
      root.whenEnded(() => this.#leave())
      const trap = root.vm.finishRoot(root)
      // It may wait for long: who counts after this may count what is another filter's.
      root.metrics = null
      if (trap !== null) this.failed(root.vm, trap, null)
    }
    this.#leave()
  }

  // The instance goes with the last plugin, once no root context of it waits for its end.
  #leave(): void {
    if (this.#plugins.size === 0) this.#startNoMore()
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
    return this.#vm === null && !this.#ready(now)
  }

  #ready(now: number): boolean {
    return this.#backoff.ready(now) && now >= this.#notBefore
  }

  /** Starts an instance with all plugins in it, unless there is one or a restart has to wait. */
  revive(): void {
    if (this.#vm !== null || this.#starting || !this.#ready(this.#now())) return
    if (![...this.#plugins].some(startable)) return
    this.#startNoMore()
    const { clock } = this.#environment.environment
    const from = clock.monotonic()
    this.#starting = true
    const vm = new Vm(this.#options)
    const trap = vm.start()
    this.#starting = false
    this.#startMs = clock.monotonic() - from
    if (trap !== null) {
      this.#resolve(vm, trap, null, null, true)
      this.#startLater()
      return
    }
    this.#vm = vm
    for (const plugin of this.#plugins) {
      if (startable(plugin) && !this.#startRoot(vm, plugin)) return
    }
    this.#startMs = clock.monotonic() - from
  }

  // Nobody may ask for an instance that works by itself: on ticks, or for a queue.
  #startLater(): void {
    if (this.#vm !== null || this.#cancelStart !== null || ![...this.#plugins].some(startable)) return
    const wait = Math.max(RETRY_MS, Math.ceil(Math.max(this.#backoff.retryAt, this.#notBefore) - this.#now()))
    this.#cancelStart = this.#environment.environment.clock.schedule(wait, () => {
      this.#cancelStart = null
      this.revive()
    })
  }

  #startNoMore(): void {
    this.#cancelStart?.()
    this.#cancelStart = null
  }

  /** False when the instance died of it. */
  #startRoot(vm: Vm, plugin: Plugin): boolean {
    const started = vm.startRoot(plugin.spec)
    if (started instanceof RootContext) {
      plugin.root = started
      started.metrics = plugin.metrics
      started.plugin = plugin
      plugin.metrics.instances(1)
      plugin.quarantine.started()
      return true
    }
    if (started instanceof Trap) {
      plugin.lastError = started.toString()
      // The others in this VM must not die of this one's configuration again.
      plugin.refused = this.#plugins.size > 1
      if (this.#resolve(vm, started, null, plugin, true) === 0 && plugin.refused) this.revive()
      this.#startLater()
      return false
    }
    plugin.refused = true
    plugin.lastError = `${started.refused} refused`
    this.#environment.logger.log("error", `filter ${plugin.name}: ${plugin.lastError}; its log says why`, { filter: plugin.name })
    return true
  }

  /** `vm` is dead of `trap`. Resolves its streams but `current`, whose callback resolves itself, and starts another at once. */
  failed(vm: Vm, trap: Trap, current: WasmContext | null, culprit: Plugin | null = current === null ? null : current.plugin): void {
    if (this.#resolve(vm, trap, current, culprit, false) === 0) this.revive()
    this.#startLater()
  }

  #pluginOf(root: RootContext): Plugin | null {
    for (const plugin of this.#plugins) if (plugin.root === root) return plugin
    return null
  }

  /** How long, in ms, a restart has to wait. A start that failed is tried again when the next exchange asks for it. */
  #resolve(vm: Vm, trap: Trap, current: WasmContext | null, culprit: Plugin | null, starting: boolean): number {
    const now = this.#now()
    if (this.#vm === vm) this.#vm = null
    const contexts = [...vm.contexts.values()]
    vm.contexts.clear()
    let wait = this.#backoff.fail(now)
    const givenUp: Plugin[] = []
    for (const plugin of this.#plugins) {
      const affected = plugin === culprit || (plugin.root === null ? culprit === null && startable(plugin) : plugin.root.vm === vm)
      if (!affected) continue
      if (plugin.root !== null) plugin.metrics.instances(0)
      plugin.root = null
      plugin.lastError = trap.toString()
      // Blamed on the filter whose callback it was; on all when it was none's.
      if (culprit !== null && culprit !== plugin) continue
      plugin.traps++
      plugin.metrics.trap(trap.reason)
      if (plugin.quarantine.fail(now, starting)) givenUp.push(plugin)
    }
    if (givenUp.length > 0 && [...this.#plugins].some(startable)) {
      // Those that remain have not failed.
      this.#backoff = new Backoff()
      wait = 0
    }
    // Once, nobody is to wait for it.
    const again = now - this.#failedAt < MAX_START_WAIT_MS
    this.#failedAt = now
    if (again && this.#startMs > SHORT_START_MS) {
      const rest = Math.min(MAX_START_WAIT_MS, this.#startMs * START_SHARE)
      this.#notBefore = now + rest
      wait = Math.max(wait, Math.round(rest))
    }
    this.#report(trap, culprit, wait, now)
    for (const plugin of givenUp) this.#giveUp(plugin)
    for (const context of contexts) {
      if (!(context instanceof RootContext) && context !== current) (context as WasmContext).orphaned(trap)
    }
    return wait
  }

  #report(trap: Trap, culprit: Plugin | null, wait: number, now: number): void {
    if (!this.#trapLines.allow(now)) return
    const { name, title = name, version } = culprit === null ? this.#spec : culprit.spec
    const left = this.#trapLines.takeDropped()
    this.#environment.logger.log("error", `filter ${title} failed: ${trap}`, {
      filter: name,
      ...(title === name ? {} : { version }),
      reason: trap.reason,
      callback: trap.callback,
      function: trap.where,
      retryInMs: wait,
      ...(left === 0 ? {} : { unreported: left }),
    })
  }

  #giveUp(plugin: Plugin): void {
    plugin.metrics.quarantined(1)
    this.#environment.logger.log(
      "error",
      `filter ${plugin.spec.title ?? plugin.name} is in quarantine: ${plugin.quarantine.reason}, the last time of: ${plugin.lastError}; it is started again when its module or its configuration changes, or when it is released`,
      { filter: plugin.name, onError: plugin.onError },
    )
  }

  #refused(kind: RefusalKind, name: string, root: RootContext | null): void {
    let plugin: Plugin | null = null
    const filter = root === null ? this.#spec.name : root.name
    // While it starts, its context isn't its plugin's yet.
    for (const each of this.#plugins) if (each.name === filter && (plugin === null || each.root === root)) plugin = each
    plugin?.metrics.refusal()
    const key = `${filter} ${kind} ${name}`
    if (this.#grants === null || this.#told.size >= MAX_TOLD || this.#told.has(key)) return
    this.#told.add(key)
    this.#environment.logger.log("warn", refusalText(filter, kind, name, this.#grants), { filter })
  }

  #guestLog(level: LogLevel, text: string, root: RootContext | null): void {
    if (!this.#guestLines.allow(this.#now())) return
    const left = this.#guestLines.takeDropped()
    this.#environment.logger.log(level, text, {
      filter: root === null ? this.#spec.name : root.name,
      ...(left === 0 ? {} : { dropped: left }),
    })
  }
}

/** What refused its configuration would do so again; what is out of use, or only waits for its last exchanges, gets no new context. */
function startable(plugin: Plugin): boolean {
  return !plugin.refused && plugin.quarantine.reason === null && plugin.spec.held !== true && plugin.references > 0
}

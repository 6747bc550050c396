// One configured use of a module: a root context in the module's VM, under which the streams of its routes live.

import type { FilterStream, HttpFilter, StreamFilter } from "../filter/filter.ts"
import type { ConnectionFilter, ConnectionStream, NetworkFilter } from "../filter/network-filter.ts"
import { Quarantine } from "../resilience/quarantine.ts"
import { type FilterMetrics, SAMPLE } from "./filter-metrics.ts"
import type { FilterProfile } from "./filter-profile.ts"
import { guestPhases } from "./guest-exports.ts"
import type { AbiVersion } from "./proxy-wasm/enums.ts"
import type { Grants } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"
import type { VmSlot } from "./vm-slot.ts"
import { WasmStream } from "./wasm-filter.ts"
import { WasmConnection } from "./wasm-network-filter.ts"

/** Everything a worker needs to run a filter; survives structured cloning. */
export interface PluginSpec {
  /** The filter's name in the configuration. */
  readonly name: string
  /** Which of the filter's versions this is; `stable` when absent. */
  readonly version?: string
  /** How the log names it: with its version when the filter has several; its name when absent. */
  readonly title?: string
  /** Instrumented and compiled: see prepareModule. */
  readonly module: WebAssembly.Module
  readonly abi: AbiVersion
  /** SHA-256 of the original file, hex. */
  readonly digest: string
  /** Counts the changes of this filter; for people. */
  readonly generation: number
  /** Scope of shared data (the ABI's vm_id); the digest when absent. Plugins with the same one may share an instance. */
  readonly vmKey?: string
  /** Read by the guest in `proxy_on_vm_start`. */
  readonly vmConfig?: string
  /** What the guest reads as environment variables. */
  readonly env?: Readonly<Record<string, string>>
  readonly rootId: string
  /** JSON text handed to `proxy_on_configure`. */
  readonly config: string
  /** What happens to exchanges when the filter fails: refused, or served as if it were absent. */
  readonly onError: "deny" | "skip"
  /** ms of CPU one callback may use. */
  readonly cpuMs: number
  /** Octets of memory; what the module was prepared with. */
  readonly memory: number
  /** Octets of one body it may keep back; {@link DEFAULT_BODY_LIMIT} when absent. */
  readonly bodyLimit?: number
  /** What it may do; everything when null or absent. */
  readonly grants?: Grants | null
  /** When the route is looked up anew: when the filter asks for it (default), or after every edit of request headers as well. */
  readonly reroute?: "onCall" | "onEdit"
  /** It is in quarantine by order, and not started. */
  readonly held?: boolean
}

/** Octets. */
export const DEFAULT_BODY_LIMIT = 1024 * 1024

export interface PluginStatus {
  readonly name: string
  readonly version: string
  readonly generation: number
  readonly digest: string
  /**
   * `backoff`: it failed and waits to be started again. `failed`: it refused to start, which is not tried again by itself.
   * `quarantined`: it failed so often that it is given up until it changes or is released.
   */
  readonly state: "running" | "backoff" | "failed" | "quarantined"
  readonly instances: number
  readonly traps: number
  /** "" when there was none. */
  readonly lastError: string
  readonly memoryBytes: number
}

/** Stream contexts kept for reuse. */
const MAX_FREE = 256

export class Plugin implements HttpFilter, NetworkFilter {
  readonly name: string
  readonly interests: number
  readonly dataInterests: number
  readonly bodyLimit: number
  /** Octets up to which edits may make a body grow. */
  readonly bodyRoom: number
  readonly reroutes: boolean
  /** Whether its guest has a say in responses. */
  readonly filtersResponses: boolean
  readonly onError: "deny" | "skip"
  readonly slot: VmSlot
  readonly metrics: FilterMetrics
  spec: PluginSpec
  /** Its context in the slot's instance; null while there is none. */
  root: RootContext | null = null
  /** Snapshots that use it. */
  references = 0
  traps = 0
  lastError = ""
  /** The guest refused its configuration. */
  refused = false
  /** Measures every callback; null = no profile of it runs. */
  profile: FilterProfile | null = null
  /** What its failures have come to. */
  readonly quarantine = new Quarantine()
  #open = 0
  #tick = 0
  readonly #free: WasmStream[] = []

  constructor(spec: PluginSpec, slot: VmSlot, metrics: FilterMetrics) {
    this.spec = spec
    this.name = spec.name
    const { interests, responses, dataInterests } = guestPhases(spec.module)
    this.interests = interests
    this.dataInterests = dataInterests
    this.filtersResponses = responses
    this.bodyLimit = spec.bodyLimit ?? DEFAULT_BODY_LIMIT
    this.bodyRoom = Math.max(this.bodyLimit, DEFAULT_BODY_LIMIT)
    this.reroutes = spec.reroute === "onEdit"
    this.onError = spec.onError
    this.slot = slot
    this.metrics = metrics
  }

  open(stream: FilterStream): StreamFilter | null {
    const root = this.root ?? this.revive()
    if (root === null && this.onError === "skip") {
      this.metrics.exchange(0, true)
      return null
    }
    this.#open++
    const free = this.#free.pop()
    const context = free === undefined ? new WasmStream(this, stream) : free
    context.reopen(stream)
    return context
  }

  /** Called by a stream that is done. */
  closed(context: WasmStream, failed: boolean): void {
    this.#open--
    this.metrics.exchange(context.stream.response?.status ?? 0, failed)
    if (this.#free.length < MAX_FREE) this.#free.push(context)
    if (this.references === 0 && this.#open === 0) this.slot.finish(this)
  }

  openConnection(stream: ConnectionStream): ConnectionFilter | null {
    const root = this.root ?? this.revive()
    if (root === null && this.onError === "skip") {
      this.metrics.exchange(0, true)
      return null
    }
    this.#open++
    return new WasmConnection(this, stream)
  }

  /** Called by a connection that is done. */
  closedConnection(failed: boolean): void {
    this.#open--
    this.metrics.exchange(0, failed)
    if (this.references === 0 && this.#open === 0) this.slot.finish(this)
  }

  /** Whether no exchange has it open. */
  get idle(): boolean {
    return this.#open === 0
  }

  /** Whether the next stream's callbacks are timed. */
  sample(): boolean {
    this.#tick++
    return this.#tick % SAMPLE === 0
  }

  /** Starts an instance if one may be started now. */
  revive(): RootContext | null {
    this.slot.revive()
    return this.root
  }

  #state(now: number): PluginStatus["state"] {
    if (this.root !== null) return "running"
    if (this.quarantine.reason !== null || this.spec.held === true) return "quarantined"
    if (this.refused) return "failed"
    return this.slot.waiting(now) ? "backoff" : "running"
  }

  status(now: number): PluginStatus {
    const { name, version = "stable", generation, digest } = this.spec
    const vm = this.root?.vm
    return {
      name,
      version,
      generation,
      digest,
      state: this.#state(now),
      instances: vm === undefined ? 0 : 1,
      traps: this.traps,
      lastError: this.lastError,
      memoryBytes: vm === undefined ? 0 : vm.memory.size,
    }
  }
}

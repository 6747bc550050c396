// One connection in a WASM filter: the stream context of a TCP connection. It meets its guest when the connection is new,
// sees octets both ways and the end of each side, and is over with the connection.

import type { BodyBuffer } from "../filter/body-buffer.ts"
import { CONTINUE, type FilterAction, type FilterStream, type LocalReply, PAUSE } from "../filter/filter.ts"
import type { CloseType, ConnectionFilter, ConnectionStream } from "../filter/network-filter.ts"
import { PHASE_CONNECTION } from "../telemetry/filter-instruments.ts"
import { ConnectionExchange } from "./connection-exchange.ts"
import type { Plugin } from "./plugin.ts"
import { CLOSE, CONTINUE_REQUEST, CONTINUE_RESPONSE } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"
import type { Trap } from "./trap.ts"
import type { Vm, VmStream } from "./vm.ts"

type Callback = (...args: number[]) => number

// What a crossing into a dead guest comes to: the filter is passed over, or the connection has failed.
const SKIPPED = -1
const FAILED = -2

export class WasmConnection implements ConnectionFilter, VmStream {
  readonly plugin: Plugin
  readonly tcp = true
  readonly stream: FilterStream
  readonly requestWritable = false
  readonly responseWritable = false
  readonly reroutes = false
  id = 0
  /** Where the context lives; null before the connection was shown, and after the instance failed. */
  vm: Vm | null = null
  #root: RootContext | null = null
  ended = false
  requestBody: BodyBuffer | null = null
  responseBody: BodyBuffer | null = null
  requestEnds = false
  responseEnds = false
  requestTrailersWritable = false
  responseTrailersWritable = false
  written = 0
  actions = 0
  reply: LocalReply | null = null
  readonly #connection: ConnectionStream
  readonly #sampled: boolean
  /** The guest holds the connection or octets from the client, or those from the service, back. */
  #downstreamPaused = false
  #upstreamPaused = false
  #accepted = false
  #calls = 0
  #used = 0

  constructor(plugin: Plugin, connection: ConnectionStream) {
    this.plugin = plugin
    this.#connection = connection
    this.stream = new ConnectionExchange(connection)
    this.#sampled = plugin.sample()
  }

  /** The plugin's context in {@link vm}, which outlives its connections. */
  get root(): RootContext {
    return this.#root as RootContext
  }

  get bodyRoom(): number {
    return this.plugin.bodyRoom
  }

  onNewConnection(): FilterAction {
    const { plugin } = this
    const root = plugin.root ?? plugin.revive()
    if (root === null) return this.#unavailable()
    const { vm } = root
    const { contextCreate, newConnection } = vm.exports
    this.vm = vm
    this.#root = root
    this.id = vm.newId()
    vm.contexts.set(this.id, this)
    let action = contextCreate === null ? 0 : this.#call(vm, "proxy_on_context_create", contextCreate, root.id, 0)
    if (action >= 0) action = newConnection === null ? 0 : this.#call(vm, "proxy_on_new_connection", newConnection, 0, 0)
    return action < 0 ? this.#verdict(action) : this.#downstreamAction(vm, action !== CONTINUE)
  }

  onDownstreamData(data: BodyBuffer, endOfStream: boolean): FilterAction {
    const { vm } = this
    const callback = vm === null ? null : vm.exports.downstreamData
    if (vm === null || callback === null) return CONTINUE
    this.requestBody = data
    const action = this.#call(vm, "proxy_on_downstream_data", callback, data.length, endOfStream ? 1 : 0)
    return action < 0 ? this.#verdict(action) : this.#downstreamAction(vm, action !== CONTINUE)
  }

  onUpstreamData(data: BodyBuffer, endOfStream: boolean): FilterAction {
    const { vm } = this
    const callback = vm === null ? null : vm.exports.upstreamData
    if (vm === null || callback === null) return CONTINUE
    this.responseBody = data
    const action = this.#call(vm, "proxy_on_upstream_data", callback, data.length, endOfStream ? 1 : 0)
    if (action < 0) return this.#verdict(action)
    const pause = action !== CONTINUE && (this.actions & CONTINUE_RESPONSE) === 0
    this.actions &= ~CONTINUE_RESPONSE
    this.#upstreamPaused = pause
    if (!pause) this.responseBody = null
    vm.leave()
    return pause ? PAUSE : CONTINUE
  }

  onDownstreamClose(type: CloseType): void {
    this.requestBody = null
    this.#downstreamPaused = false
    const { vm } = this
    const callback = vm === null ? null : vm.exports.downstreamClose
    if (vm !== null && callback !== null && this.#call(vm, "proxy_on_downstream_connection_close", callback, type, 0) >= 0) vm.leave()
  }

  onUpstreamClose(type: CloseType): void {
    this.responseBody = null
    this.#upstreamPaused = false
    const { vm } = this
    const callback = vm === null ? null : vm.exports.upstreamClose
    if (vm !== null && callback !== null && this.#call(vm, "proxy_on_upstream_connection_close", callback, type, 0) >= 0) vm.leave()
  }

  onDone(): void {
    const { vm, plugin } = this
    this.requestBody = null
    this.responseBody = null
    this.#downstreamPaused = false
    this.#upstreamPaused = false
    if (vm !== null) {
      this.ended = true
      const { done, log, delete: remove } = vm.exports
      if (
        (done === null || this.#call(vm, "proxy_on_done", done, 0, 0) >= 0) &&
        (log === null || this.#call(vm, "proxy_on_log", log, 0, 0) >= 0) &&
        (remove === null || this.#call(vm, "proxy_on_delete", remove, 0, 0) >= 0)
      ) {
        this.actions = 0
        vm.leave()
        vm.contexts.delete(this.id)
      }
    }
    if (this.#calls !== 0) plugin.metrics.calls(this.#calls)
    if (this.#used !== 0) plugin.metrics.budget(this.#used)
    // Without a VM by now: there was none to be had, or it failed.
    const failed = this.vm === null
    this.vm = null
    this.#root = null
    this.actions = 0
    plugin.closedConnection(failed)
  }

  // Crosses into a callback: what the guest answered, SKIPPED or FAILED. The caller leaves the VM when it is well.
  #call(vm: Vm, name: string, callback: Callback, first: number, second: number): number {
    const { profile } = this.plugin
    const start = this.#sampled || profile !== null ? vm.clock.monotonic() : 0
    let action = 0
    vm.enter(this.root, this)
    try {
      action = callback(this.id, first, second)
    } catch (error) {
      return this.#failed(vm, error, name)
    }
    if (vm.exited !== null) return this.#failed(vm, null, name)
    this.#calls++
    if (start !== 0) {
      const units = vm.used()
      const took = vm.clock.monotonic() - start
      if (this.#sampled) {
        this.#used += units
        this.plugin.metrics.duration(Math.round(took * 1e6), PHASE_CONNECTION)
      }
      profile?.called(name, took, units, name.endsWith("_data") ? first : 0)
    }
    return action >>> 0
  }

  #downstreamAction(vm: Vm, wait: boolean): FilterAction {
    const pause = wait && (this.actions & CONTINUE_REQUEST) === 0
    this.actions &= ~CONTINUE_REQUEST
    this.#downstreamPaused = pause
    if (!pause) {
      this.#accepted = true
      this.requestBody = null
    }
    vm.leave()
    return pause ? PAUSE : CONTINUE
  }

  #verdict(action: number): FilterAction {
    return action === SKIPPED ? CONTINUE : PAUSE
  }

  act(): void {
    const { actions } = this
    this.actions = 0
    if ((actions & CLOSE) !== 0) {
      this.#connection.close()
      return
    }
    if ((actions & CONTINUE_REQUEST) !== 0) this.#resumeDownstream()
    if ((actions & CONTINUE_RESPONSE) !== 0) this.#resumeUpstream()
  }

  #resumeDownstream(): void {
    if (!this.#downstreamPaused) return
    this.#downstreamPaused = false
    this.#accepted = true
    this.requestBody = null
    this.#connection.continueDownstream(this)
  }

  #resumeUpstream(): void {
    if (!this.#upstreamPaused) return
    this.#upstreamPaused = false
    this.responseBody = null
    this.#connection.continueUpstream(this)
  }

  // The instance failed in this connection's callback.
  #failed(vm: Vm, error: unknown, callback: string): number {
    const { plugin } = this
    const trap = vm.fail(error, callback)
    this.#calls++
    plugin.profile?.failed(callback)
    this.#abandon()
    plugin.slot.failed(vm, trap, this)
    if (plugin.onError === "skip") return SKIPPED
    this.#fail(trap)
    return FAILED
  }

  #fail(trap: Trap): void {
    this.#connection.fail(trap.reason === "budget" ? "filterBudget" : "filterTrap", `${this.plugin.name}:${trap.reason}`)
  }

  /** The instance failed in another context's callback. */
  orphaned(trap: Trap): void {
    const { plugin } = this
    const downstreamPaused = this.#downstreamPaused
    const upstreamPaused = this.#upstreamPaused
    // Whether the guest would still have had a say in this connection.
    const undecided = !this.#accepted || downstreamPaused || upstreamPaused || plugin.dataInterests !== 0
    this.#abandon()
    if (plugin.onError === "deny") {
      if (undecided) this.#fail(trap)
      return
    }
    if (downstreamPaused) this.#connection.continueDownstream(this)
    if (upstreamPaused) this.#connection.continueUpstream(this)
  }

  #abandon(): void {
    this.vm = null
    this.#root = null
    this.actions = 0
    this.requestBody = null
    this.responseBody = null
    this.#downstreamPaused = false
    this.#upstreamPaused = false
  }

  #unavailable(): FilterAction {
    if (this.plugin.onError === "skip") return CONTINUE
    this.#connection.fail("filterUnavailable", `${this.plugin.name}:unavailable`)
    return PAUSE
  }
}

// One connection in a WASM filter: the stream context of a TCP connection. It meets its guest when the connection is new,
// sees octets both ways and the end of each side, and is over with the connection.

import type { BodyBuffer } from "../filter/body-buffer.ts"
import { CONTINUE, type FilterAction, type FilterStream, type LocalReply, PAUSE } from "../filter/filter.ts"
import type { CloseType, ConnectionFilter, ConnectionStream } from "../filter/network-filter.ts"
import { PHASE_CONNECTION } from "../telemetry/filter-instruments.ts"
import { ConnectionExchange } from "./connection-exchange.ts"
import { FAILED, GuestCalls, SKIPPED, verdict } from "./guest-calls.ts"
import type { GuestCallback } from "./guest-exports.ts"
import type { Plugin } from "./plugin.ts"
import { CLOSE, CONTINUE_REQUEST, CONTINUE_RESPONSE } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"
import { ShownMessage } from "./shown-message.ts"
import type { Trap } from "./trap.ts"
import type { Vm, VmStream } from "./vm.ts"

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
  /** Octets from the client, or the connection that has no filter's consent yet; octets from the service. */
  readonly shownRequest: ShownMessage = new ShownMessage(CONTINUE_REQUEST)
  readonly shownResponse: ShownMessage = new ShownMessage(CONTINUE_RESPONSE)
  written = 0
  actions = 0
  reply: LocalReply | null = null
  readonly #connection: ConnectionStream
  #accepted = false
  readonly #calls: GuestCalls

  constructor(plugin: Plugin, connection: ConnectionStream) {
    this.plugin = plugin
    this.#connection = connection
    this.stream = new ConnectionExchange(connection)
    this.#calls = new GuestCalls(plugin)
    this.#calls.reopen()
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
    return action < 0 ? verdict(action) : this.#action(vm, this.shownRequest, action !== CONTINUE)
  }

  onDownstreamData(data: BodyBuffer, endOfStream: boolean): FilterAction {
    const { vm } = this
    const callback = vm === null ? null : vm.exports.downstreamData
    if (vm === null || callback === null) return CONTINUE
    this.shownRequest.body = data
    const action = this.#call(vm, "proxy_on_downstream_data", callback, data.length, endOfStream ? 1 : 0)
    return action < 0 ? verdict(action) : this.#action(vm, this.shownRequest, action !== CONTINUE)
  }

  onUpstreamData(data: BodyBuffer, endOfStream: boolean): FilterAction {
    const { vm } = this
    const callback = vm === null ? null : vm.exports.upstreamData
    if (vm === null || callback === null) return CONTINUE
    this.shownResponse.body = data
    const action = this.#call(vm, "proxy_on_upstream_data", callback, data.length, endOfStream ? 1 : 0)
    return action < 0 ? verdict(action) : this.#action(vm, this.shownResponse, action !== CONTINUE)
  }

  onDownstreamClose(type: CloseType): void {
    this.shownRequest.release()
    const { vm } = this
    const callback = vm === null ? null : vm.exports.downstreamClose
    if (vm !== null && callback !== null && this.#call(vm, "proxy_on_downstream_connection_close", callback, type, 0) >= 0) vm.leave()
  }

  onUpstreamClose(type: CloseType): void {
    this.shownResponse.release()
    const { vm } = this
    const callback = vm === null ? null : vm.exports.upstreamClose
    if (vm !== null && callback !== null && this.#call(vm, "proxy_on_upstream_connection_close", callback, type, 0) >= 0) vm.leave()
  }

  onDone(): void {
    const { vm, plugin } = this
    this.shownRequest.release()
    this.shownResponse.release()
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
    this.#calls.report()
    // Without a VM by now: there was none to be had, or it failed.
    const failed = this.vm === null
    this.vm = null
    this.#root = null
    this.actions = 0
    plugin.closedConnection(failed)
  }

  // Crosses into a callback: what the guest answered, SKIPPED or FAILED. The caller leaves the VM when it is well.
  #call(vm: Vm, name: string, callback: GuestCallback, first: number, second: number): number {
    const start = this.#calls.begin(vm)
    let action = 0
    vm.enter(this.root, this)
    try {
      action = callback(this.id, first, second)
    } catch (error) {
      return this.#failed(vm, error, name)
    }
    if (vm.exited !== null) return this.#failed(vm, null, name)
    this.#calls.ended(vm, start, name, PHASE_CONNECTION, name.endsWith("_data") ? first : 0)
    return action >>> 0
  }

  // The guest has returned from a callback; `wait`: it wants the connection, or octets of it, to pause.
  #action(vm: Vm, shown: ShownMessage, wait: boolean): FilterAction {
    const pause = wait && (this.actions & shown.continues) === 0
    this.actions &= ~shown.continues
    shown.paused = pause
    if (!pause) {
      if (shown === this.shownRequest) this.#accepted = true
      shown.leave()
    }
    vm.leave()
    return pause ? PAUSE : CONTINUE
  }

  act(): void {
    const { actions } = this
    this.actions = 0
    if ((actions & CLOSE) !== 0) {
      this.#connection.close()
      return
    }
    if ((actions & CONTINUE_REQUEST) !== 0 && this.shownRequest.paused) {
      this.#accepted = true
      this.shownRequest.release()
      this.#connection.continueDownstream(this)
    }
    if ((actions & CONTINUE_RESPONSE) !== 0 && this.shownResponse.paused) {
      this.shownResponse.release()
      this.#connection.continueUpstream(this)
    }
  }

  // The instance failed in this connection's callback.
  #failed(vm: Vm, error: unknown, callback: string): number {
    const { plugin } = this
    const trap = vm.fail(error, callback)
    this.#calls.failed(callback)
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
    const downstreamPaused = this.shownRequest.paused
    const upstreamPaused = this.shownResponse.paused
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
    this.shownRequest.release()
    this.shownResponse.release()
  }

  #unavailable(): FilterAction {
    if (this.plugin.onError === "skip") return CONTINUE
    this.#connection.fail("filterUnavailable", `${this.plugin.name}:unavailable`)
    return PAUSE
  }
}

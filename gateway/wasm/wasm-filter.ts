// One exchange in a WASM filter: the stream context. Made cheaply, it meets its guest at the request's headers, and is used
// again for another exchange once this one is done.

import { CONTINUE, type FilterAction, type FilterStream, type LocalReply, PAUSE, type StreamFilter } from "../filter/filter.ts"
import type { Plugin } from "./plugin.ts"
import { Action } from "./proxy-wasm/enums.ts"
import { CLOSE, CONTINUE_REQUEST, CONTINUE_RESPONSE, REPLY } from "./proxy-wasm/host.ts"
import type { Trap } from "./trap.ts"
import type { RootContext, Vm, VmStream } from "./vm.ts"

export class WasmStream implements StreamFilter, VmStream {
  readonly plugin: Plugin
  stream: FilterStream
  id = 0
  /** Where the context lives; null before the request's headers, and after the instance failed. */
  vm: Vm | null = null
  #root: RootContext | null = null
  requestWritable = false
  responseWritable = false
  ended = false
  written = 0
  actions = 0
  reply: LocalReply | null = null
  properties: Map<string, Uint8Array> | null = null
  /** The guest holds the request's, or the response's, headers back. */
  #requestPaused = false
  #responsePaused = false
  /** A local reply or a reset ended the exchange. */
  #stopped = false
  #responseSeen = false
  #sampled = false
  #calls = 0
  #used = 0

  constructor(plugin: Plugin, stream: FilterStream) {
    this.plugin = plugin
    this.stream = stream
  }

  /** The plugin's context in {@link vm}, which outlives its streams. */
  get root(): RootContext {
    return this.#root as RootContext
  }

  /** Makes this the context of a new exchange. */
  reopen(stream: FilterStream): void {
    this.stream = stream
    this.ended = false
    this.written = 0
    this.actions = 0
    this.reply = null
    this.properties = null
    this.requestWritable = false
    this.responseWritable = false
    this.#requestPaused = false
    this.#responsePaused = false
    this.#stopped = false
    this.#responseSeen = false
    this.#sampled = this.plugin.sample()
    this.#calls = 0
    this.#used = 0
  }

  onRequestHeaders(endOfStream: boolean): FilterAction {
    const plugin = this.plugin
    const root = plugin.root ?? plugin.revive()
    if (root === null) return this.#unavailable()
    const vm = root.vm
    const exports = vm.exports
    this.vm = vm
    this.#root = root
    this.id = vm.newId()
    vm.contexts.set(this.id, this)
    this.requestWritable = true
    const start = this.#sampled ? vm.clock.monotonic() : 0
    let action = 0
    let callback = "proxy_on_context_create"
    vm.enter(root, this)
    try {
      if (exports.contextCreate !== null) exports.contextCreate(this.id, root.id)
      callback = "proxy_on_request_headers"
      if (exports.requestHeaders !== null) {
        action = exports.requestHeaders(this.id, this.stream.request.fields.size + 4, endOfStream ? 1 : 0)
      }
    } catch (error) {
      return this.#trapped(vm, error, callback)
    }
    if (vm.exited !== null) return this.#trapped(vm, null, callback)
    this.#count(vm, start)
    const pause = action !== Action.CONTINUE && action !== Action.CONTINUE_AND_END_STREAM && (this.actions & CONTINUE_REQUEST) === 0
    this.actions &= ~CONTINUE_REQUEST
    this.#requestPaused = pause
    this.requestWritable = pause
    vm.leave()
    return pause || this.#stopped ? PAUSE : CONTINUE
  }

  onResponseHeaders(endOfStream: boolean): FilterAction {
    const vm = this.vm
    // Without a request phase there is no context, and a filter never sees half an exchange.
    if (vm === null) return CONTINUE
    this.#responseSeen = true
    this.requestWritable = false
    this.#stopped = false
    const callback = vm.exports.responseHeaders
    const response = this.stream.response
    if (callback === null || response === null) return CONTINUE
    this.responseWritable = true
    const start = this.#sampled ? vm.clock.monotonic() : 0
    let action = 0
    vm.enter(this.root, this)
    try {
      action = callback(this.id, response.fields.size + 1, endOfStream ? 1 : 0)
    } catch (error) {
      return this.#trapped(vm, error, "proxy_on_response_headers")
    }
    if (vm.exited !== null) return this.#trapped(vm, null, "proxy_on_response_headers")
    this.#count(vm, start)
    const pause = action !== Action.CONTINUE && action !== Action.CONTINUE_AND_END_STREAM && (this.actions & CONTINUE_RESPONSE) === 0
    this.actions &= ~CONTINUE_RESPONSE
    this.#responsePaused = pause
    this.responseWritable = pause
    vm.leave()
    return pause || this.#stopped ? PAUSE : CONTINUE
  }

  onDone(): void {
    const vm = this.vm
    const plugin = this.plugin
    if (vm !== null) {
      this.ended = true
      this.requestWritable = false
      this.responseWritable = false
      const { done, log, delete: remove } = vm.exports
      if (done !== null || log !== null || remove !== null) this.#finish(vm)
      vm.contexts.delete(this.id)
      this.vm = null
      this.#root = null
    }
    if (this.#calls !== 0) plugin.metrics.calls(this.#calls)
    if (this.#used !== 0) plugin.metrics.budget(this.#used)
    // Whatever the guest still wants is void.
    this.actions = 0
    this.reply = null
    this.properties = null
    plugin.closed(this)
  }

  #finish(vm: Vm): void {
    const { done, log, delete: remove } = vm.exports
    let callback = "proxy_on_done"
    vm.enter(this.root, this)
    try {
      if (done !== null) done(this.id)
      callback = "proxy_on_log"
      if (log !== null) log(this.id)
      callback = "proxy_on_delete"
      if (remove !== null) remove(this.id)
    } catch (error) {
      this.plugin.slot.failed(vm, vm.fail(error, callback), this)
      return
    }
    if (vm.exited !== null) {
      this.plugin.slot.failed(vm, vm.fail(null, callback), this)
      return
    }
    if (this.#sampled) this.#used += vm.used()
    this.actions = 0
    vm.leave()
  }

  #count(vm: Vm, start: number): void {
    this.#calls++
    if (this.#sampled) {
      this.#used += vm.used()
      this.plugin.metrics.duration(Math.round((vm.clock.monotonic() - start) * 1e6))
    }
  }

  act(): void {
    const actions = this.actions
    this.actions = 0
    if (actions === 0) return
    if ((actions & REPLY) !== 0 && this.reply !== null) {
      this.#stopped = true
      this.stream.sendLocalReply(this.reply)
    } else if ((actions & CLOSE) !== 0) {
      this.#stopped = true
      this.stream.reset()
    } else {
      if ((actions & CONTINUE_REQUEST) !== 0) this.#resumeRequest()
      if ((actions & CONTINUE_RESPONSE) !== 0) this.#resumeResponse()
    }
  }

  #resumeRequest(): void {
    if (!this.#requestPaused) return
    this.#requestPaused = false
    this.requestWritable = false
    this.stream.continueRequest()
  }

  #resumeResponse(): void {
    if (!this.#responsePaused) return
    this.#responsePaused = false
    this.responseWritable = false
    this.stream.continueResponse()
  }

  /** The instance failed in this stream's callback. */
  #trapped(vm: Vm, error: unknown, callback: string): FilterAction {
    const plugin = this.plugin
    const trap = vm.fail(error, callback)
    this.#calls++
    this.#abandon()
    plugin.slot.failed(vm, trap, this)
    if (plugin.onError === "skip") return CONTINUE
    this.stream.fail(trap.reason === "budget" ? "filterBudget" : "filterTrap", `${plugin.name}:${trap.reason}`)
    return PAUSE
  }

  /** The instance failed in another stream's callback. */
  orphaned(trap: Trap): void {
    const decided = !this.#requestPaused && (this.#responseSeen ? !this.#responsePaused : !this.plugin.filtersResponses)
    const requestPaused = this.#requestPaused
    const responsePaused = this.#responsePaused
    this.#abandon()
    if (this.plugin.onError === "skip") {
      if (requestPaused) this.stream.continueRequest()
      if (responsePaused) this.stream.continueResponse()
    } else if (!decided) {
      this.stream.fail(trap.reason === "budget" ? "filterBudget" : "filterTrap", `${this.plugin.name}:${trap.reason}`)
    }
  }

  #abandon(): void {
    this.vm = null
    this.#root = null
    this.actions = 0
    this.reply = null
    this.requestWritable = false
    this.responseWritable = false
    this.#requestPaused = false
    this.#responsePaused = false
  }

  #unavailable(): FilterAction {
    if (this.plugin.onError === "skip") return CONTINUE
    this.stream.fail("filterUnavailable", `${this.plugin.name}:unavailable`)
    return PAUSE
  }
}

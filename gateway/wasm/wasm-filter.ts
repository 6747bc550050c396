// One exchange in a WASM filter: the stream context. Made cheaply, it meets its guest at the request's headers, and is used
// again for another exchange once this one is done.

import type { BodyBuffer } from "../filter/body-buffer.ts"
import {
  type BodyAction,
  CONTINUE,
  DROP,
  type FilterAction,
  type FilterStream,
  type LocalReply,
  PAUSE,
  REQUEST_BODY,
  REQUEST_TRAILERS,
  RESPONSE_BODY,
  RESPONSE_TRAILERS,
  type StreamFilter,
} from "../filter/filter.ts"
import type { Fields } from "../http/fields.ts"
import {
  type FilterPhase,
  PHASE_REQUEST_BODY,
  PHASE_REQUEST_HEADERS,
  PHASE_RESPONSE_BODY,
  PHASE_RESPONSE_HEADERS,
} from "../telemetry/filter-instruments.ts"
import { FAILED, GuestCalls, SKIPPED, verdict } from "./guest-calls.ts"
import type { GuestCallback } from "./guest-exports.ts"
import type { Plugin } from "./plugin.ts"
import { Action } from "./proxy-wasm/enums.ts"
import { CLOSE, CONTINUE_REQUEST, CONTINUE_RESPONSE, REPLY } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"
import { ShownMessage } from "./shown-message.ts"
import type { Trap } from "./trap.ts"
import type { Vm, VmStream } from "./vm.ts"

export class WasmStream implements StreamFilter, VmStream {
  readonly plugin: Plugin
  readonly tcp = false
  stream: FilterStream
  id = 0
  /** Where the context lives; null before the request's headers, and after the instance failed. */
  vm: Vm | null = null
  #root: RootContext | null = null
  ended = false
  readonly shownRequest: ShownMessage = new ShownMessage(CONTINUE_REQUEST)
  readonly shownResponse: ShownMessage = new ShownMessage(CONTINUE_RESPONSE)
  written = 0
  actions = 0
  reply: LocalReply | null = null
  /** A local reply or a reset ended the exchange. */
  #stopped = false
  #responseSeen = false
  readonly #calls: GuestCalls

  constructor(plugin: Plugin, stream: FilterStream) {
    this.plugin = plugin
    this.stream = stream
    this.#calls = new GuestCalls(plugin)
  }

  /** The plugin's context in {@link vm}, which outlives its streams. */
  get root(): RootContext {
    return this.#root as RootContext
  }

  get requestWritable(): boolean {
    return !this.ended && !this.stream.requestSent
  }

  get responseWritable(): boolean {
    return !this.ended && !this.stream.responseSent
  }

  get reroutes(): boolean {
    return this.plugin.reroutes
  }

  get bodyRoom(): number {
    return this.plugin.bodyRoom
  }

  /** Makes this the context of a new exchange. */
  reopen(stream: FilterStream): void {
    this.stream = stream
    this.ended = false
    this.written = 0
    this.actions = 0
    this.reply = null
    this.shownRequest.reopen()
    this.shownResponse.reopen()
    this.#stopped = false
    this.#responseSeen = false
    this.#calls.reopen()
  }

  // ----------------------------------------------------------------------------------------------------------- callbacks

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
    this.shownRequest.over = endOfStream
    const start = this.#calls.begin(vm)
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
      return verdict(this.#failed(vm, error, callback, false))
    }
    if (vm.exited !== null) return verdict(this.#failed(vm, null, callback, false))
    this.#calls.ended(vm, start, callback, PHASE_REQUEST_HEADERS, 0)
    return this.#action(vm, this.shownRequest, action !== Action.CONTINUE && action !== Action.CONTINUE_AND_END_STREAM)
  }

  onRequestBody(body: BodyBuffer, endOfStream: boolean): BodyAction {
    const callback = this.vm === null ? null : this.vm.exports.requestBody
    return this.#onBody(this.shownRequest, callback, "proxy_on_request_body", PHASE_REQUEST_BODY, body, endOfStream)
  }

  onRequestTrailers(trailers: Fields): FilterAction {
    const callback = this.vm === null ? null : this.vm.exports.requestTrailers
    return this.#onTrailers(this.shownRequest, callback, "proxy_on_request_trailers", PHASE_REQUEST_BODY, trailers)
  }

  onResponseHeaders(endOfStream: boolean): FilterAction {
    const vm = this.vm
    // Without a request phase there is no context, and a filter never sees half an exchange.
    if (vm === null) return CONTINUE
    const shown = this.shownResponse
    this.#responseSeen = true
    shown.over = endOfStream
    this.#stopped = false
    // A response to what was never sent stands in for it.
    if (!this.stream.requestSent) this.#endRequest()
    const callback = vm.exports.responseHeaders
    const response = this.stream.response
    if (callback === null || response === null) return CONTINUE
    const size = response.fields.size + 1
    const action = this.#call(vm, shown, "proxy_on_response_headers", PHASE_RESPONSE_HEADERS, callback, size, endOfStream)
    if (action < 0) return verdict(action)
    return this.#action(vm, shown, action !== Action.CONTINUE && action !== Action.CONTINUE_AND_END_STREAM)
  }

  onResponseBody(body: BodyBuffer, endOfStream: boolean): BodyAction {
    const callback = this.vm === null ? null : this.vm.exports.responseBody
    return this.#onBody(this.shownResponse, callback, "proxy_on_response_body", PHASE_RESPONSE_BODY, body, endOfStream)
  }

  onResponseTrailers(trailers: Fields): FilterAction {
    const callback = this.vm === null ? null : this.vm.exports.responseTrailers
    return this.#onTrailers(this.shownResponse, callback, "proxy_on_response_trailers", PHASE_RESPONSE_BODY, trailers)
  }

  #onBody(
    shown: ShownMessage,
    callback: GuestCallback | null,
    name: string,
    phase: FilterPhase,
    body: BodyBuffer,
    endOfStream: boolean,
  ): BodyAction {
    const vm = this.vm
    if (vm === null || callback === null) return CONTINUE
    shown.body = body
    shown.ends = endOfStream
    shown.over = endOfStream
    const action = this.#call(vm, shown, name, phase, callback, body.length, endOfStream)
    if (action < 0) return verdict(action)
    shown.ends = false
    const wanted = action > DROP ? DROP : (action as BodyAction)
    if (wanted === DROP) {
      // Continued in the same breath: nothing of it is to go on.
      if ((this.actions & shown.continues) !== 0) body.clear()
      else if (body.length !== 0) shown.torn = true
    }
    const next = this.#action(vm, shown, wanted !== CONTINUE)
    return next === PAUSE && wanted !== CONTINUE ? wanted : next
  }

  #onTrailers(shown: ShownMessage, callback: GuestCallback | null, name: string, phase: FilterPhase, trailers: Fields): FilterAction {
    shown.over = true
    const vm = this.vm
    if (vm === null || callback === null) return CONTINUE
    shown.trailersWritable = true
    const action = this.#call(vm, shown, name, phase, callback, trailers.size, false)
    return action < 0 ? verdict(action) : this.#action(vm, shown, action !== Action.CONTINUE)
  }

  // Crosses into a callback: what the guest answered, SKIPPED or FAILED.
  #call(
    vm: Vm,
    shown: ShownMessage,
    name: string,
    phase: FilterPhase,
    callback: GuestCallback,
    size: number,
    endOfStream: boolean,
  ): number {
    const octets = shown.body === null ? 0 : shown.body.length
    const start = this.#calls.begin(vm)
    let action = 0
    vm.enter(this.root, this)
    try {
      action = callback(this.id, size, endOfStream ? 1 : 0)
    } catch (error) {
      return this.#failed(vm, error, name, shown.torn)
    }
    if (vm.exited !== null) return this.#failed(vm, null, name, shown.torn)
    this.#calls.ended(vm, start, name, phase, octets)
    return action >>> 0
  }

  // The guest has returned from a callback; `wait`: it wants the message to pause.
  #action(vm: Vm, shown: ShownMessage, wait: boolean): FilterAction {
    const pause = wait && (this.actions & shown.continues) === 0
    this.actions &= ~shown.continues
    shown.paused = pause
    if (!pause) shown.leave()
    vm.leave()
    return pause || this.#stopped ? PAUSE : CONTINUE
  }

  onDone(): void {
    const vm = this.vm
    const plugin = this.plugin
    this.shownRequest.leave()
    this.shownResponse.leave()
    if (vm !== null) {
      this.ended = true
      const { done, log, delete: remove } = vm.exports
      if (done !== null || log !== null || remove !== null) this.#finish(vm)
      vm.contexts.delete(this.id)
      this.vm = null
      this.#root = null
    }
    this.#calls.report()
    if (this.#calls.profiled !== 0) plugin.profile?.exchange(this.#calls.profiled, this.stream)
    // Whatever the guest still wants is void.
    this.actions = 0
    this.reply = null
    // Without a VM by now: there was none to be had, or it failed.
    plugin.closed(this, vm === null)
  }

  #finish(vm: Vm): void {
    const { done, log, delete: remove } = vm.exports
    const start = this.#calls.begin(vm)
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
    this.#calls.finished(vm, start)
    this.actions = 0
    vm.leave()
  }

  // ---------------------------------------------------------------------------------------------------- the guest's wishes

  act(): void {
    const actions = this.actions
    this.actions = 0
    if (actions === 0) return
    if ((actions & REPLY) !== 0 && this.reply !== null) {
      this.#stop()
      this.stream.sendLocalReply(this.reply)
    } else if ((actions & CLOSE) !== 0) {
      this.#stop()
      this.stream.reset()
    } else {
      const { stream } = this
      if ((actions & CONTINUE_REQUEST) !== 0 && this.shownRequest.paused) {
        this.shownRequest.release()
        stream.continueRequest(this)
      }
      // That may have ended the exchange, and this may be the context of another by now.
      if ((actions & CONTINUE_RESPONSE) !== 0 && this.stream === stream && this.shownResponse.paused) {
        this.shownResponse.release()
        stream.continueResponse(this)
      }
    }
  }

  // The messages that were under way go no further.
  #stop(): void {
    this.#stopped = true
    this.#endRequest()
    this.shownResponse.release()
  }

  #endRequest(): void {
    this.shownRequest.over = true
    this.shownRequest.release()
  }

  // ------------------------------------------------------------------------------------------------------------- failures

  // The instance failed in this stream's callback. `torn`: the message can't go on as it is.
  #failed(vm: Vm, error: unknown, callback: string, torn: boolean): number {
    const plugin = this.plugin
    const trap = vm.fail(error, callback)
    this.#calls.failed(callback)
    this.#abandon()
    plugin.slot.failed(vm, trap, this)
    if (plugin.onError === "skip" && !torn) return SKIPPED
    this.#fail(trap)
    return FAILED
  }

  #fail(trap: Trap): void {
    this.stream.fail(trap.reason === "budget" ? "filterBudget" : "filterTrap", `${this.plugin.name}:${trap.reason}`)
  }

  /** The instance failed in another stream's callback. */
  orphaned(trap: Trap): void {
    const { stream, shownRequest, shownResponse } = this
    const requestPaused = shownRequest.paused
    const responsePaused = shownResponse.paused
    const torn = (requestPaused && shownRequest.torn) || (responsePaused && shownResponse.torn)
    const undecided = this.#undecided()
    this.#abandon()
    if (torn || (undecided && this.plugin.onError === "deny")) this.#fail(trap)
    else if (this.plugin.onError === "skip") {
      if (requestPaused) stream.continueRequest(this)
      // Of the same exchange: the context may be another's by now.
      if (responsePaused) stream.continueResponse(this)
    }
  }

  // Whether the guest would still have had a say in this exchange.
  #undecided(): boolean {
    const { shownRequest, shownResponse } = this
    if (shownRequest.paused || shownResponse.paused) return true
    const { interests } = this.plugin
    if (!shownRequest.over && (interests & (REQUEST_BODY | REQUEST_TRAILERS)) !== 0) return true
    if (!this.#responseSeen) return this.plugin.filtersResponses
    return !shownResponse.over && (interests & (RESPONSE_BODY | RESPONSE_TRAILERS)) !== 0
  }

  #abandon(): void {
    this.vm = null
    this.#root = null
    this.actions = 0
    this.reply = null
    this.shownRequest.release()
    this.shownResponse.release()
  }

  #unavailable(): FilterAction {
    if (this.plugin.onError === "skip") return CONTINUE
    this.stream.fail("filterUnavailable", `${this.plugin.name}:unavailable`)
    return PAUSE
  }
}

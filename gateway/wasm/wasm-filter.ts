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
import type { Plugin } from "./plugin.ts"
import { Action } from "./proxy-wasm/enums.ts"
import { CLOSE, CONTINUE_REQUEST, CONTINUE_RESPONSE, REPLY } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"
import type { Trap } from "./trap.ts"
import type { Vm, VmStream } from "./vm.ts"

// What a crossing into a dead guest comes to: the filter is passed over, or the exchange has failed.
const SKIPPED = -1
const FAILED = -2

export class WasmStream implements StreamFilter, VmStream {
  readonly plugin: Plugin
  readonly tcp = false
  stream: FilterStream
  id = 0
  /** Where the context lives; null before the request's headers, and after the instance failed. */
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
  /** The guest holds the request, or the response, back: its head, its body or its trailers. */
  #requestPaused = false
  #responsePaused = false
  /** The guest has seen all of it. */
  #requestOver = false
  #responseOver = false
  /** Octets the guest has taken out of the message, to put others there. */
  #requestDropped = false
  #responseDropped = false
  /** A local reply or a reset ended the exchange. */
  #stopped = false
  #responseSeen = false
  #sampled = false
  #calls = 0
  #used = 0
  /** ms in the guest, while a profile runs. */
  #profiled = 0

  constructor(plugin: Plugin, stream: FilterStream) {
    this.plugin = plugin
    this.stream = stream
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
    this.#requestPaused = false
    this.#responsePaused = false
    this.#requestOver = false
    this.#responseOver = false
    this.#requestDropped = false
    this.#responseDropped = false
    this.#stopped = false
    this.#responseSeen = false
    this.#sampled = this.plugin.sample()
    this.#calls = 0
    this.#used = 0
    this.#profiled = 0
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
    this.#requestOver = endOfStream
    const start = this.#sampled || this.plugin.profile !== null ? vm.clock.monotonic() : 0
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
    this.#count(vm, start, callback, PHASE_REQUEST_HEADERS, 0)
    return this.#requestAction(vm, action !== Action.CONTINUE && action !== Action.CONTINUE_AND_END_STREAM)
  }

  onRequestBody(body: BodyBuffer, endOfStream: boolean): BodyAction {
    const vm = this.vm
    const callback = vm === null ? null : vm.exports.requestBody
    if (vm === null || callback === null) return CONTINUE
    this.requestBody = body
    this.requestEnds = endOfStream
    this.#requestOver = endOfStream
    const action = this.#call(vm, "proxy_on_request_body", PHASE_REQUEST_BODY, callback, body.length, endOfStream, this.#requestDropped)
    if (action < 0) return action === SKIPPED ? CONTINUE : PAUSE
    this.requestEnds = false
    const wanted = action > DROP ? DROP : (action as BodyAction)
    if (wanted === DROP) {
      // Continued in the same breath: nothing of it is to go on.
      if ((this.actions & CONTINUE_REQUEST) !== 0) body.clear()
      else if (body.length !== 0) this.#requestDropped = true
    }
    const next = this.#requestAction(vm, wanted !== CONTINUE)
    return next === PAUSE && wanted !== CONTINUE ? wanted : next
  }

  onRequestTrailers(trailers: Fields): FilterAction {
    this.#requestOver = true
    const vm = this.vm
    const callback = vm === null ? null : vm.exports.requestTrailers
    if (vm === null || callback === null) return CONTINUE
    this.requestTrailersWritable = true
    const action = this.#call(vm, "proxy_on_request_trailers", PHASE_REQUEST_BODY, callback, trailers.size, false, this.#requestDropped)
    if (action < 0) return action === SKIPPED ? CONTINUE : PAUSE
    return this.#requestAction(vm, action !== Action.CONTINUE)
  }

  onResponseHeaders(endOfStream: boolean): FilterAction {
    const vm = this.vm
    // Without a request phase there is no context, and a filter never sees half an exchange.
    if (vm === null) return CONTINUE
    this.#responseSeen = true
    this.#responseOver = endOfStream
    this.#stopped = false
    // A response to what was never sent stands in for it.
    if (!this.stream.requestSent) this.#endRequest()
    const callback = vm.exports.responseHeaders
    const response = this.stream.response
    if (callback === null || response === null) return CONTINUE
    const start = this.#sampled || this.plugin.profile !== null ? vm.clock.monotonic() : 0
    let action = 0
    vm.enter(this.root, this)
    try {
      action = callback(this.id, response.fields.size + 1, endOfStream ? 1 : 0)
    } catch (error) {
      return this.#trapped(vm, error, "proxy_on_response_headers")
    }
    if (vm.exited !== null) return this.#trapped(vm, null, "proxy_on_response_headers")
    this.#count(vm, start, "proxy_on_response_headers", PHASE_RESPONSE_HEADERS, 0)
    return this.#responseAction(vm, action !== Action.CONTINUE && action !== Action.CONTINUE_AND_END_STREAM)
  }

  onResponseBody(body: BodyBuffer, endOfStream: boolean): BodyAction {
    const vm = this.vm
    const callback = vm === null ? null : vm.exports.responseBody
    if (vm === null || callback === null) return CONTINUE
    this.responseBody = body
    this.responseEnds = endOfStream
    this.#responseOver = endOfStream
    const action = this.#call(vm, "proxy_on_response_body", PHASE_RESPONSE_BODY, callback, body.length, endOfStream, this.#responseDropped)
    if (action < 0) return action === SKIPPED ? CONTINUE : PAUSE
    this.responseEnds = false
    const wanted = action > DROP ? DROP : (action as BodyAction)
    if (wanted === DROP) {
      if ((this.actions & CONTINUE_RESPONSE) !== 0) body.clear()
      else if (body.length !== 0) this.#responseDropped = true
    }
    const next = this.#responseAction(vm, wanted !== CONTINUE)
    return next === PAUSE && wanted !== CONTINUE ? wanted : next
  }

  onResponseTrailers(trailers: Fields): FilterAction {
    this.#responseOver = true
    const vm = this.vm
    const callback = vm === null ? null : vm.exports.responseTrailers
    if (vm === null || callback === null) return CONTINUE
    this.responseTrailersWritable = true
    const action = this.#call(vm, "proxy_on_response_trailers", PHASE_RESPONSE_BODY, callback, trailers.size, false, this.#responseDropped)
    if (action < 0) return action === SKIPPED ? CONTINUE : PAUSE
    return this.#responseAction(vm, action !== Action.CONTINUE)
  }

  // Crosses into a body or trailer callback: what the guest answered, SKIPPED or FAILED. `torn`: the message lacks octets
  // that the guest was to replace, so that it can't go on as it is.
  #call(
    vm: Vm,
    name: string,
    phase: FilterPhase,
    callback: (...args: number[]) => number,
    size: number,
    end: boolean,
    torn: boolean,
  ): number {
    const start = this.#sampled || this.plugin.profile !== null ? vm.clock.monotonic() : 0
    let action = 0
    vm.enter(this.root, this)
    try {
      action = callback(this.id, size, end ? 1 : 0)
    } catch (error) {
      return this.#failed(vm, error, name, torn)
    }
    if (vm.exited !== null) return this.#failed(vm, null, name, torn)
    this.#count(vm, start, name, phase, size)
    return action >>> 0
  }

  // The guest has returned from a callback of the request; `wait`: it wants the request to pause.
  #requestAction(vm: Vm, wait: boolean): FilterAction {
    const pause = wait && (this.actions & CONTINUE_REQUEST) === 0
    this.actions &= ~CONTINUE_REQUEST
    this.#requestPaused = pause
    if (!pause) this.#leaveRequest()
    vm.leave()
    return pause || this.#stopped ? PAUSE : CONTINUE
  }

  #responseAction(vm: Vm, wait: boolean): FilterAction {
    const pause = wait && (this.actions & CONTINUE_RESPONSE) === 0
    this.actions &= ~CONTINUE_RESPONSE
    this.#responsePaused = pause
    if (!pause) this.#leaveResponse()
    vm.leave()
    return pause || this.#stopped ? PAUSE : CONTINUE
  }

  // What the guest was shown of the message goes on: it is no longer the guest's.
  #leaveRequest(): void {
    this.requestBody = null
    this.requestEnds = false
    this.#requestDropped = false
    this.requestTrailersWritable = false
  }

  #leaveResponse(): void {
    this.responseBody = null
    this.responseEnds = false
    this.#responseDropped = false
    this.responseTrailersWritable = false
  }

  onDone(): void {
    const vm = this.vm
    const plugin = this.plugin
    this.#leaveRequest()
    this.#leaveResponse()
    if (vm !== null) {
      this.ended = true
      const { done, log, delete: remove } = vm.exports
      if (done !== null || log !== null || remove !== null) this.#finish(vm)
      vm.contexts.delete(this.id)
      this.vm = null
      this.#root = null
    }
    if (this.#calls !== 0) plugin.metrics.calls(this.#calls)
    if (this.#used !== 0) plugin.metrics.budget(this.#used)
    if (this.#profiled !== 0) plugin.profile?.exchange(this.#profiled, this.stream)
    // Whatever the guest still wants is void.
    this.actions = 0
    this.reply = null
    // Without a VM by now: there was none to be had, or it failed.
    plugin.closed(this, vm === null)
  }

  #finish(vm: Vm): void {
    const { done, log, delete: remove } = vm.exports
    const start = this.plugin.profile === null ? 0 : vm.clock.monotonic()
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
    if (start !== 0) this.#profile("proxy_on_done", vm.clock.monotonic() - start, vm.used(), 0)
    this.actions = 0
    vm.leave()
  }

  #count(vm: Vm, start: number, callback: string, phase: FilterPhase, octets: number): void {
    this.#calls++
    if (start === 0) return
    const units = vm.used()
    const took = vm.clock.monotonic() - start
    if (this.#sampled) {
      this.#used += units
      this.plugin.metrics.duration(Math.round(took * 1e6), phase)
    }
    this.#profile(callback, took, units, octets)
  }

  #profile(callback: string, took: number, units: number, octets: number): void {
    const { profile } = this.plugin
    if (profile === null) return
    this.#profiled += took
    profile.called(callback, took, units, octets)
  }

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
      if ((actions & CONTINUE_REQUEST) !== 0) this.#resumeRequest()
      // That may have ended the exchange, and this may be the context of another by now.
      if ((actions & CONTINUE_RESPONSE) !== 0 && this.stream === stream) this.#resumeResponse()
    }
  }

  // The messages that were under way go no further.
  #stop(): void {
    this.#stopped = true
    this.#responsePaused = false
    this.#endRequest()
    this.#leaveResponse()
  }

  #endRequest(): void {
    this.#requestPaused = false
    this.#requestOver = true
    this.#leaveRequest()
  }

  #resumeRequest(): void {
    if (!this.#requestPaused) return
    this.#requestPaused = false
    this.#leaveRequest()
    this.stream.continueRequest(this)
  }

  #resumeResponse(): void {
    if (!this.#responsePaused) return
    this.#responsePaused = false
    this.#leaveResponse()
    this.stream.continueResponse(this)
  }

  /** The instance failed in this stream's callback. */
  #trapped(vm: Vm, error: unknown, callback: string): FilterAction {
    return this.#failed(vm, error, callback, false) === SKIPPED ? CONTINUE : PAUSE
  }

  #failed(vm: Vm, error: unknown, callback: string, torn: boolean): number {
    const plugin = this.plugin
    const trap = vm.fail(error, callback)
    this.#calls++
    plugin.profile?.failed(callback)
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
    const { stream } = this
    const requestPaused = this.#requestPaused
    const responsePaused = this.#responsePaused
    const torn = (requestPaused && this.#requestDropped) || (responsePaused && this.#responseDropped)
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
    if (this.#requestPaused || this.#responsePaused) return true
    const { interests } = this.plugin
    if (!this.#requestOver && (interests & (REQUEST_BODY | REQUEST_TRAILERS)) !== 0) return true
    if (!this.#responseSeen) return this.plugin.filtersResponses
    return !this.#responseOver && (interests & (RESPONSE_BODY | RESPONSE_TRAILERS)) !== 0
  }

  #abandon(): void {
    this.vm = null
    this.#root = null
    this.actions = 0
    this.reply = null
    this.#requestPaused = false
    this.#responsePaused = false
    this.#leaveRequest()
    this.#leaveResponse()
  }

  #unavailable(): FilterAction {
    if (this.plugin.onError === "skip") return CONTINUE
    this.stream.fail("filterUnavailable", `${this.plugin.name}:unavailable`)
    return PAUSE
  }
}

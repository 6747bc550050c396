// An instance with root contexts in a test: time that passes when it is told to, callouts that wait for the test to answer
// them, and host calls made by the test itself.

import { Buffer } from "node:buffer"
import type { ErrorCode } from "../../../../gateway/errors.ts"
import type { Callout, CalloutHandler, CalloutResponse, ServiceCaller } from "../../../../gateway/filter/filter.ts"
import type { GrpcCallout, GrpcHandler, GrpcStream } from "../../../../gateway/filter/grpc-callout.ts"
import type { Plugin, PluginSpec } from "../../../../gateway/wasm/plugin.ts"
import type { Clock, HostEnvironment, SharedQueues } from "../../../../gateway/wasm/proxy-wasm/host.ts"
import { hostCalls } from "../../../../gateway/wasm/proxy-wasm/host-calls.ts"
import { encodedLength, encodePairs } from "../../../../gateway/wasm/proxy-wasm/pairs.ts"
import type { RootContext } from "../../../../gateway/wasm/root-context.ts"
import { WasmRuntime } from "../../../../gateway/wasm/runtime.ts"
import { trialEnvironment } from "../../../../gateway/wasm/trial-environment.ts"
import { RecordedMetrics, specOf, UNITS_PER_MS } from "./host.ts"

export class ManualClock implements Clock {
  ms = 1000
  /** When timers are due, and what they run. */
  readonly timers = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return this.ms
  }

  monotonic(): number {
    return this.ms
  }

  schedule(ms: number, run: () => void): () => void {
    if (!Number.isInteger(ms) || ms < 1) throw new Error(`${ms} ms can't be waited for`)
    const timer = { at: this.ms + ms, run }
    this.timers.add(timer)
    return () => {
      this.timers.delete(timer)
    }
  }

  /** Lets `ms` pass; what is due on the way runs, one after the other. A handler may take time itself. */
  pass(ms: number): void {
    const end = this.ms + ms
    for (;;) {
      let next: { readonly at: number; readonly run: () => void } | null = null
      for (const timer of this.timers) if (next === null || timer.at < next.at) next = timer
      if (next === null || Math.max(next.at, this.ms) > end) break
      this.timers.delete(next)
      this.ms = Math.max(this.ms, next.at)
      next.run()
    }
    this.ms = Math.max(this.ms, end)
  }
}

export class PendingCall {
  readonly callout: Callout
  readonly #handler: CalloutHandler
  cancelled = false

  constructor(callout: Callout, handler: CalloutHandler) {
    this.callout = callout
    this.#handler = handler
  }

  answer(response: Partial<CalloutResponse> = {}): void {
    this.#handler.onCalloutResponse({ status: 200, headers: [], body: new Uint8Array(0), trailers: [], ...response })
  }

  fail(code: ErrorCode = "connectFailure"): void {
    this.#handler.onCalloutFailed(code, "")
  }
}

/** A gRPC call that a test answers by its handler. */
export class PendingGrpc implements GrpcStream {
  readonly callout: GrpcCallout
  readonly handler: GrpcHandler
  readonly sent: string[] = []
  ended = false
  untaken = 0
  cancelled = false
  onTaken: (() => void) | null = null

  constructor(callout: GrpcCallout, handler: GrpcHandler) {
    this.callout = callout
    this.handler = handler
  }

  send(message: Uint8Array, end: boolean): void {
    this.sent.push(Buffer.from(message).toString("latin1"))
    this.ended ||= end
  }

  end(): void {
    this.ended = true
  }

  taken(octets: number): void {
    this.untaken -= octets
    this.onTaken?.()
  }

  cancel(): void {
    this.cancelled = true
  }

  message(text: string): void {
    this.untaken += text.length
    this.handler.onGrpcMessage(Buffer.from(text))
  }
}

/** Services that answer when the test does. */
export class PendingServices implements ServiceCaller {
  names = ["api"]
  /** Callouts can't be made. */
  full = false
  readonly calls: PendingCall[] = []
  readonly grpc: PendingGrpc[] = []

  has(service: string): boolean {
    return this.names.includes(service)
  }

  call(callout: Callout, handler: CalloutHandler): (() => void) | null {
    if (this.full) return null
    const call = new PendingCall(callout, handler)
    this.calls.push(call)
    return () => {
      call.cancelled = true
    }
  }

  openGrpc(callout: GrpcCallout, handler: GrpcHandler): GrpcStream | null {
    if (this.full) return null
    const call = new PendingGrpc(callout, handler)
    this.grpc.push(call)
    return call
  }
}

/** Queues that say when somebody registers and releases. */
export class WatchedQueues implements SharedQueues {
  readonly events: string[] = []
  readonly receivers = new Map<string, () => void>()
  readonly #ids = new Map<string, number>()

  register(namespace: string, name: string, ready: () => void): { readonly id: number; release(): void } | null {
    if (name === "refused") return null
    const key = `${namespace}/${name}`
    const id = this.#ids.get(key) ?? this.#ids.size + 1
    this.#ids.set(key, id)
    this.receivers.set(name, ready)
    this.events.push(`register ${name}`)
    return {
      id,
      release: () => {
        this.events.push(`release ${name}`)
        if (this.receivers.get(name) === ready) this.receivers.delete(name)
      },
    }
  }

  resolve(): number {
    return 0
  }

  enqueue(): "unknown" {
    return "unknown"
  }

  dequeue(): "unknown" {
    return "unknown"
  }
}

export class RootHost {
  readonly clock = new ManualClock()
  readonly services = new PendingServices()
  readonly queues = new WatchedQueues()
  readonly messages: string[] = []
  /** ms that each line of the guest's log takes. */
  costOfLog = 0
  readonly metrics = new RecordedMetrics()
  readonly runtime: WasmRuntime

  constructor() {
    const environment: HostEnvironment = {
      ...trialEnvironment(this.clock, null),
      clock: this.clock,
      services: this.services,
      queues: this.queues,
    }
    this.runtime = new WasmRuntime({
      logger: {
        enabled: () => true,
        log: (_level, message) => {
          this.clock.ms += this.costOfLog
          this.messages.push(message)
        },
      },
      environment,
      unitsPerMs: UNITS_PER_MS,
      metrics: () => this.metrics,
    })
  }

  plugin(bytes: Uint8Array, overrides: Partial<PluginSpec> = {}): Plugin {
    return this.runtime.plugin(specOf(bytes, overrides)) as unknown as Plugin
  }

  /** The root context of a guest that is started now. */
  root(bytes: Uint8Array, overrides: Partial<PluginSpec> = {}): RootContext {
    const { root } = this.plugin(bytes, overrides)
    if (root === null) throw new Error(`the guest did not start: ${this.messages.join("; ")}`)
    return root
  }

  /** Messages so far, which are forgotten. */
  take(): string[] {
    return this.messages.splice(0)
  }
}

/** Pairs as a guest hands them over. */
export function pairs(...flat: string[]): Buffer {
  const bytes = Buffer.alloc(encodedLength(flat))
  encodePairs(flat, bytes, 0)
  return bytes
}

/** Host calls by the test, as if out of a callback of `root`. Arguments lie from `at` on; results at 16, 20 and 24. */
export class RootCalls {
  readonly #root: RootContext
  readonly #calls: Record<string, (...args: number[]) => number>
  #next: number

  constructor(root: RootContext, module: WebAssembly.Module, at = 8192) {
    this.#root = root
    this.#calls = hostCalls(root.vm, module, () => undefined).env as Record<string, (...args: number[]) => number>
    this.#next = at
  }

  call(name: string, ...args: number[]): number {
    this.#root.vm.enter(this.#root, null)
    return this.#calls[name](...args)
  }

  put(value: string | Uint8Array): [pointer: number, length: number] {
    const bytes = typeof value === "string" ? Buffer.from(value, "latin1") : value
    const { memory } = this.#root.vm
    memory.refresh()
    const at = this.#next
    memory.bytes.set(bytes, at)
    this.#next += bytes.length
    return [at, bytes.length]
  }

  word(at: number): number {
    this.#root.vm.memory.refresh()
    return this.#root.vm.memory.view.getUint32(at, true)
  }

  text(at: number): string {
    const start = this.word(at)
    return this.#root.vm.memory.bytes.toString("latin1", start, start + this.word(at + 4))
  }

  /** A callout with everything a test doesn't say made up: its status and, at 16, its id. */
  httpCall(parts: { service?: string; headers?: Uint8Array; body?: string; trailers?: Uint8Array; timeout?: number } = {}): number {
    const headers = parts.headers ?? pairs(":method", "GET", ":path", "/", ":authority", "api")
    const at = this.#next
    const status = this.call(
      "proxy_http_call",
      ...this.put(parts.service ?? "api"),
      ...this.put(headers),
      ...this.put(parts.body ?? ""),
      ...this.put(parts.trailers ?? new Uint8Array(0)),
      parts.timeout ?? 0,
      16,
    )
    this.#next = at
    return status
  }

  /** A gRPC call, or a stream when there is no message: its status and, at 16, its id. */
  grpc(
    parts: {
      service?: string | Uint8Array
      name?: string
      method?: string
      metadata?: Uint8Array
      message?: string
      timeout?: number
    } = {},
  ): number {
    const at = this.#next
    const head = [
      ...this.put(parts.service ?? "api"),
      ...this.put(parts.name ?? "pkg.Service"),
      ...this.put(parts.method ?? "Do"),
      ...this.put(parts.metadata ?? new Uint8Array(0)),
    ]
    const status =
      parts.message === undefined
        ? this.call("proxy_grpc_stream", ...head, 16)
        : this.call("proxy_grpc_call", ...head, ...this.put(parts.message), parts.timeout ?? 0, 16)
    this.#next = at
    return status
  }

  /** `proxy_grpc_send`. */
  send(id: number, message: string, end: boolean): number {
    const at = this.#next
    const status = this.call("proxy_grpc_send", id, ...this.put(message), end ? 1 : 0)
    this.#next = at
    return status
  }
}

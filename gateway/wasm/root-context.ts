// A root context: one configured use of a module in an instance, with what it does by itself, outside exchanges: ticks,
// callouts and queues. All of that ends with it.

import type { Callout } from "../filter/filter.ts"
import { PHASE_OWN_WORK } from "../telemetry/filter-instruments.ts"
import { type FilterMetrics, SAMPLE } from "./filter-metrics.ts"
import type { FilterProfile } from "./filter-profile.ts"
import type { GrpcRequest, HostRoot } from "./proxy-wasm/host.ts"
import { RootCallouts } from "./root-callouts.ts"
import { RootGrpc, type RootGrpcCall } from "./root-grpc.ts"
import { RootQueue } from "./root-queue.ts"
import { RootTicker } from "./root-ticker.ts"
import type { Vm } from "./vm.ts"

/** Queues one root context may receive from. */
const MAX_QUEUES = 64
/** ms a root context that asked to wait for `proxy_done` gets. */
const DONE_LIMIT = 10_000

export interface RootSettings {
  readonly name: string
  readonly rootId: string
  readonly config: string
}

export class RootContext implements HostRoot {
  readonly id: number
  readonly vm: Vm
  readonly name: string
  readonly pluginName: Uint8Array
  readonly rootId: Uint8Array
  readonly config: Uint8Array
  awaitingDone = false
  /** How the last of its callouts and gRPC calls went that has ended. */
  status = 0
  statusMessage = ""
  /** Where its callbacks are counted. */
  metrics: FilterMetrics | null = null
  /** Whose callbacks they are, and whether a profile of it runs. */
  plugin: { readonly profile: FilterProfile | null } | null = null
  readonly #ticker: RootTicker
  readonly #callouts: RootCallouts
  readonly #grpc: RootGrpc
  readonly #queues = new Map<number, RootQueue>()
  #cancelWait: (() => void) | null = null
  #whenEnded: (() => void) | null = null
  #ended = false
  #runs = 0

  constructor(id: number, vm: Vm, settings: RootSettings) {
    const encoder = new TextEncoder()
    this.id = id
    this.vm = vm
    this.name = settings.name
    this.pluginName = encoder.encode(settings.name)
    this.rootId = encoder.encode(settings.rootId)
    this.config = encoder.encode(settings.config)
    this.#ticker = new RootTicker(this)
    this.#callouts = new RootCallouts(this)
    this.#grpc = new RootGrpc(this)
  }

  /** Runs a callback outside exchanges: `call` crosses into the guest's export of that name. */
  run(callback: string, call: () => void): void {
    const { vm, metrics } = this
    const profile = this.plugin?.profile ?? null
    const sampled = ++this.#runs % SAMPLE === 0
    const start = sampled || profile !== null ? vm.clock.monotonic() : 0
    const well = vm.run(this, callback, () => {
      call()
      if (start === 0) return
      const units = vm.used()
      const took = vm.clock.monotonic() - start
      profile?.called(callback, took, units, 0)
      if (!sampled || metrics === null) return
      metrics.budget(units)
      metrics.duration(Math.round(took * 1e6), PHASE_OWN_WORK)
    })
    if (!well) profile?.failed(callback)
    metrics?.calls(1)
  }

  setTick(ms: number): void {
    if (!this.#ended) this.#ticker.set(ms)
  }

  /** Makes a callout: its id; 0 when it can't be made. */
  call(callout: Callout): number {
    return this.#ended ? 0 : this.#callouts.call(callout)
  }

  /** Makes a gRPC call, or opens a stream: its id; 0 when it can't be made. */
  grpcCall(request: GrpcRequest, message: Uint8Array): number {
    return this.#ended ? 0 : this.#grpc.call({ ...request, unary: true, filter: this.name }, message)
  }

  grpcStream(request: GrpcRequest): number {
    return this.#ended ? 0 : this.#grpc.stream({ ...request, unary: false, filter: this.name })
  }

  findGrpc(id: number): RootGrpcCall | undefined {
    return this.#grpc.find(id)
  }

  registerQueue(namespace: string, name: string): number {
    if (this.#ended) return 0
    const queue = new RootQueue(this)
    const registered = this.vm.environment.queues.register(namespace, name, () => queue.ready())
    if (registered === null) return 0
    const before = this.#queues.get(registered.id)
    if (before === undefined && this.#queues.size >= MAX_QUEUES) {
      registered.release()
      return 0
    }
    queue.id = registered.id
    queue.release = registered.release.bind(registered)
    this.#queues.set(registered.id, queue)
    before?.end()
    return registered.id
  }

  /** It waits for `proxy_done`, but not for ever. */
  waitForDone(): void {
    this.awaitingDone = true
    this.#cancelWait = this.vm.clock.schedule(DONE_LIMIT, () => {
      this.#cancelWait = null
      if (this.vm.dead || !this.awaitingDone) return
      this.vm.done(this)
      this.vm.leave()
    })
  }

  /** `run` is called when it has ended, if that is later. */
  whenEnded(run: () => void): void {
    this.#whenEnded = run
  }

  /** The context is gone: nothing calls into it any more. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#ticker.set(0)
    this.#callouts.end()
    this.#grpc.end()
    for (const queue of this.#queues.values()) queue.end()
    this.#queues.clear()
    this.#cancelWait?.()
    this.#cancelWait = null
    this.#whenEnded?.()
    this.#whenEnded = null
  }
}

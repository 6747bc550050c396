// What a guest has from outside while it is only tried out: everything answers as if it worked, and nothing leaves the
// instance. No timer fires, no callout is made, no other filter sees its data, queues or metrics.

import type { ServiceCaller } from "../filter/filter.ts"
import type { Clock, GuestMetrics, HostEnvironment, SharedData, SharedQueues } from "./proxy-wasm/host.ts"

/** Entries of each kind that a trial may make. */
const LIMIT = 1024

const nothing = (): void => undefined

/** `clock` gives the time alone. `services`: names that callouts find; every name when null. */
export function trialEnvironment(clock: Pick<Clock, "now" | "monotonic">, services: ReadonlySet<string> | null): HostEnvironment {
  return {
    clock: { now: () => clock.now(), monotonic: () => clock.monotonic(), schedule: () => nothing },
    shared: new TrialData(),
    queues: new TrialQueues(),
    metrics: new TrialMetrics(),
    services: trialCaller(services),
  }
}

/** A caller whose callouts are never answered: the trial is over before one could be. */
function trialCaller(services: ReadonlySet<string> | null): ServiceCaller {
  const has = (service: string): boolean => services === null || services.has(service)
  const stream = { send: nothing, end: nothing, taken: nothing, cancel: nothing }
  return {
    has,
    call: (callout) => (has(callout.service) ? nothing : null),
    openGrpc: (callout) => (has(callout.service) ? stream : null),
  }
}

/** Shared data of a VM that is alone. */
class TrialData implements SharedData {
  readonly #entries = new Map<string, { value: Uint8Array; cas: number }>()
  #cas = 0

  get(_namespace: string, key: string): { value: Uint8Array; cas: number } | undefined {
    return this.#entries.get(key)
  }

  set(_namespace: string, key: string, value: Uint8Array, cas: number): "ok" | "cas-mismatch" | "full" {
    const old = this.#entries.get(key)
    if (cas !== 0 && old !== undefined && old.cas !== cas) return "cas-mismatch"
    if (old === undefined && this.#entries.size >= LIMIT) return "full"
    this.#cas++
    this.#entries.set(key, { value, cas: this.#cas })
    return "ok"
  }
}

/** Every queue there could be exists, and stays empty. */
class TrialQueues implements SharedQueues {
  readonly #ids = new Map<string, number>()

  register(namespace: string, name: string): { readonly id: number; release(): void } | null {
    const id = this.resolve(namespace, name)
    return id === 0 ? null : { id, release: nothing }
  }

  resolve(namespace: string, name: string): number {
    const key = `${namespace}\0${name}`
    let id = this.#ids.get(key) ?? 0
    if (id === 0 && this.#ids.size < LIMIT) {
      id = this.#ids.size + 1
      this.#ids.set(key, id)
    }
    return id
  }

  enqueue(id: number): "ok" | "unknown" {
    return this.#known(id) ? "ok" : "unknown"
  }

  dequeue(id: number): "unknown" | "empty" {
    return this.#known(id) ? "empty" : "unknown"
  }

  #known(id: number): boolean {
    return id >= 1 && id <= this.#ids.size
  }
}

/** Metrics that nobody reads. */
class TrialMetrics implements GuestMetrics {
  readonly #ids = new Map<string, number>()

  define(type: number, name: string): number {
    const key = `${type} ${name}`
    let id = this.#ids.get(key) ?? 0
    if (id === 0 && this.#ids.size < LIMIT) {
      id = this.#ids.size + 1
      this.#ids.set(key, id)
    }
    return id
  }

  increment(id: number): "ok" | "unknown" {
    return this.#known(id) ? "ok" : "unknown"
  }

  record(id: number): "ok" | "unknown" {
    return this.#known(id) ? "ok" : "unknown"
  }

  read(id: number): bigint | "unknown" {
    return this.#known(id) ? 0n : "unknown"
  }

  #known(id: number): boolean {
    return id >= 1 && id <= this.#ids.size
  }
}

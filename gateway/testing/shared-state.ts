// What outlives an exchange, in plain memory: shared data, queues and metrics of filters under test. One state can be given
// to several filters, which then meet in it as they would in one gateway.

import { Buffer } from "node:buffer"
import type { GuestMetrics, SharedData, SharedQueues } from "../wasm/proxy-wasm/host.ts"
import { MAX_SHARED_KEY, MAX_SHARED_VALUE } from "../wasm/shared-data.ts"
import { fromWire, toWire } from "./text.ts"
import type { Turns } from "./turns.ts"

const MAX_QUEUES = 1000
const MAX_ITEMS = 100_000
const MAX_METRICS = 10_000

const COUNTER = 0
const GAUGE = 1
const HISTOGRAM = 2

interface Queue {
  readonly key: string
  readonly items: Uint8Array[]
  ready: { readonly turns: Turns; readonly run: () => void } | null
}

interface Metric {
  readonly type: number
  readonly name: string
  value: bigint
  count: number
}

/** What a metric holds. A histogram: how often something was recorded, and the sum of it. */
export type MetricValue = number | { readonly count: number; readonly sum: number }

class MemoryData implements SharedData {
  readonly #entries = new Map<string, { value: Uint8Array; cas: number }>()
  #cas = 0

  get(namespace: string, key: string): { readonly value: Uint8Array; readonly cas: number } | undefined {
    return this.#entries.get(`${namespace}\0${key}`)
  }

  set(namespace: string, key: string, value: Uint8Array, cas: number): "ok" | "cas-mismatch" | "full" {
    if (namespace.length + key.length > MAX_SHARED_KEY || value.length > MAX_SHARED_VALUE) return "full"
    const name = `${namespace}\0${key}`
    const old = this.#entries.get(name)
    if (cas !== 0 && old !== undefined && old.cas !== cas) return "cas-mismatch"
    this.#cas++
    this.#entries.set(name, { value: Uint8Array.from(value), cas: this.#cas })
    return "ok"
  }
}

class MemoryMetrics implements GuestMetrics {
  readonly #metrics: Metric[] = []

  define(type: number, name: string): number {
    const index = this.#metrics.findIndex((metric) => metric.type === type && metric.name === name)
    if (index >= 0) return index + 1
    if (this.#metrics.length === MAX_METRICS) return 0
    return this.#metrics.push({ type, name, value: 0n, count: 0 })
  }

  increment(id: number, by: bigint): "ok" | "unknown" | "bad" {
    const metric = this.#metrics[id - 1]
    if (metric === undefined) return "unknown"
    if (metric.type === HISTOGRAM || (metric.type === COUNTER && by <= 0n)) return "bad"
    metric.value += by
    return "ok"
  }

  record(id: number, value: bigint): "ok" | "unknown" | "bad" {
    const metric = this.#metrics[id - 1]
    if (metric === undefined) return "unknown"
    metric.value = metric.type === GAUGE ? value : metric.value + value
    metric.count++
    return "ok"
  }

  read(id: number): bigint | "unknown" | "bad" {
    const metric = this.#metrics[id - 1]
    if (metric === undefined) return "unknown"
    return metric.type === HISTOGRAM ? "bad" : metric.value
  }

  values(): Record<string, MetricValue> {
    const out: Record<string, MetricValue> = Object.create(null)
    for (const { type, name, value, count } of this.#metrics) {
      out[fromWire(name)] = type === HISTOGRAM ? { count, sum: Number(value) } : Number(value)
    }
    return out
  }
}

/** Data, queues and metrics of the filters that are given this state. */
export class SharedState {
  /** As the host uses it. */
  readonly data: SharedData = new MemoryData()
  readonly guestMetrics: GuestMetrics
  readonly #metrics = new MemoryMetrics()
  readonly #queues: Queue[] = []

  constructor() {
    this.guestMetrics = this.#metrics
  }

  /** Puts a value there before a filter looks; texts as UTF-8. `vmId`: the filter's, its name by default. */
  set(vmId: string, key: string, value: string | Uint8Array): void {
    const bytes = typeof value === "string" ? Buffer.from(value, "utf8") : value
    if (this.data.set(toWire(vmId), toWire(key), bytes, 0) === "full") throw new Error(`shared data ${JSON.stringify(key)} is too large`)
  }

  /** What the filter with this vm_id has stored under `key`; undefined = nothing. */
  get(vmId: string, key: string): Uint8Array | undefined {
    return this.data.get(toWire(vmId), toWire(key))?.value
  }

  /** Every metric filters have defined, by name. */
  get metrics(): Readonly<Record<string, MetricValue>> {
    return this.#metrics.values()
  }

  /** The queues, as the host of one filter uses them. */
  queues(turns: Turns): SharedQueues {
    return {
      register: (namespace, name, ready) => this.#register(namespace, name, { turns, run: ready }),
      resolve: (namespace, name) => this.#queues.findIndex((queue) => queue.key === `${namespace}\0${name}`) + 1,
      enqueue: (id, value) => this.#enqueue(id, value),
      dequeue: (id) => {
        const queue = this.#queues[id - 1]
        return queue === undefined ? "unknown" : (queue.items.shift() ?? "empty")
      },
    }
  }

  #register(namespace: string, name: string, ready: NonNullable<Queue["ready"]>): { id: number; release(): void } | null {
    const key = `${namespace}\0${name}`
    let index = this.#queues.findIndex((queue) => queue.key === key)
    if (index < 0) {
      if (this.#queues.length === MAX_QUEUES) return null
      index = this.#queues.push({ key, items: [], ready: null }) - 1
    }
    const queue = this.#queues[index]
    queue.ready = ready
    const release = (): void => {
      if (queue.ready === ready) queue.ready = null
    }
    return { id: index + 1, release }
  }

  #enqueue(id: number, value: Uint8Array): "ok" | "unknown" | "full" {
    const queue = this.#queues[id - 1]
    if (queue === undefined) return "unknown"
    if (queue.items.length === MAX_ITEMS) return "full"
    queue.items.push(Uint8Array.from(value))
    const { ready } = queue
    ready?.turns.later(() => {
      if (queue.ready === ready) ready.run()
    })
    return "ok"
  }
}

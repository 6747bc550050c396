import { describe, expect, test } from "vitest"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { HeldSlots } from "../../../gateway/telemetry/held-slots.ts"
import { Instruments, statusIndex } from "../../../gateway/telemetry/instruments.ts"
import type { Metric } from "../../../gateway/telemetry/metric.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { MetricsWriter } from "../../../gateway/telemetry/metrics-writer.ts"
import { TraceInstruments } from "../../../gateway/telemetry/trace-instruments.ts"

/** A worker that holds what it is told to. */
class Worker {
  readonly writer: MetricsWriter
  readonly index: number
  readonly #registry: MetricsRegistry
  snapshots: number[] = []
  endpoints: number[] = []
  /** The last order it was sent. */
  order = 0

  constructor(registry: MetricsRegistry, index: number) {
    this.#registry = registry
    this.index = index
    this.writer = new MetricsWriter(registry.attach(index))
  }

  /** Is sent something; answers later. */
  send(): void {
    const handle = this.#registry.handle(this.index)
    this.writer.update(handle)
    this.order = handle.order
  }

  answer(order = this.order): void {
    this.#registry.told(this.index, { order, snapshots: this.snapshots, endpoints: this.endpoints })
  }

  /** Holds these from now on, and says so. */
  take(...epochs: number[]): void {
    this.send()
    this.snapshots = epochs
    this.endpoints = epochs.slice(-1)
    this.answer()
  }
}

class Place {
  readonly registry = new MetricsRegistry()
  readonly metric: Metric = this.registry.counter({ name: "c_total", help: "c", labels: ["route"], maxSeries: 2 })
  readonly workers: Worker[]

  constructor(workers = 1) {
    this.workers = Array.from({ length: workers }, (_, i) => new Worker(this.registry, i))
  }

  /** A configuration with these names comes into force; workers are yet to hear of it. */
  use(...names: string[]): number {
    const epoch = this.registry.begin()
    for (const name of names) this.metric.slot(name)
    for (const worker of this.workers) worker.send()
    this.registry.settle(epoch, "snapshots", "endpoints")
    return epoch
  }

  get names(): string[] {
    return [...this.metric.series.keys()]
  }
}

describe("series of what is gone", () => {
  test("go when every worker has let go, and their slots start from zero", () => {
    const place = new Place(2)
    const [a, b] = place.workers
    const first = place.use("kept", "gone")
    a.take(first)
    b.take(first)
    const slot = place.metric.find("gone")
    a.writer.add(slot, 1)
    place.registry.writer.add(slot, 1)
    const second = place.use("kept")
    a.take(first, second)
    b.take(second)
    expect(place.names).toEqual(["kept", "gone"])
    a.take(second)
    expect(place.names).toEqual(["kept"])
    place.registry.begin()
    expect(place.metric.slot("new")).toBe(slot)
    expect(place.registry.read(slot)).toBe(0)
  })

  test("stay while a worker hasn't answered for all it was sent, whatever it said before", () => {
    const place = new Place()
    const [worker] = place.workers
    const first = place.use("gone")
    worker.take(first)
    const second = place.use("new")
    worker.snapshots = [second]
    worker.answer(worker.order - 1)
    expect(place.names).toEqual(["gone", "new"])
    worker.answer()
    expect(place.names).toEqual(["new"])
  })

  test("stay for what runs since an old configuration, but not those between it and the present one", () => {
    const place = new Place()
    const [worker] = place.workers
    const first = place.use("long")
    worker.take(first)
    let held = [first]
    for (let i = 0; i < 1000; i++) {
      const epoch = place.use(`brief-${i}`)
      held = [first, epoch]
      worker.take(...held)
    }
    expect(place.names).toEqual(["long", "brief-999"])
    expect(place.metric.overflowed).toBe(0)
    worker.take(held[1])
    expect(place.names).toEqual(["brief-999"])
  })

  test("take no place of new ones", () => {
    const place = new Place()
    const [worker] = place.workers
    worker.take(place.use("a", "b"))
    worker.send()
    place.use("c", "d")
    expect([place.names, place.metric.overflowed]).toEqual([["a", "b", "c", "d"], 0])
    place.use("e", "f")
    expect([place.names, place.metric.overflowed]).toEqual([["a", "b", "c", "d"], 2])
  })

  test("go with a worker that died, and wait for the one that takes its place", () => {
    const place = new Place()
    const { registry, workers } = place
    const first = place.use("gone")
    workers[0].take(first)
    registry.detach(0)
    expect(place.names).toEqual(["gone"])
    workers[0] = new Worker(registry, 0)
    // It starts with what is in force as it does.
    workers[0].send()
    const second = place.use("new")
    workers[0].snapshots = [first]
    workers[0].answer()
    expect(place.names).toEqual(["gone", "new"])
    workers[0].take(second)
    expect(place.names).toEqual(["new"])
  })

  test("that only a refused configuration named go when nobody can have it any more", () => {
    const place = new Place()
    const { registry, metric } = place
    const [worker] = place.workers
    const first = place.use("kept")
    worker.take(first)
    const refused = registry.begin()
    metric.slot("kept")
    metric.slot("refused")
    worker.take(first, refused)
    registry.abandon(refused)
    expect(place.names).toEqual(["kept", "refused"])
    worker.take(first)
    expect(place.names).toEqual(["kept"])
    registry.begin()
    metric.slot("early")
    registry.abandon(registry.epoch)
    expect(place.names).toEqual(["kept"])
  })

  test("that the main thread alone writes go by name", () => {
    const { registry } = new Place(0)
    const metric = registry.gauge({ name: "g", help: "g", labels: ["service"], heldBy: "main" })
    registry.writer.set(metric.slot("api"), 1)
    registry.writer.set(metric.slot("gone"), 1)
    registry.settle(registry.begin(), "snapshots", "endpoints")
    registry.keepOwn(({ service }) => service === "api")
    expect([...metric.series.keys()]).toEqual(["api"])
  })

  test("that the main thread met under a configuration outlive it", async () => {
    const registry = new MetricsRegistry()
    const traces = new TraceInstruments(registry)
    const epoch = registry.begin()
    traces.exported(true)
    traces.waiting(3)
    registry.settle(epoch, "snapshots", "endpoints")
    registry.settle(registry.begin(), "snapshots", "endpoints")
    const { body } = await registry.exposition()
    expect(body.match(/^sluice_trace_(?:exports|spans).*/gm)).toEqual([
      'sluice_trace_exports_total{result="ok"} 1',
      "sluice_trace_spans_waiting 3",
    ])
  })

  test("of a thousand configurations take no more memory than the living ones", () => {
    const place = new Place()
    const [worker] = place.workers
    const metric = place.registry.histogram({ name: "h_seconds", help: "h", labels: ["route"], buckets: requestBuckets })
    for (let i = 0; i < 1000; i++) {
      const epoch = place.registry.begin()
      for (let r = 0; r < 50; r++) metric.slot(`${i}-${r}`)
      worker.send()
      place.registry.settle(epoch, "snapshots", "endpoints")
      worker.take(epoch)
    }
    expect([place.registry.memory(0).segments.length, metric.series.size, metric.overflowed]).toEqual([1, 50, 0])
  })
})

function service(...addresses: string[]): Pick<ServiceConfig, "endpoints"> {
  const endpoints = addresses.map((address) => {
    const [host, port] = address.split(":")
    return { address: { host, port: Number(port) } }
  })
  return { endpoints } as unknown as Pick<ServiceConfig, "endpoints">
}

test("endpoints that come and go under one configuration leave nothing, and one that stays keeps its own", () => {
  const registry = new MetricsRegistry()
  const { endpoints } = new Instruments(registry)
  const worker = new Worker(registry, 0)
  const snapshot = registry.begin()
  const { api } = endpoints.assign({ api: service("10.0.0.1:80") })
  worker.take(snapshot)
  registry.settle(snapshot, "snapshots", "endpoints")
  worker.writer.add(api[0].requests + statusIndex(200), 1)
  const before = registry.memory(0).segments.length
  for (let i = 0; i < 20_000; i++) {
    const epoch = registry.begin()
    const slots = endpoints.assign({ api: service("10.0.0.1:80", `10.1.0.${i}:80`) })
    expect(slots.api[0]).toEqual(api[0])
    expect(registry.read(slots.api[1].requests + statusIndex(500))).toBe(0)
    worker.send()
    worker.endpoints = [epoch]
    worker.writer.add(slots.api[1].requests + statusIndex(500), 1)
    registry.settle(epoch, "endpoints")
    worker.answer()
  }
  expect(registry.memory(0).segments.length).toBe(before)
  expect(registry.read(api[0].requests + statusIndex(200))).toBe(1)
})

test("a worker tells what it holds after every order, and what has ended since as soon as it looks", () => {
  const told: unknown[] = []
  const held = new HeldSlots((report) => told.push(report))
  let first = true
  let ready = true
  held.add({ epoch: 1, held: () => first })
  held.endpoints = 1
  held.done(1)
  held.add({ epoch: 2, held: () => true, ownEndpoints: () => ready })
  held.done(2)
  ready = false
  held.endpoints = 2
  held.look()
  held.look()
  first = false
  held.look()
  held.done(3)
  expect(told).toEqual([
    { order: 1, snapshots: [1], endpoints: [1] },
    { order: 2, snapshots: [1, 2], endpoints: [2, 1] },
    { order: 2, snapshots: [1, 2], endpoints: [2] },
    { order: 2, snapshots: [2], endpoints: [2] },
    { order: 3, snapshots: [2], endpoints: [2] },
  ])
})

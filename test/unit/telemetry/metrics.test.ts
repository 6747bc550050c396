import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { afterEach, describe, expect, test } from "vitest"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { PHASE_RESPONSE_HEADERS } from "../../../gateway/telemetry/filter-instruments.ts"
import { Instruments, statusIndex } from "../../../gateway/telemetry/instruments.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { type MetricsHandle, MetricsWriter, SEGMENT_SLOTS } from "../../../gateway/telemetry/metrics-writer.ts"
import { FilterRecorder, ServiceRecorder } from "../../../gateway/telemetry/recorders.ts"
import type { Order } from "./support/metrics-worker.ts"

const workers: Worker[] = []

function start(handle: MetricsHandle): Worker {
  const worker = new Worker(new URL("./support/metrics-worker.ts", import.meta.url), { workerData: handle })
  workers.push(worker)
  return worker
}

async function order(worker: Worker, message: Order): Promise<void> {
  const done = once(worker, "message")
  worker.postMessage(message)
  await done
}

afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()))
})

async function lines(registry: MetricsRegistry, name: string): Promise<string[]> {
  const { body } = await registry.exposition()
  return body.split("\n").filter((line) => line.startsWith(name))
}

describe("metrics across threads", () => {
  test("a counter is the sum of what all workers and the main thread added", async () => {
    const registry = new MetricsRegistry()
    const slot = registry.counter({ name: "c_total", help: "c" }).slot()
    const a = start(registry.attach(0))
    const b = start(registry.attach(1))
    await Promise.all([
      order(a, { kind: "add", slot, value: 1, times: 100_000 }),
      order(b, { kind: "add", slot, value: 1, times: 200_000 }),
    ])
    registry.writer.add(slot, 5)
    expect(registry.read(slot)).toBe(300_005)
    expect(await lines(registry, "c_total")).toEqual(["c_total 300005"])
  })

  test("a dead worker's counters and histograms stay, its gauges fall, and its successor counts on", async () => {
    const registry = new MetricsRegistry()
    const counter = registry.counter({ name: "c_total", help: "c" }).slot()
    const gauge = registry.gauge({ name: "g", help: "g" }).slot()
    const histogram = registry.histogram({ name: "h_seconds", help: "h", buckets: requestBuckets }).slot()
    const first = start(registry.attach(0))
    const other = start(registry.attach(1))
    await order(first, { kind: "add", slot: counter, value: 1, times: 10 })
    await order(first, { kind: "set", slot: gauge, value: 7, times: 1 })
    await order(other, { kind: "set", slot: gauge, value: 3, times: 1 })
    await order(first, { kind: "observe", slot: histogram, value: 0.25, times: 4 })
    expect(registry.read(gauge)).toBe(10)
    await first.terminate()
    registry.detach(0)
    registry.detach(0)
    expect(registry.read(counter)).toBe(10)
    expect(registry.read(gauge)).toBe(3)
    const second = start(registry.attach(0))
    await order(second, { kind: "add", slot: counter, value: 1, times: 5 })
    expect(registry.read(counter)).toBe(15)
    expect(await lines(registry, "h_seconds_count")).toEqual(["h_seconds_count 4"])
    expect(await lines(registry, "h_seconds_sum")).toEqual(["h_seconds_sum 1"])
  })

  test("slots added later reach a running worker with the next handle, and nothing moves", async () => {
    const registry = new MetricsRegistry()
    const early = registry.counter({ name: "early_total", help: "e" }).slot()
    const worker = start(registry.attach(0))
    await order(worker, { kind: "add", slot: early, value: 1, times: 3 })
    const values = Array.from({ length: 64 }, (_, i) => `${i}`)
    const many = registry.counter({ name: "many_total", help: "m", labels: ["i"], across: { label: "j", values }, maxSeries: 100_000 })
    let last = 0
    for (let i = 0; i < (SEGMENT_SLOTS / 64) * 2; i++) last = many.slot(`${i}`)
    await order(worker, { kind: "handle", handle: registry.handle(0) })
    await order(worker, { kind: "add", slot: last, value: 2, times: 2 })
    await order(worker, { kind: "add", slot: early, value: 1, times: 1 })
    expect(registry.handle(0).segments.length).toBe(3)
    expect(registry.read(last)).toBe(4)
    expect(registry.read(early)).toBe(4)
  })
})

describe("slots", () => {
  test("the same labels have the same slot in every generation, and different labels never share one", () => {
    const registry = new MetricsRegistry()
    const metric = registry.counter({ name: "c_total", help: "c", labels: ["a", "b"] })
    const slot = metric.slot("x", "y")
    expect(metric.slot('x","y', "")).not.toBe(slot)
    expect(metric.slot("x", "z")).not.toBe(slot)
    registry.begin()
    expect(metric.slot("x", "y")).toBe(slot)
  })

  test("a series never straddles two segments", () => {
    const registry = new MetricsRegistry()
    const writer = new MetricsWriter(registry.attach(0))
    const metric = registry.histogram({ name: "h_seconds", help: "h", labels: ["i"], buckets: requestBuckets, maxSeries: 5000 })
    for (let i = 0; i < 2000; i++) {
      const slot = metric.slot(`${i}`)
      expect(Math.floor(slot / SEGMENT_SLOTS)).toBe(Math.floor((slot + requestBuckets.width - 1) / SEGMENT_SLOTS))
      writer.update(registry.handle(0))
      writer.observe(slot, 100, requestBuckets)
      expect(registry.read(slot + requestBuckets.sum)).toBe(100)
    }
  })

  test("label sets over the cap share one series, and the exposition says so", async () => {
    const registry = new MetricsRegistry()
    const metric = registry.counter({ name: "c_total", help: "c", labels: ["a"], maxSeries: 2 })
    registry.writer.add(metric.slot("1"), 1)
    registry.writer.add(metric.slot("2"), 1)
    registry.writer.add(metric.slot("3"), 1)
    registry.writer.add(metric.slot("4"), 1)
    expect(await lines(registry, "c_total")).toEqual(['c_total{a="1"} 1', 'c_total{a="2"} 1', 'c_total{a="overflow"} 2'])
    expect(await lines(registry, "sluice_metrics_overflow_total")).toEqual(['sluice_metrics_overflow_total{metric="c_total"} 2'])
  })

  test("misuse is an error", () => {
    const registry = new MetricsRegistry()
    const metric = registry.counter({ name: "c_total", help: "c", labels: ["a"] })
    expect(() => metric.slot()).toThrow("0 values for 1 labels")
    expect(() => registry.gauge({ name: "c_total", help: "c" })).toThrow("defined twice")
    registry.attach(0)
    expect(() => registry.attach(0)).toThrow("attached already")
    expect(() => registry.handle(1)).toThrow("not attached")
  })
})

describe("exposition", () => {
  test("a histogram has cumulative buckets, a sum and a count", async () => {
    const registry = new MetricsRegistry()
    const slot = registry.histogram({ name: "h_seconds", help: "h", labels: ["route"], buckets: requestBuckets }).slot("r")
    for (const value of [0, 0.0005, 0.00051, 60, 61, -1, Number.NaN, Number.POSITIVE_INFINITY])
      registry.writer.observe(slot, value, requestBuckets)
    const out = await lines(registry, "h_seconds")
    expect(out[0]).toBe('h_seconds_bucket{le="0.0005",route="r"} 5')
    expect(out[1]).toBe('h_seconds_bucket{le="0.0007",route="r"} 6')
    expect(out.slice(-4)).toEqual([
      'h_seconds_bucket{le="60",route="r"} 7',
      'h_seconds_bucket{le="+Inf",route="r"} 8',
      `h_seconds_sum{route="r"} ${0.0005 + 0.00051 + 60 + 61}`,
      'h_seconds_count{route="r"} 8',
    ])
  })

  test("label values can't break out of their line", async () => {
    const registry = new MetricsRegistry()
    registry.counter({ name: "c_total", help: "a\nb", labels: ["a"] }).slot('x"} 1\nevil_total 2\\')
    const { body, contentType } = await registry.exposition()
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(body).toContain('c_total{a="x\\"} 1\\nevil_total 2\\\\"} 0')
    expect(body).not.toMatch(/^evil_total/m)
  })

  test("the process's own metrics are there", async () => {
    const { body } = await new MetricsRegistry().exposition()
    for (const name of ["process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"]) {
      const value = Number(new RegExp(`^${name} (.+)$`, "m").exec(body)?.[1])
      expect(value).toBeGreaterThan(0)
    }
  })
})

describe("instruments", () => {
  test("requests are counted by listener, route, service and status class", async () => {
    const registry = new MetricsRegistry()
    const instruments = new Instruments(registry)
    const worker = new MetricsWriter(registry.attach(0))
    const slots = instruments.route("edge", "api", "users")
    for (const status of [0, 101, 200, 204, 302, 404, 503, 999]) worker.add(slots.requests + statusIndex(status), 1)
    const at = 'listener="edge",route="api",service="users"'
    expect(await lines(registry, "sluice_requests_total")).toEqual([
      `sluice_requests_total{code="none",${at}} 1`,
      `sluice_requests_total{code="1xx",${at}} 1`,
      `sluice_requests_total{code="2xx",${at}} 2`,
      `sluice_requests_total{code="3xx",${at}} 1`,
      `sluice_requests_total{code="4xx",${at}} 1`,
      `sluice_requests_total{code="5xx",${at}} 2`,
    ])
  })

  test("ten thousand routes have slots of their own that survive structured cloning, and idle ones aren't exposed", async () => {
    const registry = new MetricsRegistry()
    const instruments = new Instruments(registry)
    const all = Array.from({ length: 10_000 }, (_, i) => instruments.route("edge", `route-${i}`, "s"))
    expect(structuredClone(all[9_999])).toEqual(all[9_999])
    expect(new Set(all.map((slots) => slots.requests)).size).toBe(10_000)
    const worker = new MetricsWriter(registry.attach(0))
    worker.add(all[9_999].requests + 2, 1)
    expect(await lines(registry, "sluice_requests_total")).toEqual([
      'sluice_requests_total{code="2xx",listener="edge",route="route-9999",service="s"} 1',
    ])
    expect(await lines(registry, "sluice_request_duration_seconds")).toEqual([])
    // 1e4 routes take 137 + 6 + 40 or so + 2 slots each, and 4096 of them 137 more: room of some 20 MB a worker,
    // of which it has in memory what it has counted in.
    expect(registry.handle(0).segments.length * SEGMENT_SLOTS * 8).toBeLessThan(22 * 1024 * 1024)
  })

  test("a filter's uses add up, its timed sample counts for all, and a new version may begin before the old one ends", async () => {
    const registry = new MetricsRegistry()
    const instruments = new Instruments(registry)
    const writer = new MetricsWriter(registry.attach(0))
    const slots = instruments.filters.slots("auth", "stable")
    const old = new FilterRecorder(writer, slots, 16)
    old.instances(1)
    old.calls(2)
    old.budget(500)
    old.duration(1500, PHASE_RESPONSE_HEADERS)
    const next = new FilterRecorder(writer, slots, 16)
    next.instances(1)
    next.trap("budget")
    next.instances(0)
    next.instances(1)
    old.instances(0)
    expect([registry.read(slots.calls), registry.read(slots.instances)]).toEqual([2, 1])
    const { body } = await registry.exposition()
    for (const line of [
      'sluice_filter_budget_used_total{filter="auth",version="stable"} 8000',
      'sluice_filter_duration_seconds_bucket{le="0.000001",filter="auth",version="stable"} 0',
      'sluice_filter_duration_seconds_bucket{le="0.000002",filter="auth",version="stable"} 16',
      'sluice_filter_duration_seconds_count{filter="auth",version="stable"} 16',
      'sluice_filter_phase_duration_seconds_count{filter="auth",version="stable",phase="responseHeaders"} 16',
      'sluice_filter_traps_total{reason="budget",filter="auth",version="stable"} 1',
    ]) {
      expect(body.split("\n")).toContain(line)
    }
  })

  test("a service's connections are counted", async () => {
    const registry = new MetricsRegistry()
    const writer = new MetricsWriter(registry.attach(0))
    const recorder = new ServiceRecorder(writer, new Instruments(registry).service("users"), () => {})
    recorder.connects(1)
    recorder.active(1)
    recorder.connects(1)
    recorder.active(1)
    recorder.active(-1)
    recorder.connectFailures(1)
    recorder.pending(3)
    recorder.pending(-1)
    expect((await lines(registry, "sluice_upstream_")).map((line) => line.replace('{service="users"}', ""))).toEqual([
      "sluice_upstream_connects_total 2",
      "sluice_upstream_connect_failures_total 1",
      "sluice_upstream_connections_active 1",
      "sluice_upstream_connections_idle 0",
      "sluice_upstream_connections_reused_total 0",
      "sluice_upstream_retries_total 0",
      "sluice_upstream_hedges_total 0",
      "sluice_upstream_hedges_won_total 0",
      "sluice_upstream_requests_pending 2",
      "sluice_upstream_overflows_total 0",
    ])
  })

  test("configuration and workers show", async () => {
    const registry = new MetricsRegistry()
    const instruments = new Instruments(registry)
    instruments.generation(4)
    instruments.configTaken(1_700_000_000_500)
    instruments.configRefused(1_700_000_001_000)
    instruments.workersRunning(2)
    instruments.workerRestarted()
    const { body } = await registry.exposition()
    for (const line of [
      "sluice_config_generation 4",
      "sluice_config_last_reload_success 0",
      "sluice_config_last_reload_timestamp_seconds 1700000001",
      'sluice_config_reloads_total{result="taken"} 1',
      'sluice_config_reloads_total{result="refused"} 1',
      "sluice_workers 2",
      "sluice_worker_restarts_total 1",
    ]) {
      expect(body.split("\n")).toContain(line)
    }
  })
})

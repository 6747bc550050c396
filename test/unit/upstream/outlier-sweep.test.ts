import { afterEach, describe, expect, test, vi } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { EndpointMemory, EndpointTable } from "../../../gateway/upstream/endpoint-table.ts"
import { OutlierSweep } from "../../../gateway/upstream/outlier-sweep.ts"

const addresses = ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"]

function configOf(outlierDetection: unknown, endpoints: readonly unknown[] = addresses): Config {
  const loaded = validateConfig(
    { listeners: [{ address: "127.0.0.1:0" }], services: { api: { endpoints, outlierDetection, healthCheck: { tcp: true } } } },
    { file: "test", baseDir: "." },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

class Bench {
  readonly table = new EndpointTable(2)
  readonly told: string[] = []
  readonly seen: string[] = []
  readonly sweep: OutlierSweep

  constructor(config: Config) {
    this.sweep = new OutlierSweep(this.table, {
      random: () => 0,
      onEjected: (service, endpoint, reason, ms, details) => this.told.push(`${service} ${endpoint} ${reason} ${ms}: ${details}`),
      onSeen: (_, endpoint, ejected) => {
        if (ejected) this.seen.push(endpoint)
      },
    })
    this.use(config)
  }

  use(config: Config, now = 0): void {
    this.table.assign(config.services)
    this.table.keepOnly(config.services)
    this.sweep.use(config, now)
  }

  /** What a worker counts. */
  count(config: Config, worker: number, endpoint: number, requests: number, failures: number, latency = 1): void {
    const records = this.table.assign(config.services)
    const { column, at } = new EndpointMemory(records).column(records.services.api.endpoints[endpoint], worker)
    for (const [i, more] of [requests, requests - failures, requests * latency, requests].entries()) column[at + i] += more
  }
}

let bench: Bench | null = null
afterEach(() => {
  bench?.sweep.close()
  vi.useRealTimers()
})

const compared = { interval: "1s", failurePercentage: { minEndpoints: 3, minRequests: 10, threshold: "50%" }, maxEjected: "50%" }

test("an ejected endpoint that leaves is no longer counted as ejected, so that another can be", () => {
  const config = configOf({ ...compared, maxEjected: "10%" })
  bench = new Bench(config)
  expect(bench.sweep.ejection("api", addresses[0])?.eject("5xx")).toBeGreaterThan(0)
  expect(bench.sweep.ejection("api", addresses[1])?.eject("5xx")).toBe(0)
  bench.use(configOf({ ...compared, maxEjected: "10%" }, addresses.slice(1)))
  expect(bench.sweep.ejection("api", addresses[1])?.eject("5xx")).toBeGreaterThan(0)
})

test("a count of ejected endpoints that is too high is put right however often endpoints change", () => {
  const config = configOf(compared)
  bench = new Bench(config)
  const of = bench.table.words("api", "")
  if (of === null) throw new Error("no record")
  Atomics.store(of.words, of.at, 2)
  for (let now = 1000; now <= 3000; now += 1000) {
    bench.use(config, now - 1)
    bench.sweep.look(now)
  }
  expect(Atomics.load(of.words, of.at)).toBe(0)
})

describe("once an interval", () => {
  test("endpoints are compared by what all workers counted in it, and the worst are ejected as far as may be", () => {
    const config = configOf({ ...compared, maxEjected: "10%" })
    bench = new Bench(config)
    for (const worker of [0, 1]) {
      bench.count(config, worker, 0, 6, 0)
      bench.count(config, worker, 1, 6, 3)
      bench.count(config, worker, 2, 6, 6)
      bench.count(config, worker, 3, 4, 4)
    }
    bench.sweep.look(999)
    expect(bench.told).toEqual([])
    bench.sweep.look(1000)
    expect(bench.told).toEqual(["api 127.0.0.1:3 failurePercentage 30000: 100% of its requests failed"])
    expect(bench.seen).toEqual([])
    bench.sweep.look(2000)
    expect(bench.seen).toEqual(["127.0.0.1:3"])
    expect(bench.told).toHaveLength(1)
  })

  test("the slow are found by their mean latency", () => {
    const config = configOf({ interval: "1s", latency: { minRequests: 10 } })
    bench = new Bench(config)
    for (let i = 0; i < 4; i++) bench.count(config, 0, i, 10, 0, i === 1 ? 100 : 10)
    bench.sweep.look(1000)
    expect(bench.told).toEqual(["api 127.0.0.1:2 latency 30000: it took 100 ms on average, the median of the others 10"])
  })

  test("what was counted before a reload, or while an endpoint was ejected, is not held against it later", () => {
    const config = configOf(compared)
    bench = new Bench(config)
    for (let i = 0; i < 3; i++) bench.count(config, 0, i, 10, 0)
    bench.count(config, 0, 3, 100, 90)
    bench.sweep.look(1000)
    expect(bench.told).toHaveLength(1)
    bench.count(config, 0, 3, 100, 100)
    bench.sweep.look(2000)
    expect(bench.sweep.ejection("api", addresses[3])?.readmit()).toBe(true)
    for (let i = 0; i < 4; i++) bench.count(config, 0, i, 10, 0)
    bench.use(config, 2500)
    bench.sweep.look(3000)
    expect(bench.told).toHaveLength(1)
  })

  test("an ejection of an endpoint in use is forgotten", () => {
    bench = new Bench(configOf({ interval: "1s" }))
    const ejection = bench.sweep.ejection("api", addresses[0])
    ejection?.eject("5xx")
    ejection?.readmit()
    expect(ejection?.state.times).toBe(1)
    bench.sweep.look(1000)
    expect(ejection?.state.times).toBe(0)
  })

  test("a count of ejected endpoints that is too high is put right", () => {
    bench = new Bench(configOf({ interval: "1s" }))
    const of = bench.table.words("api", "")
    if (of === null) throw new Error("no record")
    of.words[of.at] = 1
    expect(bench.sweep.ejection("api", addresses[0])?.eject("5xx")).toBe(0)
    bench.sweep.look(1000)
    bench.sweep.look(2000)
    expect(bench.sweep.ejection("api", addresses[0])?.eject("5xx")).toBe(30_000)
  })

  test("it looks by itself", () => {
    vi.useFakeTimers()
    const config = configOf(compared)
    bench = new Bench(config)
    bench.sweep.use(config)
    bench.count(config, 0, 0, 10, 10)
    for (let i = 1; i < 4; i++) bench.count(config, 0, i, 10, 0)
    vi.advanceTimersByTime(1001)
    expect(bench.told).toHaveLength(1)
  })
})

describe("a reload", () => {
  test("keeps ejections, also those whose settings it changes", () => {
    bench = new Bench(configOf(compared))
    bench.sweep.ejection("api", addresses[0])?.eject("5xx")
    bench.use(configOf({ ...compared, maxEjected: "20%" }))
    expect(bench.sweep.ejection("api", addresses[0])?.ejected).toBe(true)
  })

  test.each([
    ["turns detection off", configOf(false)],
    ["leaves one endpoint", configOf(compared, addresses.slice(0, 1))],
    ["leaves one that takes traffic", configOf(compared, [addresses[0], { address: addresses[1], weight: 0 }])],
  ])("that %s ends all of them", (_, after) => {
    bench = new Bench(configOf(compared))
    bench.sweep.ejection("api", addresses[0])?.eject("5xx")
    bench.use(after)
    expect(bench.sweep.ejection("api", addresses[0])).toBeNull()
    bench.use(configOf(compared))
    expect(bench.sweep.ejection("api", addresses[0])?.ejected).toBe(false)
    expect(bench.table.words("api", "")?.words[0]).toBe(0)
  })
})

import { afterEach, expect, test } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { EndpointInstruments } from "../../../gateway/telemetry/endpoint-instruments.ts"
import type { Logger } from "../../../gateway/telemetry/log.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { EndpointHealthView, EndpointMemory, EndpointTable, type RecordWords } from "../../../gateway/upstream/endpoint-table.ts"
import { EndpointWatch } from "../../../gateway/upstream/endpoint-watch.ts"
import { HealthChecker } from "../../../gateway/upstream/health-checker.ts"

const CHECK = { tcp: true, interval: "1h" }

function configOf(endpoints: readonly string[], healthCheck: object | null = CHECK): Config {
  const loaded = validateConfig(
    { listeners: [{ address: "127.0.0.1:0" }], services: { api: { endpoints, ...(healthCheck === null ? {} : { healthCheck }) } } },
    { file: "test", baseDir: "." },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config
}

const silent = { log() {} } as unknown as Logger

let running: { close(): void } | null = null
afterEach(() => running?.close())

test("endpoints that come and go leave nothing in the metrics", async () => {
  const registry = new MetricsRegistry()
  const instruments = new EndpointInstruments(registry)
  const watch = new EndpointWatch({ workers: 1, random: () => 0.5, logger: silent, instruments })
  running = watch
  for (let i = 0; i < 300; i++) {
    const config = configOf([`127.0.0.1:${1000 + i}`, `127.0.0.1:${2000 + i}`])
    watch.records(config)
    watch.use(config, {})
  }
  const shown = async (): Promise<string[]> =>
    (await registry.exposition()).body.split("\n").filter((line) => line.startsWith("sluice_endpoint_healthy{"))
  expect(await shown()).toHaveLength(2)
  const plain = configOf(["127.0.0.1:1299", "127.0.0.1:2299"], null)
  watch.records(plain)
  watch.use(plain, {})
  expect(await shown()).toEqual([])
})

test("what probes said once is forgotten when they begin anew", () => {
  const table = new EndpointTable(1)
  const checker = new HealthChecker(table, { random: () => 0.5, onHealth() {}, fault() {} })
  running = checker
  const endpoints = ["127.0.0.1:9", "127.0.0.1:10"]
  const checked = configOf(endpoints)
  const records = table.assign(checked.services)
  checker.use(checked, {})
  table.setUnwell("api", "127.0.0.1:9", true)
  const without = configOf(endpoints, null)
  table.assign(without.services)
  table.keepOnly(without.services)
  checker.use(without, {})
  expect(table.assign(checked.services).services.api).toEqual(records.services.api)
  checker.use(checked, {})
  const memory = new EndpointMemory(records)
  const { service, endpoints: own } = records.services.api
  expect(new EndpointHealthView(memory.words(own[0]) as RecordWords, memory.words(service)).unwell).toBe(false)
})

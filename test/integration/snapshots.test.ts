// Snapshots that aren't taken, with real worker threads: a thread that dies meanwhile, one that refuses, an end of the gateway.

import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { afterEach, expect, test } from "vitest"
import { parseConfig } from "../../gateway/config/load.ts"
import type { Config } from "../../gateway/config/model.ts"
import type { SnapshotSpec } from "../../gateway/snapshot.ts"
import { SharedMemory } from "../../gateway/supervisor/shared-memory.ts"
import { Snapshots, type SnapshotsMeans } from "../../gateway/supervisor/snapshots.ts"
import { WorkerPool } from "../../gateway/supervisor/worker-pool.ts"
import { Instruments } from "../../gateway/telemetry/instruments.ts"
import type { LogEvent, Logger } from "../../gateway/telemetry/log.ts"
import { MetricsRegistry } from "../../gateway/telemetry/metrics-registry.ts"
import { TlsFiles } from "../../gateway/tls/tls-files.ts"
import type { PreparedFilters } from "../../gateway/wasm/assemble-filters.ts"
import { until, within } from "../support/deadline.ts"
import { type Origin, staticOrigin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"

const ending: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end()
})

const filters: PreparedFilters = { plugins: [], routes: [[], []], listeners: [[]] }
/** No worker can make anything of it. */
const broken = { plugins: [null], routes: [[0], []], listeners: [[]] } as unknown as PreparedFilters

interface Place {
  readonly registry: MetricsRegistry
  readonly snapshots: Snapshots
  readonly shared: SharedMemory
  readonly pool: WorkerPool
  readonly events: LogEvent[]
  /** Endpoints that are found from now on, by service. */
  readonly found: Record<string, Config["services"][string]["endpoints"]>
  apply(config: Config, prepared?: PreparedFilters): Promise<void>
}

function start(workers: number, { pool: instead, access }: Partial<Pick<SnapshotsMeans, "pool" | "access">> = {}): Place {
  const registry = new MetricsRegistry()
  const instruments = new Instruments(registry)
  const events: LogEvent[] = []
  const logger: Logger = { enabled: () => true, log: (level, message) => events.push({ level, message } as LogEvent) }
  const shared = new SharedMemory({ workers, registry, instruments, logger, wake: () => {} })
  const pool = new WorkerPool({
    size: workers,
    registry,
    logger,
    start: { ...shared.start, unitsPerMs: 1000, logLevel: "info", tracesDropped: 0 },
    onLog: (event) => events.push(event),
    onAccess: (_, written) => written(),
    onTraces: () => {},
    onEjection: () => {},
    identity: (source, service) => instruments.identities.slots(source, service),
    onLost: (worker) => shared.forget(worker),
    onCount: () => {},
  })
  ending.push(
    () => pool.terminate(),
    () => shared.close(),
  )
  const found: Place["found"] = {}
  const snapshots = new Snapshots({
    registry,
    instruments,
    discovery: {
      resolved: (config) => ({
        ...config,
        services: Object.fromEntries(
          Object.entries(config.services).map(([name, each]) => [name, name in found ? { ...each, endpoints: found[name] } : each]),
        ),
      }),
      use: () => {},
    },
    canaries: { prepare: () => ({ weights: {}, commit: () => {} }) },
    drained: { laidOver: (config) => config, use: () => {} },
    weights: { prepare: () => ({ weights: {}, commit: () => {} }) },
    shared,
    traces: { use: () => {} },
    pool: instead ?? pool,
    access: access ?? { prepare: () => {}, keepOnly: () => {} },
  })
  const apply = (config: Config, prepared = filters): Promise<void> =>
    snapshots.apply(config, prepared, new TlsFiles().read(config).materials)
  return { registry, snapshots, shared, pool, events, found, apply }
}

function configOf(services: Readonly<Record<string, string>>): Config {
  const text = JSON.stringify({
    listeners: [{ name: "main", address: "127.0.0.1:0" }],
    services: Object.fromEntries(Object.entries(services).map(([name, address]) => [name, { endpoints: [address] }])),
    routes: [
      { name: "a", match: { path: "/a" }, backends: "a" },
      { name: "b", match: { path: "/b" }, backends: "b" },
    ],
  })
  const result = parseConfig(text, { file: "sluice.yaml", baseDir: "/" })
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.config
}

async function origin(text: string): Promise<Origin> {
  const started = await staticOrigin(text)
  ending.push(() => started.stop())
  return started
}

const portOf = ({ snapshots }: Place): number => snapshots.current?.ports.main ?? 0

test("a worker that was being replaced while a snapshot was refused serves the one before", async () => {
  const a = await origin("a")
  const place = start(1)
  await place.apply(configOf({ a: a.address }))
  expect((await get(portOf(place), "/a")).text()).toBe("a")
  await place.pool.kill(0)
  await until(() => place.pool.running === 0, "the worker's death")
  await expect(place.apply(configOf({ a: a.address }), broken)).rejects.toThrow()
  await until(() => place.pool.running === 1, "another worker")
  expect((await get(portOf(place), "/a")).text()).toBe("a")
})

test("a worker that has given a snapshot up counts by the one it serves", async () => {
  const [a, b] = [await origin("a"), await origin("b")]
  const place = start(2)
  const { pool, registry, snapshots } = place
  const config = configOf({ a: a.address, b: a.address })
  await place.apply(config)
  // The other worker dies of what it is sent instead of getting ready, so that this one gives it up.
  const handle = registry.handle.bind(registry)
  registry.handle = (worker) => (worker === 1 ? (null as never) : handle(worker))
  await expect(place.apply(configOf({ a: a.address }))).rejects.toThrow("worker 1")
  registry.handle = handle
  await until(() => pool.running === 2, "another worker")
  place.found.b = configOf({ b: b.address }).services.b.endpoints
  await snapshots.endpointsChanged()
  const answers = await Promise.all(Array.from({ length: 30 }, () => get(portOf(place), "/b")))
  expect(answers.map((each) => each.text())).toEqual(Array(30).fill("b"))
  expect(place.events.filter(({ level }) => level === "critical")).toEqual([])
})

test("what a refused configuration had been given is there for others", async () => {
  const refuse = (): Promise<void> => Promise.reject(new Error("refused"))
  const accept = (): Promise<void> => Promise.resolve()
  const pool = { apply: accept, change: accept }
  const place = start(1, { pool })
  const endpoints = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ address: { host: `10.0.${(from + i) >> 8}.${(from + i) & 255}`, port: 1 }, weight: 1 }))
  const config = configOf({ a: "127.0.0.1:1" })
  place.found.a = endpoints(0, 10)
  await place.apply(config)
  pool.apply = refuse
  for (let i = 1; i <= 3; i++) {
    place.found.a = endpoints(i * 1000, 900)
    await expect(place.apply(config)).rejects.toThrow("refused")
  }
  pool.apply = accept
  place.found.a = endpoints(5000, 900)
  await place.apply(config)
  expect(place.snapshots.current?.records.segments).toHaveLength(1)
})

test("a snapshot that is under way ends with the workers, and none begins after that", async () => {
  const place = start(2)
  const { pool } = place
  const ended: Promise<void>[] = []
  const instead = {
    apply(spec: SnapshotSpec): Promise<void> {
      const applied = pool.apply(spec)
      ended.push(pool.terminate())
      return applied
    },
    change: (...change: Parameters<WorkerPool["change"]>) => pool.change(...change),
  }
  const other = start(2, { pool: instead })
  const config = configOf({ a: "127.0.0.1:1" })
  await expect(within(other.apply(config), "the end of what waits for workers", 5000)).rejects.toThrow("has ended")
  await Promise.all(ended)
  await expect(place.apply(config)).rejects.toThrow("have ended")
})

test("what a worker was asked is answered when all end", async () => {
  const a = await origin("a")
  const place = start(1)
  await place.apply(configOf({ a: a.address }))
  const asked = place.pool.ask(0, { what: "profile", profile: "cpu", seconds: 60, file: "/nonexistent/profile" }, 60_000)
  await place.pool.terminate()
  expect(await within(asked, "an answer", 5000)).toEqual({ what: "failed", why: "worker 0 has ended; ask again" })
})

test("a snapshot that can't be put together leaves nothing of it behind", async () => {
  const kept: string[] = []
  const access = { prepare: () => {}, keepOnly: ({ kind }: { kind: string }) => kept.push(kind) }
  const a = await origin("a")
  const place = start(1, { access })
  await place.apply(configOf({ a: a.address }))
  const taken = createServer().listen(0, "127.0.0.1")
  await once(taken, "listening")
  ending.push(() => taken.close())
  const config = configOf({ a: a.address })
  const [main] = config.listeners
  const address = { host: "127.0.0.1", port: (taken.address() as AddressInfo).port }
  await expect(place.apply({ ...config, listeners: [main, { ...main, name: "other", address }] })).rejects.toThrow()
  expect(kept).toEqual(["stdout", "stdout"])
})

// Snapshots that aren't taken, with real worker threads: a thread that dies meanwhile, one that refuses, an end of the gateway.

import { once } from "node:events"
import { type AddressInfo, createServer } from "node:net"
import { afterEach, expect, test } from "vitest"
import type { Config } from "../../gateway/config/model.ts"
import type { SnapshotSpec } from "../../gateway/snapshot.ts"
import type { WorkerPool } from "../../gateway/supervisor/worker-pool.ts"
import type { PreparedFilters } from "../../gateway/wasm/assemble-filters.ts"
import { until, within } from "../support/deadline.ts"
import { type Origin, staticOrigin } from "../support/origin.ts"
import { atEnd, configFrom, endPlaces, type Place, startPlace } from "../support/place.ts"
import { get } from "../support/raw-client.ts"

/** No worker can make anything of it. */
const broken = { plugins: [null], routes: [[0], []], listeners: [[]] } as unknown as PreparedFilters

afterEach(endPlaces)

function configOf(services: Readonly<Record<string, string>>): Config {
  return configFrom({
    listeners: [{ name: "main", address: "127.0.0.1:0" }],
    services: Object.fromEntries(Object.entries(services).map(([name, address]) => [name, { endpoints: [address] }])),
    routes: [
      { name: "a", match: { path: "/a" }, backends: "a" },
      { name: "b", match: { path: "/b" }, backends: "b" },
    ],
  })
}

async function origin(text: string): Promise<Origin> {
  const started = await staticOrigin(text)
  atEnd(() => started.stop())
  return started
}

const portOf = ({ snapshots }: Place): number => snapshots.current?.ports.main ?? 0

test("a worker that was being replaced while a snapshot was refused serves the one before", async () => {
  const a = await origin("a")
  const place = startPlace(1)
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
  const place = startPlace(2)
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

test("a worker that could make nothing of a snapshot counts by the one it serves", async () => {
  const [a, b] = [await origin("a"), await origin("b")]
  const place = startPlace(1)
  await place.apply(configOf({ a: a.address, b: a.address }))
  await expect(place.apply(configOf({ a: a.address }), broken)).rejects.toThrow()
  place.found.b = configOf({ b: b.address }).services.b.endpoints
  await place.snapshots.endpointsChanged()
  expect((await get(portOf(place), "/b")).text()).toBe("b")
  expect(place.events.filter(({ level }) => level === "critical")).toEqual([])
})

test("endpoints are others although a worker that was being replaced dies of something else meanwhile", async () => {
  const [a, b] = [await origin("a"), await origin("b")]
  const place = startPlace(1)
  const { pool, registry, snapshots } = place
  await place.apply(configOf({ a: a.address }))
  const attach = registry.attach.bind(registry)
  const replaced = new Promise<void>((resolve) => {
    registry.attach = (worker) => {
      resolve()
      return attach(worker)
    }
  })
  await pool.kill(0)
  await replaced
  place.found.a = configOf({ a: b.address }).services.a.endpoints
  const changed = snapshots.endpointsChanged()
  await pool.kill(0)
  await changed
  await until(() => pool.running === 1, "another worker")
  expect((await get(portOf(place), "/a")).text()).toBe("b")
})

test("what a refused configuration had been given is there for others", async () => {
  const refuse = (): Promise<void> => Promise.reject(new Error("refused"))
  const accept = (): Promise<void> => Promise.resolve()
  const pool = { apply: accept, change: accept }
  const place = startPlace(1, { pool })
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
  const place = startPlace(2)
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
  const other = startPlace(2, { pool: instead })
  const config = configOf({ a: "127.0.0.1:1" })
  await expect(within(other.apply(config), "the end of what waits for workers", 5000)).rejects.toThrow("has ended")
  await Promise.all(ended)
  await expect(place.apply(config)).rejects.toThrow("have ended")
})

test("what a worker was asked is answered when all end", async () => {
  const a = await origin("a")
  const place = startPlace(1)
  await place.apply(configOf({ a: a.address }))
  const asked = place.pool.ask(0, { what: "profile", profile: "cpu", seconds: 60, file: "/nonexistent/profile" }, 60_000)
  await place.pool.terminate()
  expect(await within(asked, "an answer", 5000)).toEqual({ what: "failed", why: "worker 0 has ended; ask again" })
})

test("a snapshot that can't be put together leaves nothing of it behind", async () => {
  const kept: string[] = []
  const access = { prepare: () => {}, keepOnly: ({ kind }: { kind: string }) => kept.push(kind) }
  const a = await origin("a")
  const place = startPlace(1, { access })
  await place.apply(configOf({ a: a.address }))
  const taken = createServer().listen(0, "127.0.0.1")
  await once(taken, "listening")
  atEnd(() => taken.close())
  const config = configOf({ a: a.address })
  const [main] = config.listeners
  const address = { host: "127.0.0.1", port: (taken.address() as AddressInfo).port }
  await expect(place.apply({ ...config, listeners: [main, { ...main, name: "other", address }] })).rejects.toThrow()
  expect(kept).toEqual(["stdout", "stdout"])
})

// Names that come and go with real reloads and real worker threads: their series go too, and what is new is counted exactly.

import { afterEach, expect, test } from "vitest"
import type { Config } from "../../gateway/config/model.ts"
import { until } from "../support/deadline.ts"
import { Origin, type OriginConnection } from "../support/origin.ts"
import { atEnd, configFrom, endPlaces, type Place, startPlace } from "../support/place.ts"
import { get } from "../support/raw-client.ts"

afterEach(endPlaces)

/** Lines that name `what`, without what is zero. */
async function lines({ registry }: Place, ...what: readonly string[]): Promise<string[]> {
  const { body } = await registry.exposition()
  return body.split("\n").filter((line) => !line.startsWith("#") && !line.endsWith(" 0") && what.every((each) => line.includes(each)))
}

/** All lines of series that have a label of this value, zero or not. */
async function named({ registry }: Place, value: string): Promise<string[]> {
  const { body } = await registry.exposition()
  return body.split("\n").filter((line) => line.includes(`"${value}"`))
}

async function sum(place: Place, ...what: readonly string[]): Promise<number> {
  return (await lines(place, ...what)).reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0)
}

async function origin(script: (connection: OriginConnection) => unknown = (connection) => connection.reply(200)): Promise<Origin> {
  const started = await Origin.start((_, connection) => void script(connection), { host: "0.0.0.0" })
  atEnd(() => started.stop())
  return started
}

const portOf = ({ snapshots }: Place, listener: string): number => snapshots.current?.ports[listener] ?? 0

/** One route, service and listener of this name, and endpoints on this machine that are its own. */
function configOf(name: string, port: number, endpoints: readonly string[] = ["127.0.0.1"]): Config {
  return configFrom({
    listeners: [{ name: `edge-${name}`, address: "127.0.0.1:0" }],
    services: { [name]: { endpoints: endpoints.map((host) => `${host}:${port}`) } },
    routes: [{ name: `route-${name}`, match: { path: "/" }, backends: name }],
  })
}

/** So many addresses of this machine that no other round has. */
function hosts(round: number, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `127.${round + 1}.${i >> 8}.${i & 255}`)
}

test("reloads with other names each time leave no series behind, and find room for all", async () => {
  const { port } = await origin()
  const place = startPlace(2)
  for (let round = 0; round < 3; round++) {
    const name = `round${round}`
    // Latency of a thousand endpoints is kept apart: two rounds of these are more.
    await place.apply(configOf(name, port, hosts(round, 520)))
    await Promise.all([1, 2, 3, 4].map(() => get(portOf(place, `edge-${name}`), "/")))
    await until(async () => (await sum(place, "sluice_requests_total")) === 4, "what was counted, and nothing else")
    expect(await sum(place, "sluice_endpoint_duration_seconds_count", `service="${name}",endpoint="127.${round + 1}.`)).toBe(4)
    place.registry.writer.add(place.instruments.identities.slots("spiffe://mesh/client", name).requests, 1)
    expect(await sum(place, "sluice_identity_requests_total", `service="${name}"`)).toBe(1)
    expect(await sum(place, "sluice_upstream_connects_total", `"${name}"`)).toBe(
      await sum(place, "sluice_upstream_connections_active", `"${name}"`),
    )
    if (round === 0) continue
    const before = `round${round - 1}`
    await until(async () => (await named(place, before)).length === 0, `the end of series of ${before}`)
    expect([...(await named(place, `edge-${before}`)), ...(await named(place, `route-${before}`))]).toEqual([])
  }
  expect(await lines(place, "overflow")).toEqual([])
})

test("endpoints that are found and lost all the time leave no series behind, in one configuration", async () => {
  const { port } = await origin()
  const place = startPlace(1)
  await place.apply(configOf("api", port))
  for (let round = 0; round < 3; round++) {
    place.found.api = hosts(round, 520).map((host) => ({ address: { host, port }, weight: 1 }))
    await place.snapshots.endpointsChanged()
    await Promise.all([1, 2, 3, 4].map(() => get(portOf(place, "edge-api"), "/")))
    const total = "sluice_endpoint_duration_seconds_count"
    await until(async () => (await sum(place, total)) === 4, "what was counted, and nothing else")
    expect(await sum(place, total, `endpoint="127.${round + 1}.`)).toBe(4)
  }
  expect(await sum(place, "sluice_requests_total")).toBe(12)
  expect(await lines(place, "overflow")).toEqual([])
})

test("what runs since an old configuration counts where nobody else does, and its series go when it has ended", async () => {
  const waiting: OriginConnection[] = []
  const slow = await origin((connection) => waiting.push(connection))
  const fast = await origin()
  const place = startPlace(1)
  await place.apply(configOf("old", slow.port))
  const response = get(portOf(place, "edge-old"), "/")
  await slow.received(1)
  for (let round = 0; round < 3; round++) {
    const name = `round${round}`
    await place.apply(configOf(name, fast.port))
    await get(portOf(place, `edge-${name}`), "/")
    await until(async () => (await sum(place, "sluice_requests_total")) === 1, "what was counted, and nothing else")
  }
  expect(await lines(place, "sluice_requests_active")).toEqual(['sluice_requests_active{listener="edge-old"} 1'])
  expect(await lines(place, "sluice_upstream_connections_active", '"old"')).toHaveLength(1)
  waiting[0].reply(200)
  expect((await response).status).toBe(200)
  await until(async () => (await named(place, "old")).length + (await named(place, "edge-old")).length === 0, "the end of its series")
  expect(await lines(place, "sluice_requests_total")).toEqual([
    'sluice_requests_total{code="2xx",listener="edge-round2",route="route-round2",service="round2"} 1',
  ])
})

test("a worker that dies with what it held gives it back, and the next one starts with what is in force", async () => {
  const slow = await origin(() => {})
  const fast = await origin()
  const place = startPlace(1)
  await place.apply(configOf("old", slow.port))
  const response = get(portOf(place, "edge-old"), "/").catch(() => "cut off")
  await slow.received(1)
  await place.apply(configOf("new", fast.port))
  expect(await lines(place, "sluice_requests_active")).toEqual(['sluice_requests_active{listener="edge-old"} 1'])
  await place.pool.kill(0)
  expect(await response).toBe("cut off")
  await until(() => place.pool.running === 1, "another worker")
  await until(async () => (await named(place, "old")).length === 0, "the end of series of what is gone")
  await get(portOf(place, "edge-new"), "/")
  expect(await sum(place, "sluice_requests_total", '"new"')).toBe(1)
  await place.apply(configOf("third", fast.port))
  await until(async () => (await named(place, "new")).length === 0, "the end of series of what is gone")
})

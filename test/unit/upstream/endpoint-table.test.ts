import { describe, expect, test } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { formatAddress } from "../../../gateway/config/units.ts"
import { EndpointLoad } from "../../../gateway/upstream/endpoint-load.ts"
import {
  ACTIVE,
  CONNECTIONS,
  EndpointHealthView,
  EndpointMemory,
  type EndpointRecords,
  EndpointTable,
  REQUESTS,
  type RecordWords,
} from "../../../gateway/upstream/endpoint-table.ts"

function configOf(services: Readonly<Record<string, readonly string[]>>): Config["services"] {
  const written = Object.entries(services).map(([name, endpoints]) => [name, { endpoints, healthCheck: { path: "/" } }] as const)
  const plain = { endpoints: ["127.0.0.1:9", "127.0.0.1:10"], outlierDetection: false }
  const loaded = validateConfig(
    {
      listeners: [{ address: "127.0.0.1:0" }],
      services: { ...Object.fromEntries(written), plain, single: { endpoints: ["127.0.0.1:9"] } },
    },
    { file: "test", baseDir: "." },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config.services
}

function views(records: EndpointRecords, name: string): boolean[] {
  const memory = new EndpointMemory(records)
  const { service, endpoints } = records.services[name]
  const of = memory.words(service) as RecordWords
  return endpoints.map((record) => {
    const own = memory.words(record)
    return own !== null && new EndpointHealthView(own, of).unwell
  })
}

const pair = ["127.0.0.1:1", "[::1]:2"]

describe("the table of endpoints", () => {
  test("has every endpoint well at first, also those that are neither probed nor ejected", () => {
    const records = new EndpointTable(2).assign(configOf({ a: pair }))
    expect(views(records, "a")).toEqual([false, false])
    expect(Object.keys(records.services)).toEqual(["a", "plain", "single"])
  })

  test("shows who is unwell, unless all are", () => {
    const table = new EndpointTable(1)
    const records = table.assign(configOf({ a: pair, b: pair }))
    table.setUnwell("a", "[::1]:2", true)
    expect([views(records, "a"), views(records, "b")]).toEqual([
      [false, true],
      [false, false],
    ])
    table.setUnwell("a", "127.0.0.1:1", true)
    table.setUnwell("a", "", true)
    expect(views(records, "a")).toEqual([false, false])
    table.setUnwell("a", "", false)
    table.setUnwell("a", "127.0.0.1:1", false)
    expect(views(records, "a")).toEqual([false, true])
  })

  test("keeps the records of what stays, and gives those of what is gone to others, well", () => {
    const table = new EndpointTable(1)
    const before = table.assign(configOf({ a: pair }))
    table.setUnwell("a", "127.0.0.1:1", true)
    const config = configOf({ a: ["[::1]:2"], b: ["127.0.0.1:3"] })
    const after = table.assign(config)
    expect(after.services.a.endpoints[0]).toBe(before.services.a.endpoints[1])
    table.keepOnly(configOf({ a: ["[::1]:2"] }))
    table.setUnwell("a", "127.0.0.1:1", true)
    const next = table.assign(configOf({ a: ["[::1]:2"], c: ["127.0.0.1:4", "127.0.0.1:5"] }))
    expect(views(next, "c")).toEqual([false, false])
    const { a, c } = next.services
    expect(new Set([...c.endpoints, c.service, ...a.endpoints, a.service]).size).toBe(5)
    expect(Math.max(...c.endpoints, c.service)).toBe(9)
  })

  test("starts the counts of a record that was another's before at nothing", () => {
    const table = new EndpointTable(1)
    const before = table.assign(configOf({ a: pair }))
    const { column, at } = new EndpointMemory(before).column(before.services.a.endpoints[0], 0)
    column[at + REQUESTS] = 7
    table.keepOnly(configOf({ a: ["[::1]:2"] }))
    const after = table.assign(configOf({ a: ["[::1]:2", "127.0.0.1:3"] }))
    expect(after.services.a.endpoints[1]).toBe(before.services.a.endpoints[0])
    expect(table.counts("a", "127.0.0.1:3")).toEqual([0, 0, 0, 0, 0, 0, 0])
    column[at + REQUESTS]++
    expect(table.counts("a", "127.0.0.1:3")).toEqual([1, 0, 0, 0, 0, 0, 0])
  })

  test("has no more records after many changes than are in use at a time", () => {
    const table = new EndpointTable(1)
    const services = configOf({ a: pair })
    for (let i = 0; i < 10_000; i++) {
      const endpoints = pair.map((_, n) => ({ ...services.a.endpoints[n], address: { host: "10.0.0.1", port: 1 + 2 * i + n } }))
      const changed = { a: { ...services.a, endpoints } }
      const { segments } = table.assign(changed)
      expect(segments).toHaveLength(1)
      table.keepOnly(changed)
    }
  })

  test("sums up what the workers count, each in its own column", () => {
    const table = new EndpointTable(3)
    const records = table.assign(configOf({ a: pair }))
    const memory = new EndpointMemory(records)
    for (let worker = 0; worker < 3; worker++) {
      for (const [i, record] of records.services.a.endpoints.entries()) {
        const { column, at } = memory.column(record, worker)
        for (let count = 0; count < 4; count++) column[at + count] += 10 ** worker * (i + 1) * (count + 1)
      }
    }
    expect(table.counts("a", "127.0.0.1:1")?.slice(0, 4)).toEqual([111, 222, 333, 444])
    expect(table.counts("a", "[::1]:2")?.slice(0, 4)).toEqual([222, 444, 666, 888])
    expect(table.counts("a", "elsewhere")).toBeNull()
  })

  test("shows what is under way at an endpoint, and no longer what a worker that died had there", () => {
    const table = new EndpointTable(2)
    const records = table.assign(configOf({ a: pair }))
    const memory = new EndpointMemory(records)
    const [first, second] = [0, 1].map((worker) => {
      const { column, at } = memory.column(records.services.a.endpoints[0], worker)
      return new EndpointLoad(column, at)
    })
    const shown = (): unknown => {
      const counts = table.counts("a", "127.0.0.1:1") ?? []
      return [counts[ACTIVE], counts[CONNECTIONS], table.average("a", "127.0.0.1:1")]
    }
    expect(shown()).toEqual([0, 0, null])
    for (const load of [first, second]) {
      load.connections(1)
      for (let i = 0; i < 3; i++) load.begins()
      load.answered(load === first ? 10 : 30)
      load.ends()
    }
    expect(shown()).toEqual([4, 2, 20])
    table.forget(1)
    expect(shown()).toEqual([2, 1, 10])
    first.leave(2, 1, null)
    expect(shown()).toEqual([0, 0, null])
  })

  test("isn't written by a thread that only looks, whose endpoints have nothing under way", () => {
    const column = new Proxy(new Float64Array(9), {
      set: () => {
        throw new Error("written")
      },
    })
    const load = new EndpointLoad(column, 0)
    load.enter(0, 0)
    expect(() => load.enter(1, 0)).toThrow("written")
  })

  test("grows with the endpoints, and takes what there is no room for as well", () => {
    const table = new EndpointTable(1)
    const many = Array.from({ length: 66_000 }, (_, i) => ({ host: `127.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 1 }))
    const { a } = configOf({ a: pair })
    const records = table.assign({ a: { ...a, endpoints: many.map((address) => ({ address, weight: 1 })) } })
    expect(records.segments).toHaveLength(64)
    table.setUnwell("a", formatAddress(many[60_000]), true)
    table.setUnwell("a", formatAddress(many[65_999]), true)
    const seen = views(records, "a")
    expect([seen[60_000], seen.at(-1)]).toEqual([true, false])
  })
})

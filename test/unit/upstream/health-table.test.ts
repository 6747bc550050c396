import { describe, expect, test } from "vitest"
import { validateConfig } from "../../../gateway/config/load.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { EndpointHealthView, type HealthSlots, HealthTable } from "../../../gateway/upstream/health-table.ts"

function configOf(services: Readonly<Record<string, readonly string[]>>): Config["services"] {
  const written = Object.entries(services).map(([name, endpoints]) => [name, { endpoints, healthCheck: { path: "/" } }] as const)
  const loaded = validateConfig(
    { listeners: [{ address: "127.0.0.1:0" }], services: { ...Object.fromEntries(written), plain: { endpoints: ["127.0.0.1:9"] } } },
    { file: "test", baseDir: "." },
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  return loaded.config.services
}

function views({ memory, services }: HealthSlots, name: string): boolean[] {
  const { allUnwell, endpoints } = services[name]
  return endpoints.map((slot) => new EndpointHealthView(new Int32Array(memory), slot, allUnwell).unwell)
}

const pair = ["127.0.0.1:1", "[::1]:2"]

describe("the table of health", () => {
  test("has every endpoint well at first, and those alone that are probed", () => {
    const slots = new HealthTable().assign(configOf({ a: pair }))
    expect(views(slots, "a")).toEqual([false, false])
    expect(Object.keys(slots.services)).toEqual(["a"])
  })

  test("shows who is unwell, unless all are", () => {
    const table = new HealthTable()
    const slots = table.assign(configOf({ a: pair, b: pair }))
    table.set("a", "[::1]:2", true)
    expect([views(slots, "a"), views(slots, "b")]).toEqual([
      [false, true],
      [false, false],
    ])
    table.set("a", "127.0.0.1:1", true)
    table.set("a", "", true)
    expect(views(slots, "a")).toEqual([false, false])
    table.set("a", "", false)
    table.set("a", "127.0.0.1:1", false)
    expect(views(slots, "a")).toEqual([false, true])
  })

  test("keeps the slots of what stays, and gives those of what is gone to others, well", () => {
    const table = new HealthTable()
    const before = table.assign(configOf({ a: pair }))
    table.set("a", "127.0.0.1:1", true)
    const after = table.assign(configOf({ a: ["[::1]:2"], b: ["127.0.0.1:3"] }))
    expect(after.services.a.endpoints[0]).toBe(before.services.a.endpoints[1])
    table.keepOnly(new Map([["a", new Set(["[::1]:2"])]]))
    table.set("a", "127.0.0.1:1", true)
    const next = table.assign(configOf({ a: ["[::1]:2"], c: ["127.0.0.1:4", "127.0.0.1:5"] }))
    expect(views(next, "c")).toEqual([false, false])
    const used = new Set([...next.services.c.endpoints, next.services.c.allUnwell, ...next.services.a.endpoints, next.services.a.allUnwell])
    expect(used.size).toBe(5)
  })

  test("takes what there is no room for as well", () => {
    const table = new HealthTable()
    const many = Array.from({ length: 33_000 }, (_, i) => `127.0.${i >> 8}.${i & 255}:1`)
    const slots = table.assign(configOf({ a: many }))
    table.set("a", many.at(-1) as string, true)
    expect(views(slots, "a").at(-1)).toBe(false)
  })
})

import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { afterEach, describe, expect, test } from "vitest"
import type { ServiceConfig } from "../../../gateway/config/model.ts"
import { createLimitsMemory, LimitsMemory, NO_CELL } from "../../../gateway/upstream/limits-memory.ts"
import { LimitsTable } from "../../../gateway/upstream/limits-table.ts"
import { within } from "../../support/deadline.ts"
import { circuitBreaker } from "../../support/limits.ts"

const threads: Worker[] = []

afterEach(async () => {
  await Promise.all(threads.splice(0).map((thread) => thread.terminate()))
})

interface Told {
  taken: number
  over: number
}

/** What a thread of its own says after `turns` at the first service's requests, or after it has taken all it can (0). */
async function thread(
  memory: SharedArrayBuffer,
  index: number,
  turns: number,
  most: number,
  inside = new SharedArrayBuffer(4),
): Promise<Told & { thread: Worker }> {
  const workerData = { memory, workers: 2, index, turns, most, inside }
  const started = new Worker(new URL("./limits-worker.ts", import.meta.url), { workerData })
  threads.push(started)
  const [told] = (await within(once(started, "message"), "a thread's word")) as [Told]
  return { ...told, thread: started }
}

function service(parts: Partial<ServiceConfig> = {}): ServiceConfig {
  return { endpoints: [], circuitBreaker, ...parts } as unknown as ServiceConfig
}

describe("a figure that two threads count in", () => {
  test("never exceeds its most, and comes back to nothing", async () => {
    const memory = createLimitsMemory(2)
    const inside = new SharedArrayBuffer(4)
    const told = await Promise.all([0, 1].map((index) => thread(memory, index, 100_000, 1, inside)))
    expect(told.map(({ over }) => over)).toEqual([0, 0])
    for (const { taken } of told) expect(taken).toBeGreaterThan(0)
    const requests = new LimitsMemory(memory, 2, 0).service(0, "requests")
    expect(requests.value).toBe(0)
  })

  test("is given back when one of them dies", async () => {
    const table = new LimitsTable(2)
    table.assign({ api: service() })
    const requests = new LimitsMemory(table.memory, 2, 0).service(0, "requests")
    requests.take(5)
    const other = await thread(table.memory, 1, 0, 5)
    expect([other.taken, requests.value, requests.take(5)]).toEqual([4, 5, false])
    await other.thread.terminate()
    table.forget(1)
    expect([requests.value, table.used("api", "requests")]).toEqual([1, 1])
    table.forget(1)
    expect(requests.value).toBe(1)
  })
})

describe("cells", () => {
  test("are a service's own, and stay so", () => {
    const table = new LimitsTable(1)
    const before = table.assign({ a: service(), b: service() })
    const after = table.assign({ c: service(), b: service(), a: service() })
    expect([after.a, after.b]).toEqual([before.a, before.b])
    expect(new Set([after.a, after.b, after.c].map((each) => each.service)).size).toBe(3)
  })

  test("are there for endpoints that have caps", () => {
    const endpoints = [1, 2].map((port) => ({ address: { host: "h", port }, weight: 1 }))
    const capped = { ...circuitBreaker, endpoint: { maxConnections: 0, maxRequests: 1 } }
    const table = new LimitsTable(1)
    const cells = table.assign({
      a: service({ endpoints } as Partial<ServiceConfig>),
      b: service({ endpoints, circuitBreaker: capped } as Partial<ServiceConfig>),
    })
    expect(cells.a.endpoints).toEqual([])
    expect(new Set(cells.b.endpoints).size).toBe(2)
  })

  test("of what is gone are given away when nothing is held in them any more, if there are no others", () => {
    const table = new LimitsTable(1)
    const names = Array.from({ length: 4096 }, (_, i) => `s${i}`)
    const all = Object.fromEntries(names.map((name) => [name, service()]))
    const cells = table.assign(all)
    expect(table.assign({ late: service() }).late.service).toBe(NO_CELL)
    const held = new LimitsMemory(table.memory, 1, 0).service(cells.s7.service, "requests")
    held.take(1)
    const { s7: _, s9: __, ...rest } = all
    table.keepOnly(rest)
    expect(table.assign({ late: service() }).late.service).toBe(cells.s9.service)
    expect(table.assign({ later: service() }).later.service).toBe(NO_CELL)
    held.release()
    expect(table.assign({ later: service() }).later.service).toBe(cells.s7.service)
  })

  test("show how full they are", () => {
    const table = new LimitsTable(1)
    const { api } = table.assign({ api: service() })
    new LimitsMemory(table.memory, 1, 0).service(api.service, "pending").take(9)
    expect(table.exposition).toContain('sluice_upstream_limit_used{service="api",limit="pending"} 1\n')
    expect(table.exposition).toContain('sluice_upstream_limit_used{service="api",limit="requests"} 0\n')
  })
})

// A running gateway with filters that mean harm, each on a route of its own: whatever they do, the other routes are served,
// by the same worker.

import { afterAll, beforeAll, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { hostileGuests } from "../support/hostile-guests.ts"
import { readMetrics, residentMemory } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get, type Response } from "../support/raw-client.ts"
import { guest } from "../unit/wasm/support/wat.ts"

const ROUNDS = 4
const AT_ONCE = 4
/** What a filter in back-off or quarantine, or one that fails otherwise, comes to. */
const FAILED = 500

const good = guest({
  imports: ["proxy_replace_header_map_value"],
  data: { 256: "x-good", 264: "yes" },
  code: `(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $proxy_replace_header_map_value (i32.const 2) (i32.const 256) (i32.const 6) (i32.const 264) (i32.const 3)))`,
})

const guests = Object.entries(hostileGuests).map(([title, make], i) => ({ title, name: `hostile-${i}`, guest: make() }))

let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start((_request, connection) => connection.reply(200, "ok"))
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] } },
      filters: {
        good: { module: "./good.wasm" },
        ...Object.fromEntries(guests.map(({ name, guest: { settings } }) => [name, { module: `./${name}.wasm`, ...settings }])),
      },
      routes: [
        { backends: "origin" },
        { match: { path: "/good" }, filters: "good", backends: "origin" },
        ...guests.map(({ name }) => ({ match: { path: `/${name}` }, filters: name, backends: "origin", timeout: "400ms" })),
      ],
    },
    files: { "good.wasm": good, ...Object.fromEntries(guests.map((each) => [`${each.name}.wasm`, each.guest.bytes])) },
    startLimit: 90_000,
  })
}, 120_000)

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

function ask(path: string, body: string): Promise<Response> {
  if (body === "") return get(gateway.port(), path)
  const request = `POST ${path} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\nx-end: 1\r\n\r\n`
  return exchange(gateway.port(), request, "POST")
}

async function othersAreServed(): Promise<void> {
  const [plain, filtered] = await Promise.all([get(gateway.port(), "/"), get(gateway.port(), "/good")])
  expect([plain.status, filtered.status, filtered.header("x-good")]).toEqual([200, 200, "yes"])
}

test.each(guests)(
  "a filter that $title harms nobody else",
  async ({ name, guest: { statuses, body = "" } }) => {
    const from = origin.requests.length
    for (let round = 0; round < ROUNDS; round++) {
      const asked = Array.from({ length: AT_ONCE }, () => ask(`/${name}`, body).catch(() => null))
      await othersAreServed()
      for (const response of await Promise.all(asked)) {
        // Null: cut off in the middle of its response.
        if (response === null) continue
        expect([...statuses, FAILED]).toContain(response.status)
        expect(response.header("x-split")).toBeNull()
      }
    }
    await othersAreServed()
    for (const { fields } of origin.requests.slice(from)) expect(fields.map(([field]) => field)).not.toContain("x-split")
  },
  30_000,
)

test("all of that is served by the worker that was there, in memory that has a bound", async () => {
  expect((await readMetrics(gateway.adminPort)).sum("sluice_worker_restarts_total")).toBe(0)
  expect(gateway.log.filter(({ level }) => level === "critical")).toEqual([])
  // Instances of 45 filters with up to 16 MiB each, and a runtime's slack.
  await until(async () => ((await residentMemory(gateway.pid)) < 1.5 * 1024 ** 3 ? true : null), "memory below its bound")
  expect(gateway.log.length).toBeLessThan(20_000)
  expect(gateway.logText().length).toBeLessThan(200 * 1024 * 1024)
})

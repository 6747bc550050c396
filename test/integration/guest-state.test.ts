import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { RawClient } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

/** Counts its requests, and sends the path of each through a queue to whichever worker registered last, which logs it. */
function counting(version: string): Uint8Array {
  const script = new Script()
  return guest({
    imports: [
      "proxy_register_shared_queue",
      "proxy_enqueue_shared_queue",
      "proxy_dequeue_shared_queue",
      "proxy_define_metric",
      "proxy_increment_metric",
      "proxy_record_metric",
      "proxy_get_header_map_value",
      "proxy_log",
    ],
    data: script.data,
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        ${script.say(version)}
        (i32.eqz (i32.or
          (call $proxy_register_shared_queue ${script.text("paths")} (i32.const 16))
          (i32.or
            (call $proxy_define_metric (i32.const 0) ${script.text("kind=.=raw;.;seen")} (i32.const 20))
            (call $proxy_define_metric (i32.const 2) ${script.text("path.length")} (i32.const 24))))))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $proxy_increment_metric (i32.load (i32.const 20)) (i64.const 1)))
        (drop (call $proxy_get_header_map_value (i32.const 0) ${script.text(":path")} (i32.const 32) (i32.const 36)))
        (drop (call $proxy_record_metric (i32.load (i32.const 24)) (i64.extend_i32_u (i32.load (i32.const 36)))))
        (if (call $proxy_enqueue_shared_queue (i32.load (i32.const 16)) (i32.load (i32.const 32)) (i32.load (i32.const 36))) (then (unreachable)))
        (global.set $top (i32.const 4096))
        (i32.const 0))
      (func (export "proxy_on_queue_ready") (param i32) (param $queue i32)
        (if (call $proxy_dequeue_shared_queue (local.get $queue) (i32.const 32) (i32.const 36)) (then (return)))
        (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 32)) (i32.load (i32.const 36))))
        (global.set $top (i32.const 4096)))`,
  })
}

let gateway: Gateway
let sent = 0

/** Requests over so many connections that both workers have some; few enough that no line of the log is dropped. */
async function send(count: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(gateway.port())))
  for (let i = 0; i < count; i += clients.length) {
    for (const client of clients) client.send(`GET /item/${sent++} HTTP/1.1\r\nhost: a\r\n\r\n`)
    for (const client of clients) expect((await client.readResponse()).text()).toBe("ok")
  }
  for (const client of clients) client.destroy()
}

const logged = (): string[] => gateway.log.filter(({ message }) => message.startsWith("/item/")).map(({ message }) => message)

beforeAll(async () => {
  const { command, args } = runtimeCommand(fileURLToPath(new URL("../support/killable-main.ts", import.meta.url)))
  gateway = await Gateway.start({
    command: [command, ...args],
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      filters: { counting: { module: "./counting.wasm", limits: { cpu: "100ms" } } },
      routes: [{ filters: ["counting"], respond: { status: 200, body: "ok" } }],
    },
    files: { "counting.wasm": counting("first") },
  })
})

afterAll(() => gateway.kill())

async function allArrived(): Promise<void> {
  await until(() => logged().length >= sent, "every item")
  expect(logged().toSorted()).toEqual(Array.from({ length: sent }, (_, i) => `/item/${i}`).toSorted())
}

async function allCounted(): Promise<void> {
  const metrics = await readMetrics(gateway.adminPort)
  expect(metrics.sum("sluice_wasm_seen_total", { kind: "raw" })).toBe(sent)
  expect(metrics.sum("sluice_wasm_path_length_count", { name: "path.length" })).toBe(sent)
  expect(metrics.sum("sluice_wasm_path_length_bucket", { le: "10" })).toBe(sent)
  expect(metrics.sum("sluice_filter_queue_items")).toBe(0)
}

describe("what filters share among workers", () => {
  test("counters are exact, and an item arrives once, whichever worker it was put in by", async () => {
    await send(80)
    await allArrived()
    await allCounted()
  })

  test("both outlive a change of the filter", async () => {
    const from = gateway.log.length
    gateway.writeFile("counting.wasm", counting("second"))
    await gateway.waitForLog(({ message }) => message === "filter swapped", "the swap", 10_000, from)
    await send(60)
    await allArrived()
    await allCounted()
  })

  test("both outlive a worker: what it counted stays, and the other receives", async () => {
    for (let i = 0; i < 2; i++) {
      const from = gateway.log.length
      gateway.signal("SIGUSR2")
      await gateway.waitForLog(({ message }) => message === "worker replaced", "the replacement", 10_000, from)
      await send(60)
      await allArrived()
      await allCounted()
    }
  })
})

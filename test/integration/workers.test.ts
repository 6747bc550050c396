import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { type Origin, staticOrigin } from "../support/origin.ts"
import { get, RawClient } from "../support/raw-client.ts"

let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await staticOrigin("alive")
  const { command, args } = runtimeCommand(fileURLToPath(new URL("../support/killable-main.ts", import.meta.url)))
  gateway = await Gateway.start({
    command: [command, ...args],
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] } },
      routes: [{ backends: "origin" }],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

describe("workers", () => {
  test("share connections out among them", async () => {
    // Each worker has its own upstream connections: with enough clients both have made one.
    const clients = await Promise.all(Array.from({ length: 40 }, () => RawClient.connect(gateway.port())))
    for (const client of clients) client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    for (const client of clients) expect((await client.readResponse()).text()).toBe("alive")
    for (const client of clients) client.destroy()
    const ready = JSON.parse((await get(gateway.adminPort, "/ready")).text())
    expect(ready.workers).toEqual({ running: 2, wanted: 2 })
  })

  test("one that dies is replaced; the others keep serving, and so does the new one", async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(gateway.port())))
    for (const client of clients) client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    for (const client of clients) await client.readResponse()

    gateway.signal("SIGUSR2")
    await gateway.waitForLog(({ message }) => message === "worker replaced", "the replacement")
    const lost = clients.filter(({ ending }) => ending !== null)
    expect(lost.length).toBeGreaterThan(0)
    expect(lost.length).toBeLessThan(clients.length)
    for (const client of clients.filter((each) => each.ending === null)) {
      client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      expect((await client.readResponse()).text()).toBe("alive")
    }
    for (const client of clients) client.destroy()
    const responses = await Promise.all(Array.from({ length: 40 }, () => get(gateway.port(), "/")))
    expect(responses.map(({ status }) => status)).toEqual(Array(40).fill(200))

    const metrics = await readMetrics(gateway.adminPort)
    expect([metrics.sum("sluice_worker_restarts_total"), metrics.sum("sluice_workers")]).toEqual([1, 2])
    // What the dead one had under way is no longer counted as such.
    await until(async () => {
      const now = await readMetrics(gateway.adminPort)
      return now.sum("sluice_downstream_connections_active") === 0 && now.sum("sluice_requests_active") === 0
    }, "no connection left")
    const upstream = await until(async () => {
      const now = (await readMetrics(gateway.adminPort)).sum("sluice_upstream_connections_active")
      return now === origin.open && { now }
    }, "the origin's count of connections")
    expect(upstream.now).toBeGreaterThan(0)
  })

  test("a configuration after that reaches all of them", async () => {
    const from = gateway.log.length
    gateway.writeConfig({
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      routes: [{ respond: { status: 200, body: "new" } }],
    })
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the new configuration", 10_000, from)
    const texts = await Promise.all(Array.from({ length: 40 }, async () => (await get(gateway.port(), "/")).text()))
    expect(new Set(texts)).toEqual(new Set(["new"]))
  })

  test("it all ends in order", async () => {
    gateway.signal("SIGTERM")
    expect((await gateway.exited()).code).toBe(0)
  })
})

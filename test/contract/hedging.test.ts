import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginScript } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

let origins: Origin[]
let gateway: Gateway

const fine: OriginScript = (request, connection) => connection.reply(200, request.body)
const silent: OriginScript = () => {}

beforeAll(async () => {
  origins = [await Origin.start(fine), await Origin.start(fine)]
  const endpoints = origins.map(({ address }) => address)
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: {
        pair: { endpoints, loadBalancing: "roundRobin" },
        single: { endpoints: endpoints.slice(0, 1) },
      },
      routes: [
        { name: "hedged", match: { path: "/hedged" }, backends: "pair", hedge: "20ms" },
        { name: "late", match: { path: "/late" }, backends: "pair", hedge: "20ms", timeout: { request: "10s", perTry: "300ms" } },
        { name: "alone", match: { path: "/alone" }, backends: "single", hedge: "20ms", timeout: "300ms" },
      ],
    },
  })
})

beforeEach(() => {
  for (const origin of origins) origin.script(fine)
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all(origins.map((origin) => origin.stop()))
})

const received = (): number => origins.reduce((sum, { requests }) => sum + requests.length, 0)
const open = (): number => origins.reduce((sum, origin) => sum + origin.open, 0)

/** The first request to come gets `script`, all others are answered well. */
function once(script: OriginScript): void {
  let done = false
  const each: OriginScript = (request, connection) => {
    if (done) return fine(request, connection)
    done = true
    return script(request, connection)
  }
  for (const origin of origins) origin.script(each)
}

async function counted(): Promise<[hedges: number, won: number]> {
  const metrics = await readMetrics(gateway.adminPort)
  return [metrics.sum("sluice_upstream_hedges_total"), metrics.sum("sluice_upstream_hedges_won_total")]
}

test("a request without an answer goes to a second endpoint; the first answer is taken and the loser's connection closed", async () => {
  const [hedges, won] = await counted()
  const before = received()
  once(silent)
  expect((await get(gateway.port("edge"), "/hedged")).status).toBe(200)
  expect(received() - before).toBe(2)
  expect(await counted()).toEqual([hedges + 1, won + 1])
  await until(() => open() <= 1, "close of the connection of the attempt that lost")
})

test("a body goes to both", async () => {
  once(silent)
  const request = "PUT /hedged HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody"
  const response = await exchange(gateway.port("edge"), request, "PUT")
  expect([response.status, response.text()]).toEqual([200, "body"])
})

test("an answer in time keeps the second attempt back", async () => {
  const before = received()
  expect((await get(gateway.port("edge"), "/hedged")).status).toBe(200)
  expect(received() - before).toBe(1)
})

test("an answer that would be retried lets the other attempt finish", async () => {
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => (release = resolve))
  let count = 0
  const each: OriginScript = async (request, connection) => {
    // The first waits, the second is unwell.
    if (count++ === 0) {
      await slow
      return connection.reply(200, "slow")
    }
    connection.reply(503)
    release()
  }
  for (const origin of origins) origin.script(each)
  const response = await get(gateway.port("edge"), "/hedged")
  expect([response.status, response.text(), count]).toEqual([200, "slow", 2])
})

test("a method that may not be repeated is sent once", async () => {
  const before = received()
  const held = new Promise<void>((resolve) => setTimeout(resolve, 150))
  once(async (_, connection) => {
    await held
    connection.reply(200, "late")
  })
  const request = "POST /hedged HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody"
  expect((await exchange(gateway.port("edge"), request, "POST")).text()).toBe("late")
  expect(received() - before).toBe(1)
})

test("there is nobody to race with one endpoint", async () => {
  const before = received()
  origins[0].script(silent)
  expect((await get(gateway.port("edge"), "/alone")).status).toBe(504)
  expect(received() - before).toBe(1)
})

test("two attempts that are both too late are one failure", async () => {
  const before = received()
  for (const origin of origins) origin.script(silent)
  expect((await get(gateway.port("edge"), "/late")).status).toBe(504)
  expect(received() - before).toBe(2)
  await until(() => open() === 0, "close of both connections")
})

test("a client that leaves ends both attempts", async () => {
  for (const origin of origins) origin.script(silent)
  const before = received()
  const client = await RawClient.connect(gateway.port("edge"))
  client.send("GET /hedged HTTP/1.1\r\nhost: a\r\n\r\n")
  await until(() => received() - before === 2, "both attempts")
  client.destroy()
  await until(() => open() === 0, "close of both connections")
})

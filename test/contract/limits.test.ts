// Limits of services over two workers: exact whichever worker a connection came to, and given back when one of them dies.

import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { type Metrics, readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection } from "../support/origin.ts"
import { get, RawClient, type Response } from "../support/raw-client.ts"

const answer = (connection: OriginConnection): void => connection.reply(200, "ok")

let origins: Origin[]
let gateway: Gateway
let config: Record<string, unknown>
/** Requests the origins have not answered yet. */
let held: OriginConnection[] = []

beforeAll(async () => {
  origins = await Promise.all([0, 1].map(() => Origin.start((_, connection) => answer(connection))))
  const [first, second] = origins.map(({ address }) => address)
  const services = {
    two: { endpoints: [first], circuitBreaker: { maxRequests: 2 } },
    "one-connection": { endpoints: [first], circuitBreaker: { maxConnections: 1 } },
    impatient: { endpoints: [first], circuitBreaker: { maxConnections: 1, queueTimeout: "100ms" } },
    queue: { endpoints: [first], circuitBreaker: { maxConnections: 1, maxPending: 1 } },
    capped: { endpoints: [first, second], circuitBreaker: { endpoint: { maxRequests: 1 } } },
    adaptive: { endpoints: [first], adaptiveConcurrency: { minConcurrency: 2, maxConcurrency: 2 } },
    tcp: { endpoints: [first], circuitBreaker: { maxConnections: 1 } },
  }
  config = {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      { name: "tcp", address: "127.0.0.1:0", protocol: "tcp", backends: "tcp" },
    ],
    services,
    routes: Object.keys(services).map((service) => ({ name: service, match: { path: `/${service}` }, backends: service, retry: false })),
  }
  const { command, args } = runtimeCommand(fileURLToPath(new URL("../support/killable-main.ts", import.meta.url)))
  gateway = await Gateway.start({ command: [command, ...args], config })
})

afterEach(() => {
  for (const origin of origins) origin.script((_, connection) => answer(connection))
  for (const connection of held.splice(0)) answer(connection)
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all(origins.map((origin) => origin.stop()))
})

function hold(): void {
  held = []
  for (const origin of origins) origin.script((_, connection) => void held.push(connection))
}

function letGo(): void {
  for (const origin of origins) origin.script((_, connection) => answer(connection))
  for (const connection of held.splice(0)) answer(connection)
}

/** Requests at once, each on a connection of its own, so that they come to both workers. */
function ask(path: string, count: number): { answers: Response[]; all: Promise<Response[]> } {
  const answers: Response[] = []
  const all = Promise.all(
    Array.from({ length: count }, async () => {
      const response = await get(gateway.port("edge"), path)
      answers.push(response)
      return response
    }),
  )
  return { answers, all }
}

const read = (): Promise<Metrics> => readMetrics(gateway.adminPort)
const limited = (metrics: Metrics, service: string, limit: string): number =>
  metrics.sum("sluice_upstream_limited_total", { service, limit })

describe("requests over a service's limit", () => {
  test("are answered at once, and no more than it are under way in all workers", async () => {
    hold()
    const before = limited(await read(), "two", "requests")
    const { answers, all } = ask("/two", 10)
    await until(() => answers.length === 8, "eight refused requests")
    for (const response of answers) {
      expect([response.status, response.text(), response.header("retry-after")]).toEqual([503, "too many requests in flight\n", "1"])
    }
    await until(() => held.length === 2, "two requests at the origin")
    const metrics = await read()
    expect(limited(metrics, "two", "requests") - before).toBe(8)
    expect(metrics.sum("sluice_upstream_limit_used", { service: "two", limit: "requests" })).toBe(2)
    letGo()
    expect((await all).filter(({ status }) => status === 200)).toHaveLength(2)
    expect(await gateway.accessLine(({ path }) => path === "/two", "one of them")).toMatchObject({ flag: "UO", flagDetails: "requests" })
    expect((await ask("/two", 2).all).map(({ status }) => status)).toEqual([200, 200])
  })

  test("leave the client's connection open", async () => {
    hold()
    const { answers, all } = ask("/two", 3)
    await until(() => answers.length === 1 && held.length === 2, "one refused request")
    const client = await RawClient.connect(gateway.port("edge"))
    client.send("GET /two HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).status).toBe(503)
    letGo()
    await all
    client.send("GET /two HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).status).toBe(200)
    client.destroy()
  })

  test("are refused by what was found out as well", async () => {
    hold()
    const { answers, all } = ask("/adaptive", 12)
    // Each worker has one.
    await until(() => answers.length + held.length === 12, "answers or requests at the origin")
    expect(held.length).toBeLessThanOrEqual(2)
    const metrics = await read()
    expect(metrics.sum("sluice_upstream_concurrency_limit", { service: "adaptive" })).toBe(2)
    letGo()
    await all
    expect(await gateway.accessLine(({ path }) => path === "/adaptive", "one of them")).toMatchObject({ flagDetails: "concurrency" })
  })
})

describe("connections of a service", () => {
  test("are as many as it says, and come to the worker that has requests", async () => {
    let most = 0
    const count = async (): Promise<void> => {
      most = Math.max(most, (await read()).sum("sluice_upstream_connections_active", { service: "one-connection" }))
    }
    origins[0].script(async (_, connection) => {
      await count()
      answer(connection)
    })
    for (let i = 0; i < 3; i++) expect((await ask("/one-connection", 4).all).map(({ status }) => status)).toEqual([200, 200, 200, 200])
    expect(most).toBe(1)
  })

  test("are waited for no longer than queueTimeout", async () => {
    hold()
    const { answers, all } = ask("/impatient", 4)
    await until(() => answers.length === 3 && held.length === 1, "three that waited too long")
    for (const response of answers) expect([response.status, response.text()]).toEqual([503, "waited too long for a connection\n"])
    letGo()
    await all
    expect(await gateway.accessLine(({ path }) => path === "/impatient", "one of them")).toMatchObject({ flag: "UO,QT" })
  })

  test("are waited for by no more than maxPending", async () => {
    hold()
    const served = ask("/queue", 1).all
    // Until then it waits itself.
    await until(() => held.length === 1, "a request at the origin")
    const { answers, all } = ask("/queue", 4)
    await until(() => answers.length === 3, "three refused, while one waits")
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503])
    letGo()
    expect([...(await served), ...(await all)].filter(({ status }) => status === 200)).toHaveLength(2)
  })

  test("of TCP listeners are closed over the limit", async () => {
    const ask = async (): Promise<RawClient> => {
      const client = await RawClient.connect(gateway.port("tcp"))
      client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      return client
    }
    const first = await ask()
    expect((await first.readResponse()).status).toBe(200)
    const others = await Promise.all([ask(), ask(), ask(), ask()])
    for (const other of others) await other.closed()
    first.destroy()
    for (const other of others) other.destroy()
    await until(async () => (await read()).sum("sluice_upstream_limit_used", { service: "tcp", limit: "connections" }) === 0, "its end")
    const next = await ask()
    expect((await next.readResponse()).status).toBe(200)
    next.destroy()
  })
})

test("an endpoint that has as many requests as it may is passed by", async () => {
  hold()
  const before = origins.map(({ requests }) => requests.length)
  const { answers, all } = ask("/capped", 6)
  await until(() => answers.length === 4 && held.length === 2, "two requests at the origins, four refused")
  expect(origins.map(({ requests }, i) => requests.length - before[i])).toEqual([1, 1])
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 503])
  letGo()
  expect((await all).filter(({ status }) => status === 200)).toHaveLength(2)
})

test("what a worker held is given back when it dies", async () => {
  hold()
  const lost = ask("/two", 10).all.catch(() => null)
  await until(() => held.length === 2, "two requests at the origin")
  const restarts = (await read()).sum("sluice_worker_restarts_total")
  for (const killed of [1, 2]) {
    gateway.signal("SIGUSR2")
    await until(async () => {
      const metrics = await read()
      return metrics.sum("sluice_worker_restarts_total") === restarts + killed && metrics.sum("sluice_workers") === 2
    }, "another worker")
  }
  await lost
  expect((await read()).sum("sluice_upstream_limit_used", { service: "two" })).toBe(0)
  letGo()
  expect((await ask("/two", 2).all).map(({ status }) => status)).toEqual([200, 200])
})

describe("a gateway with too little memory", () => {
  test("refuses exchanges and connections, and says when to come back; its admin API works", async () => {
    const taken = gateway.log.length
    gateway.writeConfig({ ...config, overload: { memory: "16MiB", eventLoopLag: false } })
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the configuration", undefined, taken)
    const level = async (): Promise<number> => (await read()).sum("sluice_overload_level")
    await until(async () => (await level()) === 6, "both workers' level")
    const client = await RawClient.connect(gateway.port("edge"))
    for (let i = 0; i < 2; i++) {
      client.send("GET /two HTTP/1.1\r\nhost: a\r\n\r\n")
      const response = await client.readResponse()
      expect([response.status, response.text(), response.header("retry-after")]).toEqual([503, "the gateway has too much to do\n", "1"])
    }
    client.destroy()
    const tcp = await RawClient.connect(gateway.port("tcp"))
    await tcp.closed()
    tcp.destroy()
    expect(await gateway.accessLine(({ flag, path }) => flag === "OL" && path === "/two", "the request")).toMatchObject({ status: 503 })
    expect((await read()).sum("sluice_overload_shed_total", { priority: "normal" })).toBeGreaterThanOrEqual(3)
  })
})

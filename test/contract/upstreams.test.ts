import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { type Metrics, readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection, type OriginScript, staticOrigin } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

const names = ["a", "b", "c", "none"]

let group: Origin[]
let single: Origin
let gateway: Gateway
let nobody: number
const tell: OriginScript = (request, connection) => connection.reply(200, request.target)

beforeAll(async () => {
  group = await Promise.all(names.map((name) => staticOrigin(name)))
  single = await Origin.start(tell)
  nobody = await freePort()
  const [a, b, c, none] = group.map(({ address }) => address)
  const weighted = [{ address: a, weight: 3 }, { address: b, weight: 2 }, c, { address: none, weight: 0 }]
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: {
        single: { endpoints: [single.address] },
        refused: { endpoints: [`127.0.0.1:${nobody}`] },
        small: { endpoints: [single.address], pool: { maxConnections: 2, maxPending: 3 } },
        "small-refused": { endpoints: [`127.0.0.1:${nobody}`], pool: { maxConnections: 1 } },
        brief: { endpoints: [single.address], pool: { idleTimeout: "100ms" } },
        old: { endpoints: [single.address], pool: { maxAge: "50ms" } },
        "round-robin": { endpoints: weighted, loadBalancing: "roundRobin" },
        random: { endpoints: weighted, loadBalancing: "random" },
        "least-request": { endpoints: [a, b, c] },
        "one-down": { endpoints: [a, `127.0.0.1:${nobody}`, c], loadBalancing: "roundRobin" },
        "all-down": { endpoints: [`127.0.0.1:${nobody}`, `127.0.0.2:${nobody}`] },
        idle: { endpoints: [{ address: a, weight: 0 }] },
        empty: { endpoints: [] },
      },
      routes: [
        ..."single refused small small-refused brief old round-robin random least-request one-down all-down idle empty"
          .split(" ")
          .map((service) => ({ name: service, match: { path: `/${service}` }, backends: service, retry: false as const })),
      ],
    },
  })
})

afterEach(() => {
  single.script(tell)
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all([single, ...group].map((origin) => origin.stop()))
})

/** Bodies of `count` answers from `path`, one request after the other on one connection. */
async function ask(path: string, count: number): Promise<string[]> {
  const client = await RawClient.connect(gateway.port())
  const answers: string[] = []
  for (let i = 0; i < count; i++) {
    client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
    const response = await client.readResponse()
    answers.push(response.status === 200 ? response.text() : String(response.status))
  }
  client.destroy()
  return answers
}

function counts(answers: readonly string[]): Record<string, number> {
  const found: Record<string, number> = {}
  for (const answer of answers) found[answer] = (found[answer] ?? 0) + 1
  return found
}

async function metric(name: string, service: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum(name, { service })
}

describe("load balancing", () => {
  test("roundRobin gives each endpoint its weight exactly, and 0 none", async () => {
    expect(counts(await ask("/round-robin", 60))).toEqual({ a: 30, b: 20, c: 10 })
  })

  test("random gives each endpoint about its weight, and 0 none", async () => {
    const found = counts(await ask("/random", 300))
    expect(Object.keys(found).sort()).toEqual(["a", "b", "c"])
    // 150 expected; 6 standard deviations are 52.
    expect(Math.abs(found.a - 150)).toBeLessThan(52)
  })

  test("leastRequest, the default, passes by an endpoint that is slow", async () => {
    const waiting: OriginConnection[] = []
    group[0].script((_request, connection) => void waiting.push(connection))
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => get(gateway.port(), "/least-request")).map(async (each, i) => {
        // The slow one's clients get their answers last.
        if (i === 59)
          setTimeout(() => {
            group[0].script((_request, connection) => connection.reply(200, "a"))
            for (const connection of waiting) connection.reply(200, "a")
          }, 300)
        return (await each).text()
      }),
    )
    const found = counts(answers)
    expect(found.b + found.c + (found.a ?? 0)).toBe(60)
    expect(found.a ?? 0).toBeLessThan(30)
    group[0].script((_request, connection) => connection.reply(200, "a"))
  })
})

describe("endpoints that are down", () => {
  test("a refused connect is 503, with the reason in the log and none of it in the answer", async () => {
    const response = await get(gateway.port(), "/refused")
    expect([response.status, response.text()]).toEqual([503, "upstream connect failed\n"])
    const line = await gateway.accessLine(({ path }) => path === "/refused", "it")
    expect(line).toMatchObject({ flag: "UF", upstream: `127.0.0.1:${nobody}`, service: "refused" })
    expect(line.flagDetails).toContain("ECONNREFUSED")
    expect(await metric("sluice_upstream_connect_failures_total", "refused")).toBe(1)
  })

  test("one endpoint of three down costs no request, in a row or at once", async () => {
    expect(counts(await ask("/one-down", 30))["503"]).toBeUndefined()
    const at_once = await Promise.all(Array.from({ length: 30 }, () => get(gateway.port(), "/one-down")))
    expect(at_once.map(({ status }) => status)).toEqual(Array(30).fill(200))
    // And it isn't tried for each.
    expect(await metric("sluice_upstream_connect_failures_total", "one-down")).toBeLessThan(30)
  })

  test("an endpoint that goes down and comes back costs no request", async () => {
    expect(await ask("/one-down", 6)).not.toContain("503")
    const { port } = group[2]
    await group[2].stop()
    expect(counts(await ask("/one-down", 10))).toEqual({ a: 10 })
    group[2] = await Origin.start((_request, connection) => connection.reply(200, "c"), { port })
    await until(async () => (await ask("/one-down", 2)).includes("c"), "traffic to the endpoint that is back")
  })

  test("all endpoints down is 503 after each was tried", async () => {
    const before = await metric("sluice_upstream_connect_failures_total", "all-down")
    expect((await get(gateway.port(), "/all-down")).status).toBe(503)
    expect(await metric("sluice_upstream_connect_failures_total", "all-down")).toBe(before + 2)
  })

  test.each(["/empty", "/idle"])("no endpoint to take traffic (%s) is 503", async (path) => {
    const response = await get(gateway.port(), path)
    expect([response.status, response.text()]).toEqual([503, "no endpoint available\n"])
    expect(await gateway.accessLine((line) => line.path === path, "it")).toMatchObject({ flag: "UH" })
  })

  test("requests that wait for a connection under the cap all learn that it failed", async () => {
    const responses = await Promise.all(Array.from({ length: 10 }, () => get(gateway.port(), "/small-refused")))
    expect(responses.map(({ status }) => status)).toEqual(Array(10).fill(503))
  })
})

describe("pooled connections", () => {
  /** Leaves one idle connection to `single` that its origin treats as `script` says from the next request on. */
  async function idleThen(script: OriginScript): Promise<void> {
    const client = await RawClient.connect(gateway.port())
    client.send("GET /single/warm HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.readResponse()
    client.destroy()
    single.script(script)
  }

  /** Ends the connection of the first request it gets, without an answer, and serves the others. */
  function endsOne(how: "end" | "reset"): OriginScript {
    let first = true
    return (request, connection) => {
      if (first) {
        first = false
        connection[how]()
      } else connection.reply(200, request.target)
    }
  }

  test.each(["end", "reset"] as const)("one that dies (%s) under a GET is replaced, once and unnoticed", async (how) => {
    await idleThen(endsOne(how))
    const before = await metric("sluice_upstream_retries_total", "single")
    expect((await get(gateway.port(), "/single/retried")).text()).toBe("/single/retried")
    expect(await metric("sluice_upstream_retries_total", "single")).toBe(before + 1)
  })

  test("one that dies under a POST is not: nothing is ever delivered twice", async () => {
    await idleThen(endsOne("end"))
    const before = single.requests.length
    const response = await exchange(gateway.port(), "POST /single/post HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi", "POST")
    expect([response.status, response.text()]).toEqual([502, "upstream closed the connection\n"])
    expect(single.requests.slice(before).map(({ target }) => target)).toEqual(["/single/post"])
    expect(await gateway.accessLine(({ path }) => path === "/single/post", "it")).toMatchObject({ flag: "UC" })
  })

  test("one that dies inside its answer's head is not replaced", async () => {
    await idleThen((_request, connection) => {
      connection.write("HTTP/1.1 200")
      connection.end()
    })
    const before = single.requests.length
    expect((await get(gateway.port(), "/single/partial")).status).toBe(502)
    expect(single.requests.length - before).toBe(1)
  })

  test("a request is sent once more, and no more than that", async () => {
    single.resetConnections()
    await until(async () => (await metric("sluice_upstream_connections_active", "single")) === 0, "an empty pool")
    single.script((_request, connection) => connection.end())
    const before = single.requests.length
    expect((await get(gateway.port(), "/single/fresh")).status).toBe(502)
    expect(single.requests.length - before).toBe(2)
    const post = await exchange(gateway.port(), "POST /single/fresh HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n", "POST")
    expect(post.status).toBe(502)
    expect(single.requests.length - before).toBe(3)
  })

  test("an upstream that ends idle connections all the time costs no GET", async () => {
    single.script((request, connection) => {
      connection.reply(200, request.target)
      setImmediate(() => connection.end())
    })
    const answers = await ask("/single/x", 200)
    expect(counts(answers)).toEqual({ "/single/x": 200 })
  })

  test("an idle one is closed after its time", async () => {
    await get(gateway.port(), "/brief")
    await until(async () => (await metric("sluice_upstream_connections_active", "brief")) === 0, "close of the idle connection")
  })

  test("one is closed before the time its peer announces", async () => {
    single.script((_request, connection) => connection.reply(200, "x", { "keep-alive": "timeout=1" }))
    await get(gateway.port(), "/small")
    expect(await metric("sluice_upstream_connections_active", "small")).toBe(1)
    const started = performance.now()
    await until(async () => (await metric("sluice_upstream_connections_active", "small")) === 0, "close of the idle connection")
    expect(performance.now() - started).toBeLessThan(1000)
  })

  test("one that has lived its time is closed after its request", async () => {
    const accepted = single.accepted
    single.script((_request, connection) => void setTimeout(() => connection.reply(200, "x"), 60))
    expect(await ask("/old", 3)).toEqual(["x", "x", "x"])
    expect(single.accepted - accepted).toBe(3)
  })
})

describe("limits of a pool", () => {
  test("requests over the cap wait, those over the queue get 503, and nobody waits for ever", async () => {
    const held: OriginConnection[] = []
    single.script((_request, connection) => void held.push(connection))
    const clients = Array.from({ length: 10 }, () => get(gateway.port(), "/small"))
    await until(() => held.length === 2, "two requests at the origin")
    const overflown = await until(async () => {
      const count = await metric("sluice_upstream_overflows_total", "small")
      return count >= 5 && count
    }, "five refused requests")
    expect(overflown).toBe(5)
    single.script((_request, connection) => connection.reply(200, "ok"))
    for (const connection of held) connection.reply(200, "ok")
    const answers = await Promise.all(clients)
    expect(counts(answers.map(({ status }) => String(status)))).toEqual({ 200: 5, 503: 5 })
    expect(answers.find(({ status }) => status === 503)?.text()).toBe("too many requests in flight\n")
    expect((await gateway.accessLine(({ flag }) => flag === "UO", "it")).path).toBe("/small")
  })

  test("a waiting client that goes away leaves the queue", async () => {
    const held: OriginConnection[] = []
    single.script((_request, connection) => void held.push(connection))
    const busy = [get(gateway.port(), "/small/1"), get(gateway.port(), "/small/2")]
    await until(() => held.length === 2, "two requests at the origin")
    const gone = await RawClient.connect(gateway.port())
    gone.send("GET /small/gone HTTP/1.1\r\nhost: a\r\n\r\n")
    const waits = get(gateway.port(), "/small/waits")
    gone.reset()
    await gateway.accessLine(({ path }) => path === "/small/gone", "the client that went away")
    single.script(tell)
    for (const connection of held) connection.reply(200, "ok")
    expect((await waits).text()).toBe("/small/waits")
    await Promise.all(busy)
    expect(single.requests.map(({ target }) => target)).not.toContain("/small/gone")
  })
})

test("nothing is left behind", async () => {
  const quiet = (metrics: Metrics): boolean =>
    metrics.sum("sluice_requests_active") === 0 && metrics.sum("sluice_upstream_requests_pending") === 0
  await until(async () => quiet(await readMetrics(gateway.adminPort)), "no active exchange")
  for (const origin of [single, ...group]) expect(origin.problems).toEqual([])
})

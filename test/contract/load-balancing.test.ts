// Balancing of a running gateway: hashing by a cookie it gives out, by headers, queries and addresses; subsets, priorities, zones,
// failover, and what a reload leaves as it is.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { type Origin, staticOrigin } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"

const names = ["a", "b", "c", "d"]

let origins: Origin[]
let gateway: Gateway
let configuration: { services: Record<string, object> }

beforeAll(async () => {
  origins = await Promise.all(names.map((name) => staticOrigin(name)))
  const [a, b, c, d] = origins.map(({ address }) => address)
  const nobody = `127.0.0.1:${await freePort()}`
  const cookie = { ttl: "1h", path: "/" }
  configuration = {
    services: {
      cookie: { endpoints: [a, b, c, d], loadBalancing: { policy: "ringHash", by: "cookie:sluice-affinity", cookie } },
      "own-cookie": { endpoints: [a, b, c, d], loadBalancing: { policy: "maglev", by: "cookie:user" } },
      header: { endpoints: [a, b, c, d], loadBalancing: { policy: "maglev", by: "header:x-user" } },
      query: { endpoints: [a, b, c, d], loadBalancing: { policy: "ringHash", by: "query:user" } },
      source: { endpoints: [a, b, c, d], loadBalancing: { policy: "maglev", by: "source" } },
      ewma: { endpoints: [a, b], loadBalancing: "peakEwma" },
      versions: {
        endpoints: [
          { address: a, labels: { version: "v1", track: "stable" } },
          { address: b, labels: { version: "v2", track: "stable" } },
          { address: c, labels: { version: "v2", track: "canary" } },
        ],
      },
      priorities: { endpoints: [a, { address: b, priority: 1 }] },
      zones: {
        endpoints: [
          { address: a, zone: "here" },
          { address: b, zone: "here" },
          { address: c, zone: "there" },
        ],
      },
      down: { endpoints: [nobody], failover: "other" },
      other: { endpoints: [c] },
      weights: { endpoints: [a, b], loadBalancing: "roundRobin" },
    },
  }
  const services = Object.keys(configuration.services)
  const versions = (subset: object): object => [{ service: "versions", subset }]
  Object.assign(configuration, {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    zone: "here",
    listeners: [{ address: "127.0.0.1:0", trustedHops: 1 }],
    routes: [
      ...services.map((service) => ({ name: service, match: { path: `/${service}` }, backends: service })),
      { match: { path: "/v1" }, backends: versions({ version: "v1" }) },
      { match: { path: "/v2" }, backends: versions({ version: "v2" }) },
      { match: { path: "/canary" }, backends: versions({ version: "v2", track: "canary" }) },
      { match: { path: "/v3" }, backends: versions({ version: "v3" }) },
    ],
  })
  gateway = await Gateway.start({ config: configuration })
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all(origins.map((origin) => origin.stop()))
})

/** What a client reads, request by request on one connection: bodies, or statuses that aren't 200, and cookies. */
async function ask(requests: readonly { readonly path: string; readonly fields?: string }[]): Promise<{ body: string; cookie: string }[]> {
  const client = await RawClient.connect(gateway.port())
  const answers: { body: string; cookie: string }[] = []
  for (const { path, fields = "" } of requests) {
    client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\n${fields}\r\n`)
    const response = await client.readResponse()
    const cookie = response.header("set-cookie") ?? ""
    answers.push({ body: response.status === 200 ? response.text() : String(response.status), cookie })
  }
  client.destroy()
  return answers
}

const bodies = async (...from: Parameters<typeof ask>): Promise<string[]> => (await ask(from[0])).map(({ body }) => body)
const repeat = (path: string, n: number, fields?: string): { path: string; fields?: string }[] =>
  Array.from({ length: n }, () => (fields === undefined ? { path } : { path, fields }))

describe("hashing", () => {
  test("by a cookie gives clients one, and keeps who returns it with its endpoint", async () => {
    const fresh = await ask(repeat("/cookie", 24))
    expect(new Set(fresh.map(({ body }) => body)).size).toBeGreaterThan(2)
    for (const { cookie } of fresh) expect(cookie).toMatch(/^sluice-affinity=[0-9a-f]{16}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/)
    expect(new Set(fresh.map(({ cookie }) => cookie)).size).toBe(24)
    const back = await ask(fresh.map(({ cookie }) => ({ path: "/cookie", fields: `cookie: x=1; ${cookie.split(";")[0]}\r\n` })))
    expect(back.map(({ body }) => body)).toEqual(fresh.map(({ body }) => body))
    expect(back.map(({ cookie }) => cookie)).toEqual(fresh.map(() => ""))
  })

  test("by a cookie of the service's own gives out none", async () => {
    const answers = await ask([...repeat("/own-cookie", 3, "cookie: user=7\r\n"), ...repeat("/own-cookie", 3)])
    expect(new Set(answers.slice(0, 3).map(({ body }) => body)).size).toBe(1)
    expect(answers.every(({ cookie }) => cookie === "")).toBe(true)
  })

  test.each([
    ["header", (user: number) => ({ path: "/header", fields: `x-user: ${user}\r\n` })],
    ["query", (user: number) => ({ path: `/query?a=1&user=${user}` })],
    ["source", (user: number) => ({ path: "/source", fields: `x-forwarded-for: 10.1.2.${user}\r\n` })],
  ])("by %s keeps who is the same together, and spreads the others", async (_, request) => {
    const users = Array.from({ length: 16 }, (_, user) => user)
    const first = await bodies(users.map(request))
    expect(await bodies(users.map(request))).toEqual(first)
    expect(new Set(first).size).toBeGreaterThan(2)
  })
})

test("peakEwma leaves an endpoint that says it is overloaded alone", async () => {
  let overloaded = ""
  for (const [i, name] of ["a", "b"].entries()) {
    origins[i].script((_request, connection) => {
      if (overloaded !== "") return connection.reply(200, name)
      overloaded = name
      connection.reply(503, "no")
    })
  }
  await ask(repeat("/ewma", 1))
  expect(await bodies(repeat("/ewma", 12))).toEqual(Array(12).fill(overloaded === "a" ? "b" : "a"))
})

describe("subsets", () => {
  test("are the endpoints that have all of the labels", async () => {
    expect(new Set(await bodies(repeat("/v1", 6)))).toEqual(new Set(["a"]))
    expect(new Set(await bodies(repeat("/v2", 24)))).toEqual(new Set(["b", "c"]))
    expect(new Set(await bodies(repeat("/canary", 6)))).toEqual(new Set(["c"]))
    expect(new Set(await bodies(repeat("/versions", 36)))).toEqual(new Set(["a", "b", "c"]))
  })

  test("without an endpoint answer 503, which a warning has said before", async () => {
    expect(await bodies(repeat("/v3", 1))).toEqual(["503"])
    expect((await gateway.accessLine(({ path }) => path === "/v3", "/v3")).flag).toBe("UH")
    expect(gateway.log.some(({ message }) => message.includes('no endpoint of "versions"'))).toBe(true)
  })
})

test("the lowest priority and the gateway's own zone are preferred", async () => {
  expect(new Set(await bodies(repeat("/priorities", 12)))).toEqual(new Set(["a"]))
  expect(new Set(await bodies(repeat("/zones", 24)))).toEqual(new Set(["a", "b"]))
})

test("a service that is down is taken over by its failover", async () => {
  const before = (await readMetrics(gateway.adminPort)).sum("sluice_upstream_failovers_total", { service: "down" })
  expect(await bodies(repeat("/down", 6))).toEqual(Array(6).fill("c"))
  const after = (await readMetrics(gateway.adminPort)).sum("sluice_upstream_failovers_total", { service: "down" })
  expect(after - before).toBe(6)
})

test("a new weight leaves an endpoint its connections", async () => {
  expect((await bodies(repeat("/weights", 4))).sort()).toEqual(["a", "a", "b", "b"])
  const connects = async (): Promise<number> =>
    (await readMetrics(gateway.adminPort)).sum("sluice_upstream_connects_total", { service: "weights" })
  const made = await connects()
  const [a, b] = origins.map(({ address }) => address)
  configuration.services.weights = { endpoints: [{ address: a, weight: 3 }, b], loadBalancing: "roundRobin" }
  const from = gateway.log.length
  gateway.writeConfig(configuration)
  gateway.signal("SIGHUP")
  await gateway.waitForLog(({ message }) => message === "configuration taken", "the new weights", undefined, from)
  expect((await bodies(repeat("/weights", 4))).sort()).toEqual(["a", "a", "a", "b"])
  expect(await connects()).toBe(made)
})

// Local rate limits through a gateway with two workers. Counts only: bursts are as large as the limits and fill in an hour, so
// that nothing depends on time. A test takes limits or keys of its own each time it runs, since it may be run once more.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { call, statusOf } from "../support/grpc-messages.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get, type Response } from "../support/raw-client.ts"

let origin: Origin
let gateway: Gateway

/** `count` in an hour, all of which may come at once. */
const hourly = (count: number, more: object = {}): object => ({ requests: count, per: "1h", burst: count, ...more })

/** Names of things of which each run takes another. */
const series = (name: string): string[] => ["a", "b", "c"].map((letter) => `${name}-${letter}`)

function config(loose: number): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    accessLog: "all",
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      ...series("narrow").map((name) => ({ name, address: "127.0.0.1:0", rateLimit: hourly(3, { headers: false }) })),
    ],
    services: {
      origin: { endpoints: [origin.address] },
      ...Object.fromEntries(series("small").map((name) => [name, { endpoints: [origin.address], rateLimit: hourly(2) }])),
    },
    routes: [
      { name: "free", match: { path: "/free" }, backends: "origin" },
      ...series("one").map((name) => ({ name, match: { path: `/${name}` }, backends: "origin", rateLimit: hourly(30) })),
      { name: "user", match: { path: "/user" }, backends: "origin", rateLimit: hourly(2, { by: "header:x-user" }) },
      { name: "session", match: { path: "/session" }, backends: "origin", rateLimit: hourly(2, { by: "cookie:session" }) },
      { name: "tenant", match: { path: "/tenant" }, backends: "origin", rateLimit: hourly(2, { by: "path:2" }) },
      { name: "key", match: { path: "/key" }, backends: "origin", rateLimit: hourly(2, { by: "query:key" }) },
      { name: "skip", match: { path: "/skip" }, backends: "origin", rateLimit: hourly(1, { by: "header:x-user", missing: "skip" }) },
      { name: "deny", match: { path: "/deny" }, backends: "origin", rateLimit: hourly(1, { by: "header:x-user", missing: "deny" }) },
      {
        name: "both",
        match: { path: "/both" },
        backends: "origin",
        rateLimit: [hourly(4, { by: "header:x-team" }), hourly(2, { name: "user", by: ["source", "header:x-team", "header:x-user"] })],
      },
      {
        name: "plans",
        match: { path: "/plans" },
        backends: "origin",
        rateLimit: hourly(1, {
          by: ["header:x-plan", "header:x-user"],
          overrides: series("user").map((name) => ({ value: ["gold", name], requests: 3, burst: 3 })),
        }),
      },
      { name: "shadow", match: { path: "/shadow" }, backends: "origin", rateLimit: hourly(1, { by: "header:x-user", shadow: true }) },
      { name: "grpc", match: { path: "/grpc" }, backends: "origin", rateLimit: hourly(1, { by: "header:x-user" }) },
      { name: "fixed", match: { path: "/fixed" }, respond: { status: 200 }, rateLimit: hourly(1, { by: "header:x-user", status: 503 }) },
      ...series("small").map((name) => ({ name, match: { path: `/${name}` }, backends: name })),
      { name: "kept", match: { path: "/kept" }, backends: "origin", rateLimit: hourly(2, { by: "header:x-user" }) },
      { name: "changed", match: { path: "/changed" }, backends: "origin", rateLimit: hourly(loose, { by: "header:x-user" }) },
    ],
  }
}

beforeAll(async () => {
  origin = await Origin.start((request, connection) =>
    connection.reply(200, "", request.target === "/user/told" ? { "ratelimit-limit": "7", "ratelimit-remaining": "0" } : {}),
  )
  gateway = await Gateway.start({ config: config(1) })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

const runs = new Map<string, number>()

/** The next of a {@link series}. */
function next(name: string): string {
  const run = runs.get(name) ?? 0
  runs.set(name, run + 1)
  return series(name)[run]
}

/** Statuses of requests made one after the other. */
async function statuses(
  count: number,
  target: string,
  fields: Readonly<Record<string, string>> = {},
  listener = "edge",
): Promise<number[]> {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await get(gateway.port(listener), target, fields)).status)
  return seen
}

function told(response: Response): Record<string, string | null> {
  return Object.fromEntries(
    ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-policy"].map((name) => [name, response.header(name)]),
  )
}

let users = 0
const newUser = (): string => `user-${++users}`

describe("a limit", () => {
  test("lets exactly its number pass over two workers", async () => {
    const name = next("one")
    const before = await readMetrics(gateway.adminPort)
    const seen: Response[] = []
    const client = async (): Promise<void> => {
      for (let i = 0; i < 9; i++) seen.push(await get(gateway.port("edge"), `/${name}`))
    }
    await Promise.all(Array.from({ length: 10 }, client))
    expect(seen.filter(({ status }) => status === 200)).toHaveLength(30)
    const refused = seen.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(60)
    expect(refused[0].text()).toBe("too many requests\n")
    expect(told(refused[0])).toMatchObject({
      "ratelimit-limit": "30",
      "ratelimit-remaining": "0",
      "ratelimit-policy": '"route";q=30;w=3600',
    })
    expect(Number(refused[0].header("retry-after"))).toBeGreaterThan(0)
    const after = await readMetrics(gateway.adminPort)
    const count = (outcome: string): number =>
      after.sum("sluice_rate_limit_total", { limit: `route:${name}`, outcome }) -
      before.sum("sluice_rate_limit_total", { limit: `route:${name}`, outcome })
    expect([count("allowed"), count("limited"), count("shadow")]).toEqual([30, 60, 0])
    const line = await gateway.accessLine((each) => each.route === name && each.status === 429, "a refused request")
    expect([line.flag, line.flagDetails]).toEqual(["RL", `route:${name}`])
  })

  test("says in every response what is left, unless the service says that less is", async () => {
    const fields = { "x-user": newUser() }
    const first = await get(gateway.port("edge"), "/user", fields)
    expect(told(first)).toEqual({
      "retry-after": null,
      "ratelimit-limit": "2",
      "ratelimit-remaining": "1",
      "ratelimit-policy": '"route";q=2;w=3600',
    })
    expect(told(await get(gateway.port("edge"), "/user/told", { "x-user": newUser() }))).toMatchObject({
      "ratelimit-limit": "7",
      "ratelimit-remaining": "0",
      "ratelimit-policy": null,
    })
    expect(told(await get(gateway.port("edge"), "/free"))).toMatchObject({ "ratelimit-limit": null, "ratelimit-policy": null })
  })

  test("tells requests apart by a header, also one that is sent twice", async () => {
    const [alice, bob] = [newUser(), newUser()]
    expect(await statuses(3, "/user", { "x-user": alice })).toEqual([200, 200, 429])
    expect(await statuses(3, "/user", { "x-user": bob })).toEqual([200, 200, 429])
    const twice = (): Promise<Response> =>
      exchange(gateway.port("edge"), `GET /user HTTP/1.1\r\nhost: a\r\nx-user: ${alice}\r\nx-user: ${bob}\r\nconnection: close\r\n\r\n`)
    expect([(await twice()).status, (await twice()).status, (await twice()).status]).toEqual([200, 200, 429])
  })

  test("tells requests apart by a cookie, a segment of the path, a query parameter", async () => {
    const [one, two] = [newUser(), newUser()]
    expect(await statuses(3, "/session", { cookie: `a=b; session=${one}` })).toEqual([200, 200, 429])
    expect(await statuses(1, "/session", { cookie: `session=${two}` })).toEqual([200])
    expect(await statuses(3, `/tenant/${one}/x?y`)).toEqual([200, 200, 429])
    expect(await statuses(1, `/tenant/${one}`)).toEqual([429])
    expect(await statuses(1, `/tenant/${two}`)).toEqual([200])
    expect(await statuses(3, `/key?a=1&key=${one}`)).toEqual([200, 200, 429])
    expect(await statuses(1, `/key?key=${two}`)).toEqual([200])
  })

  test("doesn't count requests without a key, or refuses them, where it says so", async () => {
    expect(await statuses(3, "/skip")).toEqual([200, 200, 200])
    expect(await statuses(2, "/skip", { "x-user": newUser() })).toEqual([200, 429])
    const response = await get(gateway.port("edge"), "/deny")
    expect([response.status, response.header("retry-after")]).toEqual([429, null])
    expect(await statuses(2, "/deny", { "x-user": newUser() })).toEqual([200, 429])
  })

  test("has other figures for values that are named", async () => {
    const user = next("user")
    expect(await statuses(4, "/plans", { "x-plan": "gold", "x-user": user })).toEqual([200, 200, 200, 429])
    expect(await statuses(2, "/plans", { "x-plan": "iron", "x-user": user })).toEqual([200, 429])
  })

  test("in shadow only counts", async () => {
    const before = await readMetrics(gateway.adminPort)
    const response = await get(gateway.port("edge"), "/shadow", { "x-user": newUser() })
    expect(response.header("ratelimit-limit")).toBeNull()
    expect(await statuses(3, "/shadow", { "x-user": newUser() })).toEqual([200, 200, 200])
    const after = await readMetrics(gateway.adminPort)
    const count = (outcome: string): number =>
      after.sum("sluice_rate_limit_total", { limit: "route:shadow", outcome }) -
      before.sum("sluice_rate_limit_total", { limit: "route:shadow", outcome })
    expect([count("allowed"), count("limited"), count("shadow")]).toEqual([2, 0, 2])
  })

  test("holds for direct responses too, with the status it names", async () => {
    expect(await statuses(2, "/fixed", { "x-user": newUser() })).toEqual([200, 503])
  })

  test("is a status of their own for gRPC calls", async () => {
    const fields = { "x-user": newUser() }
    const send = (): Promise<Response> => exchange(gateway.port("edge"), call("/grpc/a.B/C", { fields }), "POST")
    expect((await send()).header("grpc-status")).toBeNull()
    const refused = await send()
    expect([refused.status, statusOf(refused), refused.header("grpc-message")]).toEqual([200, "8", "too many requests"])
    expect(refused.header("ratelimit-limit")).toBe("1")
  })
})

test("of several limits all must let a request pass, and one that refuses costs nothing at the others", async () => {
  const team = newUser()
  const both = (user: string, count: number): Promise<number[]> => statuses(count, "/both", { "x-team": team, "x-user": user })
  expect(await both("a", 10)).toEqual([200, 200, ...Array(8).fill(429)])
  // The team has two left, for those eight took none.
  expect(await both("b", 2)).toEqual([200, 200])
  const response = await get(gateway.port("edge"), "/both", { "x-team": team, "x-user": "c" })
  expect([response.status, response.header("ratelimit-policy")]).toEqual([429, '"route";q=4;w=3600, "user";q=2;w=3600'])
})

test("a listener's limit holds for all its routes", async () => {
  const listener = next("narrow")
  expect(await statuses(2, "/free", {}, listener)).toEqual([200, 200])
  const response = await get(gateway.port(listener), "/user", { "x-user": newUser() })
  expect([response.status, response.header("ratelimit-limit")]).toEqual([200, "2"])
  expect(await statuses(1, "/free", {}, listener)).toEqual([429])
  expect(await statuses(1, "/free")).toEqual([200])
})

test("a service's limit holds for what is sent to it, and refused requests don't reach it", async () => {
  const name = next("small")
  const before = origin.requests.length
  expect(await statuses(3, `/${name}`)).toEqual([200, 200, 429])
  expect(origin.requests.length - before).toBe(2)
  const line = await gateway.accessLine((each) => each.route === name && each.status === 429, "a refused request")
  expect([line.flag, line.flagDetails, line.service]).toEqual(["RL", `service:${name}`, name])
})

test("a limit keeps its state over a reload, and begins anew where it has changed", async () => {
  const fields = { "x-user": newUser() }
  expect(await statuses(2, "/kept", fields)).toEqual([200, 200])
  expect(await statuses(2, "/changed", fields)).toEqual([200, 429])
  const from = gateway.log.length
  gateway.writeConfig(config(2))
  await gateway.waitForLog(({ message }) => message === "configuration taken", "a reload", undefined, from)
  expect(await statuses(1, "/kept", fields)).toEqual([429])
  expect(await statuses(3, "/changed", fields)).toEqual([200, 200, 429])
  gateway.writeConfig(config(1))
})

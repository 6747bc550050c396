import { afterAll, beforeAll, describe, expect } from "vitest"
import { sleep, until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { get, RawClient } from "../support/raw-client.ts"
import { Redis, redisServer, redisTest } from "../support/redis.ts"

const passed = { respond: { status: 200, body: "passed" } }

function config(redis: Redis, onFailure: string): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: "all",
    rateLimitStore: { redis: { url: redis.url, password: { env: "TEST_REDIS" } }, onFailure, replicas: 2, timeout: "2s" },
    listeners: [{ address: "127.0.0.1:0" }],
    routes: [
      {
        name: "small",
        match: { path: "/small" },
        rateLimit: { scope: "global", requests: 20, per: "20h", burst: 20, by: "header:x-user" },
        ...passed,
      },
      {
        name: "large",
        match: { path: "/large" },
        rateLimit: { scope: "global", requests: 1000, per: "20h", burst: 1000, by: "header:x-user" },
        ...passed,
      },
      {
        name: "both",
        match: { path: "/both" },
        rateLimit: [
          { name: "local", requests: 3, per: "20h", burst: 3, by: "header:x-user" },
          { name: "global", scope: "global", requests: 2, per: "20h", burst: 2, by: "header:x-user" },
        ],
        ...passed,
      },
    ],
  }
}

/** Statuses of `count` GETs on one connection, each sent when the one before was answered. */
async function statuses(gateway: Gateway, path: string, user: string, count: number): Promise<number[]> {
  const client = await RawClient.connect(gateway.port())
  const all: number[] = []
  try {
    for (let i = 0; i < count; i++) {
      client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\nx-user: ${user}\r\n\r\n`)
      all.push((await client.readResponse()).status)
    }
  } finally {
    client.destroy()
  }
  return all
}

function count(all: readonly number[], status: number): number {
  return all.filter((each) => each === status).length
}

const isUp = (gateway: Gateway): Promise<unknown> =>
  until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_rate_limit_store_up") === 1, "the store to be up")

describe("a limit of two gateways", () => {
  let redis: Redis
  let one: Gateway
  let other: Gateway
  beforeAll(async () => {
    if (redisServer === null) return
    redis = await Redis.start("--requirepass", "s3cret")
    const env = { TEST_REDIS: "s3cret" }
    ;[one, other] = await Promise.all([
      Gateway.start({ config: config(redis, "local"), env }),
      Gateway.start({ config: config(redis, "deny"), env }),
    ])
    await Promise.all([isUp(one), isUp(other)])
  })
  afterAll(async () => {
    await Promise.all([one?.stop(), other?.stop()])
    await redis?.kill()
  })

  redisTest("that is small is exact", async () => {
    const user = `small ${Math.random()}`
    const all = (await Promise.all([statuses(one, "/small", user, 25), statuses(other, "/small", user, 25)])).flat()
    expect([count(all, 200), count(all, 429)]).toEqual([20, 30])
    const refused = await get(other.port(), "/small", { "x-user": user })
    expect(refused.header("ratelimit-limit")).toBe("20")
    expect(refused.header("ratelimit-remaining")).toBe("0")
    expect(Number(refused.header("retry-after"))).toBeGreaterThan(3000)
  })

  redisTest("that is large is exact once both have used what they were granted ahead, and asks for few requests", async () => {
    const user = `large ${Math.random()}`
    const trips = async (): Promise<number> => {
      const each = await Promise.all([one, other].map(({ adminPort }) => readMetrics(adminPort)))
      return each.reduce((sum, metrics) => sum + metrics.sum("sluice_rate_limit_store_requests_total"), 0)
    }
    const before = await trips()
    const load = [one, one, one, other, other, other].map((gateway) => statuses(gateway, "/large", user, 200))
    const all = (await Promise.all(load)).flat()
    const last = await Promise.all([statuses(one, "/large", user, 60), statuses(other, "/large", user, 60)])
    expect(count([...all, ...last.flat()], 200)).toBe(1000)
    expect(count([...all, ...last.flat()], 429)).toBe(all.length + 120 - 1000)
    expect((await trips()) - before).toBeLessThan(500)
    expect((await readMetrics(one.adminPort)).sum("sluice_rate_limit_store_leased_total")).toBeGreaterThan(100)
  })

  redisTest("costs a request nothing that another limit refuses", async () => {
    const user = `both ${Math.random()}`
    expect(await statuses(one, "/both", user, 4)).toEqual([200, 200, 429, 429])
    // Those that the global one refused took nothing of the local one, of which one is left.
    const user2 = `${user} 2`
    expect(await statuses(other, "/both", user2, 3)).toEqual([200, 200, 429])
  })

  redisTest("keeps no password where it can be read", async () => {
    expect((await get(one.adminPort, "/config")).text()).not.toContain("s3cret")
    expect(one.logText()).not.toContain("s3cret")
  })

  redisTest("goes on without Redis as each gateway's configuration says, and with it again", async () => {
    const flowing = { stop: false, statuses: [] as number[] }
    const flow = [one, other].map(async (gateway) => {
      while (!flowing.stop) {
        flowing.statuses.push(...(await statuses(gateway, "/large", `flow ${Math.random()}`, 5)))
        await sleep(20)
      }
    })
    const from = [one.log.length, other.log.length]
    await redis.kill()
    const away = (gateway: Gateway, i: number): Promise<unknown> =>
      gateway.waitForLog((line) => line.message === "the store of rate limits is away", "Redis to be gone", undefined, from[i])
    await Promise.all([one, other].map(away))
    // This gateway's half.
    const user = `away ${Math.random()}`
    const local = await statuses(one, "/small", user, 15)
    expect([count(local, 200), count(local, 429)]).toEqual([10, 5])
    const path = `/small?${Math.random()}`
    expect((await get(other.port(), path)).status).toBe(503)
    expect((await other.accessLine((line) => line.path === path, "the request")).flag).toBe("RLSE")
    other.writeConfig(config(redis, "allow"))
    await other.waitForLog((line) => line.message === "configuration taken", "the new configuration", undefined, from[1])
    expect(count(await statuses(other, "/small", user, 30), 200)).toBe(30)
    await redis.run()
    await Promise.all([isUp(one), isUp(other)])
    const again = (await Promise.all([statuses(one, "/small", user, 25), statuses(other, "/small", user, 25)])).flat()
    expect([count(again, 200), count(again, 429)]).toEqual([20, 30])
    flowing.stop = true
    await Promise.all(flow)
    expect(flowing.statuses.filter((status) => status !== 200 && status !== 503)).toEqual([])
    // Once for each time that it went.
    const lines = one.log.slice(from[0]).filter(({ message }) => String(message).startsWith("the store of rate limits"))
    expect(lines.map(({ message }) => message)).toEqual(["the store of rate limits is away", "the store of rate limits is there"])
    expect((await readMetrics(one.adminPort)).sum("sluice_rate_limit_store_fallbacks_total")).toBeGreaterThanOrEqual(15)
  })
})

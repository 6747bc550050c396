import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { RedisConfig } from "../../../gateway/config/rate-limit-store-model.ts"
import { countKey, type GcraReply } from "../../../gateway/rate-limit/gcra-script.ts"
import { redisConnector } from "../../../gateway/rate-limit/redis-connection.ts"
import { StoreLink } from "../../../gateway/rate-limit/store-link.ts"
import { Reconnect } from "../../../gateway/resilience/reconnect.ts"
import { type ClientMaterial, ClientTls } from "../../../gateway/tls/client-context.ts"
import { Authority } from "../../support/certs.ts"
import { until, within } from "../../support/deadline.ts"
import { freePort } from "../../support/ports.ts"
import { Redis, redisServer, redisTest } from "../../support/redis.ts"

interface Link {
  readonly link: StoreLink
  /** `up`, or why it is down, one after the other. */
  readonly states: string[]
  trips: number
  errors: number
  take(key: string, wanted: number, returned?: number, interval?: number, burst?: number): Promise<GcraReply | null>
}

function open(
  config: Partial<RedisConfig> & { port: number },
  environment: NodeJS.ProcessEnv = {},
  material: ClientMaterial | null = null,
): Link {
  const { port, ...more } = config
  const states: string[] = []
  const redis: RedisConfig = { address: { host: "127.0.0.1", port }, database: 0, username: null, password: null, tls: null, ...more }
  const opened: Link = {
    link: new StoreLink({
      connect: redisConnector(
        redis,
        redis.tls === null || material === null ? null : new ClientTls(redis.tls, material),
        "t:",
        environment,
      ),
      reconnect: new Reconnect(),
      random: Math.random,
      clock: () => performance.now(),
      onUp: () => states.push("up"),
      onDown: (reason) => states.push(reason),
      onClosed() {},
      onTrip: () => opened.trips++,
      onError: () => opened.errors++,
    }),
    states,
    trips: 0,
    errors: 0,
    take: (key, wanted, returned = 0, interval = 3_600_000, burst = 10) =>
      new Promise((resolve) => {
        const asker = { onStoreReply: (reply: GcraReply | null) => resolve(reply) }
        if (!opened.link.ask(asker, `t:${key}`, interval * 1000, interval * 1000 * burst, wanted, returned)) resolve(null)
      }),
  }
  return opened
}

const isUp = ({ link }: Link): Promise<boolean> => until(() => link.up, "the store to be up")

describe("Redis", () => {
  let redis: Redis
  let one: Link
  let other: Link
  beforeAll(async () => {
    if (redisServer === null) return
    redis = await Redis.start()
    one = open({ port: redis.port })
    other = open({ port: redis.port })
    await Promise.all([isUp(one), isUp(other)])
  })
  afterAll(async () => {
    one?.link.close()
    other?.link.close()
    await redis?.kill()
  })

  redisTest("grants what there is, to all that ask, and not more", async () => {
    expect(await one.take("a", 3)).toMatchObject({ granted: 3, left: 7 })
    expect(await other.take("a", 6)).toMatchObject({ granted: 6, left: 1 })
    expect(await one.take("a", 4)).toMatchObject({ granted: 1, left: 0 })
    const refused = await other.take("a", 1)
    expect(refused).toMatchObject({ granted: 0, left: 0 })
    expect(refused?.retryAfter).toBeGreaterThan(3_590_000)
    expect(refused?.retryAfter).toBeLessThanOrEqual(3_600_000)
    expect(refused?.reset).toBeGreaterThan(35_990_000)
  })

  redisTest("takes back what isn't used", async () => {
    await one.take("b", 10)
    expect(await one.take("b", 0, 4)).toMatchObject({ granted: 0, left: 4 })
    expect(await one.take("b", 5, 1)).toMatchObject({ granted: 5, left: 0 })
    // More than was taken can't be given back.
    expect(await one.take("b", 0, 1000)).toMatchObject({ left: 10, reset: 0 })
  })

  redisTest("keeps a count no longer than it means something", async () => {
    await one.take("c", 2, 0, 1000)
    const left = Number((await redis.command("PTTL", "t:c")).slice(1))
    expect(left).toBeGreaterThan(1000)
    expect(left).toBeLessThanOrEqual(2002)
    await one.take("c", 0, 2, 1000)
    expect(await redis.command("EXISTS", "t:c")).toBe(":0\r\n")
  })

  redisTest("counts on after a limit became smaller, or the clock went back", async () => {
    await one.take("d", 10)
    expect(await one.take("d", 1, 0, 3_600_000, 2)).toMatchObject({ granted: 0, reset: 7_200_000 })
  })

  redisTest("knows the script again after it was forgotten", async () => {
    await redis.command("SCRIPT", "FLUSH")
    expect(await one.take("e", 1)).toMatchObject({ granted: 1 })
  })

  redisTest("says no to what asks for more than the script has room for", async () => {
    await redis.command("SET", "t:f", "not a number")
    const errors = one.errors
    expect(await one.take("f", 1)).toBe(null)
    expect(one.errors).toBe(errors + 1)
    expect(one.link.up).toBe(true)
  })
})

describe("a Redis that goes", () => {
  redisTest("is noticed at once, is asked no more, and is found again", async () => {
    const redis = await Redis.start()
    const opened = open({ port: redis.port })
    try {
      await isUp(opened)
      redis.pause()
      const waiting = opened.take("a", 1)
      await redis.kill()
      expect(await within(waiting, "an answer")).toBe(null)
      expect(opened.link.up).toBe(false)
      expect(await opened.take("a", 1)).toBe(null)
      expect(opened.states.length).toBe(2)
      await redis.run()
      await isUp(opened)
      expect(await opened.take("a", 1)).toMatchObject({ granted: 1, left: 9 })
      // Attempts that failed meanwhile are not told one by one.
      expect(opened.states).toEqual(["up", expect.any(String), "up"])
    } finally {
      opened.link.close()
      await redis.kill()
    }
  })

  redisTest("though its connection stays is given up", async () => {
    const redis = await Redis.start()
    const opened = open({ port: redis.port })
    try {
      await isUp(opened)
      redis.pause()
      const waiting = opened.take("a", 1)
      const answer = within(waiting, "an answer")
      await until(() => {
        opened.link.look()
        return !opened.link.up
      }, "the store to be down")
      expect(await answer).toBe(null)
      expect(opened.states[1]).toBe("no answer for 1000 ms")
      redis.resume()
      await isUp(opened)
    } finally {
      opened.link.close()
      await redis.kill()
    }
  })
})

describe("a Redis with passwords", () => {
  redisTest("is not used without the right one, which may be in the environment", async () => {
    const redis = await Redis.start("--requirepass", "s3cret")
    const none = open({ port: redis.port })
    const wrong = open({ port: redis.port, password: "other" })
    const right = open({ port: redis.port, password: { env: "PASSWORD" }, database: 3 }, { PASSWORD: "s3cret" })
    try {
      await isUp(right)
      expect(await right.take("a", 1)).toMatchObject({ granted: 1 })
      await until(() => none.states.length + wrong.states.length === 2, "both to be refused")
      expect(none.states[0]).toMatch(/NOAUTH/)
      expect(wrong.states[0]).toMatch(/WRONGPASS/)
    } finally {
      for (const { link } of [none, wrong, right]) link.close()
      await redis.kill()
    }
  })
})

describe("a Redis with TLS", () => {
  redisTest("is used when its certificate is for its name, and not otherwise", async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-redis-"))
    const authority = new Authority()
    const { cert, key } = authority.issue({ names: ["redis.internal"] })
    for (const [name, text] of Object.entries({ ca: authority.cert, cert, key })) writeFileSync(join(folder, name), text)
    const file = (name: string): string => join(folder, name)
    const files = ["--tls-ca-cert-file", file("ca"), "--tls-cert-file", file("cert"), "--tls-key-file", file("key")]
    const redis = await Redis.start("--tls-auth-clients", "no", ...files)
    const port = await freePort()
    await redis.command("CONFIG", "SET", "tls-port", String(port))
    const material = { ca: authority.cert, cert: "", key: "" }
    const tls = { ca: "", cert: "", key: "", identity: "", insecureSkipVerify: false, minVersion: "1.2" } as const
    const right = open({ port, tls: { ...tls, serverName: "redis.internal" } }, {}, material)
    const wrong = open({ port, tls: { ...tls, serverName: "other.internal" } }, {}, material)
    try {
      await isUp(right)
      expect(await right.take("a", 1)).toMatchObject({ granted: 1 })
      await until(() => wrong.states.length > 0, "it to be refused")
      expect(wrong.states).toEqual(["certificate refused: it is not for other.internal"])
    } finally {
      for (const { link } of [right, wrong]) link.close()
      await redis.kill()
      rmSync(folder, { recursive: true })
    }
  })
})

test("a Redis that isn't there is reported once", async () => {
  const opened = open({ port: 1 })
  try {
    await until(() => opened.states.length > 0, "the store to be down")
    expect(opened.states).toEqual(["ECONNREFUSED"])
  } finally {
    opened.link.close()
  }
})

test("what clients send is hashed into keys of one length, however it is put together", () => {
  const keys = [[], ["a"], ["a", "b"], ["ab"], ["", "ab"], ["\0".repeat(300)]].map((values) => countKey("p:", "route:x", values))
  expect(new Set(keys).size).toBe(keys.length)
  for (const key of keys) expect(key).toMatch(/^p:route:x:[\w-]{22}$/)
})

test("a server that takes connections and says nothing keeps none of them", async () => {
  let open = 0
  let taken = 0
  const server = createServer((socket) => {
    open++
    taken++
    socket.on("error", () => {})
    socket.on("close", () => open--)
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const redis: RedisConfig = { address: { host: "127.0.0.1", port }, database: 0, username: null, password: null, tls: null }
  const connect = redisConnector(redis, null, "t:", {})
  await expect(
    within(
      connect(() => {}),
      "the end of an attempt",
      5000,
    ),
  ).rejects.toThrow("did not answer within")
  expect(taken).toBe(1)
  await until(() => open === 0, "the end of its connection")
  await new Promise((resolve) => server.close(resolve))
})

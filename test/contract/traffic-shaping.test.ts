// Faults on purpose, mirrors, sticky splits, matches by cookie and by share, on a running gateway.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { call, frame, statusOf } from "../support/grpc-messages.ts"
import { h2Get } from "../support/h2-client.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginRequest, type OriginScript } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient, type Response } from "../support/raw-client.ts"
import { getSecurely } from "../support/tls-client.ts"

let primary: Origin
let canary: Origin
let shadow: Origin
let gateway: Gateway
let authority: Authority

const named =
  (name: string): OriginScript =>
  (_, connection) =>
    connection.reply(200, name)

beforeAll(async () => {
  primary = await Origin.start(named("primary"))
  canary = await Origin.start(named("canary"))
  shadow = await Origin.start(named("shadow"))
  authority = new Authority()
  const { cert, key } = authority.issue({ names: ["shop.test"] })
  const nobody = await freePort()
  const split = [
    { service: "primary", weight: 1 },
    { service: "canary", weight: 1 },
  ]
  gateway = await Gateway.start({
    files: { "shop.pem": cert, "shop.key": key },
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [
        { name: "edge", address: "127.0.0.1:0" },
        { name: "secure", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [{ cert: "./shop.pem", key: "./shop.key" }] } },
      ],
      services: {
        primary: { endpoints: [primary.address] },
        canary: { endpoints: [canary.address] },
        shadow: { endpoints: [shadow.address] },
        nobody: { endpoints: [`127.0.0.1:${nobody}`] },
      },
      routes: [
        { name: "delayed", match: { path: "/delayed" }, backends: "primary", fault: { delay: "80ms" } },
        { match: { path: "/late" }, backends: "primary", fault: { delay: "5s" }, timeout: "100ms" },
        { match: { path: "/aborted" }, backends: "primary", fault: { abort: { status: 418 } } },
        { match: { path: "/refused" }, backends: "primary", fault: { abort: { grpcStatus: "UNAVAILABLE" } } },
        { name: "slow", match: { path: "/slow" }, backends: "primary", fault: { bandwidth: "16KiB" } },
        { match: { path: "/pong" }, respond: { body: "x".repeat(4096) }, fault: { bandwidth: "32KiB" } },
        { match: { path: "/reset" }, backends: "primary", fault: { reset: true } },
        { match: { path: "/never" }, backends: "primary", fault: { abort: { status: 503 }, percentage: "0%" } },
        {
          match: { path: "/asked" },
          backends: "primary",
          fault: { delay: "60ms", abort: { status: 503 }, header: "x-sluice-fault" },
        },
        {
          name: "mirrored",
          match: { path: "/mirrored" },
          backends: "primary",
          mirror: ["shadow", { service: "canary", percentage: "0%" }],
        },
        { name: "dead", match: { path: "/dead" }, backends: "primary", mirror: "nobody" },
        { name: "unserved", match: { path: "/unserved" }, backends: "nobody", mirror: "shadow" },
        { name: "brief", match: { path: "/brief" }, backends: "primary", mirror: "shadow", timeout: "200ms" },
        {
          match: { path: "/both" },
          backends: "primary",
          mirror: ["shadow", "canary"],
          headers: { request: { set: { "x-from": "edge" } } },
          rewrite: { prefix: "/new" },
        },
        { match: { path: "/sticky" }, backends: split, sticky: { cookie: "backend", ttl: "1h" } },
        { match: { path: "/retired" }, backends: [split[0], { service: "canary", weight: 0 }], sticky: { cookie: "backend" } },
        { match: { path: "/by-user" }, backends: split, sticky: { by: "header:x-user" } },
        { match: { path: "/tier", cookies: { tier: "gold" } }, backends: "canary" },
        { match: { path: "/tier", cookies: { session: { regex: "c-[0-9]+" } } }, backends: "canary" },
        { match: { path: "/tier" }, backends: "primary" },
        { match: { path: "/share", percentage: "30%" }, backends: "canary" },
        { match: { path: "/share" }, backends: "primary" },
        { match: { path: "/split" }, backends: split },
        { listeners: "secure", backends: split, sticky: { cookie: "backend" } },
      ],
    },
  })
})

beforeEach(() => {
  primary.script(named("primary"))
  canary.script(named("canary"))
  shadow.script(named("shadow"))
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all([primary, canary, shadow].map((origin) => origin.stop()))
})

const ask = (target: string, fields: Readonly<Record<string, string>> = {}): Promise<Response> => get(gateway.port("edge"), target, fields)

async function faults(route: string, kind: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum("sluice_faults_total", { route, kind })
}

async function copies(route: string, result: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum("sluice_mirror_requests_total", { route, result })
}

/** Waits until one copy more of that route has had this result. */
async function copyEnded(route: string, result: string, before: number): Promise<void> {
  let now = before
  while (now === before) now = await copies(route, result)
  expect(now).toBe(before + 1)
}

describe("a fault", () => {
  test("delays a request, which the log and metrics tell", async () => {
    const before = await faults("delayed", "delay")
    expect((await ask("/delayed?log")).text()).toBe("primary")
    const line = await gateway.accessLine(({ path }) => path === "/delayed?log", "the delayed request")
    expect([line.status, line.flag, line.flagDetails]).toEqual([200, "DI", "delayed"])
    expect((await faults("delayed", "delay")) - before).toBe(1)
  })

  test("leaves the route its time limit", async () => {
    const before = primary.requests.length
    expect((await ask("/late")).status).toBe(504)
    expect(primary.requests.length).toBe(before)
  })

  test("whose client leaves meanwhile is over", async () => {
    const client = await RawClient.connect(gateway.port("edge"))
    client.send("GET /late?gone HTTP/1.1\r\nhost: a\r\n\r\n")
    await until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_requests_active", { listener: "edge" }) > 0, "the request")
    client.reset()
    const line = await gateway.accessLine(({ path }) => path === "/late?gone", "the request that was left")
    expect(["DC", "UT"]).toContain(line.flag)
  })

  test("aborts a request with its status", async () => {
    const before = primary.requests.length
    const response = await ask("/aborted?log")
    expect([response.status, response.text(), primary.requests.length - before]).toEqual([418, "fault injected\n", 0])
    expect((await gateway.accessLine(({ path }) => path === "/aborted?log", "the abort")).flag).toBe("FI")
  })

  test("aborts a call with its gRPC status, and others with the status that stands for it", async () => {
    const answer = await exchange(gateway.port("edge"), call("/refused"), "POST")
    expect([answer.status, statusOf(answer)]).toEqual([200, "14"])
    expect((await ask("/refused")).status).toBe(503)
  })

  test("resets a connection of HTTP/1, and a stream of HTTP/2", async () => {
    const client = await RawClient.connect(gateway.port("edge"))
    client.send("GET /reset HTTP/1.1\r\nhost: a\r\n\r\n")
    expect([(await client.readToEnd()).length, client.ending]).toEqual([0, "reset"])
    await expect(h2Get(gateway.port("edge"), "/reset")).rejects.toThrow()
  })

  test("slows a response down to its bandwidth, and keeps it whole", async () => {
    const body = Buffer.alloc(6000, "abcdefgh")
    primary.script((_, connection) => connection.reply(200, body))
    const before = await faults("slow", "bandwidth")
    const response = await ask("/slow")
    expect(response.body.equals(body)).toBe(true)
    const second = await h2Get(gateway.port("edge"), "/slow")
    expect(second.body.equals(body)).toBe(true)
    expect((await faults("slow", "bandwidth")) - before).toBe(2)
  })

  test("slows a direct response down too, which arrives whole", async () => {
    expect((await ask("/pong")).text()).toBe("x".repeat(4096))
  })

  test("of no share of requests never comes", async () => {
    for (let i = 0; i < 5; i++) expect((await ask("/never")).status).toBe(200)
  })

  test("of requests with a header leaves others alone, and gives those what they ask for", async () => {
    expect((await ask("/asked")).status).toBe(200)
    expect((await ask("/asked", { "x-sluice-fault": "on" })).status).toBe(503)
    expect((await ask("/asked", { "x-sluice-fault": "abort=404" })).status).toBe(404)
    expect((await ask("/asked", { "x-sluice-fault": "delay=1h" })).status).toBe(200)
    expect((await ask("/asked", { "x-sluice-fault": "reset" })).status).toBe(200)
  })
})

describe("a mirror", () => {
  /** The next request that comes to the shadow. */
  async function copied(run: () => Promise<unknown>): Promise<OriginRequest> {
    const before = shadow.requests.length
    await run()
    await shadow.received(before + 1)
    expect(shadow.requests.length).toBe(before + 1)
    return shadow.requests[before]
  }

  test("gets a copy of a request, marked, and its answer goes nowhere", async () => {
    const before = [await copies("mirrored", "ok"), canary.requests.length]
    const copy = await copied(async () => expect((await ask("/mirrored/a?b=c", { "x-a": "1", host: "shop.test" })).text()).toBe("primary"))
    expect([copy.method, copy.target, copy.header("host"), copy.header("x-a"), copy.header("x-sluice-mirrored")]).toEqual([
      "GET",
      "/mirrored/a?b=c",
      "shop.test",
      "1",
      "true",
    ])
    expect(primary.requests.at(-1)?.header("x-sluice-mirrored")).toBeNull()
    expect(copy.header("x-request-id")).toBe(primary.requests.at(-1)?.header("x-request-id"))
    await copyEnded("mirrored", "ok", before[0])
    expect(canary.requests.length).toBe(before[1])
  })

  test.each([
    ["of a known length", "content-length: 5\r\n\r\nhello"],
    ["in chunks", "transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"],
  ])("gets a body %s", async (_, rest) => {
    primary.script((request, connection) => connection.reply(200, request.body))
    const copy = await copied(async () => {
      const response = await exchange(gateway.port("edge"), `POST /mirrored HTTP/1.1\r\nhost: a\r\n${rest}`, "POST")
      expect(response.text()).toBe("hello")
    })
    expect([copy.body.toString(), copy.header("content-length")]).toEqual(["hello", "5"])
  })

  test("gets a call with its trailers' room", async () => {
    const copy = await copied(() => exchange(gateway.port("edge"), call("/mirrored"), "POST"))
    expect([copy.body.equals(frame("ask")), copy.header("content-type")]).toEqual([true, "application/grpc"])
  })

  test("sees what goes upstream: edits and rewrites; several get one each", async () => {
    const before = canary.requests.length
    const copy = await copied(() => ask("/both/x"))
    await canary.received(before + 1)
    for (const { target, header } of [copy, canary.requests[before]]) expect([target, header("x-from")]).toEqual(["/new/x", "edge"])
  })

  test("gets no body over 64 KiB, and none that isn't complete", async () => {
    const [large, incomplete, requests] = [
      await copies("mirrored", "tooLarge"),
      await copies("mirrored", "incomplete"),
      shadow.requests.length,
    ]
    const body = "x".repeat(70_000)
    const response = await exchange(
      gateway.port("edge"),
      `POST /mirrored HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      "POST",
    )
    expect(response.text()).toBe("primary")
    await copyEnded("mirrored", "tooLarge", large)
    const client = await RawClient.connect(gateway.port("edge"))
    client.send("POST /mirrored HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhello")
    await until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_requests_active", { listener: "edge" }) > 0, "the request")
    client.reset()
    await copyEnded("mirrored", "incomplete", incomplete)
    expect(shadow.requests.length).toBe(requests)
  })

  test("gets no copy of a copy", async () => {
    const before = shadow.requests.length
    expect((await ask("/mirrored", { "x-sluice-mirrored": "true" })).text()).toBe("primary")
    await copied(() => ask("/mirrored?after"))
    expect(shadow.requests[before].target).toBe("/mirrored?after")
  })

  test("gets no copy of what reaches no service", async () => {
    const before = shadow.requests.length
    expect((await ask("/unserved")).status).toBe(503)
    await copied(() => ask("/mirrored?after-unserved"))
    expect(shadow.requests[before].target).toBe("/mirrored?after-unserved")
  })

  test("that nobody serves is no concern of the caller's", async () => {
    const before = await copies("dead", "failed")
    expect((await ask("/dead")).text()).toBe("primary")
    await copyEnded("dead", "failed", before)
  })

  test("that hangs, or fails, is no concern of the caller's", async () => {
    const [late, error] = [await copies("brief", "timeout"), await copies("mirrored", "error")]
    shadow.script(() => {})
    expect((await ask("/brief")).text()).toBe("primary")
    await copyEnded("brief", "timeout", late)
    shadow.script((_, connection) => connection.reply(500, "no"))
    expect((await ask("/mirrored")).text()).toBe("primary")
    await copyEnded("mirrored", "error", error)
  })
})

describe("a sticky split", () => {
  test("gives a client a cookie once, and the same backend from then on", async () => {
    const seen = new Set<string>()
    for (let i = 0; i < 6; i++) {
      const first = await ask("/sticky")
      const cookie = first.header("set-cookie") as string
      expect(cookie).toMatch(/^backend=[0-9a-f]{16}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/)
      const again = await ask("/sticky", { cookie: `a=b; ${cookie.split(";")[0]}` })
      expect([again.text(), again.header("set-cookie")]).toEqual([first.text(), null])
      seen.add(first.text())
    }
    expect(seen).toEqual(new Set(["primary", "canary"]))
  })

  test("marks its cookie Secure over TLS", async () => {
    const response = await getSecurely(gateway.port("secure"), "shop.test", { ca: authority.cert })
    expect(response.header("set-cookie")).toMatch(/; Secure$/)
  })

  test("draws anew for a cookie that is made up, or of a backend without a weight", async () => {
    let cookie = ""
    for (let text = ""; text !== "canary"; ) {
      const response = await ask("/sticky")
      text = response.text()
      cookie = (response.header("set-cookie") as string).split(";")[0]
    }
    for (const value of [cookie, "backend=canary"]) {
      const response = await ask("/retired", { cookie: value })
      expect([response.text(), response.header("set-cookie")?.startsWith("backend=")]).toEqual(["primary", true])
    }
  })

  test("goes by a header, without a cookie", async () => {
    const seen = new Set<string>()
    for (let i = 0; i < 12; i++) {
      const first = await ask("/by-user", { "x-user": `user-${i}` })
      expect(first.header("set-cookie")).toBeNull()
      expect((await ask("/by-user", { "x-user": `user-${i}` })).text()).toBe(first.text())
      seen.add(first.text())
    }
    expect(seen).toEqual(new Set(["primary", "canary"]))
  })
})

describe("a match", () => {
  test("by cookie takes those that have it, in HTTP/1 and in several fields of HTTP/2", async () => {
    expect((await ask("/tier")).text()).toBe("primary")
    expect((await ask("/tier", { cookie: "a=1; tier=gold" })).text()).toBe("canary")
    expect((await ask("/tier", { cookie: "tier=silver" })).text()).toBe("primary")
    expect((await ask("/tier", { cookie: "session=c-17" })).text()).toBe("canary")
    const split = await h2Get(gateway.port("edge"), "/tier", [
      ["cookie", "a=1"],
      ["cookie", "tier=gold"],
    ])
    expect(split.body.toString()).toBe("canary")
  })

  test("by percentage takes its share, and leaves the rest to the next", async () => {
    const client = await RawClient.connect(gateway.port("edge"))
    let taken = 0
    for (let i = 0; i < 200; i++) {
      client.send("GET /share HTTP/1.1\r\nhost: a\r\n\r\n")
      if ((await client.readResponse()).text() === "canary") taken++
    }
    client.destroy()
    // 60 are expected, with a standard deviation of 6.5.
    expect(taken).toBeGreaterThan(20)
    expect(taken).toBeLessThan(100)
  })
})

test("a split gives each backend its share of every hundred requests", async () => {
  const client = await RawClient.connect(gateway.port("edge"))
  let taken = 0
  for (let i = 0; i < 100; i++) {
    client.send("GET /split HTTP/1.1\r\nhost: a\r\n\r\n")
    if ((await client.readResponse()).text() === "canary") taken++
  }
  client.destroy()
  expect(Math.abs(taken - 50)).toBeLessThanOrEqual(2)
})

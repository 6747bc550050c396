// Steering a running gateway: endpoints are taken out of traffic and given back, and weights of routes are set, while requests run,
// configurations are read again and workers die.

import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { EndpointStatus, ServiceStatus } from "../../gateway/admin/service-status.ts"
import type { RouteWeightsStatus } from "../../gateway/steering/route-weights.ts"
import { runCommand } from "../support/cli.ts"
import { defaultLimit, until } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

const NAMES = ["a", "b", "c"] as const
const POLICIES = ["roundRobin", "random", "leastRequest", "peakEwma", "ringHash", "maglev"] as const

let origins: Origin[]
let gateway: Gateway
/** Requests for /hold, which wait until the test lets them go. */
const held: OriginConnection[] = []

function config(timeout = "10s", split: readonly object[] = [{ service: "first", weight: 3 }, { service: "second" }]): object {
  const endpoints = origins.map(({ address }, i) => ({ address, labels: { v: NAMES[i] } }))
  const hashed = { by: "header:x-key" }
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    listeners: [{ address: "127.0.0.1:0" }],
    services: {
      pool: { endpoints, healthCheck: { tcp: true, interval: "1h" } },
      first: { endpoints: [origins[0].address] },
      second: { endpoints: [origins[1].address], failover: "first" },
      labelled: { endpoints },
      ...Object.fromEntries(
        POLICIES.map((policy) => [policy, { endpoints, loadBalancing: policy.match(/Hash|maglev/) ? { policy, ...hashed } : { policy } }]),
      ),
    },
    routes: [
      { name: "pool", match: { path: "/pool" }, backends: "pool", timeout },
      { name: "split", match: { path: "/split" }, backends: split },
      { name: "second", match: { path: "/second" }, backends: "second" },
      { name: "labelled", match: { path: "/labelled" }, backends: { service: "labelled", subset: { v: "b" } } },
      ...POLICIES.map((policy) => ({ name: policy, match: { path: `/${policy}` }, backends: policy })),
    ],
  }
}

async function order(path: string, method = "POST", body = ""): Promise<{ status: number; said: string }> {
  const response = await exchange(
    gateway.adminPort,
    `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nx-sluice-admin: 1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
  const { done, error } = JSON.parse(response.text()) as { done?: string; error?: string }
  return { status: response.status, said: done ?? error ?? "" }
}

const steer = (service: string, address: string, what: string): ReturnType<typeof order> =>
  order(`/services/${service}/endpoints/${address}/${what}`)

async function service(name: string): Promise<ServiceStatus> {
  const { services } = JSON.parse((await get(gateway.adminPort, "/services")).text()) as { services: ServiceStatus[] }
  return services.find((each) => each.name === name) as ServiceStatus
}

async function endpoint(name: string, address: string): Promise<EndpointStatus> {
  return (await service(name)).endpoints.find((each) => each.address === address) as EndpointStatus
}

async function reasons(): Promise<string[]> {
  return (JSON.parse((await get(gateway.adminPort, "/ready")).text()) as { reasons: string[] }).reasons
}

/** Who answers `count` requests that go over a few connections, by status and name. */
async function ask(path: string, count: number): Promise<Record<string, number>> {
  const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.connect(gateway.port())))
  const answers: Record<string, number> = {}
  let asked = 0
  const goOn = async (client: RawClient): Promise<void> => {
    while (asked < count) {
      client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\nx-key: ${asked++}\r\n\r\n`)
      const response = await client.readResponse()
      const answer = `${response.status} ${response.text()}`
      answers[answer] = (answers[answer] ?? 0) + 1
    }
  }
  await Promise.all(clients.map(goOn))
  for (const client of clients) client.destroy()
  return answers
}

beforeAll(async () => {
  origins = await Promise.all(
    NAMES.map((name) =>
      Origin.start((request, connection) => {
        if (request.target === "/pool/hold") held.push(connection)
        else connection.reply(200, name)
      }),
    ),
  )
  const { command, args } = runtimeCommand(fileURLToPath(new URL("../support/killable-main.ts", import.meta.url)))
  gateway = await Gateway.start({ command: [command, ...args], config: config() })
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all(origins.map((origin) => origin.stop()))
})

describe("a drained endpoint", () => {
  test("gets no new request from any worker while a thousand run, none of which fails; what it has goes on", async () => {
    const [, , c] = origins
    const waiting = get(gateway.port(), "/pool/hold")
    await until(() => held.length > 0, "a request that is under way")
    const drained = origins[Number(held[0].socket.localPort === c.port ? 2 : held[0].socket.localPort === origins[1].port ? 1 : 0)]
    const running = ask("/pool", 1000)
    await until(() => drained.requests.length > 20, "requests that run")
    expect(await steer("pool", drained.address, "drain")).toMatchObject({ status: 200 })
    // Those that workers had begun by then, but for the one that is held.
    await until(async () => (await endpoint("pool", drained.address)).active?.requests === 1, "the end of what was under way")
    const before = drained.requests.length
    const answers = await running
    const more = await ask("/pool", 200)
    expect(drained.requests.length).toBe(before)
    expect(Object.keys({ ...answers, ...more }).sort()).toEqual(["200 a", "200 b", "200 c"])
    expect(Object.values(answers).reduce((sum, count) => sum + count)).toBe(1000)
    expect(Object.keys(more)).toHaveLength(2)

    const told = await service("pool")
    expect([told.taking, told.usable, told.drained]).toEqual([2, 2, 1])
    expect(told.latency?.p50).toBeGreaterThan(0)
    const status = await endpoint("pool", drained.address)
    // Health checks go on, and the configuration says what it said.
    expect(status).toMatchObject({ weight: 1, healthy: true, active: { requests: 1 }, failures: 0, requests: before })
    expect(Date.parse(status.drained ?? "")).toBeLessThanOrEqual(Date.now())
    expect(await reasons()).toContain(`endpoint ${drained.address} of service pool is drained`)
    expect((await readMetrics(gateway.adminPort)).sum("sluice_endpoints_drained", { service: "pool" })).toBe(1)

    held.shift()?.reply(200, "released")
    expect((await waiting).text()).toBe("released")
    expect(await steer("pool", drained.address, "undrain")).toMatchObject({ status: 200 })
    await until(async () => Object.keys(await ask("/pool", 20)).length === 3, "requests to all three")
    expect((await endpoint("pool", drained.address)).drained).toBeNull()
  })

  test("stays drained when the configuration is read again, and in a worker that replaces another", async () => {
    const [a, b, c] = origins
    expect(await steer("pool", c.address, "drain")).toMatchObject({ status: 200 })
    const from = gateway.log.length
    gateway.writeConfig(config("11s"))
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the new configuration", defaultLimit, from)
    const before = c.requests.length
    expect(Object.keys(await ask("/pool", 30)).sort()).toEqual(["200 a", "200 b"])
    const replaced = gateway.log.length
    gateway.signal("SIGUSR2")
    await gateway.waitForLog(({ message }) => message === "worker replaced", "the replacement", defaultLimit, replaced)
    // What the dead worker had under way is forgotten.
    for (const { address } of [a, b, c]) expect((await endpoint("pool", address)).active?.requests).toBe(0)
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(gateway.port(), "/pool")))
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    expect(c.requests.length).toBe(before)
    expect(await steer("pool", c.address, "undrain")).toMatchObject({ status: 200 })
  })

  test.each(POLICIES)("is left out by %s", async (policy) => {
    const [, b] = origins
    expect(await steer(policy, b.address, "drain")).toMatchObject({ status: 200 })
    expect(Object.keys(await ask(`/${policy}`, 24)).sort()).toEqual(["200 a", "200 c"])
    expect(await steer(policy, b.address, "undrain")).toMatchObject({ status: 200 })
    expect(Object.keys(await ask(`/${policy}`, 24))).toContain("200 b")
  })

  test("is refused where nobody else is left, in a service or a subset of it; by force its requests fail, or fail over", async () => {
    const [a, b] = origins
    expect(await steer("first", a.address, "drain")).toMatchObject({
      status: 409,
      said: expect.stringContaining("the last that is usable"),
    })
    expect(await steer("labelled", b.address, "drain")).toMatchObject({ status: 409, said: expect.stringContaining("{ v: b }") })
    expect(await ask("/labelled", 3)).toEqual({ "200 b": 3 })
    expect(await steer("labelled", b.address, "drain?force=true")).toMatchObject({ status: 200 })
    expect((await get(gateway.port(), "/labelled")).status).toBe(503)
    expect(await steer("labelled", b.address, "undrain")).toMatchObject({ status: 200 })
    expect(await ask("/labelled", 3)).toEqual({ "200 b": 3 })
    expect(await ask("/second", 3)).toEqual({ "200 b": 3 })
    expect(await steer("second", b.address, "drain?force=true")).toMatchObject({ status: 200 })
    expect(await ask("/second", 3)).toEqual({ "200 a": 3 })
    expect(await steer("second", b.address, "undrain")).toMatchObject({ status: 200 })
    expect(await ask("/second", 3)).toEqual({ "200 b": 3 })
  })
})

describe("weights of a route", () => {
  const weights = async (): Promise<RouteWeightsStatus> =>
    JSON.parse((await get(gateway.adminPort, "/routes/split/weights")).text()) as RouteWeightsStatus
  const set = (wanted: unknown): ReturnType<typeof order> => order("/routes/split/weights", "PUT", JSON.stringify({ weights: wanted }))

  test("are in force at once, outlive another configuration, and are forgotten when it says something else of them", async () => {
    // Each worker splits evenly for itself.
    const { "200 a": first } = await ask("/split", 40)
    expect(first).toBeGreaterThan(24)
    expect(first).toBeLessThan(36)
    expect(await set({ first: 0, second: 5 })).toMatchObject({ status: 200, said: expect.stringContaining("first 0, second 5") })
    expect(await ask("/split", 20)).toEqual({ "200 b": 20 })
    expect(await weights()).toMatchObject({
      setBy: "order",
      backends: [
        { weight: 0, configured: 3 },
        { weight: 5, share: 1 },
      ],
    })
    expect(await reasons()).toContain("the weights of route split are set by order, and not those of the configuration")
    const from = gateway.log.length
    gateway.writeConfig(config("12s"))
    await gateway.waitForLog(({ message }) => message === "configuration taken", "another configuration", defaultLimit, from)
    expect(await ask("/split", 20)).toEqual({ "200 b": 20 })
    gateway.writeConfig(config("12s", [{ service: "first" }, { service: "second", weight: 0 }]))
    await gateway.waitForLog(
      ({ message }) => message.startsWith("weights set by order are forgotten"),
      "the file to win",
      defaultLimit,
      from,
    )
    await until(async () => (await weights()).setBy === "config", "weights of the file")
    expect(await ask("/split", 20)).toEqual({ "200 a": 20 })
  })

  test("are refused when they make no sense", async () => {
    expect(await set({ nobody: 1 })).toMatchObject({ status: 422, said: expect.stringContaining("has no backend nobody") })
    expect(await set({ first: 0, second: 0 })).toMatchObject({ status: 422, said: expect.stringContaining("every weight would be 0") })
    expect(await set({ first: -1 })).toMatchObject({ status: 422 })
    expect((await get(gateway.adminPort, "/routes/nowhere/weights")).status).toBe(404)
  })

  test("and drains are in the history, with who gave the order", async () => {
    const { history } = JSON.parse((await get(gateway.adminPort, "/history")).text()) as { history: { kind: string; what: string }[] }
    expect(history).toContainEqual(expect.objectContaining({ kind: "weights", what: "split: first 0, second 5", refused: null }))
    expect(history).toContainEqual(expect.objectContaining({ kind: "endpoint drain", what: `${origins[1].address} of second, by force` }))
  })
})

test("the command line lists, drains and weighs", async () => {
  const [a] = origins
  const cli = (...args: string[]): ReturnType<typeof runCommand> => runCommand([...args, "--admin", `127.0.0.1:${gateway.adminPort}`])
  const [refused, listed, set] = await Promise.all([
    cli("drain", "first", a.address),
    cli("services", "roundRobin"),
    cli("weights", "split", "first=2", "second=2"),
  ])
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("the last that is usable")])
  expect([listed.code, listed.stdout.split("\n")[1].split(/ +/).slice(0, 3)]).toEqual([0, [a.address, "1", "used"]])
  expect([set.code, set.stdout]).toEqual([0, expect.stringContaining("first 2, second 2")])
})

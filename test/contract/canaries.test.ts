// Progressive canaries of a running gateway: those that do well take over, those that fail are rolled back, and an operator steers.

import { afterAll, beforeAll, expect, test } from "vitest"
import type { CanaryStatus } from "../../gateway/canary/canary-changes.ts"
import { runCommand } from "../support/cli.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"

let stable: Origin
let next: Origin
let gateway: Gateway

const canary = (overrides: object = {}): object => ({ steps: ["50%", "100%"], interval: "1s", abortOn: { minimum: 10 }, ...overrides })

function config(more: readonly object[] = []): object {
  const route = (name: string, plan: object): object => ({ name, match: { path: `/${name}` }, backends: ["stable", "next"], canary: plan })
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    listeners: [{ address: "127.0.0.1:0" }],
    services: { stable: { endpoints: [stable.address] }, next: { endpoints: [next.address] } },
    routes: [
      route("good", canary()),
      route("bad", canary()),
      route("steered/by-hand", canary({ steps: ["20%", "40%"], interval: "1h" })),
      ...more,
    ],
  }
}

const status = async (route: string): Promise<CanaryStatus> => {
  const { canaries } = JSON.parse((await get(gateway.adminPort, "/canaries")).text()) as { canaries: CanaryStatus[] }
  return canaries.find((each) => each.route === route) as CanaryStatus
}

/** Who answers `count` requests, by their words; asked over one connection. */
async function ask(path: string, count: number): Promise<Record<string, number>> {
  const client = await RawClient.connect(gateway.port())
  const answers: Record<string, number> = {}
  for (let i = 0; i < count; i++) {
    client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
    const response = await client.readResponse()
    const answer = `${response.status} ${response.text()}`
    answers[answer] = (answers[answer] ?? 0) + 1
  }
  client.destroy()
  return answers
}

async function order(
  route: string,
  what: string,
  headers = "x-sluice-admin: 1\r\n",
): Promise<{ status: number; body: Record<string, string> }> {
  const response = await exchange(
    gateway.adminPort,
    `POST /canaries/${route}/${what} HTTP/1.1\r\nhost: localhost\r\n${headers}content-length: 0\r\nconnection: close\r\n\r\n`,
  )
  return { status: response.status, body: JSON.parse(response.text()) }
}

beforeAll(async () => {
  stable = await Origin.start((_, connection) => connection.reply(200, "stable"))
  next = await Origin.start((request, connection) => connection.reply(request.target.startsWith("/bad") ? 500 : 200, "next"))
  gateway = await Gateway.start({ config: config() })
})

afterAll(async () => {
  await gateway.kill()
  await stable.stop()
  await next.stop()
})

test("a canary that does well takes over step by step without a failed request; one that fails is rolled back", async () => {
  const rollbacks = async (): Promise<number> =>
    (await readMetrics(gateway.adminPort)).sum("sluice_canary_rollbacks_total", { route: "bad" })
  for (const route of ["good", "bad"]) expect((await order(route, "restart")).status).toBe(200)
  const before = await rollbacks()
  const good = (async () => {
    const all: Record<string, number> = {}
    for (let state = ""; state !== "promoted"; state = (await status("good")).state) {
      for (const [answer, count] of Object.entries(await ask("/good", 50))) all[answer] = (all[answer] ?? 0) + count
    }
    return all
  })()
  const bad = until(async () => {
    await ask("/bad", 20)
    return (await status("bad")).state === "rolledBack"
  }, "the rollback")
  expect(Object.keys(await good).sort()).toEqual(["200 next", "200 stable"])
  await bad
  expect(await ask("/good", 50)).toEqual({ "200 next": 50 })
  expect(await ask("/bad", 50)).toEqual({ "200 stable": 50 })

  expect(await status("good")).toMatchObject({ service: "next", step: 2, share: 1, reason: "" })
  const rolledBack = await status("bad")
  expect(rolledBack).toMatchObject({ step: 0, share: 0, figures: { canary: { errorRate: 1 }, stable: { errorRate: 0 } } })
  expect(rolledBack.reason).toMatch(
    /^100% of \d+ requests of the last \d+ s failed, and 0% of the other backends'; 5% are allowed$|^100% of \d+ requests of the last \d+ s failed; 5% are allowed$/,
  )
  const line = gateway.log.find(({ message }) => message.startsWith("canary rolled back"))
  expect(line).toMatchObject({ level: "error", route: "bad", service: "next", reason: rolledBack.reason })
  const ready = JSON.parse((await get(gateway.adminPort, "/ready")).text())
  expect(ready).toMatchObject({ ready: true, reasons: ["the canary next of route bad is rolled back"] })
  const metrics = await readMetrics(gateway.adminPort)
  expect(metrics.sum("sluice_canary_share", { route: "good" })).toBe(1)
  expect(metrics.sum("sluice_canary_share", { route: "bad" })).toBe(0)
  expect(await rollbacks()).toBe(before + 1)
})

test("a canary keeps its place over a configuration that leaves it as it is", async () => {
  const from = gateway.log.length
  gateway.writeConfig(config([{ name: "more", match: { path: "/more" }, backends: "stable" }]))
  await gateway.waitForLog(({ message }) => message === "configuration taken", "the configuration", undefined, from)
  expect(await ask("/bad", 20)).toEqual({ "200 stable": 20 })
  expect(await ask("/good", 20)).toEqual({ "200 next": 20 })
  expect((await status("bad")).state).toBe("rolledBack")
})

test("an operator steers it, by the admin API and by the command line", async () => {
  const route = "steered/by-hand"
  expect((await order(route, "restart")).status).toBe(200)
  expect(await order(route, "pause")).toEqual({ status: 200, body: { done: `the canary next of route ${route} is paused at 20%` } })
  expect((await order(route, "pause")).status).toBe(409)
  const admin = ["--admin", `127.0.0.1:${gateway.adminPort}`]
  const [listed, promoted] = [await runCommand(["canary", "ls", ...admin]), await runCommand(["canary", "promote", route, ...admin])]
  expect(listed.stdout).toMatch(/^ROUTE +SERVICE +STATE +STEP +SHARE/)
  expect(listed.stdout).toMatch(/^steered\/by-hand +next +paused +1\/2 +20%/m)
  expect(listed.stdout).toMatch(/^bad: rolled back until it changes or is restarted \(sluice canary restart bad\): 100% of/m)
  expect(promoted).toMatchObject({ code: 0, stdout: `the canary next of route ${route} is promoted at 40%\n` })
  expect((await order(route, "abort")).status).toBe(200)
  expect(await ask(`/${route}`, 20)).toEqual({ "200 stable": 20 })
  expect((await order(route, "resume")).body.error).toMatch(/is rolled back; only one that is paused can go on/)
  expect((await order("nobody", "pause")).status).toBe(404)
})

test("no web page steers it", async () => {
  expect((await order("good", "abort", "")).status).toBe(403)
  expect((await order("good", "abort", "x-sluice-admin: 1\r\norigin: http://evil.example\r\n")).status).toBe(403)
  expect((await get(gateway.adminPort, "/canaries/good/abort")).status).toBe(405)
  expect((await status("good")).state).toBe("promoted")
})

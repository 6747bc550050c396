// Filters of a running gateway that an operator goes back with, takes out of use, listens to and measures. Guests are written
// without the SDK.

import { afterAll, beforeAll, expect, test } from "vitest"
import type { FilterStatus } from "../../gateway/admin/status.ts"
import type { FilterLogLine } from "../../gateway/wasm/filter-logs.ts"
import type { FilterProfileResult } from "../../gateway/wasm/filter-profiles.ts"
import { until } from "../support/deadline.ts"
import { askDescribed, describedEndpoints, mountedEndpoints, trimmed } from "../support/described-api.ts"
import { Gateway } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

/** Sets `x-stamp` on the response to `value`, and logs a warning at the request. */
function stamp(value: string): Uint8Array {
  const script = new Script()
  const code = `
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_log (i32.const 3) ${script.text(`saw a request: ${value}`)}))
      (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text("x-stamp")} ${script.text(value)}))
      (i32.const 0))`
  return guest({ imports: ["proxy_log", "proxy_replace_header_map_value"], data: script.data, code })
}

const trap = guest({ code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (unreachable))` })

let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start((_request, connection) => connection.reply(200, "origin"))
  const route = (name: string): object => ({ name, match: { path: `/${name}` }, filters: [name], backends: "origin" })
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] } },
      filters: {
        back: { module: "./one.wasm" },
        deny: { module: "./one.wasm" },
        skip: { module: "./one.wasm", onError: "skip" },
        split: { versions: [{ module: "./one.wasm" }, { module: "./two.wasm", name: "next" }] },
        trapping: { module: "./trap.wasm" },
        measured: { module: "./one.wasm" },
      },
      routes: ["back", "deny", "skip", "split", "trapping", "measured"].map(route),
    },
    files: { "one.wasm": stamp("one"), "two.wasm": stamp("two"), "trap.wasm": trap },
    startLimit: 60_000,
  })
}, 60_000)

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

async function order(method: string, path: string, body: Uint8Array = new Uint8Array()): Promise<{ status: number; said: string }> {
  const answer = await fetch(`http://127.0.0.1:${gateway.adminPort}${path}`, {
    method,
    headers: { "x-sluice-admin": "1" },
    ...(body.length === 0 ? {} : { body: body as BodyInit }),
  })
  const { done, error } = (await answer.json()) as { done?: string; error?: string }
  return { status: answer.status, said: done ?? error ?? "" }
}

async function filter(name: string): Promise<FilterStatus> {
  const { filters } = JSON.parse((await get(gateway.adminPort, "/filters")).text()) as { filters: FilterStatus[] }
  return filters.find((each) => each.name === name) as FilterStatus
}

const stampOf = async (path: string): Promise<string | null> => (await get(gateway.port(), path)).header("x-stamp")

test("goes back to the module before, one after the other, and as far as the file's", async () => {
  // As it was, should this be run a second time.
  await order("DELETE", "/filters/back/module")
  for (const value of ["a", "b"]) expect((await order("PUT", "/filters/back/module", stamp(value))).status).toBe(200)
  expect(await stampOf("/back")).toBe("b")
  expect(await order("POST", "/filters/back/rollback")).toMatchObject({ status: 200, said: expect.stringContaining("the module before") })
  expect([await stampOf("/back"), (await filter("back")).versions[0]]).toMatchObject(["a", { restored: true, pushed: false }])
  expect(await order("POST", "/filters/back/rollback")).toMatchObject({
    status: 200,
    said: expect.stringContaining("of the configuration"),
  })
  expect([await stampOf("/back"), (await filter("back")).versions[0].restored]).toEqual(["one", false])
  expect((await order("POST", "/filters/split/rollback")).status).toBe(409)
  expect(await order("POST", "/filters/deny/rollback")).toMatchObject({ status: 409, said: expect.stringContaining("no other module") })
  expect((await order("POST", "/filters/nobody/rollback")).status).toBe(404)
})

test("is taken out of use by order, as its onError says, and released", async () => {
  for (const name of ["deny", "skip"]) {
    await order("POST", `/filters/${name}/release`)
    expect(await order("POST", `/filters/${name}/quarantine`)).toMatchObject({ status: 200 })
    expect(await order("POST", `/filters/${name}/quarantine`)).toMatchObject({ status: 409 })
  }
  expect((await get(gateway.port(), "/deny")).status).toBe(500)
  const passed = await get(gateway.port(), "/skip")
  expect([passed.status, passed.header("x-stamp")]).toEqual([200, null])
  expect(await filter("deny")).toMatchObject({ held: { message: "by order" } })
  await until(async () => (await filter("deny")).state === "quarantined", "what workers tell of it")
  const { reasons } = JSON.parse((await get(gateway.adminPort, "/ready")).text()) as { reasons: string[] }
  expect(reasons).toContain("filter deny is in quarantine by order")
  for (const name of ["deny", "skip"]) {
    expect(await order("POST", `/filters/${name}/release`)).toMatchObject({ status: 200 })
    expect(await stampOf(`/${name}`)).toBe("one")
  }
})

test("a version that is taken out of use leaves its exchanges to the others, the last one can't be", async () => {
  await order("POST", "/filters/split/release")
  expect(await order("POST", "/filters/split/quarantine?version=next")).toMatchObject({ status: 200 })
  for (let i = 0; i < 8; i++) expect(await stampOf("/split")).toBe("one")
  expect(await order("POST", "/filters/split/quarantine?version=stable")).toMatchObject({
    status: 409,
    said: expect.stringContaining("the last"),
  })
  expect((await order("POST", "/filters/split/release")).status).toBe(200)
})

test("what it logs, and its traps, can be read and followed", async () => {
  const logs = async (name: string, query = ""): Promise<FilterLogLine[]> =>
    (JSON.parse((await get(gateway.adminPort, `/filters/${name}/logs${query}`)).text()) as { logs: FilterLogLine[] }).logs
  expect((await get(gateway.port(), "/trapping")).status).toBe(500)
  await until(async () => (await logs("trapping", "?level=error")).some(({ message }) => message.includes("failed")), "the trap")
  expect((await get(gateway.adminPort, "/filters/nobody/logs")).status).toBe(404)
  expect((await get(gateway.adminPort, "/filters/back/logs?level=loud")).status).toBe(400)

  const ended = new AbortController()
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/filters/measured/logs?follow=true&level=warn`, {
    signal: ended.signal,
  })
  expect(response.headers.get("content-type")).toBe("application/x-ndjson")
  const reader = (response.body as ReadableStream<Uint8Array>).getReader()
  const decoder = new TextDecoder()
  let text = decoder.decode((await reader.read()).value)
  await get(gateway.port(), "/measured")
  while (!text.includes("saw a request: one")) text += decoder.decode((await reader.read()).value)
  for (const line of text.trimEnd().split("\n")) expect(JSON.parse(line)).toEqual(expect.any(Object))
  ended.abort()
})

test("is measured: every callback, in all workers, and the slowest exchanges without their queries", async () => {
  const ask = (): Promise<Response> =>
    fetch(`http://127.0.0.1:${gateway.adminPort}/filters/measured/profile?seconds=1`, {
      method: "POST",
      headers: { "x-sluice-admin": "1" },
    })
  // Of two one is refused at once, whichever comes second; then the other has begun.
  const both = [ask(), ask()]
  const [refused, asked] = await Promise.race([
    both[0].then((answer) => [answer, both[1]] as const),
    both[1].then((answer) => [answer, both[0]] as const),
  ])
  expect(refused.status).toBe(409)
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(gateway.port(), "/measured/path?secret=1")))
  expect(answers.every(({ status }) => status === 200)).toBe(true)
  const answer = await asked
  const found = (await answer.json()) as FilterProfileResult
  expect([answer.status, found.workers]).toEqual([200, { asked: 2, answered: 2 }])
  const [{ callbacks, slowest }] = found.versions
  const calls = Object.fromEntries(callbacks.map((each) => [each.callback, each.calls]))
  expect(calls).toMatchObject({ proxy_on_request_headers: 20, proxy_on_response_headers: 20 })
  for (const { total, mean, p50, p99, max } of callbacks) {
    expect(total).toBeGreaterThanOrEqual(max)
    expect(max).toBeGreaterThanOrEqual(p99)
    expect(p99).toBeGreaterThanOrEqual(p50)
    expect(mean).toBeGreaterThan(0)
  }
  expect(callbacks.find(({ callback }) => callback === "proxy_on_request_headers")?.units).toBeGreaterThan(0)
  expect(slowest).toHaveLength(10)
  expect(slowest[0]).toMatchObject({ method: "GET", path: "/measured/path", route: "measured", requestId: expect.stringMatching(/./) })
  expect((await order("POST", "/filters/measured/profile?seconds=61")).status).toBe(400)
  expect((await order("POST", "/filters/nobody/profile?seconds=1")).status).toBe(404)
})

// At the end, when there are traps, quarantines and logs to be told of.
test("every path of the admin API answers as it is described, and no other is there", async () => {
  const [service] = JSON.parse((await get(gateway.adminPort, "/services")).text()).services
  const asked = await askDescribed(gateway.adminPort, { name: "trapping", route: "back", generation: "1", service: service.name })
  expect(asked.filter(({ wrong }) => wrong !== null)).toEqual([])
  // What is read has something to say.
  expect(asked.filter(({ what, status }) => what.startsWith("GET") && status !== 200)).toEqual([])
  const described = describedEndpoints().map(({ method, path }) => `${method.toUpperCase()} ${trimmed(path)}`)
  // The door answers for some that the app only describes.
  const door = ["GET /live", "GET /ready", "GET /metrics", "GET /dashboard"]
  const own = ["GET /", "GET /openapi.json"]
  const plain = (path: string): string => path.replace(/\{(\w+)\}/g, ":$1")
  expect([...mountedEndpoints(), ...door].sort()).toEqual([...described.map(plain), ...own].sort())
})

// A filter written with the SDK, from its source to the wire: bodies, callouts, the choice of a service, timers and metrics.

import { afterAll, beforeAll, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get } from "../support/raw-client.ts"

const FILTER = `import { Answer, Body, Call, Config, Counter, every, Headers, hex, Reply, Request, Response, sha256 } from "sluice/sdk"

const seen = new Counter("sdk_test_seen")
let keys = "none"

export function configure(config: Config): void {
  every(config.duration("refresh"))
}

export function onTick(): void {
  new Call("check", "GET", "/keys").fire(loaded)
}

function loaded(answer: Answer): void {
  if (answer.ok) keys = answer.text()
}

export function onRequest(request: Request): Reply | null {
  seen.increment()
  request.headers.set("x-keys", keys)
  const call = new Call("check", "POST", "/check").header("x-path", request.path)
  if (request.hasBody) call.context = "body"
  call.send(checked)
  return null
}

function checked(request: Request, answer: Answer): Reply | null {
  if (!answer.ok) return new Reply(403, "denied by " + answer.status.toString())
  request.headers.set("x-checked", answer.text() + answer.call.context)
  return null
}

export function onRequestBody(request: Request, body: Body): Reply | null {
  const order = body.json()
  if (!order.valid) return new Reply(400, order.error)
  request.headers.set("x-digest", hex.encode(sha256(body.bytes())))
  if (order.bool("beta")) request.route.service = "canary"
  order.set("seen", true)
  body.setJson(order)
  return null
}

export function onResponseBody(response: Response, body: Body): void {
  response.headers.set("x-size", body.length.toString())
  body.append(" and more")
}
`

let origin: Origin
let canary: Origin
let check: Origin
let gateway: Gateway

beforeAll(async () => {
  const tell = (name: string) =>
    Origin.start((request, connection) => {
      const fields = Object.fromEntries(request.fields)
      connection.reply(200, JSON.stringify({ name, body: request.body.toString(), fields }))
    })
  origin = await tell("origin")
  canary = await tell("canary")
  check = await Origin.start((request, connection) => {
    if (request.target === "/keys") connection.reply(200, "fresh")
    else connection.reply(request.header("x-path") === "/no" ? 404 : 200, "yes")
  })
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] }, canary: { endpoints: [canary.address] }, check: { endpoints: [check.address] } },
      filters: { sdk: { module: "./filter.ts", config: { refresh: "50ms" }, limits: { cpu: "50ms" } } },
      routes: [{ name: "all", filters: ["sdk"], backends: "origin" }],
    },
    files: { "filter.ts": FILTER },
    startLimit: 60_000,
  })
}, 60_000)

afterAll(async () => {
  await gateway.kill()
  for (const each of [origin, canary, check]) await each.stop()
})

interface Told {
  readonly name: string
  readonly body: string
  readonly fields: Readonly<Record<string, string>>
}

async function post(body: string): Promise<{ status: number; size: string | null; text: string; told: Told | null }> {
  const head = `POST /orders HTTP/1.1\r\nhost: a\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n`
  const response = await exchange(gateway.port(), head + body, "POST")
  const text = response.text()
  const told = text.startsWith('{"name"') ? JSON.parse(text.replace(/ and more$/, "")) : null
  return { status: response.status, size: response.header("x-size"), text, told }
}

test("a request with a body waits for its callout, then for its body, and goes on edited", async () => {
  const { status, size, text, told } = await post('{"id":1}')
  expect(status).toBe(200)
  expect(told).toMatchObject({ name: "origin", body: '{"id":1,"seen":true}', fields: { "x-checked": "yesbody", "content-length": "20" } })
  expect(told?.fields["x-digest"]).toMatch(/^[0-9a-f]{64}$/)
  expect(text.endsWith(" and more")).toBe(true)
  expect(Number(size)).toBe(Buffer.byteLength(text) - " and more".length)
})

test("the service is chosen by the body", async () => {
  expect((await post('{"beta":true}')).told?.name).toBe("canary")
})

test("a reply ends the exchange before the service is asked", async () => {
  const before = origin.requests.length
  expect(await post("{")).toMatchObject({ status: 400, text: expect.stringContaining("line 1, column 2") })
  const denied = await get(gateway.port(), "/no")
  expect([denied.status, denied.text()]).toEqual([403, "denied by 404 and more"])
  expect(origin.requests.length).toBe(before)
})

test("a timer's callout keeps a variable fresh, and the metric is exposed", async () => {
  await until(async () => (await get(gateway.port(), "/ok")).text().includes('"x-keys":"fresh"'), "keys were loaded")
  expect((await get(gateway.adminPort, "/metrics")).text()).toMatch(/sdk_test_seen\S* [1-9]/)
})

import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { RateLimitService } from "../support/rate-limit-service.ts"
import { get, RawClient } from "../support/raw-client.ts"

let rls: RateLimitService
let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  ;[rls, origin] = await Promise.all([RateLimitService.start(), Origin.start((_, connection) => connection.reply(200, "reached"))])
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      rateLimitService: { service: "rls", domain: "shop", timeout: "700ms", onFailure: "deny" },
      listeners: [{ address: "127.0.0.1:0" }],
      services: { rls: { endpoints: [rls.address], protocol: "h2" }, origin: { endpoints: [origin.address] } },
      routes: [
        {
          match: { path: "/one" },
          rateLimit: { scope: "service", by: ["source", "header:x-user"], descriptor: { generic_key: "checkout" } },
          backends: "origin",
        },
        {
          match: { path: "/two" },
          rateLimit: [
            { name: "first", scope: "service", by: ["path:2"] },
            { name: "second", scope: "service", descriptor: { generic_key: "all" } },
          ],
          respond: { status: 200, body: "passed" },
        },
      ],
    },
  })
})
afterAll(async () => {
  await gateway?.stop()
  rls?.stop()
  await origin?.stop()
})
beforeEach(() => {
  rls.answer = () => ({ overall_code: "OK" })
})

test("a service is told the domain and what the request has", async () => {
  const before = rls.requests.length
  expect((await get(gateway.port(), "/one", { "x-user": "ann" })).status).toBe(200)
  expect(rls.requests.slice(before)).toEqual([
    {
      domain: "shop",
      descriptors: [
        {
          entries: [
            { key: "generic_key", value: "checkout" },
            { key: "remote_address", value: "127.0.0.1" },
            { key: "x-user", value: "ann" },
          ],
        },
      ],
      hits_addend: 1,
    },
  ])
})

test("several limits are asked about at once", async () => {
  const before = rls.requests.length
  expect((await get(gateway.port(), "/two/x")).text()).toBe("passed")
  expect(rls.requests.slice(before).map(({ descriptors }) => descriptors)).toEqual([
    [{ entries: [{ key: "path_2", value: "x" }] }, { entries: [{ key: "generic_key", value: "all" }] }],
  ])
})

test("over the limit is refused, with the figures and fields the service gives", async () => {
  rls.answer = () => ({
    overall_code: "OVER_LIMIT",
    statuses: [
      { code: "OK", current_limit: { requests_per_unit: 9, unit: "SECOND" }, limit_remaining: 3 },
      { code: "OVER_LIMIT", current_limit: { requests_per_unit: 100, unit: "MINUTE" }, duration_until_reset: { seconds: 17 } },
    ],
    response_headers_to_add: [
      { key: "X-Plan", value: "free" },
      { key: "content-length", value: "7" },
      { key: "x-bad", value: "a\r\nx-injected: 1" },
    ],
  })
  const response = await get(gateway.port(), "/two/x")
  expect(response.status).toBe(429)
  expect(response.header("retry-after")).toBe("17")
  expect(response.header("ratelimit-limit")).toBe("100")
  expect(response.header("x-plan")).toBe("free")
  expect(response.header("x-bad")).toBe(null)
  expect(response.header("x-injected")).toBe(null)
})

test("what passes gets the fields the service gives, on either way", async () => {
  rls.answer = () => ({
    overall_code: "OK",
    statuses: [
      { code: "OK", current_limit: { requests_per_unit: 100, unit: "MINUTE" }, limit_remaining: 42, duration_until_reset: { seconds: 30 } },
    ],
    request_headers_to_add: [{ key: "x-tier", value: "gold" }],
    response_headers_to_add: [{ key: "x-seen", raw_value: Buffer.from("yes") }],
  })
  const response = await get(gateway.port(), "/one")
  expect(response.status).toBe(200)
  expect(response.header("x-seen")).toBe("yes")
  expect(response.header("ratelimit-remaining")).toBe("42")
  expect(origin.requests.at(-1)?.header("x-tier")).toBe("gold")
})

describe("no answer of use is refused as the configuration says", () => {
  test.each([
    ["an error", "error" as const],
    ["silence", "silence" as const],
    ["neither yes nor no", { overall_code: "UNKNOWN" }],
  ])("%s", async (_, answer) => {
    const failed = async (): Promise<number> =>
      (await readMetrics(gateway.adminPort)).sum("sluice_rate_limit_service_requests_total", { result: "failed" })
    const before = await failed()
    rls.answer = () => answer
    const path = `/one?${encodeURIComponent(JSON.stringify(answer))}`
    expect((await get(gateway.port(), path)).status).toBe(503)
    expect((await gateway.accessLine((line) => line.path === path, "the request")).flag).toBe("RLSE")
    expect(await failed()).toBe(before + 1)
  })
})

test("a client that goes while the service is asked leaves nothing behind", async () => {
  rls.answer = () => "silence"
  const before = rls.requests.length
  const client = await RawClient.connect(gateway.port())
  client.send("GET /one?gone HTTP/1.1\r\nhost: a\r\n\r\n")
  await until(() => rls.requests.length > before, "the service to be asked")
  client.reset()
  expect((await gateway.accessLine((line) => line.path === "/one?gone", "the request")).flag).toMatch(/DC|RLSE/)
  rls.answer = () => ({ overall_code: "OK" })
  expect((await get(gateway.port(), "/one")).status).toBe(200)
})

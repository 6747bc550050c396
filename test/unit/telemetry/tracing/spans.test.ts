import { resourceFromAttributes } from "@opentelemetry/resources"
import * as stable from "@opentelemetry/semantic-conventions"
import { describe, expect, test } from "vitest"
import { errors } from "../../../../gateway/errors.ts"
import { clientSpan, filterSpan, serverSpan } from "../../../../gateway/telemetry/tracing/span-attributes.ts"
import { spanCount, spansOf } from "../../../../gateway/telemetry/tracing/spans.ts"
import { attempt, trace } from "./support.ts"

const call = { method: "POST", path: "/shop.Carts/Add", grpcStatus: 0 }

describe("the span of an exchange", () => {
  test.each([
    [{ status: 200 }, ""],
    [{ status: 404, flag: "NR" }, ""],
    [{ status: 429, flag: "RL" }, ""],
    [{ status: 0, flag: "DC" }, ""],
    [{ status: 200, flag: "DC" }, ""],
    [{ status: 400, flag: "DPE" }, ""],
    [{ status: 200, flag: "LR" }, ""],
    [{ status: 500 }, "500"],
    [{ status: 503, flag: "UO" }, "503"],
    [{ status: 200, flag: "UC,TR" }, "UC,TR"],
    [{ status: 200, flag: "FT" }, "FT"],
    [{ status: 0, flag: "FI" }, "FI"],
    [{ ...call, grpcStatus: 5 }, ""],
    [{ ...call, grpcStatus: 13 }, "INTERNAL"],
    [{ ...call, grpcStatus: 4, flag: "UT" }, "UT"],
    [{ ...call, grpcStatus: 17 }, ""],
  ])("of %j has the error %j", (more, type) => {
    const { attributes, error } = serverSpan({ ...trace, ...more })
    expect(attributes["error.type"] ?? "").toBe(type)
    expect(error !== null).toBe(type !== "")
  })

  test("has an error for every 5xx, and for every failure without an answer that isn't the client's", () => {
    for (const { flag, source, status } of Object.values(errors)) {
      const fault = status >= 500 || (status === 0 && source !== "downstream")
      expect([flag, serverSpan({ ...trace, status, flag }).error !== null]).toEqual([flag, fault])
    }
  })

  test.each([
    ["shop.example", "shop.example", 443],
    ["shop.example:8080", "shop.example", 8080],
    ["[2001:db8::1]:80", "2001:db8::1", 80],
    ["[::1]", "::1", 443],
  ])("of a request to %s names %s and %d", (authority, host, port) => {
    expect(serverSpan({ ...trace, authority }).attributes).toMatchObject({ "server.address": host, "server.port": port })
  })

  test("of a request to nobody names none", () => {
    expect(serverSpan({ ...trace, authority: "" }).attributes).not.toHaveProperty("server.address")
  })

  test.each([
    [{}, "GET r"],
    [{ route: "" }, "GET"],
    [{ method: "BREW" }, "HTTP r"],
    [call, "shop.Carts/Add"],
    [{ ...call, path: "/anything/you%20like" }, "_OTHER"],
    [{ ...call, path: "/a/b/c" }, "_OTHER"],
    [{ ...call, grpcStatus: 12 }, "_OTHER"],
  ])("of %j is called %s", (more, name) => {
    expect(serverSpan({ ...trace, ...more }).name).toBe(name)
  })
})

describe("the span of an attempt", () => {
  test.each([
    [{}, "", "answered"],
    [{ status: 404 }, "404", "answered"],
    [{ status: 0, headAt: 0 }, "", "given up"],
    [{ status: 0, code: "connectTimeout" }, "connectTimeout", "failed"],
    [{ status: 200, code: "upstreamTruncated" }, "upstreamTruncated", "failed"],
    [{ grpcStatus: 5 }, "NOT_FOUND", "answered"],
    [{ grpcStatus: 17 }, "_OTHER", "answered"],
  ])("of %j has the error %j and was %s", (more, type, outcome) => {
    const { attributes, error } = clientSpan(trace, { ...attempt, ...more }, 0, false)
    expect(attributes["error.type"] ?? "").toBe(type)
    expect(error !== null).toBe(type !== "")
    expect(attributes["sluice.attempt.outcome"]).toBe(outcome)
  })

  test("says how many were made before", () => {
    expect(clientSpan(trace, attempt, 0, false).attributes).not.toHaveProperty("http.request.resend_count")
    expect(clientSpan(trace, attempt, 2, true).attributes).toMatchObject({
      "http.request.resend_count": 2,
      "network.protocol.version": "1.1",
      "url.full": "https://10.0.0.1:9001/a",
    })
  })
})

test("every name is one of OpenTelemetry's stable ones, or begins with ours", () => {
  const known = new Set<unknown>(Object.entries(stable).flatMap(([name, value]) => (name.startsWith("ATTR_") ? [value] : [])))
  const all = { ...trace, ...call, method: "BREW", status: 500, flag: "UF", details: "x", userAgent: "x", identity: "x", grpcStatus: 12 }
  const failed = { ...attempt, hedged: true, reused: true, code: "connectFailure", grpcStatus: 13 }
  const contents = [
    serverSpan(all),
    clientSpan(all, failed, 1, true),
    filterSpan({ name: "f", phase: "p", began: 0, endedAt: 1, outcome: "fail" }),
  ]
  const names = contents.flatMap(({ attributes }) => Object.keys(attributes))
  expect(new Set(names).size).toBeGreaterThan(25)
  expect(names.filter((name) => !known.has(name) && !name.startsWith("sluice."))).toEqual([])
})

test("spans hang together, and have their times to the nanosecond", () => {
  const origin = { resource: resourceFromAttributes({}), version: "1", secure: (service: string): boolean => service === "s" }
  const phase = { name: "f", phase: "request headers", began: 1_000_000.5, endedAt: 1_000_000.75, outcome: "continue" }
  const whole = {
    ...trace,
    parentId: "c".repeat(16),
    state: "x=1",
    linkTraceId: "2".repeat(32),
    linkSpanId: "d".repeat(16),
    phases: [phase],
  }
  expect(spanCount(whole)).toBe(3)
  const [server, client, filter] = spansOf(whole, origin, () => "e".repeat(16))
  expect([server.kind, client.kind, filter.kind]).toEqual([1, 2, 0])
  expect(server.parentSpanContext).toMatchObject({ traceId: trace.traceId, spanId: whole.parentId, isRemote: true })
  expect(server.spanContext().traceState?.serialize()).toBe("x=1")
  expect(server.spanContext().traceState?.get("x")).toBe("1")
  expect(server.links).toEqual([{ context: { traceId: "2".repeat(32), spanId: "d".repeat(16), traceFlags: 0, isRemote: true } }])
  for (const child of [client, filter]) expect(child.parentSpanContext?.spanId).toBe(trace.spanId)
  expect([server.startTime, server.endTime, server.duration]).toEqual([
    [1000, 250_000],
    [1000, 6_250_000],
    [0, 6_000_000],
  ])
  expect(client.events.map(({ name, time }) => [name, time])).toEqual([
    ["sluice.request_sent", [1000, 2_000_000]],
    ["sluice.response_head", [1000, 4_000_000]],
  ])
  expect(client.attributes["url.full"]).toBe("https://10.0.0.1:9001/a")
  expect(filter.spanContext().spanId).toBe("e".repeat(16))
})

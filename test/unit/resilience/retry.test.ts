import { describe, expect, test } from "vitest"
import type { RetryCondition } from "../../../gateway/config/model.ts"
import type { ErrorCode } from "../../../gateway/errors.ts"
import { RetryPolicy, retryPause } from "../../../gateway/resilience/retry.ts"

function policy(...on: RetryCondition[]): RetryPolicy {
  return new RetryPolicy({ attempts: 2, on })
}

const everything: RetryCondition[] = [
  "connectFailure",
  "refused",
  "reset",
  "5xx",
  "cancelled",
  "deadlineExceeded",
  "resourceExhausted",
  "internal",
  "unavailable",
  503,
  504,
]

describe("after a failure", () => {
  test.each<[string, RetryCondition[], ErrorCode, boolean]>([
    ["a connect that failed, when listed", ["connectFailure"], "connectFailure", true],
    ["a connect that took too long, when listed", ["connectFailure"], "connectTimeout", true],
    ["a connect that failed, when not", ["refused", "reset", "5xx", 503], "connectFailure", false],
    ["a stream that was refused, when listed", ["refused"], "upstreamRefused", true],
    ["a stream that was refused, when not", ["connectFailure", "reset", "5xx", 503], "upstreamRefused", false],
    ["a connection that closed, when listed", ["reset"], "upstreamClosed", true],
    ["a connection that closed, when not", ["connectFailure", 502], "upstreamClosed", false],
    ["an answer that breaks the protocol", everything, "upstreamProtocol", false],
    ["too many in flight", everything, "overflow", false],
    ["no endpoint", everything, "noEndpoint", false],
    ["the whole exchange out of time", everything, "responseTimeout", false],
    ["the client gone", everything, "clientGone", false],
    ["an attempt out of time, with its status listed", [504], "perTryTimeout", true],
    ["an attempt out of time, with its class listed", ["5xx"], "perTryTimeout", true],
    ["an attempt out of time, with its gRPC status listed", ["deadlineExceeded"], "perTryTimeout", true],
    ["an attempt out of time, with others listed", [503, "unavailable", "reset"], "perTryTimeout", false],
  ])("%s", (_, on, code, expected) => {
    expect(policy(...on).onFailure(code, true, true, true)).toBe(expected)
  })

  test("a method that may not be repeated is, only when nothing was done", () => {
    expect(policy(...everything).onFailure("connectFailure", false, true, false)).toBe(true)
    expect(policy(...everything).onFailure("upstreamRefused", false, true, false)).toBe(true)
    expect(policy(...everything).onFailure("upstreamClosed", false, true, false)).toBe(false)
    expect(policy("5xx").onFailure("perTryTimeout", false, true, false)).toBe(false)
    expect(policy(504).onFailure("perTryTimeout", false, true, false)).toBe(true)
  })

  test("gRPC's conditions are for calls alone", () => {
    expect(policy("deadlineExceeded").onFailure("perTryTimeout", true, true, true)).toBe(true)
    expect(policy("deadlineExceeded").onFailure("perTryTimeout", true, true, false)).toBe(false)
  })

  test("an answer that has begun is never asked for again", () => {
    expect(policy("reset").onFailure("upstreamClosed", true, false, false)).toBe(false)
  })
})

describe("after an answer", () => {
  test.each<[number, RetryCondition[], boolean, boolean]>([
    [503, [503], true, true],
    [503, [503], false, true],
    [503, [502], true, false],
    [503, ["5xx"], true, true],
    [503, ["5xx"], false, false],
    [499, ["5xx"], true, false],
    [600, ["5xx"], true, false],
    [429, [429], false, true],
    [200, everything, true, false],
  ])("%d with %j listed, repeatable %s: %s", (status, on, repeatable, expected) => {
    expect(policy(...on).onStatus(status, repeatable)).toBe(expected)
  })

  test("of gRPC the listed codes count, and no others", () => {
    const listed = [1, 4, 8, 13, 14]
    for (let code = -1; code < 40; code++) expect(policy(...everything).onGrpcStatus(code)).toBe(listed.includes(code))
    expect(policy("unavailable").onGrpcStatus(14)).toBe(true)
    expect(policy("unavailable").onGrpcStatus(13)).toBe(false)
  })
})

test("the pause before a retry is drawn from a range that doubles, up to 250 ms", () => {
  expect([1, 2, 3, 4, 100].map((retry) => retryPause(retry, 0))).toEqual([25, 25, 25, 25, 25])
  expect([1, 2, 3, 4, 100].map((retry) => retryPause(retry, 1))).toEqual([50, 100, 200, 250, 250])
})

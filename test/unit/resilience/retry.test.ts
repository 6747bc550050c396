import { describe, expect, test } from "vitest"
import type { RetryCondition } from "../../../gateway/config/model.ts"
import type { ErrorCode } from "../../../gateway/errors.ts"
import { type RetryBackoff, RetryPolicy } from "../../../gateway/resilience/retry.ts"

function policy(...on: RetryCondition[]): RetryPolicy {
  return new RetryPolicy({ attempts: 2, on })
}

const everything: RetryCondition[] = [
  "connectFailure",
  "refused",
  "reset",
  "5xx",
  "retriable4xx",
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
    [503, ["unavailable"], true, true],
    [503, ["unavailable"], false, false],
    [502, ["unavailable"], true, false],
    [409, ["retriable4xx"], true, true],
    [409, ["retriable4xx"], false, false],
    [404, ["retriable4xx"], true, false],
  ])("%d with %j listed, repeatable %s: %s", (status, on, repeatable, expected) => {
    expect(policy(...on).onAnswer(status, -1, repeatable)).toBe(expected)
  })

  test("of gRPC the listed codes count, and no others", () => {
    const listed = [1, 4, 8, 13, 14]
    for (let code = -1; code < 40; code++) expect(policy(...everything).onAnswer(200, code, false)).toBe(listed.includes(code))
    expect(policy("unavailable").onAnswer(200, 14, false)).toBe(true)
    expect(policy("unavailable").onAnswer(200, 13, false)).toBe(false)
  })
})

test("the pause before a retry is drawn from a range that doubles, up to a limit", () => {
  const pauses = (random: number, backoff?: RetryBackoff): number[] => {
    const made = new RetryPolicy({ attempts: 2, on: [], ...(backoff === undefined ? {} : { backoff }) })
    return [1, 2, 3, 4, 100].map((retry) => made.pause(retry, random))
  }
  expect(pauses(0)).toEqual([0, 0, 0, 0, 0])
  expect(pauses(1)).toEqual([50, 100, 200, 250, 250])
  expect(pauses(0.5, { base: 10, max: 1000 })).toEqual([10, 20, 40, 80, 500])
})

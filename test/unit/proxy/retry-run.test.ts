import { describe, expect, test } from "vitest"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { RetryRun } from "../../../gateway/proxy/retry-run.ts"
import { RetryPolicy, type RetrySettings } from "../../../gateway/resilience/retry.ts"
import type { Service } from "../../../gateway/upstream/services.ts"
import { circuitBreaker, limitsOf } from "../../support/limits.ts"

function service(parts: Partial<Service> = {}): Service {
  return {
    endpoints: [],
    limits: limitsOf({ circuitBreaker: { ...circuitBreaker, maxRetries: 3 } }),
    mayBeHttp2: false,
    callsMayBeHttp2: true,
    ...parts,
  } as unknown as Service
}

function request(body: RequestHead["body"] = "close"): RequestHead {
  const head = new RequestHead()
  head.method = "POST"
  head.body = body
  return head
}

function run(to: Service, on: RetrySettings["on"], grpc = false, attempts = 9): RetryRun {
  return RetryRun.of(new RetryPolicy({ attempts, on }), to, request(), grpc, () => 0) as RetryRun
}

function answer(body: ResponseHead["body"], grpcStatus: string, status = 200): ResponseHead {
  const head = new ResponseHead()
  head.status = status
  head.body = body
  head.fields.add("grpc-status", grpcStatus)
  return head
}

test("a request without retries of its route has those that HTTP/2 may ask for", () => {
  const of = (grpc: boolean, body: RequestHead["body"]): boolean => RetryRun.of(null, service(), request(body), grpc, () => 0) !== null
  expect([of(true, "close"), of(false, "close"), of(true, "none")]).toEqual([true, false, false])
})

describe("a status of gRPC", () => {
  test("counts for a call, in an answer without a body", () => {
    expect(run(service(), ["unavailable"], true).takeAfterResponse(answer("none", "14"))).toBe(true)
    expect(run(service(), ["unavailable"], true).takeAfterResponse(answer("close", "14"))).toBe(false)
    expect(run(service(), ["unavailable"], false).takeAfterResponse(answer("none", "14"))).toBe(false)
  })
})

describe("the budget of its service", () => {
  test("bounds retries under way, and gets them back", () => {
    const to = service()
    const runs = Array.from({ length: 4 }, () => run(to, [503]))
    expect(runs.map((each) => each.takeAfterResponse(answer("none", "", 503)))).toEqual([true, true, true, false])
    runs[0].settle()
    runs[0].settle()
    expect(runs[3].takeAfterResponse(answer("none", "", 503))).toBe(true)
    expect(runs[0].takeAfterResponse(answer("none", "", 503))).toBe(false)
    // One that fails again takes its own place.
    expect(runs[1].takeAfterResponse(answer("none", "", 503))).toBe(true)
  })

  test("is not for what was refused unseen", () => {
    const to = service()
    for (let i = 0; i < 10; i++) expect(run(to, ["refused"]).takeAfterFailure("upstreamRefused", true)).toBe(true)
  })
})

test("a retry waits, unless nothing was reached", () => {
  const of = (code: Parameters<RetryRun["takeAfterFailure"]>[0]): number => {
    const made = run(service(), ["connectFailure", "refused", 504])
    expect(made.takeAfterFailure(code, true)).toBe(true)
    return made.pause
  }
  expect([of("connectFailure"), of("connectTimeout"), of("upstreamRefused"), of("perTryTimeout")]).toEqual([0, 0, 0, 25])
})

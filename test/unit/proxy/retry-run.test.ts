import { describe, expect, test } from "vitest"
import { RequestHead } from "../../../gateway/http/message.ts"
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
  return RetryRun.of(new RetryPolicy({ attempts, on }), to, request(), false, grpc, () => 1) as RetryRun
}

/** Takes a retry after an answer that is listed. */
function take(of: RetryRun, whole = true, spare = 0, left = 1000): boolean {
  return of.takeAfterAnswer(whole, spare, left)
}

test("a request without retries of its route has those that HTTP/2 may ask for", () => {
  const of = (grpc: boolean, body: RequestHead["body"]): boolean =>
    RetryRun.of(null, service(), request(body), false, grpc, () => 0) !== null
  expect([of(true, "close"), of(false, "close"), of(true, "none")]).toEqual([true, false, false])
})

describe("the budget of its service", () => {
  test("bounds retries under way, and gets them back", () => {
    const to = service()
    const runs = Array.from({ length: 4 }, () => run(to, [503]))
    expect(runs.map((each) => take(each))).toEqual([true, true, true, false])
    runs[0].settle()
    runs[0].settle()
    expect(take(runs[3])).toBe(true)
    expect(take(runs[0])).toBe(false)
    // One that fails again takes its own place.
    expect(take(runs[1])).toBe(true)
  })

  test("is not for what was refused unseen", () => {
    const to = service()
    for (let i = 0; i < 10; i++) expect(run(to, ["refused"]).takeAfterFailure("upstreamRefused", true, true, true, 1000)).toBe(true)
  })
})

test("a retry waits, unless nothing was reached and there are others", () => {
  const of = (code: Parameters<RetryRun["takeAfterFailure"]>[0], others = true): number => {
    const made = run(service(), ["connectFailure", "refused", 504])
    expect(made.takeAfterFailure(code, true, true, others, 1000)).toBe(true)
    return made.pause
  }
  expect([of("connectFailure"), of("connectTimeout"), of("upstreamRefused"), of("perTryTimeout")]).toEqual([0, 0, 0, 50])
  expect(of("connectFailure", false)).toBe(50)
})

test("a service that asks to be spared is, when there is time for that", () => {
  const patient = run(service(), [503])
  expect([take(patient, true, 900), patient.pause]).toEqual([true, 900])
  expect(take(patient, true, 1000)).toBe(false)
  expect([take(patient, true, 10), patient.pause]).toEqual([true, 100])
})

test("what isn't there any more can't be sent again", () => {
  expect(take(run(service(), [503]), false)).toBe(false)
  expect(run(service(), ["reset", "connectFailure"]).takeAfterFailure("connectFailure", true, false, true, 1000)).toBe(false)
})

test("a rival is one of the retries", () => {
  const made = run(service(), [503], false, 2)
  expect([made.takeForRival(), take(made), take(made), made.takeForRival()]).toEqual([true, true, false, false])
})

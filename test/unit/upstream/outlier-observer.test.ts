import { describe, expect, test } from "vitest"
import type { ErrorCode } from "../../../gateway/errors.ts"
import { EJECTION_WORDS, Ejection, PROBE_TIME } from "../../../gateway/resilience/ejection.ts"
import { OutlierObserver } from "../../../gateway/upstream/outlier-observer.ts"

const limits = {
  consecutive5xx: 3,
  consecutiveGatewayErrors: 2,
  consecutiveLocalFailures: 1,
  baseEjectionTime: 1000,
  maxEjectionTime: 5000,
  endpoints: 2,
  allowed: 1,
}

/** One endpoint, as two workers see it. */
class Bench {
  now = 0
  readonly told: string[] = []
  readonly columns = [new Float64Array(4), new Float64Array(4)] as const
  readonly #words = new Int32Array(EJECTION_WORDS + 1)
  /** Another one, of that worker. */
  readonly observer: (worker: 0 | 1) => OutlierObserver
  readonly a: OutlierObserver
  readonly b: OutlierObserver

  constructor(count429 = false) {
    const clock = (): number => this.now
    const listener = {
      onEjected: (service: string, endpoint: string, reason: string, ms: number) =>
        this.told.push(`${service} ${endpoint} ${reason} ${ms}`),
      onReadmitted: (service: string, endpoint: string) => this.told.push(`${service} ${endpoint} back`),
    }
    this.observer = (worker) => {
      const ejection = new Ejection(this.#words, 1, this.#words, 0, limits, clock, () => 0)
      return new OutlierObserver({ service: "api", endpoint: "e:1", count429, listener }, ejection, this.columns[worker], 0, clock)
    }
    this.a = this.observer(0)
    this.b = this.observer(1)
  }
}

describe("answers", () => {
  test.each([
    ["200", [200, -1], 9, ""],
    ["404", [404, -1], 9, ""],
    ["429", [429, -1], 9, ""],
    ["500", [500, -1], 3, "5xx"],
    ["501", [501, -1], 3, "5xx"],
    ["503", [503, -1], 2, "gatewayErrors"],
    ["gRPC OK", [200, 0], 9, ""],
    ["gRPC NOT_FOUND", [200, 5], 9, ""],
    ["gRPC DEADLINE_EXCEEDED", [200, 4], 9, ""],
    ["gRPC UNIMPLEMENTED", [200, 12], 9, ""],
    ["gRPC RESOURCE_EXHAUSTED", [200, 8], 9, ""],
    ["gRPC UNKNOWN", [200, 2], 3, "5xx"],
    ["gRPC INTERNAL", [200, 13], 3, "5xx"],
    ["gRPC UNAVAILABLE", [200, 14], 2, "gatewayErrors"],
  ] as const)("of %s", (_, [status, grpcStatus], times, reason) => {
    const bench = new Bench()
    for (let i = 0; i < times; i++) {
      expect(bench.told).toEqual([])
      bench.a.answered(status, grpcStatus, 1)
    }
    expect(bench.told).toEqual(reason === "" ? [] : [`api e:1 ${reason} 1000`])
    expect([...bench.columns[0]]).toEqual([times, reason === "" ? times : 0, times, times])
  })

  test("of 429 and RESOURCE_EXHAUSTED are failures where that is asked for", () => {
    const bench = new Bench(true)
    bench.a.answered(429, -1, 1)
    bench.b.answered(200, 8, 1)
    bench.a.answered(429, 8, 1)
    expect(bench.told).toEqual(["api e:1 5xx 1000"])
  })

  test("in different workers count together, and a success in one clears the others'", () => {
    const bench = new Bench()
    for (let i = 0; i < 5; i++) {
      bench.a.answered(500, -1, 1)
      bench.b.answered(500, -1, 1)
      bench.a.answered(200, -1, 1)
    }
    expect(bench.told).toEqual([])
  })
})

describe("answers that begin well", () => {
  test.each([
    ["are cut short", (observer: OutlierObserver): void => observer.cutShort("upstreamTruncated"), 1, "localFailures"],
    ["end with UNAVAILABLE", (observer: OutlierObserver): void => observer.ended(14), 2, "gatewayErrors"],
    ["end with INTERNAL", (observer: OutlierObserver): void => observer.ended(13), 3, "5xx"],
    ["end with NOT_FOUND", (observer: OutlierObserver): void => observer.ended(5), 9, ""],
    ["end with RESOURCE_EXHAUSTED", (observer: OutlierObserver): void => observer.ended(8), 9, ""],
    ["end without a status", (observer: OutlierObserver): void => observer.ended(-1), 9, ""],
  ] as const)("and %s", (_, end, times, reason) => {
    const bench = new Bench()
    for (let i = 0; i < times; i++) {
      expect(bench.told).toEqual([])
      expect(bench.a.answered(200, -1, 1)).toBe(true)
      end(bench.a)
    }
    expect(bench.told).toEqual(reason === "" ? [] : [`api e:1 ${reason} 1000`])
    expect([...bench.columns[0]].slice(0, 2)).toEqual([times, reason === "" ? times : 0])
  })

  test("and end well contradict those that end badly, in any worker; heads don't", () => {
    const bench = new Bench()
    for (let i = 0; i < 5; i++) {
      bench.a.answered(200, -1, 1)
      bench.a.ended(14)
      bench.b.answered(200, -1, 1)
      bench.b.ended(0)
    }
    expect(bench.told).toEqual([])
    bench.a.ended(14)
    bench.b.answered(200, -1, 1)
    bench.b.ended(14)
    expect(bench.told).toEqual(["api e:1 gatewayErrors 1000"])
  })

  test("and were none of the kind have no end to tell of", () => {
    const bench = new Bench()
    expect([bench.a.answered(500, -1, 1), bench.a.answered(200, 14, 1), bench.a.answered(404, -1, 1)]).toEqual([false, false, true])
  })
})

describe("failures", () => {
  test.each<[ErrorCode, number, boolean]>([
    ["connectFailure", 0, true],
    ["connectTimeout", 0, true],
    ["upstreamClosed", 0, true],
    ["upstreamReset", 0, true],
    ["upstreamTruncated", 0, true],
    ["upstreamProtocol", 0, true],
    ["perTryTimeout", 10, true],
    ["responseTimeout", 1000, true],
    ["responseTimeout", 999, false],
    ["upstreamRefused", 0, false],
    ["clientGone", 0, false],
    ["overflow", 0, false],
    ["bodyTooLarge", 0, false],
  ])("of %s after %i ms eject: %s", (code, latency, ejects) => {
    const bench = new Bench()
    bench.a.failed(code, latency)
    expect(bench.told).toEqual(ejects ? ["api e:1 localFailures 1000"] : [])
    expect(bench.columns[0][0]).toBe(ejects ? 1 : 0)
  })
})

describe("the way back", () => {
  function ejected(): Bench {
    const bench = new Bench()
    bench.a.failed("connectFailure", 0)
    bench.told.length = 0
    return bench
  }

  test("is one request, in one worker, while the others see the endpoint ejected", () => {
    const bench = ejected()
    expect([bench.a.ejected, bench.b.ejected]).toEqual([true, true])
    bench.now = 1000
    expect([bench.a.ejected, bench.b.ejected]).toEqual([false, false])
    bench.b.begins(bench)
    expect([bench.a.ejected, bench.b.ejected]).toEqual([true, true])
    bench.now = 1500
    bench.b.answered(204, -1, 500)
    expect(bench.told).toEqual(["api e:1 back"])
    expect([bench.a.ejected, bench.b.ejected]).toEqual([false, false])
  })

  test("is cut off by one failure, for longer", () => {
    const bench = ejected()
    bench.now = 1000
    bench.a.begins(bench)
    bench.a.answered(500, -1, 1)
    expect(bench.told).toEqual(["api e:1 probe 2000"])
    expect(bench.a.ejected).toBe(true)
  })

  test("is not opened by answers to requests that had begun before", () => {
    const bench = ejected()
    bench.now = 1000
    bench.a.begins(bench)
    bench.a.answered(200, -1, 900)
    bench.b.answered(200, -1, 1)
    bench.a.failed("upstreamReset", 900)
    expect(bench.told).toEqual([])
    bench.a.answered(200, -1, 0)
    expect(bench.told).toEqual(["api e:1 back"])
  })

  test("is open to another request when nothing becomes of the first", () => {
    const bench = ejected()
    bench.now = 1000
    bench.a.begins(bench)
    bench.a.failed("clientGone", 5)
    expect(bench.b.ejected).toBe(true)
    bench.now += PROBE_TIME
    expect(bench.b.ejected).toBe(false)
    bench.b.begins(bench)
    bench.b.connected()
    expect(bench.told).toEqual(["api e:1 back"])
  })

  test("is open to another request at once when the first never went there", () => {
    const bench = ejected()
    bench.now = 1000
    const [first, other] = [{}, {}]
    bench.a.begins(first)
    bench.a.untold(other)
    expect(bench.b.ejected).toBe(true)
    bench.a.untold(first)
    expect(bench.b.ejected).toBe(false)
    bench.b.begins(other)
    bench.a.untold(first)
    expect(bench.a.ejected).toBe(true)
    bench.a.failed("connectFailure", 0)
    expect(bench.told).toEqual([])
    bench.b.answered(200, -1, 0)
    expect(bench.told).toEqual(["api e:1 back"])
  })

  test("goes on when a reload comes between the request and its answer", () => {
    const bench = ejected()
    bench.now = 1000
    const first = {}
    bench.a.begins(first)
    const next = bench.observer(0)
    next.takeOver(bench.a)
    next.answered(200, -1, 0)
    expect(bench.told).toEqual(["api e:1 back"])
  })
})

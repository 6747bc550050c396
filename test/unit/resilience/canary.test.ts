import { describe, expect, test } from "vitest"
import {
  Canary,
  type CanaryCounts,
  type CanaryPlan,
  type CanaryPosition,
  type CanarySample,
  canaryWeights,
} from "../../../gateway/resilience/canary.ts"
import { Buckets } from "../../../gateway/telemetry/buckets.ts"
import { quantile } from "../../../gateway/telemetry/quantile.ts"

const plan: CanaryPlan = { steps: [0.01, 0.1, 0.5, 1], interval: 60_000, abortOn: { errorRate: 0.05, p99: 0, minimum: 50 } }
/** Seconds. */
const buckets = new Buckets([0.01, 0.1, 0.5, 1], 1e-6)
const p99 = (durations: readonly number[]): number => quantile(buckets, durations, 0.99) * 1000

/** One side's service: how it does, and what has come of it so far. */
class Side {
  errorRate: number
  /** Seconds. */
  slow = 0.005
  slowShare = 0
  exchanges = 0
  #failed = 0
  #slowed = 0
  readonly #durations = [0, 0, 0, 0, 0]

  constructor(errorRate: number) {
    this.errorRate = errorRate
  }

  // Shares are kept exactly, by what is left over.
  serve(requests: number): void {
    this.exchanges += requests
    this.#failed += requests * this.errorRate
    this.#slowed += requests * this.slowShare
    const slow = Math.floor(this.#slowed + 1e-9)
    this.#slowed -= slow
    this.#durations[buckets.find(this.slow)] += slow
    this.#durations[0] += requests - slow
  }

  get counts(): CanaryCounts {
    return { exchanges: this.exchanges, errors: Math.floor(this.#failed + 1e-9), durations: [...this.#durations] }
  }
}

/** A route with a canary, looked at every second, with a clock of its own. */
class Simulation {
  now = 1_000_000
  readonly canary: Side
  readonly stable: Side
  readonly machine: Canary
  /** Every position it came into, with the second it did so. */
  readonly moves: string[] = []
  perSecond: number
  #due = 0

  constructor(overrides: { plan?: Partial<CanaryPlan>; canary?: number; stable?: number; perSecond?: number } = {}) {
    this.canary = new Side(overrides.canary ?? 0)
    this.stable = new Side(overrides.stable ?? 0)
    // What was counted before it began is none of its business.
    this.canary.serve(1000)
    this.stable.serve(1000)
    this.perSecond = overrides.perSecond ?? 1000
    this.machine = new Canary({ ...plan, ...overrides.plan }, p99, this.sample())
  }

  sample(): CanarySample {
    return { at: this.now, exchanges: this.canary.exchanges, canary: this.canary.counts, stable: this.stable.counts }
  }

  run(seconds: number): this {
    for (let i = 0; i < seconds; i++) {
      this.now += 1000
      this.#due += this.perSecond * this.machine.position.share
      const own = Math.floor(this.#due + 1e-9)
      this.#due -= own
      this.canary.serve(own)
      this.stable.serve(this.perSecond - own)
      const next = this.machine.judge(this.sample())
      if (next !== null) this.take(next)
    }
    return this
  }

  take(next: CanaryPosition): void {
    this.machine.take(next, this.sample())
    this.moves.push(`${(this.now - 1_000_000) / 1000} s: ${next.state} ${next.share * 100}%`)
  }

  order(order: Parameters<Canary["order"]>[0]): void {
    const next = this.machine.order(order)
    if (typeof next === "string") throw new Error(next)
    this.take(next)
  }
}

describe("a canary that does well", () => {
  test("takes every step after its interval, holds the last one as long, and is promoted", () => {
    const run = new Simulation().run(300)
    expect(run.moves).toEqual(["60 s: progressing 10%", "120 s: progressing 50%", "180 s: progressing 100%", "240 s: promoted 100%"])
  })

  test("ends at a last step below 100%", () => {
    const run = new Simulation({ plan: { steps: [0.1, 0.3] } }).run(200)
    expect(run.moves).toEqual(["60 s: progressing 30%", "120 s: promoted 30%"])
  })

  test("waits with too few requests, and counts what came in the step before that", () => {
    // 1 % of 20 a second: 50 requests take 250 s.
    const run = new Simulation({ perSecond: 20 }).run(100)
    expect(run.moves).toEqual([])
    expect(run.machine.waiting).toBe("it has had 20 of 50 requests")
    run.run(149)
    expect(run.moves).toEqual([])
    run.run(1)
    expect(run.moves).toEqual(["250 s: progressing 10%"])
  })

  test("waits for ever without requests, and keeps little of that", () => {
    const run = new Simulation({ perSecond: 0 }).run(50_000)
    expect(run.moves).toEqual([])
    expect(run.machine.position.state).toBe("progressing")
    run.perSecond = 1000
    run.run(10)
    expect(run.moves).toEqual(["50005 s: progressing 10%"])
  })

  test("with as many errors as are allowed, exactly, goes on", () => {
    expect(new Simulation({ canary: 0.05, perSecond: 10_000 }).run(300).machine.position.state).toBe("promoted")
  })

  test("is looked at no more once it is promoted", () => {
    const run = new Simulation().run(240)
    run.canary.errorRate = 1
    expect(run.run(600).machine.position.state).toBe("promoted")
  })
})

describe("a canary that fails", () => {
  test("is rolled back as soon as it has had enough requests, and stays so", () => {
    // 10 a second: the 50th comes in the fifth.
    const run = new Simulation({ canary: 0.2 }).run(1000)
    expect(run.moves).toEqual(["5 s: rolledBack 0%"])
    expect(run.machine.position.reason).toBe("20% of 50 requests of the last 5 s failed, and 0% of the other backends'; 5% are allowed")
    expect(run.machine.figures.canary).toEqual({ exchanges: 50, errors: 10, errorRate: 0.2, p99: expect.any(Number) })
  })

  test("after an hour of a long step is rolled back within seconds", () => {
    const run = new Simulation({ plan: { interval: 7_200_000 } }).run(3600)
    run.canary.errorRate = 0.5
    run.run(30)
    // 5 % of the last 30 s are 1.5 s of the first 3.
    expect(run.moves).toEqual(["3604 s: rolledBack 0%"])
  })

  test("in its last step, where nobody is left to compare with, is rolled back", () => {
    const run = new Simulation({ plan: { steps: [0.5, 1] } }).run(60)
    run.canary.errorRate = 0.06
    run.run(60)
    expect(run.moves.at(-1)).toMatch(/rolledBack 0%$/)
    expect(run.machine.position.reason).toMatch(/% of \d+ requests of the last \d+ s failed/)
  })

  test("slowly is rolled back too", () => {
    expect(new Simulation({ canary: 0.06, perSecond: 10_000 }).run(60).machine.position.state).toBe("rolledBack")
  })
})

describe("what fails for everyone", () => {
  test("is nobody's fault: the canary stays where it is, and goes on when it is over", () => {
    const run = new Simulation({ canary: 0.5, stable: 0.5 }).run(600)
    expect(run.moves).toEqual([])
    expect(run.machine.waiting).toBe("the other backends fail as often")
    run.canary.errorRate = run.stable.errorRate = 0
    run.run(70)
    expect(run.moves).toHaveLength(1)
    expect(run.moves[0]).toMatch(/progressing 10%$/)
  })

  test("but much more for the canary, is its fault", () => {
    expect(new Simulation({ canary: 0.16, stable: 0.1 }).run(60).moves).toHaveLength(1)
    expect(new Simulation({ canary: 0.14, stable: 0.1 }).run(60).moves).toEqual([])
  })

  test("does not excuse it where the others hold the limit", () => {
    // Less than 5 % more than the others, but over the limit, which they hold.
    expect(new Simulation({ canary: 0.08, stable: 0.04 }).run(60).machine.position.state).toBe("rolledBack")
  })
})

describe("the p99", () => {
  const limited = { abortOn: { errorRate: 0.05, p99: 500, minimum: 50 } }

  test("over its limit ends the canary, once a hundredth is a request", () => {
    const run = new Simulation({ plan: limited })
    run.canary.slow = 0.7
    run.canary.slowShare = 0.05
    run.run(60)
    expect(run.moves).toEqual(["10 s: rolledBack 0%"])
    expect(run.machine.position.reason).toMatch(
      /^the p99 of 100 requests of the last 10 s was \d+ ms, and \d+ ms of the other backends'; 500 ms are allowed$/,
    )
  })

  test("of few slow requests is fine", () => {
    const run = new Simulation({ plan: limited })
    run.canary.slow = 0.7
    run.canary.slowShare = 0.005
    expect(run.run(300).machine.position.state).toBe("promoted")
  })

  test("over its limit for everyone keeps it waiting", () => {
    const run = new Simulation({ plan: limited })
    run.canary.slow = run.stable.slow = 0.7
    run.canary.slowShare = run.stable.slowShare = 0.05
    run.run(120)
    expect(run.moves).toEqual([])
    expect(run.machine.waiting).toBe("the other backends are as slow")
  })
})

describe("orders", () => {
  test("paused, it stays in its step but is rolled back when it fails; resumed, its step begins anew", () => {
    const run = new Simulation().run(30)
    run.order("pause")
    expect(run.run(600).machine.position).toMatchObject({ state: "paused", step: 0, share: 0.01 })
    run.order("resume")
    run.run(59)
    expect(run.machine.position.step).toBe(0)
    expect(run.run(1).machine.position.step).toBe(1)
    run.order("pause")
    run.canary.errorRate = 1
    expect(run.run(10).machine.position.state).toBe("rolledBack")
  })

  test("promoted, it is done at once", () => {
    const run = new Simulation()
    run.order("promote")
    expect(run.machine.position).toEqual({ state: "promoted", step: 3, share: 1, reason: "" })
  })

  test("aborted, it is rolled back; restarted, it begins anew with nothing held against it", () => {
    const run = new Simulation({ canary: 1 }).run(20)
    expect(run.machine.order("promote")).toBe("is rolled back; restart it first")
    expect(run.machine.order("resume")).toBe("is rolled back; only one that is paused can go on, but this one can be restarted")
    run.canary.errorRate = 0
    run.order("restart")
    expect(run.machine.figures.canary.exchanges).toBe(0)
    run.run(61)
    run.order("abort")
    expect(run.machine.position).toEqual({ state: "rolledBack", step: -1, share: 0, reason: "it was ordered" })
    expect(run.machine.order("abort")).toBe("is rolled back already")
  })

  test("that make no sense are refused", () => {
    const run = new Simulation()
    expect(run.machine.order("resume")).toBe("is progressing; only one that is paused can go on")
    run.order("promote")
    expect(run.machine.order("promote")).toBe("is promoted already")
    expect(run.machine.order("pause")).toBe("is promoted; only one that is progressing can be paused")
  })
})

describe("weights", () => {
  test.each([
    [[90, 10], 1, 0.01, [0.99, 0.01]],
    [[1, 1, 2], 0, 0.2, [0.2, 0.8 / 3, 1.6 / 3]],
    [[3, 5, 0], 1, 0, [1, 0, 0]],
    [[3, 5, 1], 1, 1, [0, 1, 0]],
    [[0, 7, 3], 1, 0.5, [0, 0.5, 0.5]],
  ])("of %j, with the one at %i at %d, keep the proportions of the others", (weights, at, share, expected) => {
    const actual = canaryWeights(weights, at, share)
    expect(actual).toHaveLength(expected.length)
    actual.forEach((weight, i) => {
      expect(weight).toBeCloseTo(expected[i], 12)
    })
    // A weight of 0 is never drawn, one that is nearly 0 is.
    expect(actual.map((weight) => weight === 0)).toEqual(expected.map((weight) => weight === 0))
  })
})

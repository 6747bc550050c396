import { describe, expect, test } from "vitest"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { DROPPED, FAILED, OK } from "../../../gateway/resilience/outcome.ts"
import { EndpointCaps } from "../../../gateway/upstream/endpoint-caps.ts"
import { LimitsMemory, NO_CELL } from "../../../gateway/upstream/limits-memory.ts"
import type { ConnectionSeeker, ConnectionWaiter } from "../../../gateway/upstream/pool.ts"
import { WaitingQueue } from "../../../gateway/upstream/waiting-queue.ts"
import { circuitBreaker, LimitCounts, limitsOf } from "../../support/limits.ts"

class Clock {
  now = 1000
  readonly wheel = new TimerWheel(() => this.now)

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 10
      this.wheel.advance()
    }
  }
}

/** A pool that wants `wants` connections more. */
class Seeker implements ConnectionSeeker {
  wants = 1
  idle = 0
  made = 0
  readonly owner = { onConnect() {}, admitConnection: () => true, releaseConnection() {} }
  readonly #limits: ReturnType<typeof limitsOf>

  constructor(limits: ReturnType<typeof limitsOf>) {
    this.#limits = limits
    limits.join(this)
  }
  get seeking(): boolean {
    return this.wants > 0
  }
  connectMore(): boolean {
    if (!this.seeking || !this.#limits.admitConnection(this)) return false
    this.wants--
    this.made++
    return true
  }
  giveUpIdle(): boolean {
    if (this.idle === 0) return false
    this.idle--
    this.#limits.releaseConnection()
    return true
  }
}

describe("requests to a service", () => {
  test("are as many as may be, and the refused are counted by what refused them", () => {
    const counts = new LimitCounts()
    const limits = limitsOf({ circuitBreaker: { ...circuitBreaker, maxRequests: 2 } }, {}, counts)
    expect([limits.admit(), limits.admit(), limits.admit(), limits.refusal]).toEqual([true, true, false, "requests"])
    limits.release(1, OK)
    expect([limits.admit(), counts.refusals]).toEqual([true, ["requests"]])
  })

  test("follow a reload, which leaves those under way alone", () => {
    const limits = limitsOf({ circuitBreaker: { ...circuitBreaker, maxRequests: 2 } })
    limits.admit()
    limits.admit()
    limits.use({ circuitBreaker: { ...circuitBreaker, maxRequests: 1 } })
    limits.release(1, OK)
    expect(limits.admit()).toBe(false)
    limits.release(1, OK)
    expect(limits.admit()).toBe(true)
  })

  test("are sent again as often as both the cap and the budget let them", () => {
    const counts = new LimitCounts()
    const limits = limitsOf({ circuitBreaker: { ...circuitBreaker, maxRetries: 2 } }, {}, counts)
    expect([limits.admitRetry(), limits.admitRetry(), limits.admitRetry()]).toEqual([true, true, false])
    for (let i = 0; i < 98; i++) {
      limits.releaseRetry()
      expect(limits.admitRetry()).toBe(true)
    }
    limits.releaseRetry()
    expect(limits.admitRetry()).toBe(false)
    expect(counts.refusals).toEqual(["retries", "retryBudget"])
  })

  test("under adaptive concurrency are as many as its share of the bounds, and what was refused holds no place", () => {
    const counts = new LimitCounts()
    const clock = new Clock()
    const bounds = { minConcurrency: 3, maxConcurrency: 5 }
    const limits = limitsOf({ adaptiveConcurrency: bounds }, { wheel: clock.wheel, workers: 2 }, counts)
    expect([counts.limit, limits.admit(), limits.admit(), limits.admit(), limits.admit()]).toEqual([3, true, true, true, false])
    expect(limits.refusal).toBe("concurrency")
    for (let i = 0; i < 3; i++) limits.release(5, OK)
    limits.use({ circuitBreaker: { ...circuitBreaker, maxRequests: 3 } })
    expect([counts.limit, limits.admit(), limits.admit(), limits.admit()]).toEqual([0, true, true, true])
  })

  test("are fewer while the service fails, if its admission control is on", () => {
    const limits = limitsOf({ admissionControl: { window: 30_000, successTarget: 0.95, maxReject: 0.8 } }, { wheel: new Clock().wheel })
    for (let i = 0; i < 20; i++) {
      limits.admit()
      limits.release(1, i < 10 ? DROPPED : FAILED)
    }
    expect(limits.admit()).toBe(true)
    for (let i = 0; i < 10; i++) limits.release(1, FAILED)
    expect([limits.admit(), limits.refusal]).toEqual([false, "admission"])
  })
})

describe("connections to a service", () => {
  const one = { circuitBreaker: { ...circuitBreaker, maxConnections: 1 } }

  test("go from a pool that has none to use for it to one that waits", () => {
    const counts = new LimitCounts()
    const limits = limitsOf(one, { wheel: new Clock().wheel }, counts)
    const [a, b] = [new Seeker(limits), new Seeker(limits)]
    expect([a.connectMore(), b.connectMore(), limits.wanted, limits.isBlocked(b)]).toEqual([true, false, true, true])
    a.idle = 1
    limits.yieldConnections()
    expect([b.made, limits.wanted, a.idle]).toEqual([1, false, 0])
    expect(counts.refusals).toEqual(["connections"])
  })

  test("are taken from an idle pool of the same worker at once", () => {
    const limits = limitsOf(one, { wheel: new Clock().wheel })
    const [a, b] = [new Seeker(limits), new Seeker(limits)]
    a.connectMore()
    a.idle = 1
    b.connectMore()
    expect([b.made, limits.wanted]).toEqual([1, false])
  })

  test("are asked for again, since another worker may have let go of one", () => {
    const clock = new Clock()
    const limits = limitsOf(one, { wheel: clock.wheel })
    const b = new Seeker(limits)
    limits.admitConnection(null)
    b.connectMore()
    limits.use({ circuitBreaker: { ...circuitBreaker, maxConnections: 2 } })
    clock.pass(100)
    expect([b.made, limits.wanted]).toEqual([1, false])
  })

  test("are not kept for a pool that wants none any more, or is closed", () => {
    const clock = new Clock()
    const limits = limitsOf(one, { wheel: clock.wheel })
    const [b, c] = [new Seeker(limits), new Seeker(limits)]
    limits.admitConnection(null)
    b.connectMore()
    c.connectMore()
    b.wants = 0
    limits.leave(c)
    clock.pass(100)
    expect([limits.wanted, b.made, c.made]).toEqual([false, 0, 0])
  })
})

describe("those who wait for a connection", () => {
  class Waiter implements ConnectionWaiter {
    failure = ""
    needsHttp2(): boolean {
      return false
    }
    onConnection(): void {}
    onNoConnection(code: string): void {
      this.failure = code
    }
  }
  const counters = { connects() {}, connectFailures() {}, active() {}, pending() {}, idle() {}, connected() {}, waited() {}, fault() {} }

  test("are told after their time, unless a connection is being made for them", () => {
    const clock = new Clock()
    const counts = new LimitCounts()
    const limits = limitsOf({ circuitBreaker: { ...circuitBreaker, queueTimeout: 200 } }, { wheel: clock.wheel }, counts)
    let expected = 1
    const queue = new WaitingQueue(clock.wheel, limits, counters, () => expected)
    const [first, second, late] = [new Waiter(), new Waiter(), new Waiter()]
    queue.push(first, false)
    queue.push(second, false)
    clock.pass(150)
    queue.push(late, false)
    clock.pass(100)
    expect([first.failure, second.failure, late.failure, queue.length]).toEqual(["", "queueTimeout", "", 2])
    expected = 0
    clock.pass(200)
    expect([first.failure, late.failure, queue.length]).toEqual(["queueTimeout", "queueTimeout", 0])
    expect(counts.refusals).toEqual(["queueTimeout", "queueTimeout", "queueTimeout"])
  })

  test("are as many as the service lets wait, over all its pools", () => {
    const clock = new Clock()
    const limits = limitsOf({ circuitBreaker: { ...circuitBreaker, maxPending: 2 } }, { wheel: clock.wheel })
    const [a, b] = [0, 1].map(() => new WaitingQueue(clock.wheel, limits, counters, () => 0))
    const waiter = new Waiter()
    expect([a.push(waiter, false), b.push(new Waiter(), true), b.push(new Waiter(), false)]).toEqual([true, true, false])
    expect([a.remove(waiter), a.remove(waiter), b.push(new Waiter(), false)]).toEqual([true, false, true])
    b.shift()
    expect(a.push(waiter, false)).toBe(true)
  })

  test("come first when they ask for it", () => {
    const clock = new Clock()
    const queue = new WaitingQueue(clock.wheel, limitsOf({}, { wheel: clock.wheel }), counters, () => 0)
    const [a, b] = [new Waiter(), new Waiter()]
    queue.push(a, false)
    queue.push(b, true)
    expect([queue.shift(), queue.shift(), queue.shift()]).toEqual([b, a, undefined])
  })
})

describe("caps of an endpoint", () => {
  test("hold what began under them, also when a reload takes them away and puts them back", () => {
    const memory = new LimitsMemory(new SharedArrayBuffer(0), 1, 0)
    const caps = new EndpointCaps({ maxConnections: 1, maxRequests: 1 }, memory, NO_CELL)
    expect([caps.admitRequest(), caps.admitRequest(), caps.requestsFull]).toEqual([true, false, true])
    caps.settings = { maxConnections: 0, maxRequests: 0 }
    expect([caps.requestsFull, caps.admitRequest()]).toEqual([false, true])
    caps.settings = { maxConnections: 1, maxRequests: 2 }
    caps.releaseRequest()
    caps.releaseRequest()
    expect([caps.admitRequest(), caps.admitRequest(), caps.admitRequest()]).toEqual([true, true, false])
    expect([caps.admitConnection(), caps.admitConnection(), caps.connectionsFull]).toEqual([true, false, true])
    caps.releaseConnection()
    expect(caps.connectionsFull).toBe(false)
  })
})

// A limiter in front of a simulated service that works on `capacity` requests at a time in `latency` ms each and shares itself out
// among more.

import { describe, expect, test } from "vitest"
import { AdaptiveConcurrency } from "../../../gateway/resilience/adaptive-concurrency.ts"
import { DROPPED, FAILED, OK } from "../../../gateway/resilience/outcome.ts"

interface Service {
  capacity: number
  latency: number
}

/** ms of one step. */
const STEP = 1

class Simulation {
  now = 1000
  readonly limiter: AdaptiveConcurrency
  readonly service: Service
  served = 0
  refused = 0
  #underWay: { since: number; left: number }[] = []
  #owed = 0

  constructor(service: Service, least = 3, most = 1000) {
    this.service = service
    this.limiter = new AdaptiveConcurrency({ least, most })
  }

  /** Clients send `rate` requests a second for `seconds`, whatever becomes of them. */
  run(seconds: number, rate: number): void {
    const { capacity, latency } = this.service
    for (let step = 0; step < (seconds * 1000) / STEP; step++) {
      this.now += STEP
      const share = Math.min(1, capacity / this.#underWay.length)
      const over = []
      for (const each of this.#underWay) if ((each.left -= STEP * share) <= 0) over.push(each)
      if (over.length > 0) this.#underWay = this.#underWay.filter((each) => each.left > 0)
      for (const { since } of over) {
        this.served++
        this.limiter.release(this.now, this.now - since, OK)
      }
      this.#owed += (rate * STEP) / 1000
      for (; this.#owed >= 1; this.#owed--) {
        if (this.limiter.admit()) this.#underWay.push({ since: this.now, left: latency })
        else this.refused++
      }
    }
  }
}

describe("adaptive concurrency", () => {
  test.each([
    [10, 20],
    [50, 10],
    [200, 50],
  ])("in front of a service that works on %d requests at a time (%d ms each) settles near that", (capacity, latency) => {
    const simulation = new Simulation({ capacity, latency })
    const most = (capacity * 1000) / latency
    simulation.run(30, most * 2)
    const limits: number[] = []
    for (let i = 0; i < 20; i++) {
      simulation.run(0.5, most * 2)
      limits.push(simulation.limiter.limit)
    }
    const mean = limits.reduce((sum, limit) => sum + limit, 0) / limits.length
    expect(mean).toBeGreaterThan(capacity)
    expect(mean).toBeLessThan(capacity * 2)
  })

  test("keeps nearly all of the service's throughput while twice as much is sent", () => {
    const simulation = new Simulation({ capacity: 50, latency: 10 })
    simulation.run(10, 10_000)
    simulation.served = 0
    simulation.run(90, 10_000)
    expect(simulation.served / 90).toBeGreaterThan(0.95 * 5000)
  })

  test("refuses nothing of what the service can do", () => {
    const simulation = new Simulation({ capacity: 50, latency: 10 })
    simulation.run(5, 3000)
    simulation.refused = 0
    simulation.run(120, 3000)
    expect(simulation.refused).toBe(0)
  })

  test("finds out that a service has become slower for good, and that it is well again", () => {
    const service = { capacity: 50, latency: 10 }
    const simulation = new Simulation(service)
    simulation.run(20, 10_000)
    service.capacity = 10
    simulation.run(10, 10_000)
    expect(simulation.limiter.limit).toBeLessThan(30)
    service.capacity = 100
    simulation.run(70, 20_000)
    expect(simulation.limiter.limit).toBeGreaterThan(90)
  })

  test("accepts a latency that is longer from some day on", () => {
    const service = { capacity: 50, latency: 10 }
    const simulation = new Simulation(service)
    simulation.run(20, 2000)
    service.latency = 40
    simulation.run(130, 1000)
    simulation.refused = 0
    simulation.run(10, 1000)
    expect(simulation.refused).toBe(0)
  })

  test("stays within its bounds", () => {
    const service = { capacity: 50, latency: 10 }
    const slow = new Simulation(service, 12, 40)
    slow.run(3, 2000)
    service.latency = 500
    slow.run(10, 2000)
    expect(slow.limiter.limit).toBe(12)
    const fast = new Simulation({ capacity: 500, latency: 10 }, 3, 40)
    fast.run(30, 40_000)
    expect(fast.limiter.limit).toBe(40)
  })

  test("learns nothing from answers that failed fast, nor from what was given up", () => {
    const limiter = new AdaptiveConcurrency({ least: 3, most: 1000 })
    for (let i = 0; i < 1000; i++) {
      limiter.admit()
      limiter.release(1000 + i * 5, 20, OK)
    }
    const { limit } = limiter
    for (let i = 0; i < 1000; i++) {
      limiter.admit()
      limiter.release(6000 + i * 5, 1, i % 2 === 0 ? FAILED : DROPPED)
    }
    expect(limiter.limit).toBe(limit)
    // What takes as long as before isn't slow now.
    for (let i = 0; i < 1000; i++) {
      limiter.admit()
      limiter.release(11_000 + i * 5, 20, OK)
    }
    expect(limiter.limit).toBe(limit)
  })
})

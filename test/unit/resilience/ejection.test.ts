import { Worker } from "node:worker_threads"
import { describe, expect, test } from "vitest"
import {
  allowedEjections,
  EJECTION_WORDS,
  Ejection,
  type EjectionLimits,
  ejectionTime,
  PROBE_TIME,
  repair,
} from "../../../gateway/resilience/ejection.ts"
import { within } from "../../support/deadline.ts"

const limits: EjectionLimits = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 3,
  consecutiveLocalFailures: 2,
  baseEjectionTime: 1000,
  maxEjectionTime: 5000,
  endpoints: 3,
  allowed: 1,
}

/** Endpoints of one service, as several threads see them. */
class Simulation {
  now: number
  random = 0
  readonly service = new Int32Array(1)
  readonly #words: Int32Array
  readonly #limits: EjectionLimits

  constructor(changed: Partial<EjectionLimits> = {}, start = 1_000_000) {
    this.now = start
    this.#limits = { ...limits, ...changed }
    this.#words = new Int32Array(this.#limits.endpoints * EJECTION_WORDS)
  }

  /** One more thread's view of an endpoint. */
  view(endpoint = 0): Ejection {
    const clock = (): number => this.now | 0
    return new Ejection(this.#words, endpoint * EJECTION_WORDS, this.service, 0, this.#limits, clock, () => this.random)
  }

  get ejected(): number {
    let ejected = 0
    for (let i = 0; i < this.#limits.endpoints; i++) if (this.view(i).ejected) ejected++
    return ejected
  }
}

describe("failures in a row", () => {
  const answer500 = [false, false] as const
  const answer503 = [true, false] as const
  const unreached = [true, true] as const

  test.each([
    { what: "answers of 500", kinds: [answer500], count: 5, reason: "5xx" },
    { what: "answers of 503", kinds: [answer503], count: 3, reason: "gatewayErrors" },
    { what: "connections that can't be made", kinds: [unreached], count: 2, reason: "localFailures" },
    { what: "answers of 500 and 503 by turns", kinds: [answer500, answer503], count: 5, reason: "5xx" },
    { what: "answers of 503 and failures by turns", kinds: [answer503, unreached], count: 3, reason: "gatewayErrors" },
  ])("of $what eject at their limit", ({ kinds, count, reason }) => {
    const endpoint = new Simulation().view()
    const failed = (i: number): string | null => {
      const [gateway, local] = kinds[i % kinds.length]
      return endpoint.failed(gateway, local)
    }
    for (let i = 1; i < count; i++) expect(failed(i)).toBeNull()
    expect(failed(count)).toBe(reason)
  })

  test("are those of all threads together", () => {
    const simulation = new Simulation()
    const [a, b] = [simulation.view(), simulation.view()]
    for (let i = 0; i < 2; i++) for (const thread of [a, b]) expect(thread.failed(false, false)).toBeNull()
    expect(b.failed(false, false)).toBe("5xx")
  })

  test("are forgotten with a success in any thread", () => {
    const simulation = new Simulation()
    const [a, b] = [simulation.view(), simulation.view()]
    for (let i = 0; i < 100; i++) {
      for (let n = 0; n < 4; n++) expect(a.failed(false, false)).toBeNull()
      b.succeeded()
    }
    expect(a.state.consecutive5xx).toBe(0)
  })

  test("count for nothing where their limit is 0", () => {
    const endpoint = new Simulation({ consecutive5xx: 0, consecutiveGatewayErrors: 0, consecutiveLocalFailures: 0 }).view()
    for (let i = 0; i < 3000; i++) expect(endpoint.failed(true, true)).toBeNull()
    expect(endpoint.state).toMatchObject({ consecutive5xx: 1023, consecutiveGatewayErrors: 1023, consecutiveLocalFailures: 1023 })
  })
})

describe("the number of ejected endpoints", () => {
  test.each([
    [0, 0.1, 0],
    [1, 1, 0],
    [2, 0, 1],
    [2, 1, 2],
    [9, 0.1, 1],
    [20, 0.1, 2],
    [29, 0.1, 2],
    [1000, 0.5, 500],
  ])("of %i with a share of %f is at most %i", (endpoints, share, allowed) => {
    expect(allowedEjections(endpoints, share)).toBe(allowed)
  })

  test("is never more than allowed, and always what the service says, whatever three threads do", () => {
    const simulation = new Simulation({ endpoints: 20, allowed: 3 })
    let state = 7
    const draw = (n: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return Math.floor((state / 2 ** 32) * n)
    }
    const threads = [0, 1, 2].map(() => Array.from({ length: 20 }, (_, i) => ({ endpoint: simulation.view(i), claim: 0 })))
    let most = 0
    for (let step = 0; step < 20_000; step++) {
      simulation.now += draw(200)
      const seen = threads[draw(3)][draw(20)]
      const what = draw(6)
      if (what < 2) {
        const reason = seen.endpoint.failed(true, what === 1)
        if (reason !== null) seen.endpoint.eject(reason)
      } else if (what === 2) seen.endpoint.eject("successRate")
      else if (what === 3) seen.claim ||= seen.endpoint.claim()
      else if (what === 4 && seen.claim !== 0) {
        if (draw(2) === 0) seen.endpoint.probeFailed(seen.claim)
        else seen.endpoint.probeSucceeded(seen.claim)
        seen.claim = 0
      } else if (draw(50) === 0) seen.endpoint.readmit()
      expect(simulation.ejected).toBe(simulation.service[0])
      most = Math.max(most, simulation.ejected)
    }
    expect(most).toBe(3)
  })

  test("is put right when a thread died while it ejected, but only when it stays wrong", () => {
    const { service } = new Simulation()
    service[0] = 2
    expect(repair(service, 0, 1, 1)).toBe(2)
    expect(service[0]).toBe(2)
    expect(repair(service, 0, 1, 2)).toBe(2)
    expect(service[0]).toBe(1)
  })
})

describe("an ejected endpoint", () => {
  function ejected(changed: Partial<EjectionLimits> = {}, start?: number): { simulation: Simulation; endpoint: Ejection } {
    const simulation = new Simulation(changed, start)
    const endpoint = simulation.view()
    expect(endpoint.eject("5xx")).toBe(1000)
    return { simulation, endpoint }
  }

  test("is left out for its time, and then until its probe has succeeded", () => {
    const { simulation, endpoint } = ejected()
    simulation.now += 999
    expect([endpoint.out, endpoint.claim()]).toEqual([true, 0])
    simulation.now += 1
    expect(endpoint.out).toBe(false)
    const claim = endpoint.claim()
    expect(claim).not.toBe(0)
    expect(endpoint.out).toBe(true)
    expect(endpoint.probeSucceeded(claim)).toBe(true)
    expect([endpoint.out, endpoint.ejected, simulation.service[0]]).toEqual([false, false, 0])
  })

  test("is not ejected again by what was under way", () => {
    const { endpoint } = ejected()
    expect(endpoint.eject("5xx")).toBe(0)
    expect(endpoint.state).toMatchObject({ times: 1, reason: "5xx", left: 1000 })
  })

  test("lets one probe through, of whichever thread", () => {
    const { simulation, endpoint } = ejected()
    const other = simulation.view()
    simulation.now += 1000
    expect(other.claim()).not.toBe(0)
    expect([endpoint.claim(), endpoint.out, other.out]).toEqual([0, true, true])
  })

  test("lets another through when nothing is heard of the first, whose outcome still counts", () => {
    const { simulation, endpoint } = ejected()
    const other = simulation.view()
    simulation.now += 1000
    const first = endpoint.claim()
    simulation.now += PROBE_TIME - 1
    expect(other.claim()).toBe(0)
    simulation.now += 1
    const second = other.claim()
    expect(second).not.toBe(0)
    expect(endpoint.probeSucceeded(first)).toBe(true)
    expect(other.probeFailed(second)).toBe(0)
    expect(simulation.view().ejected).toBe(false)
  })

  test("stays away for longer each time its probe fails, up to the longest", () => {
    const { simulation, endpoint } = ejected()
    const times: number[] = []
    for (let i = 0; i < 6; i++) {
      simulation.now += 5000
      times.push(endpoint.probeFailed(endpoint.claim()))
    }
    expect(times).toEqual([2000, 3000, 4000, 5000, 5000, 5000])
    expect(simulation.service[0]).toBe(1)
    expect(endpoint.state.reason).toBe("probe")
  })

  test("has its ejections forgotten, one for every interval it is in use", () => {
    const { simulation, endpoint } = ejected()
    simulation.now += 1000
    simulation.now += endpoint.probeFailed(endpoint.claim())
    endpoint.decay()
    expect(endpoint.state.times).toBe(2)
    endpoint.probeSucceeded(endpoint.claim())
    expect(endpoint.eject("latency")).toBe(3000)
    endpoint.readmit()
    for (let i = 0; i < 2; i++) endpoint.decay()
    expect(endpoint.eject("latency")).toBe(2000)
    endpoint.readmit()
    for (let i = 0; i < 9; i++) endpoint.decay()
    expect(endpoint.eject("latency")).toBe(1000)
  })

  test("begins anew with its failures in a row", () => {
    const { endpoint } = ejected()
    for (let i = 0; i < 4; i++) endpoint.failed(false, false)
    endpoint.readmit()
    for (let i = 0; i < 4; i++) expect(endpoint.failed(false, false)).toBeNull()
  })

  test("is used when all of its service are ejected", () => {
    const simulation = new Simulation({ endpoints: 2, allowed: 2 })
    const [a, b] = [simulation.view(0), simulation.view(1)]
    a.eject("5xx")
    expect([a.out, b.out]).toEqual([true, false])
    b.eject("5xx")
    expect([a.out, b.out]).toEqual([false, false])
  })

  test("comes back whatever steps the clock makes", () => {
    const { simulation, endpoint } = ejected()
    simulation.now -= 3_600_000
    expect(endpoint.out).toBe(false)
    expect(endpoint.claim()).not.toBe(0)
  })

  test("keeps its time when the clock wraps", () => {
    const { simulation, endpoint } = ejected({}, 2 ** 31 - 500)
    simulation.now += 999
    expect(endpoint.out).toBe(true)
    simulation.now += 1
    expect(endpoint.out).toBe(false)
  })

  test("that nobody asks for is not taken for one of the future when the clock comes round", () => {
    const { simulation, endpoint } = ejected()
    const hour = 3_600_000
    for (let passed = 0; passed < 2 ** 32; passed += hour) {
      simulation.now += hour
      endpoint.decay()
      expect(endpoint.out).toBe(false)
    }
    expect(endpoint.ejected).toBe(true)
  })
})

test("ejections last up to a tenth longer by chance", () => {
  expect([0, 0.5, 1].map((random) => ejectionTime(2, 1000, 5000, random))).toEqual([2000, 2100, 2200])
  expect(ejectionTime(50, 1000, 5000, 0.5)).toBe(5250)
})

test("two threads that eject and readmit at the same time never exceed what is allowed, nor act twice", async () => {
  // Of a service: its word; for each of four endpoints its words and who has it; then the figures.
  const memory = new SharedArrayBuffer(256)
  const url = new URL("./ejection-worker.ts", import.meta.url)
  const run = (me: number): Promise<number[]> =>
    new Promise((resolve, reject) => {
      const worker = new Worker(url, { workerData: { memory, me, rounds: 20_000 } })
      worker.once("message", resolve)
      worker.once("error", reject)
    })
  const results = await within(Promise.all([run(1), run(2)]), "the two threads", 20_000)
  for (const [ejections, wrong] of results) {
    expect(ejections).toBeGreaterThan(0)
    expect(wrong).toBe(0)
  }
  expect(new Int32Array(memory)[0]).toBe(0)
})

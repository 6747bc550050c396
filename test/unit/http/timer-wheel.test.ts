import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Deadline, TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { Random } from "../../conformance/http1/cuts.ts"

const TICK = 20
/** Ticks of one turn of the wheel. */
const TURN = 512

let now = 0
let wheel: TimerWheel

function deadline(onDue: (at: number) => void): Deadline {
  return new Deadline(wheel, { onDeadline: () => onDue(now) })
}

/** Lets the clock run in steps of a tick. */
function run(ms: number): void {
  for (const end = now + ms; now < end; ) {
    now = Math.min(end, now + TICK)
    wheel.advance()
  }
}

describe("timer wheel", () => {
  beforeEach(() => {
    // The wheel's own timer never runs: these tests turn the wheel.
    vi.useFakeTimers()
    now = 1_000_003
    wheel = new TimerWheel(() => now, TICK)
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test("a deadline is told once, not early and at most two ticks late", () => {
    for (const ms of [0, 1, 19, 20, 21, 500, TICK * (TURN - 1), TICK * TURN, TICK * (TURN + 1), 60_000, 3_600_000]) {
      const due = now + ms
      const told: number[] = []
      deadline((at) => told.push(at)).set(due)
      run(ms + 3 * TICK)
      expect(told.length).toBe(1)
      expect(told[0]).toBeGreaterThanOrEqual(due)
      expect(told[0]).toBeLessThanOrEqual(due + 2 * TICK)
    }
  })

  test("a deadline in the past is told with the next look, not within set", () => {
    const told: number[] = []
    deadline((at) => told.push(at)).set(now - 1000)
    expect(told).toEqual([])
    run(2 * TICK)
    expect(told.length).toBe(1)
  })

  test("moved later, it is told at the later time only", () => {
    const told: number[] = []
    const moved = deadline((at) => told.push(at))
    const start = now
    moved.set(start + 100)
    run(60)
    moved.set(start + 5000)
    run(4900)
    expect(told).toEqual([])
    run(200)
    expect(told.length).toBe(1)
    expect(told[0]).toBeGreaterThanOrEqual(start + 5000)
  })

  test("moved earlier, it is told at the earlier time only", () => {
    const told: number[] = []
    const moved = deadline((at) => told.push(at))
    const start = now
    moved.set(start + 50_000)
    moved.set(start + 100)
    run(140)
    expect(told.length).toBe(1)
    run(60_000)
    expect(told.length).toBe(1)
  })

  test("cleared or released, it is never told, and can be set again", () => {
    const told: number[] = []
    const one = deadline((at) => told.push(at))
    const two = deadline((at) => told.push(at))
    one.set(now + 100)
    two.set(now + 100)
    one.clear()
    two.release()
    two.release()
    run(500)
    expect(told).toEqual([])
    one.set(now + 100)
    two.set(now + 100)
    run(140)
    expect(told.length).toBe(2)
  })

  test("cleared and set again before the wheel came by, it keeps its new time", () => {
    const told: number[] = []
    const one = deadline((at) => told.push(at))
    const start = now
    one.set(start + 100)
    one.clear()
    one.set(start + 300)
    run(280)
    expect(told).toEqual([])
    run(60)
    expect(told.length).toBe(1)
  })

  test("set from its own call, it is told again", () => {
    const told: number[] = []
    const again = deadline((at) => {
      told.push(at)
      if (told.length < 4) again.set(at + 50)
    })
    again.set(now + 50)
    run(1000)
    expect(told.length).toBe(4)
    for (let i = 1; i < 4; i++) expect(told[i] - told[i - 1]).toBeGreaterThanOrEqual(50)
  })

  test("releasing, clearing and setting neighbours from a call disturbs nobody else", () => {
    const told: string[] = []
    const due = now + 100
    const all: Deadline[] = []
    for (let i = 0; i < 9; i++) {
      all.push(
        deadline(() => {
          told.push(`${i}`)
          // Whichever of them comes first does this to its neighbours on both sides.
          if (told.length === 1) {
            all[(i + 1) % 9].release()
            all[(i + 8) % 9].release()
            all[(i + 2) % 9].clear()
            all[(i + 7) % 9].set(now + 1000)
          }
        }),
      )
    }
    for (const one of all) one.set(due)
    run(140)
    expect(told.length).toBe(5)
    run(1100)
    expect(told.length).toBe(6)
    expect(new Set(told).size).toBe(6)
  })

  test("a clock that leaps tells everything that is due, and nothing else", () => {
    const told: string[] = []
    for (const ms of [10, 1000, 9000, 11_000, 30_000, 100_000]) deadline(() => told.push(`${ms}`)).set(now + ms)
    now += 40_000
    wheel.advance()
    expect(told.sort()).toEqual(["10", "1000", "11000", "30000", "9000"])
    now += 59_000
    wheel.advance()
    expect(told.length).toBe(5)
    run(1100)
    expect(told.length).toBe(6)
  })

  test("its timer runs only while a deadline is pending", () => {
    expect(vi.getTimerCount()).toBe(0)
    const one = deadline(() => {})
    const two = deadline(() => {})
    one.set(now + 100)
    two.set(now + 200)
    expect(vi.getTimerCount()).toBe(1)
    two.release()
    run(160)
    expect(vi.getTimerCount()).toBe(0)
    // Long idle, the wheel starts from the present.
    now += 10_000_000
    const told: number[] = []
    deadline((at) => told.push(at)).set(now + 100)
    run(140)
    expect(told.length).toBe(1)
  })

  test("an owner that throws costs nobody else's deadline", () => {
    const told: number[] = []
    const due = now + 100
    deadline((at) => told.push(at)).set(due)
    deadline(() => {
      throw new Error("an owner's fault")
    }).set(due)
    deadline((at) => told.push(at)).set(due)
    let faults = 0
    for (let i = 0; i < 10; i++) {
      now += TICK
      try {
        wheel.advance()
      } catch {
        faults++
      }
    }
    expect(faults).toBe(1)
    expect(told.length).toBe(2)
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1)
  })

  test("does what a list of times does, over random operations", () => {
    const random = new Random(42)
    const times = new Map<Deadline, number>()
    const told: { late: number; known: boolean }[] = []
    const all = Array.from({ length: 60 }, () => {
      const one: Deadline = deadline((at) => {
        const due = times.get(one)
        told.push({ late: due === undefined ? 0 : at - due, known: due !== undefined })
        times.delete(one)
        if (random.below(4) === 0) {
          const next = now + random.below(30_000)
          times.set(one, next)
          one.set(next)
        }
      })
      return one
    })
    for (let step = 0; step < 20_000; step++) {
      const one = random.pick(all)
      const what = random.below(10)
      if (what < 6) {
        const at = now + random.below(random.below(3) === 0 ? 40_000 : 400)
        one.set(at)
        times.set(one, at)
      } else if (what < 8) {
        if (what === 6) one.clear()
        else one.release()
        times.delete(one)
      }
      if (random.below(3) === 0) {
        now += random.below(30)
        wheel.advance()
        for (const due of times.values()) expect(due).toBeGreaterThan(now - 2 * TICK - 30)
      }
    }
    expect(told.length).toBeGreaterThan(1000)
    expect(told.every(({ late, known }) => known && late >= 0 && late <= 2 * TICK + 30)).toBe(true)
  })
})

// The contract of the budget, by simulated seconds of traffic.

import { describe, expect, test } from "vitest"
import { EARNED_WORDS, privateBudgetMemory, RetryBudget, SPENT_WORDS } from "../../../gateway/resilience/retry-budget.ts"

const settings = { share: 0.2, perSecond: 10 }
/** Some time of a clock that counts since 1970. */
const START = 1_764_000_000_123

function budget(): RetryBudget {
  return new RetryBudget(privateBudgetMemory(), 0, settings)
}

/** How many retries it grants at `now`. */
function room(of: RetryBudget, now: number): number {
  let taken = 0
  while (taken < 100_000 && of.take(now)) taken++
  return taken
}

/** `rate` requests a second from `from` on for `seconds`, each of which fails and wants `retries`; the retries that were granted. */
function storm(of: RetryBudget, from: number, seconds: number, rate: number, retries: number): number {
  let granted = 0
  for (let i = 0; i < seconds * rate; i++) {
    const now = from + (i * 1000) / rate
    of.request(now)
    for (let retry = 0; retry < retries && of.take(now); retry++) granted++
  }
  return granted
}

describe("a retry budget", () => {
  test("always has ten a second, of which ten seconds' may come at once", () => {
    const idle = budget()
    expect(room(idle, START)).toBe(100)
    expect(room(idle, START + 5000)).toBe(0)
    expect(room(idle, START + 10_000)).toBe(100)
  })

  test("has a fifth of the requests of its window beside", () => {
    const used = budget()
    storm(used, START, 10, 2000, 0)
    // Ten seconds that began within a slice touch eleven.
    const granted = room(used, START + 9_800)
    expect(granted).toBeGreaterThanOrEqual(100 + 0.2 * 2000 * 9)
    expect(granted).toBeLessThanOrEqual(100 + 0.2 * 2000 * 10)
  })

  test("forgets requests that are longer ago", () => {
    const used = budget()
    storm(used, START, 10, 2000, 0)
    expect(room(used, START + 30_000)).toBe(100)
  })

  test.each([
    [2000, 2],
    [200, 10],
    [20, 2],
  ])("keeps a service that fails as a whole under %d a second (each wanting %d retries) at 1.2 times that, and 10/s", (rate, retries) => {
    const seconds = 60
    const failing = budget()
    const granted = storm(failing, START, seconds, rate, retries)
    expect(granted).toBeLessThanOrEqual(0.2 * rate * seconds + 10 * (seconds + 10))
    // And it is used, not merely kept.
    expect(granted).toBeGreaterThanOrEqual(Math.min(rate * retries * seconds, 0.9 * (0.2 * rate * seconds + 10 * (seconds - 10))))
  })

  test("has enough for an endpoint of three that dies under 2000 a second, until it is ejected", () => {
    const used = budget()
    storm(used, START, 10, 2000, 0)
    let denied = 0
    for (let i = 0; i < 4000; i++) {
      const now = START + 10_000 + i / 2
      used.request(now)
      if (i % 3 === 0 && !used.take(now)) denied++
    }
    expect(denied).toBe(0)
  })

  test("is one for all threads", () => {
    const threads = 3
    const words = new Int32Array(SPENT_WORDS + threads * EARNED_WORDS)
    const memory = { words, spent: 0, earned: SPENT_WORDS, stride: EARNED_WORDS, threads }
    const budgets = Array.from({ length: threads }, (_, thread) => new RetryBudget(memory, thread, settings))
    for (let i = 0; i < 3000; i++) budgets[i % threads].request(START)
    let granted = 0
    for (let turn = 0; budgets[turn % threads].take(START); turn++) granted++
    expect(granted).toBe(100 + 600)
  })

  test("of nothing grants nothing", () => {
    expect(room(new RetryBudget(privateBudgetMemory(), 0, { share: 0, perSecond: 0 }), START)).toBe(0)
  })
})

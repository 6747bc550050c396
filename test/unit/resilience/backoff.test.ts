import { expect, test } from "vitest"
import { Backoff } from "../../../gateway/resilience/backoff.ts"

test("failures below the threshold cost nothing", () => {
  const backoff = new Backoff()
  expect(backoff.ready(0)).toBe(true)
  expect([backoff.fail(0), backoff.fail(5000)]).toEqual([0, 0])
  expect(backoff.ready(5000)).toBe(true)
})

test("the third failure within the window waits, and each after it twice as long", () => {
  const backoff = new Backoff()
  expect([backoff.fail(0), backoff.fail(1), backoff.fail(10_000)]).toEqual([0, 0, 500])
  expect([backoff.ready(10_499), backoff.ready(10_500), backoff.retryAt]).toEqual([false, true, 10_500])
  expect(backoff.fail(10_500)).toBe(1000)
  expect(backoff.fail(11_500)).toBe(2000)
})

test("failures further apart than the window never add up", () => {
  const backoff = new Backoff()
  for (let now = 0; now < 1_000_000; now += 5001) expect(backoff.fail(now)).toBe(0)
})

test("waits are capped", () => {
  const backoff = new Backoff({ threshold: 1, base: 100, max: 1000 })
  let now = 0
  const waits: number[] = []
  for (let i = 0; i < 8; i++) {
    const wait = backoff.fail(now)
    waits.push(wait)
    now += wait
  }
  expect(waits).toEqual([100, 200, 400, 800, 1000, 1000, 1000, 1000])
})

test("a window without a failure after the wait forgets, the wait itself does not", () => {
  const backoff = new Backoff({ threshold: 1, window: 1000, base: 5000 })
  expect(backoff.fail(0)).toBe(5000)
  expect(backoff.fail(6000)).toBe(10_000)
  expect(backoff.fail(17_001)).toBe(5000)
})

test("a level far above the cap stays finite", () => {
  const backoff = new Backoff({ threshold: 1 })
  let now = 0
  for (let i = 0; i < 2000; i++) {
    const wait = backoff.fail(now)
    expect(wait).toBeLessThanOrEqual(60_000)
    now += wait
  }
})

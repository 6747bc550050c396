import { expect, test } from "vitest"
import { SampleWindow } from "../../../gateway/resilience/sample-window.ts"

const start = { at: 0, exchanges: 0 }

/** Takes a sample every second; answers with where the window began at the end. */
function run(window: SampleWindow<typeof start>, seconds: number, perSecond: number): { from: number; exchanges: number } {
  let base = start
  for (let i = 1; i <= seconds; i++) base = window.take({ at: i * 1000, exchanges: i * perSecond })
  return { from: seconds - base.at / 1000, exchanges: seconds * perSecond - base.exchanges }
}

test("a window begins with the first sample until it is full, and then moves on", () => {
  expect(run(new SampleWindow(30_000, 50, start), 10, 100)).toEqual({ from: 10, exchanges: 1000 })
  expect(run(new SampleWindow(30_000, 50, start), 1000, 100)).toEqual({ from: 30, exchanges: 3000 })
})

test("a window is stretched until it holds the minimum", () => {
  expect(run(new SampleWindow(30_000, 50, start), 1000, 1)).toEqual({ from: 50, exchanges: 50 })
})

test("a window of a day in which little happens is still about the minimum, and keeps few samples", () => {
  const { exchanges } = run(new SampleWindow(30_000, 50, start), 86_400, 0.01)
  expect(exchanges).toBeGreaterThanOrEqual(50)
  expect(exchanges).toBeLessThan(150)
})

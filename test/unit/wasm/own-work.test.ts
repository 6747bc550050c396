import { describe, expect, test } from "vitest"
import { OwnWork, type Task, workOfAll } from "../../../gateway/wasm/own-work.ts"
import { ManualClock } from "./support/root.ts"

/** Takes `ms` each time, and wants to go on at once. */
function busy(clock: ManualClock, work: OwnWork, ms: number): { spent: number } {
  const told = { spent: 0 }
  const task: Task = {
    weight: 1,
    run() {
      clock.ms += ms
      told.spent += ms
      work.take(task)
    },
  }
  work.take(task)
  return told
}

describe("what instances do by themselves", () => {
  test("alone: a quarter of the thread", () => {
    const clock = new ManualClock()
    const { spent } = busyFor(clock, 1, 10_000)
    expect(spent).toBeGreaterThan(2000)
    expect(spent).toBeLessThan(2600)
  })

  test("many together: half of it", () => {
    const clock = new ManualClock()
    const { spent } = busyFor(clock, 20, 10_000)
    expect(spent).toBeGreaterThan(4000)
    expect(spent).toBeLessThan(5200)
  })
})

function busyFor(clock: ManualClock, instances: number, ms: number): { spent: number } {
  const all = workOfAll(clock)
  const told = Array.from({ length: instances }, () => busy(clock, new OwnWork(clock, all), 5))
  clock.pass(ms)
  return { spent: told.reduce((sum, each) => sum + each.spent, 0) }
}

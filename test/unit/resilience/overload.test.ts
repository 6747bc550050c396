// The controller, alone and in front of a simulated thread that has more to do than it can.

import { describe, expect, test } from "vitest"
import { HIGH, isShed, LOW, memoryLevel, NORMAL, OverloadController } from "../../../gateway/resilience/overload.ts"

const THRESHOLD = 250

/** Looks that are each late by one of `delays`. */
function lateBy(controller: OverloadController, delays: readonly number[]): number {
  for (const delay of delays) controller.look(100 + delay, delay, 0)
  return controller.level
}

const times = (count: number, delay: number): number[] => Array(count).fill(delay)

/** 100 ms and more at a time; what comes is 100 % for each priority of `loads`, of what the thread can do. */
function simulate(seconds: number, loads: readonly [low: number, normal: number, high: number]): { level: number[]; delay: number[] } {
  const controller = new OverloadController(THRESHOLD)
  const level: number[] = []
  const delay: number[] = []
  let backlog = 0
  for (let now = 0; now < seconds * 1000; ) {
    // A loop's turn takes what has come since the last one.
    const turn = backlog
    const elapsed = 100 + turn
    now += elapsed
    let work = 0
    loads.forEach((load, priority) => {
      const passes = 1 - Math.min(1, Math.max(0, controller.level - priority))
      // Refusing costs a tenth.
      work += load * elapsed * (passes + (1 - passes) / 10)
    })
    // Clients wait for their answers, so that there is an end to what can pile up.
    backlog = Math.min(2000, Math.max(0, backlog + work - elapsed))
    level.push(controller.look(elapsed, turn, 0))
    delay.push(turn)
  }
  return { level: level.slice(level.length >> 1), delay: delay.slice(delay.length >> 1) }
}

describe("overload by lateness", () => {
  test("is none while the thread is busy but in time", () => {
    expect(lateBy(new OverloadController(THRESHOLD), times(1000, 100))).toBe(0)
  })

  test("is none after one long pause, or several apart", () => {
    const controller = new OverloadController(THRESHOLD)
    expect(lateBy(controller, [...times(10, 1), 3000, ...times(4, 1), 3000, 3000, 3000, 3000, 0])).toBe(0)
  })

  test("is none before there have been enough looks", () => {
    expect(lateBy(new OverloadController(THRESHOLD), times(4, 5000))).toBe(0)
  })

  test("rises while there is a standing delay, the faster the longer it is, and no further than 3", () => {
    const slight = lateBy(new OverloadController(THRESHOLD), times(8, 260))
    const heavy = lateBy(new OverloadController(THRESHOLD), times(8, 600))
    expect(slight).toBeGreaterThan(0.2)
    expect(heavy).toBeGreaterThan(2 * slight)
    expect(lateBy(new OverloadController(THRESHOLD), times(100, 1000))).toBe(3)
  })

  test("holds between half of the threshold and all of it, and falls below, by one in 10 s at first", () => {
    const controller = new OverloadController(THRESHOLD)
    expect(lateBy(controller, times(100, 1000))).toBe(3)
    expect(lateBy(controller, times(20, 200))).toBe(3)
    expect(lateBy(controller, times(20, 0))).toBeGreaterThan(2.9)
    expect(lateBy(controller, times(80, 0))).toBeCloseTo(2, 1)
    expect(lateBy(controller, times(100, 0))).toBe(0)
  })

  test("is not looked at with a threshold of 0", () => {
    expect(lateBy(new OverloadController(0), times(100, 5000))).toBe(0)
  })

  test.each([
    ["two thirds of low priority", [1, 0.5, 0.1], 0.67],
    ["low and half of normal", [0.3, 1.2, 0.3], 1.49],
    ["nearly all of normal", [0, 3, 0.5], 1.93],
  ] as const)("sheds %s where that is enough, and stays near it", (_what, loads, enough) => {
    const { level, delay } = simulate(240, loads)
    for (const each of level) expect(Math.abs(each - enough)).toBeLessThan(0.75)
    const mean = delay.reduce((sum, each) => sum + each, 0) / delay.length
    expect(mean).toBeLessThan(THRESHOLD)
  })
})

describe("overload by memory", () => {
  test("goes from the threshold to the limit", () => {
    expect([80, 90, 95, 100, 120].map((used) => memoryLevel(used, 90, 100))).toEqual([0, 0, 1.5, 3, 3])
    expect(memoryLevel(91, 90, 80)).toBe(3)
  })

  test("holds whatever lateness says", () => {
    const controller = new OverloadController(THRESHOLD)
    expect(controller.look(100, 0, 1.5)).toBe(1.5)
    expect(controller.look(100, 0, 0)).toBe(0)
  })
})

test.each([
  [0, [false, false, false]],
  [0.6, [true, false, false]],
  [0.5, [false, false, false]],
  [1.6, [true, true, false]],
  [3, [true, true, true]],
])("at level %d, by an even chance, of low, normal and high %j are shed", (level, expected) => {
  expect([LOW, NORMAL, HIGH].map((priority) => isShed(level, priority as 0 | 1 | 2, 0.5))).toEqual(expected)
})

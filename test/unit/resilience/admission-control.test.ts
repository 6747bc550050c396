import { describe, expect, test } from "vitest"
import { AdmissionControl } from "../../../gateway/resilience/admission-control.ts"

const settings = { window: 30_000, target: 0.95, mostRejected: 0.8 }

/** A generator of chance with a seed (mulberry32). */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** 1000 requests a second, of which `success` would succeed, for `seconds`; the share that was refused. */
function run(control: AdmissionControl, from: number, seconds: number, success: number, random: () => number): number {
  let refused = 0
  for (let i = 0; i < seconds * 1000; i++) {
    const now = from + i
    if (!control.admits(now)) refused++
    else control.record(now, random() < success)
  }
  return refused / (seconds * 1000)
}

describe("admission control", () => {
  test.each([
    [1, 0],
    [0.96, 0],
    [0.5, 0.474],
    [0, 0.8],
  ])("where %d of the requests succeed refuses %d of them", (success, expected) => {
    const random = chance(1)
    const control = new AdmissionControl(settings, random)
    run(control, 0, 40, success, random)
    expect(Math.abs(run(control, 40_000, 30, success, random) - expected)).toBeLessThan(0.02)
  })

  test("lets everything pass again within its window of the service's being well", () => {
    const random = chance(2)
    const control = new AdmissionControl(settings, random)
    run(control, 0, 60, 0, random)
    expect(control.rejection(59_999)).toBe(0.8)
    run(control, 60_000, 31, 1, random)
    expect(control.rejection(91_000)).toBe(0)
  })

  test("says nothing after a few failures, and forgets what is long ago", () => {
    const control = new AdmissionControl(settings, () => 0)
    for (let i = 0; i < 19; i++) control.record(1000, false)
    expect(control.admits(1000)).toBe(true)
    control.record(1000, false)
    expect(control.admits(1000)).toBe(false)
    expect(control.admits(30_999)).toBe(false)
    expect(control.admits(31_000)).toBe(true)
    expect(control.admits(10_000_000)).toBe(true)
  })
})

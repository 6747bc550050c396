import { expect, test } from "vitest"
import { Bandwidth } from "../../../gateway/resilience/bandwidth.ts"

test.each([256, 65_536, 10_000_000])("at %i octets a second no span sees more, and a looker every 20 or 40 ms loses none", (rate) => {
  let now = 1000
  const bandwidth = new Bandwidth(rate, now)
  const passed: { at: number; octets: number }[] = []
  let total = 0
  for (let step = 0; step < 500; step++) {
    const octets = bandwidth.take(Number.MAX_SAFE_INTEGER, now)
    passed.push({ at: now, octets })
    total += octets
    now += step % 3 === 0 ? 40 : 20
  }
  const ms = passed[passed.length - 1].at - passed[0].at
  expect(total).toBeLessThanOrEqual((rate * (ms + 100)) / 1000)
  expect(total).toBeGreaterThanOrEqual((rate * (ms + 99)) / 1000 - 2)
  for (let from = 0; from < passed.length; from += 50) {
    let octets = 0
    for (let to = from; to < passed.length; to++) {
      octets += passed[to].octets
      expect(octets).toBeLessThanOrEqual((rate * (passed[to].at - passed[from].at + 100)) / 1000)
    }
  }
})

test("what isn't used is kept for a tenth of a second only", () => {
  const bandwidth = new Bandwidth(1000, 0)
  expect(bandwidth.take(1000, 60_000)).toBe(100)
  expect(bandwidth.take(1000, 60_000)).toBe(0)
  expect(bandwidth.take(1000, 60_050)).toBe(50)
})

test("all or nothing takes nothing when it can't have all", () => {
  const bandwidth = new Bandwidth(1000, 0)
  expect(bandwidth.takeAll(101, 0)).toBe(false)
  expect(bandwidth.takeAll(100, 0)).toBe(true)
  expect(bandwidth.takeAll(1, 0)).toBe(false)
  expect(bandwidth.takeAll(1, 1)).toBe(true)
})

test("a clock that goes back gives nothing", () => {
  const bandwidth = new Bandwidth(1000, 1000)
  expect(bandwidth.take(100, 1000)).toBe(100)
  expect(bandwidth.take(100, 0)).toBe(0)
  expect(bandwidth.take(100, 1010)).toBe(10)
})

import { expect, test } from "vitest"
import { Reconnect } from "../../../gateway/resilience/reconnect.ts"

test("pauses double to five seconds, and begin anew when it worked", () => {
  const reconnect = new Reconnect()
  const longest = Array.from({ length: 9 }, () => Math.round(reconnect.failed(0.999_999_9)))
  expect(longest).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
  reconnect.worked()
  expect(Math.round(reconnect.failed(0.999_999_9))).toBe(50)
})

test("a pause is drawn from the upper half of its range", () => {
  const pauses = [0, 0.5, 0.999_999_9].map((random) => Math.round(new Reconnect().failed(random)))
  expect(pauses).toEqual([25, 38, 50])
})

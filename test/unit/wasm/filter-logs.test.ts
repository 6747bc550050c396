import { afterEach, expect, test, vi } from "vitest"
import { FilterLogs, type LogFollower, MAX_FOLLOWERS } from "../../../gateway/wasm/filter-logs.ts"

afterEach(() => vi.useRealTimers())

test("who follows a log and reads nothing of it makes room for others; who reads stays", async () => {
  vi.useFakeTimers()
  const logs = new FilterLogs()
  const followers = Array.from({ length: MAX_FOLLOWERS }, () => logs.follow("auth", "trace") as LogFollower)
  expect(logs.follow("auth", "trace")).toBe(null)
  const [reads] = followers
  for (let i = 0; i < 20; i++) {
    expect(await reads.next()).toContain("alive")
    vi.advanceTimersByTime(5000)
  }
  expect(await followers[1].next()).toBe(null)
  const another = logs.follow("auth", "trace")
  expect(another).not.toBe(null)
  logs.close()
})

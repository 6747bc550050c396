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

test("what is kept of a filter is bounded in lines, in their length and in all of them, whatever their fields hold", () => {
  const logs = new FilterLogs()
  const silent = { enabled: () => true, log: () => {} }
  const logger = logs.beside(silent)
  logger.log("error", "refused", {
    filters: ["auth"],
    reason: "x".repeat(1_000_000),
    names: Array.from({ length: 1000 }, () => "long".repeat(100)),
  })
  const [line] = logs.lines("auth", "trace")
  expect(String(line.fields.reason)).toMatch(/^x{2000,2048}… /)
  expect(JSON.stringify(line).length).toBeLessThan(5000)
  for (let i = 0; i < 300; i++) logger.log("info", `line ${i}`, { filter: "auth", reason: "y".repeat(2048) })
  const kept = logs.lines("auth", "trace")
  expect(kept.at(-1)?.message).toBe("line 299")
  expect(kept.length).toBeGreaterThan(20)
  expect(JSON.stringify(kept).length).toBeLessThan(70_000)
  for (let i = 0; i < 300; i++) logger.log("info", `short ${i}`, { filter: "auth" })
  expect(logs.lines("auth", "trace").length).toBe(200)
})

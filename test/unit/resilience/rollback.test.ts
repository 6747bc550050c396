import { expect, test } from "vitest"
import { RollbackJudge, type VersionCounts } from "../../../gateway/resilience/rollback.ts"

const limits = { failures: 0.01, errors: 0.05, window: 30_000, minimum: 50 }
const none: VersionCounts = { exchanges: 0, failures: 0, errors: 0 }
const counts = (exchanges: number, failures = 0, errors = 0): VersionCounts => ({ exchanges, failures, errors })

/** A judge of a version that begins at time 0, when nothing is counted. */
function judge(overrides: Partial<typeof limits> = {}): RollbackJudge {
  return new RollbackJudge({ ...limits, ...overrides }, { at: 0, stable: none, version: none })
}

test("a version is not judged before it has had enough exchanges", () => {
  expect(judge().judge(1000, counts(1000), counts(49, 49))).toBeNull()
  expect(judge().judge(1000, counts(1000), counts(50, 50))).toContain("failed in 50 of 50 exchanges of the last 1 s; 1% are allowed")
})

test("what happened before the first look counts, what had been counted before the start does not", () => {
  const start = { at: 5000, stable: counts(500), version: counts(1000, 900, 900) }
  expect(new RollbackJudge(limits, start).judge(5400, counts(500), counts(1050, 900, 900))).toBeNull()
  expect(new RollbackJudge(limits, start).judge(5400, counts(500), counts(1050, 950, 900))).toContain("failed in 50 of 50 exchanges")
})

test("failures are judged by themselves, also when the stable version stands still", () => {
  expect(judge().judge(1000, none, counts(200, 2))).toBeNull()
  expect(judge().judge(1000, none, counts(200, 3))).not.toBeNull()
  expect(judge({ failures: 1 }).judge(1000, none, counts(200, 200))).toBeNull()
})

test("errors are compared with the stable version's", () => {
  expect(judge().judge(1000, counts(1000, 0, 100), counts(100, 0, 15))).toBeNull()
  expect(judge().judge(1000, counts(1000, 0, 100), counts(100, 0, 16))).toBe(
    "16% of 100 exchanges of the last 1 s ended with a 5xx, of the first version's 10%; 5% more are allowed",
  )
})

test("errors are nobody's fault when too little is known of the stable version", () => {
  expect(judge().judge(1000, counts(49), counts(100, 0, 100))).toBeNull()
  expect(judge().judge(1000, counts(50), counts(100, 0, 100))).not.toBeNull()
})

test("a sudden fault shows although everything was well for an hour", () => {
  const long = judge()
  let exchanges = 0
  for (let now = 1000; now <= 3_600_000; now += 1000) expect(long.judge(now, none, counts((exchanges += 100)))).toBeNull()
  // 1 % of what the window holds: 3000 exchanges.
  expect(long.judge(3_601_000, none, counts(exchanges + 100, 30))).toBeNull()
  expect(long.judge(3_602_000, none, counts(exchanges + 200, 60))).not.toBeNull()
})

test("a fault of long ago is forgotten", () => {
  const old = judge({ failures: 0.5 })
  expect(old.judge(1000, none, counts(100, 40))).toBeNull()
  for (let now = 2000; now <= 40_000; now += 1000) expect(old.judge(now, none, counts(100, 40))).toBeNull()
  expect(old.judge(41_000, none, counts(200, 80))).toBeNull()
  // 51 of 100 in the window; of all, 91 of 200 would be allowed.
  const other = judge({ failures: 0.5 })
  expect(other.judge(1000, none, counts(100, 40))).toBeNull()
  for (let now = 2000; now <= 40_000; now += 1000) expect(other.judge(now, none, counts(100, 40))).toBeNull()
  expect(other.judge(41_000, none, counts(200, 91))).not.toBeNull()
})

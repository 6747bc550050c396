import { describe, expect, test } from "vitest"
import { Quarantine } from "../../../gateway/resilience/quarantine.ts"

describe("quarantine", () => {
  test("begins with one failure too many in the window", () => {
    const quarantine = new Quarantine({ failures: 3, window: 1000 })
    expect(quarantine.fail(0, false)).toBe(false)
    expect(quarantine.fail(500, false)).toBe(false)
    expect(quarantine.reason).toBeNull()
    expect(quarantine.fail(1000, false)).toBe(true)
    expect(quarantine.reason).toBe("it failed 3 times in 1 s")
    expect(quarantine.fail(1001, false)).toBe(false)
  })

  test("does not begin while failures are far enough apart", () => {
    const quarantine = new Quarantine({ failures: 3, window: 1000 })
    for (let at = 0; at < 100_000; at += 501) expect(quarantine.fail(at, false)).toBe(false)
  })

  test("begins with one failed start too many in a row, however long that takes", () => {
    const quarantine = new Quarantine({ starts: 3, window: 1000 })
    quarantine.fail(0, true)
    quarantine.fail(10_000, true)
    quarantine.started()
    expect(quarantine.fail(20_000, true)).toBe(false)
    expect(quarantine.fail(30_000, true)).toBe(false)
    expect(quarantine.fail(40_000, true)).toBe(true)
    expect(quarantine.reason).toBe("3 starts in a row failed")
  })

  test("ends with a release, which forgets everything", () => {
    const quarantine = new Quarantine({ failures: 2, window: 1000 })
    expect(quarantine.release()).toBe(false)
    quarantine.fail(0, false)
    quarantine.fail(0, false)
    expect(quarantine.release()).toBe(true)
    expect(quarantine.reason).toBeNull()
    expect(quarantine.fail(1, false)).toBe(false)
  })
})

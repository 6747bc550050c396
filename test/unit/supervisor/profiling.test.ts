import { afterEach, expect, test, vi } from "vitest"
import { Profiling } from "../../../gateway/supervisor/profiling.ts"

afterEach(() => vi.unstubAllEnvs())

test("a profile for whose file there is no room doesn't keep others from being taken", async () => {
  const profiling = new Profiling({ workers: 1, ask: () => Promise.resolve({ what: "failed", why: "asked" }) })
  vi.stubEnv("TMPDIR", "/nonexistent/place")
  expect(await profiling.take("cpu", 0, 1)).toMatchObject({ kind: "none", status: 503, why: expect.stringContaining("/nonexistent/place") })
  vi.unstubAllEnvs()
  expect(await profiling.take("cpu", 0, 1)).toEqual({ kind: "none", status: 503, why: "asked" })
})

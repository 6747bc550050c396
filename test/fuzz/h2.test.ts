// The short run of the fuzzer of HTTP/2's sessions, with a new seed each time.

import { expect, test } from "vitest"
import { Random } from "../conformance/http1/cuts.ts"
import { fuzzSessions } from "./h2-sessions.ts"

const FRAMES = 10_000

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff)

test(`HTTP/2 sessions, random frames, seed ${seed}: every message ends once, and nothing throws`, async () => {
  const report = await fuzzSessions(FRAMES, new Random(seed), () => {})
  expect(report.problem).toBe(null)
  expect(report.inputs).toBeGreaterThanOrEqual(FRAMES)
  // Most of it is right enough to get somewhere.
  expect(report.messages).toBeGreaterThan(FRAMES / 20)
  expect(report.complete).toBeGreaterThan(10)
})

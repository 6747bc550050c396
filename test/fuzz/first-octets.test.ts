// The short run of the fuzzer of first octets, with a new seed each time.

import { describe, expect, test } from "vitest"
import { Random } from "../conformance/http1/cuts.ts"
import { fuzz } from "./first-octets-fuzz.ts"

const INPUTS = 30_000

describe("readers of a connection's first octets, fuzzed", () => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff)
  test(`random beginnings, seed ${seed}`, () => {
    const report = fuzz(INPUTS, new Random(seed), () => {})
    expect(report.problem).toBe(null)
    // Not everything was refused: each reader has read much of its third.
    for (const read of Object.values(report.read)) expect(read).toBeGreaterThan(INPUTS / 20)
  })
})

// The short run of the HPACK fuzzer, with a new seed each time.

import { describe, expect, test } from "vitest"
import { Random } from "../conformance/http1/cuts.ts"
import { fuzzHpack } from "./hpack-fuzz.ts"

const INPUTS = 8000

describe("HPACK, fuzzed", () => {
  const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff)
  test(`random blocks are read as RFC 7541 reads, seed ${seed}`, () => {
    const report = fuzzHpack(INPUTS, new Random(seed), () => {})
    expect(report.problem).toBe(null)
    expect(report.inputs).toBe(INPUTS)
    // The inputs are worth something: most are good, and many are not.
    expect(report.fields).toBeGreaterThan(INPUTS)
    expect(report.refused).toBeGreaterThan(INPUTS / 100)
  })
})

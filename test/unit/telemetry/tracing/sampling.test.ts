import { describe, expect, test } from "vitest"
import { RatioSampler } from "../../../../gateway/telemetry/tracing/sampling.ts"
import { TraceIds } from "../../../../gateway/telemetry/tracing/trace-ids.ts"
import { seeded } from "../../../support/balanced.ts"

const high = "f".repeat(16)

function sampled(ratio: number, low: string): boolean {
  return new RatioSampler(ratio).samples(high + low)
}

describe("a share of the traces", () => {
  test("is decided by the lower half of the id alone", () => {
    expect(sampled(0.5, "7fffffffffffffff")).toBe(true)
    expect(sampled(0.5, "8000000000000000")).toBe(false)
    expect(new RatioSampler(0.5).samples("0".repeat(16) + "8000000000000000")).toBe(false)
  })

  // The bound of Go's sampler: an id is sampled if its lower 64 bits, without the last, are less than ratio · 2^63.
  test.each([
    [0.01, "028f5c28f5c28f5f", true],
    [0.01, "028f5c28f5c28f60", false],
    [0.25, "3fffffffffffffff", true],
    [0.25, "4000000000000000", false],
    [0.999, "ffbe76c8b4395800", false],
    [0.999, "ffbe76c8b43957ff", true],
  ])("of %d takes %s: %s", (ratio, low, expected) => {
    expect(sampled(ratio, low)).toBe(expected)
  })

  test("of none takes none, and of all takes all", () => {
    for (const low of ["0".repeat(16), "f".repeat(16)]) {
      expect(sampled(0, low)).toBe(false)
      expect(sampled(1, low)).toBe(true)
    }
  })

  test("holds over random ids", () => {
    const random = seeded(7)
    const ids = new TraceIds((octets) =>
      Array.from({ length: octets }, () =>
        Math.floor(random() * 256)
          .toString(16)
          .padStart(2, "0"),
      ).join(""),
    )
    const sampler = new RatioSampler(0.1)
    let taken = 0
    for (let i = 0; i < 20_000; i++) if (sampler.samples(ids.trace())) taken++
    expect(taken / 20_000).toBeCloseTo(0.1, 2)
  })
})

describe("ids", () => {
  test("are never zeros alone", () => {
    const ids = new TraceIds((octets) => "00".repeat(octets))
    expect(ids.trace()).toBe(`${"0".repeat(31)}1`)
    expect(ids.span()).toBe(`${"0".repeat(15)}1`)
  })

  test("use every digit of the randomness once", () => {
    let draws = 0
    const ids = new TraceIds((octets) => {
      draws++
      return "ab".repeat(octets)
    })
    for (let i = 0; i < 128; i++) expect(ids.trace()).toBe("ab".repeat(16))
    expect(draws).toBe(1)
    ids.span()
    expect(draws).toBe(2)
  })
})

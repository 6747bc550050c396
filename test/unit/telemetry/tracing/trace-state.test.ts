import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { parseTracestate } from "../../../../gateway/telemetry/tracing/trace-state.ts"

/** Any octets. */
const octets = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"))

/** Of these characters. */
const text = (of: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Array.from(bytes, (byte) => of[byte % of.length]).join(""))

describe("tracestate", () => {
  test.each([
    ["", ""],
    ["a=b", "a=b"],
    ["congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"],
    [" a=1 ,\tb=2,, ", "a=1,b=2"],
    ["fw529a3039@dt=FfAAAAAAAAg", "fw529a3039@dt=FfAAAAAAAAg"],
    ["0tenant@sys=1", "0tenant@sys=1"],
    ["a= inner space", "a= inner space"],
    [`a=${"v".repeat(256)}`, `a=${"v".repeat(256)}`],
  ])("%j goes on as %j", (text, expected) => {
    expect(parseTracestate(text)).toBe(expected)
  })

  test.each(["a", "=b", "a=", "A=b", "a=b=c", "a b=c", `a=${"v".repeat(257)}`, "a=\u00e9", "a=b\0", "a=1,b"])(
    "%j is dropped as a whole",
    (text) => {
      expect(parseTracestate(text)).toBe("")
    },
  )

  test("has 512 characters at most, and loses long members first, from the end", () => {
    const long = (name: string): string => `${name}=${"v".repeat(200)}`
    expect(parseTracestate([long("a"), "b=1", long("c"), "d=2", long("e")].join(","))).toBe([long("a"), "b=1", long("c"), "d=2"].join(","))
    const short = Array.from({ length: 20 }, (_, i) => `k${i}=${"v".repeat(60)}`)
    const kept = parseTracestate(short.join(","))
    expect(kept.length).toBeLessThanOrEqual(512)
    expect(short.join(",").startsWith(`${kept},`)).toBe(true)
  })

  test("of any octets stays within its limits, and is then as it is", () => {
    const member = fc.tuple(text("ab0_-*/@", 0, 6), fc.string({ maxLength: 200 })).map((pair) => pair.join("="))
    const any = fc.oneof(
      octets(300),
      fc.array(member, { maxLength: 40 }).map((members) => members.join(",")),
    )
    fc.assert(
      fc.property(any, (given) => {
        const kept = parseTracestate(given)
        expect(kept.length).toBeLessThanOrEqual(512)
        expect(kept === "" ? 0 : kept.split(",").length).toBeLessThanOrEqual(32)
        expect(parseTracestate(kept)).toBe(kept)
      }),
      { numRuns: 500 },
    )
  })

  test("is not looked at when it is huge", () => {
    expect(parseTracestate("a=b,".repeat(100_000))).toBe("")
  })
})

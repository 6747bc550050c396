import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { formatTraceparent, parseTraceparent } from "../../../../gateway/telemetry/tracing/trace-context.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"

/** Any octets. */
const octets = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"))

/** Of these characters. */
const text = (of: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Array.from(bytes, (byte) => of[byte % of.length]).join(""))

describe("traceparent", () => {
  test.each([
    [`00-${TRACE}-${SPAN}-01`, true],
    [`00-${TRACE}-${SPAN}-00`, false],
    // Flags nobody knows yet mean nothing.
    [`00-${TRACE}-${SPAN}-03`, true],
    [`00-${TRACE}-${SPAN}-fe`, false],
    // A later version may have more behind what this one has.
    [`01-${TRACE}-${SPAN}-01`, true],
    [`cc-${TRACE}-${SPAN}-01-what-the-future-brings`, true],
    [`cc-${TRACE}-${SPAN}-01-`, true],
  ])("%s is understood", (text, sampled) => {
    expect(parseTraceparent(text)).toMatchObject({ traceId: TRACE, spanId: SPAN, sampled, debug: false })
  })

  test.each([
    "",
    "00",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}-01-`,
    `cc-${TRACE}-${SPAN}-01.more`,
    `cc-${TRACE}-${SPAN}-01-${"x".repeat(300)}`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-0X`,
    `0-${TRACE}-${SPAN}-01`,
    `00-${TRACE.slice(1)}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}-${SPAN}-1`,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01\n`,
    `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
  ])("%j counts as none", (text) => {
    expect(parseTraceparent(text)).toBeNull()
  })

  test("of any octets is none, or what it was made of", () => {
    const hex = (length: number): fc.Arbitrary<string> => text("0123456789abcdefA-", length, length)
    const like = fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((parts) => parts.join("-"))
    fc.assert(
      fc.property(fc.oneof(like, octets(80), fc.string({ maxLength: 80 })), (text) => {
        const parent = parseTraceparent(text)
        if (parent === null) return
        expect(parent.traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
        expect(parent.spanId).toMatch(/^(?!0{16})[0-9a-f]{16}$/)
        expect(parseTraceparent(formatTraceparent(parent.traceId, parent.spanId, parent.sampled === true, parent.random))).toEqual(parent)
      }),
      { numRuns: 500 },
    )
  })
})

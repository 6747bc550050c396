import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { formatB3, parseB3, parseB3Multi } from "../../../../gateway/telemetry/tracing/b3.ts"

const TRACE = "80f198ee56343ba864fe8b2a57d3eff7"
const SPAN = "e457b5a2e4d86bd1"
const PARENT = "05e3ac9a4f6e3b90"
const ids = { traceId: TRACE, spanId: SPAN }
const deferred = { sampled: null, debug: false }
const yes = { sampled: true, debug: false }
const no = { sampled: false, debug: false }
const debug = { sampled: true, debug: true }

/** Any octets. */
const octets = (maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"))

/** Of these characters. */
const text = (of: string, minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Array.from(bytes, (byte) => of[byte % of.length]).join(""))

describe("b3", () => {
  test.each([
    [`${TRACE}-${SPAN}-1-${PARENT}`, { ...ids, ...yes }],
    [`${TRACE}-${SPAN}-1`, { ...ids, ...yes }],
    [`${TRACE}-${SPAN}-0`, { ...ids, ...no }],
    [`${TRACE}-${SPAN}-d`, { ...ids, ...debug }],
    [`${TRACE}-${SPAN}`, { ...ids, ...deferred }],
    [`${TRACE.slice(16)}-${SPAN}-1`, { traceId: `${"0".repeat(16)}${TRACE.slice(16)}`, spanId: SPAN, ...yes }],
    ["0", { traceId: "", spanId: "", ...no }],
    ["1", { traceId: "", spanId: "", ...yes }],
    ["d", { traceId: "", spanId: "", ...debug }],
  ])("%s is understood", (text, expected) => {
    expect(parseB3(text)).toEqual(expected)
  })

  test.each([
    "",
    "2",
    "true",
    `${TRACE}`,
    `${TRACE}-`,
    `${TRACE}-${SPAN}-`,
    `${TRACE}-${SPAN}-2`,
    `${TRACE}-${SPAN}-true`,
    `${TRACE}-${SPAN}-1-`,
    `${TRACE}-${SPAN}-1-${PARENT}-x`,
    `${TRACE}-${SPAN}-1-${PARENT.slice(1)}`,
    `${TRACE.toUpperCase()}-${SPAN}-1`,
    `${TRACE.slice(1)}-${SPAN}-1`,
    `${"0".repeat(32)}-${SPAN}-1`,
    `${TRACE}-${"0".repeat(16)}-1`,
    `${TRACE}-${SPAN}-1 `,
  ])("%j counts as none", (text) => {
    expect(parseB3(text)).toBeNull()
  })

  test.each([
    [[TRACE, SPAN, "1", undefined], { ...ids, ...yes }],
    [[TRACE, SPAN, "0", undefined], { ...ids, ...no }],
    [[TRACE, SPAN, "true", undefined], { ...ids, ...yes }],
    [[TRACE, SPAN, undefined, undefined], { ...ids, ...deferred }],
    [[TRACE, SPAN, undefined, "1"], { ...ids, ...debug }],
    [[TRACE, SPAN, "0", "0"], { ...ids, ...no }],
    [[undefined, undefined, "0", undefined], { traceId: "", spanId: "", ...no }],
    [[undefined, undefined, undefined, undefined], null],
    [[TRACE, undefined, "1", undefined], null],
    [[undefined, SPAN, "1", undefined], null],
    [[TRACE, SPAN, "d", undefined], null],
    [[TRACE, SPAN, "2", undefined], null],
    [[TRACE, SPAN, "1", "2"], null],
  ] as const)("in several fields %j is %j", ([traceId, spanId, sampled, flags], expected) => {
    expect(parseB3Multi(traceId, spanId, sampled, flags)).toEqual(expected)
  })

  test("of any octets is none, or comes out as it went in", () => {
    const part = text("0123456789abcdef", 14, 33)
    const like = fc.tuple(part, part, fc.constantFrom("", "-0", "-1", "-d", "-x")).map(([a, b, c]) => `${a}-${b}${c}`)
    fc.assert(
      fc.property(fc.oneof(like, octets(80)), (text) => {
        const context = parseB3(text)
        if (context === null || context.traceId === "") return
        expect(parseB3(formatB3(context.traceId, context.spanId, context.sampled, context.debug))).toEqual(context)
      }),
      { numRuns: 500 },
    )
  })
})

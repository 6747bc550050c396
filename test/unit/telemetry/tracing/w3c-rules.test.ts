// The cases of W3C's own suite for Trace Context (levels 1 and 2), and what must hold of whatever comes, in all formats at once.

import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Fields } from "../../../../gateway/http/fields.ts"
import { type Incoming, Propagation } from "../../../../gateway/telemetry/tracing/propagation.ts"

const TRACE = "12345678901234567890123456789012"
const SPAN = "1234567890123456"
const GOOD = `00-${TRACE}-${SPAN}-01`

type Pairs = readonly (readonly [string, string])[]

function read(pairs: Pairs): Incoming {
  return new Propagation(["w3c"]).read(Fields.from(pairs), true)
}

function state(...values: string[]): string {
  return read([["traceparent", GOOD], ...values.map((value) => ["tracestate", value] as const)]).state
}

const members = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, i) => `bar${String(from + i).padStart(2, "0")}=${from + i}`).join(",")
const printable = Array.from({ length: 0x7f - 0x20 }, (_, i) => String.fromCharCode(0x20 + i))
  .filter((c) => c !== "," && c !== "=")
  .join("")

describe("a trace is joined", () => {
  test.each<[string, string]>([
    ["of this version", GOOD],
    ["of a later version", `cc-${TRACE}-${SPAN}-01`],
    ["of a later version that has more", `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`],
    ["with flags nobody knows", `00-${TRACE}-${SPAN}-ff`],
  ])("%s", (_, traceparent) => {
    expect(read([["traceparent", traceparent]]).parent).toMatchObject({ traceId: TRACE, spanId: SPAN, sampled: true })
  })
})

describe("a trace begins anew", () => {
  test.each<[string, Pairs]>([
    ["without one", []],
    ["with two", [GOOD, `00-${"9".repeat(32)}-${SPAN}-01`].map((value) => ["traceparent", value] as const)],
    ["with the same one twice", [GOOD, GOOD].map((value) => ["traceparent", value] as const)],
    ["with two in one field", [["traceparent", `${GOOD}, ${GOOD}`]]],
    ["under another name", [["trace-parent", GOOD]]],
    ["with an empty one", [["traceparent", ""]]],
    ...[
      `00-${TRACE}-${SPAN}-01.`,
      `00-${TRACE}-${SPAN}-01-what-the-future-will-be-like`,
      `cc-${TRACE}-${SPAN}-01.what-the-future-will-not-be-like`,
      `ff-${TRACE}-${SPAN}-01`,
      `.0-${TRACE}-${SPAN}-01`,
      `0.-${TRACE}-${SPAN}-01`,
      `000-${TRACE}-${SPAN}-01`,
      `0-${TRACE}-${SPAN}-01`,
      `00-${"0".repeat(32)}-${SPAN}-01`,
      `00-.${TRACE.slice(1)}-${SPAN}-01`,
      `00-${TRACE}3-${SPAN}-01`,
      `00-${TRACE.slice(1)}-${SPAN}-01`,
      `00-${TRACE.replaceAll("1", "A")}-${SPAN}-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `00-${TRACE}-.${SPAN.slice(1)}-01`,
      `00-${TRACE}-${SPAN}7-01`,
      `00-${TRACE}-${SPAN.slice(1)}-01`,
      `00-${TRACE}-${SPAN}-.0`,
      `00-${TRACE}-${SPAN}-001`,
      `00-${TRACE}-${SPAN}-1`,
    ].map((value): [string, Pairs] => [`with ${value}`, [["traceparent", value]]]),
  ])("%s, and what it keeps of others is dropped", (_, pairs) => {
    expect(read([...pairs, ["tracestate", "foo=1"]])).toEqual({ parent: null, sampled: null, debug: false, state: "", w3c: false })
  })
})

describe("what others keep in a trace goes on", () => {
  test.each<[string, readonly string[], string]>([
    ["in one field", ["foo=1,bar=2"], "foo=1,bar=2"],
    ["from several, in their order", ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"], "foo=1,bar=2,rojo=1,congo=2,baz=3"],
    ["beside empty ones", ["foo=1", ""], "foo=1"],
    ["behind empty ones", ["", "foo=1"], "foo=1"],
    ["without the space around it", ["\t foo=1 \t , \t bar=2, \t baz=3"], "foo=1,bar=2,baz=3"],
    ["but for a key that is there already", ["foo=1,foo=2,bar=1", "foo=3"], "foo=1,bar=1"],
    [
      "with every character a key may have",
      ["abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/=1"],
      "abcdefghijklmnopqrstuvwxyz0123456789_-*/@a-z0-9_-*/=1",
    ],
    ["with every character a value may have", [`foo=${printable}`], `foo=${printable}`],
    ["with @ anywhere but in front", ["foo@=1,foo@@bar=2,foo@bar@baz=3"], "foo@=1,foo@@bar=2,foo@bar@baz=3"],
    ["with 32 members", [members(1, 10), members(11, 32)], members(1, 32)],
    ["with a key of 256 characters", ["foo=1", `${"z".repeat(256)}=1`], `foo=1,${"z".repeat(256)}=1`],
    ["with a long tenant", [`${"t".repeat(242)}@v=1`], `${"t".repeat(242)}@v=1`],
    ["with a long system", [`t@${"v".repeat(15)}=1`], `t@${"v".repeat(15)}=1`],
  ])("%s", (_, given, expected) => {
    expect(state(...given)).toBe(expected)
  })

  test.each<[string, readonly string[]]>([
    ["for nothing", [""]],
    ["for a space in a key", ["foo =1"]],
    ["for a key in upper case", ["FOO=1"]],
    ["for a dot in a key", ["foo.bar=1"]],
    ["for a key that begins with @", ["@foo=1,bar=2"]],
    ["for 33 members", [members(1, 20), members(21, 33)]],
    ["for a key of 257 characters", ["foo=1", `${"z".repeat(257)}=1`]],
    ["for = in a value", ["foo=bar=baz"]],
    ["for no value", ["foo=,bar=3"]],
  ])("or not at all, %s", (_, given) => {
    expect(state(...given)).toBe("")
  })
})

test("the word that an id is random goes on with the id (level 2)", () => {
  const all = new Propagation(["w3c", "b3", "b3multi"])
  for (const [flags, sampled, expected] of [
    ["03", true, "03"],
    ["02", true, "03"],
    ["01", false, "00"],
    ["fe", false, "02"],
  ] as const) {
    const { parent } = read([["traceparent", `00-${TRACE}-${SPAN}-${flags}`]])
    const fields = new Fields()
    all.write(fields, { traceId: TRACE, spanId: SPAN, sampled, debug: false, random: parent?.random === true, state: "" })
    expect(fields.get("traceparent")).toBe(`00-${TRACE}-${SPAN}-${expected}`)
  }
})

test("whatever comes, in whatever formats, what goes on is one trace that all formats agree on", () => {
  const hex = (length: number): fc.Arbitrary<string> =>
    fc.oneof(
      {
        weight: 4,
        arbitrary: fc.array(fc.constantFrom(..."0123456789abcdef"), { minLength: length, maxLength: length }).map((c) => c.join("")),
      },
      fc.constantFrom("0".repeat(length), "A".repeat(length), "", "1".repeat(length + 1)),
    )
  const decision = fc.constantFrom("0", "1", "d", "true", "false", "", "2")
  const flags = fc.constantFrom("00", "01", "02", "03", "ff", "0", "zz")
  const joined = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> => fc.tuple(...parts).map((each) => each.join("-"))
  const trace = fc.oneof(hex(32), hex(16))
  const field = fc.oneof(
    fc.tuple(fc.constant("traceparent"), joined(fc.constantFrom("00", "01", "cc", "ff"), hex(32), hex(16), flags)),
    fc.tuple(fc.constant("tracestate"), fc.constantFrom("a=1", "b=2,a@b=3", "A=1", "a=1,a=2", ",", members(1, 40))),
    fc.tuple(
      fc.constant("b3"),
      fc.oneof(decision, joined(trace, hex(16)), joined(trace, hex(16), decision), joined(trace, hex(16), decision, hex(16))),
    ),
    fc.tuple(fc.constant("x-b3-traceid"), trace),
    fc.tuple(fc.constantFrom("x-b3-spanid", "x-b3-parentspanid"), hex(16)),
    fc.tuple(fc.constantFrom("x-b3-sampled", "x-b3-flags"), decision),
    fc.tuple(fc.constantFrom("traceparent", "tracestate", "b3", "x-b3-traceid", "x-b3-flags"), fc.string({ maxLength: 70 })),
  )
  const orders = fc.shuffledSubarray(["w3c", "b3", "b3multi"] as const, { minLength: 1 })
  let joins = 0
  fc.assert(
    fc.property(fc.array(field, { maxLength: 7 }), orders, (pairs, formats) => {
      const propagation = new Propagation(formats)
      const fields = Fields.from(pairs)
      const { parent, sampled, debug, state } = propagation.read(fields, true)
      if (parent !== null) joins++
      else expect(state).toBe("")
      const traceId = parent?.traceId ?? TRACE
      const decided = sampled === true
      propagation.write(fields, {
        traceId,
        spanId: SPAN,
        sampled: decided,
        debug: debug && decided,
        random: parent?.random === true,
        state,
      })
      for (const format of ["w3c", ...formats] as const) {
        const again = new Propagation([format]).read(fields, true)
        expect(again.parent).toMatchObject({ traceId, spanId: SPAN })
        expect(again.sampled).toBe(decided)
        if (format === "w3c") expect(again.state).toBe(state)
        else expect(again.debug).toBe(debug && decided)
      }
      expect(traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/)
    }),
    { numRuns: 2000 },
  )
  expect(joins).toBeGreaterThan(100)
})

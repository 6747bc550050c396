import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { CookieReader, cookieHeader, cookieValue } from "../../../gateway/http/cookies.ts"
import { Fields } from "../../../gateway/http/fields.ts"

function read(header: string, name: string): string | undefined {
  const reader = new CookieReader()
  reader.reset(Fields.from([["cookie", header]]))
  return reader.get(name)
}

// A short header is searched as it stands, a long one is taken apart: both must say the same.
const long = `; filler=${"x".repeat(600)}`

describe.each([
  ["short", ""],
  ["long", long],
])("a cookie of a %s header", (_, rest) => {
  test.each<[header: string, name: string, value: string | undefined]>([
    ["a=1", "a", "1"],
    ["a=1; b=2", "b", "2"],
    ["a=1;b=2", "b", "2"],
    ["a=", "a", ""],
    ['a="1"', "a", '"1"'],
    ["a=b=c", "a", "b=c"],
    ["aa=1; a=2", "a", "2"],
    ["a=1", "A", undefined],
    ["a=1; a=2", "a", "1"],
    ["a; a=2", "a", "2"],
    ["=1; a=2", "a", "2"],
    [" a=1", "a", undefined],
    ["b=1;  a=1", "a", undefined],
    ["a =1", "a", undefined],
    ["a= 1", "a", undefined],
    ["a=1 2", "a", undefined],
    ["a=1,2", "a", undefined],
    ['a=1"2', "a", undefined],
    ["a=\u00e9", "a", undefined],
    ["a=1 2; a=3", "a", undefined],
    ["b=x a=1", "a", undefined],
  ])("%j has %s: %j", (header, name, value) => {
    expect(read(header + rest, name)).toBe(value)
  })
})

test("several Cookie fields are one, and none is none", () => {
  const fields = Fields.from([
    ["cookie", "a=1"],
    ["x", "y"],
    ["cookie", "b=2; c=3"],
  ])
  expect(cookieHeader(fields)).toBe("a=1; b=2; c=3")
  expect(cookieValue("a=1; b=2; c=3", "b")).toBe("2")
  expect(cookieHeader(new Fields())).toBeUndefined()
  const reader = new CookieReader()
  reader.reset(new Fields())
  expect(reader.get("a")).toBeUndefined()
})

test("a reader that is used again forgets the request before", () => {
  const reader = new CookieReader()
  reader.reset(Fields.from([["cookie", `a=1${long}`]]))
  expect(reader.get("a")).toBe("1")
  reader.reset(Fields.from([["cookie", `b=1${long}`]]))
  expect([reader.get("a"), reader.get("b")]).toEqual([undefined, "1"])
  reader.reset(Fields.from([["cookie", "c=1"]]))
  expect([reader.get("b"), reader.get("c")]).toEqual([undefined, "1"])
})

test("pairs beyond 256 are not looked at, however short or long the header", () => {
  const pairs = Array.from({ length: 255 }, (_, i) => `${i}=1`).join("; ")
  expect([read(`${pairs}; a=1`, "a"), read(`${pairs}; b=1; a=1`, "a")]).toEqual(["1", undefined])
  const tiny = ";".repeat(255)
  expect([read(`${tiny}a=1`, "a"), read(`${tiny};a=1`, "a")]).toEqual(["1", undefined])
})

test("a short and a long header are read alike, whatever is in them", () => {
  const piece = fc.constantFrom("a", "b", "=", ";", " ", "; ", '"', ",", "1", "a=", "\u00e9", "\t", "a=1", "b=2")
  const header = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(""))
  fc.assert(
    fc.property(header, fc.constantFrom("a", "b", "aa", "ab"), (text, name) => {
      expect(read(text + long, name)).toBe(read(`${text}; `, name))
    }),
    { numRuns: 2000 },
  )
})

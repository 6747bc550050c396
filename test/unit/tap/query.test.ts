import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { Wrong } from "../../../gateway/config/units.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { missingName } from "../../../gateway/tap/named.ts"
import { Pattern } from "../../../gateway/tap/pattern.ts"
import { Predicate } from "../../../gateway/tap/predicate.ts"
import { parseTapQuery, type TapParameter, type TapQuery, tapParameters } from "../../../gateway/tap/query.ts"
import { anyCharacter } from "../../support/any-character.ts"

function parse(given: Partial<Record<TapParameter, string | readonly string[]>>): TapQuery | Wrong {
  return parseTapQuery((name) => {
    const value = given[name]
    return value === undefined ? [] : typeof value === "string" ? [value] : value
  })
}

function query(given: Partial<Record<TapParameter, string | readonly string[]>>): TapQuery {
  const parsed = parse(given)
  if (parsed instanceof Wrong) throw new Error(parsed.message)
  return parsed
}

const request = {
  method: "GET",
  path: "/api/users",
  fields: Fields.from([
    ["x-user", "42"],
    ["accept", "text/html"],
    ["accept", "text/plain"],
  ]),
  sourceAddress: "10.1.2.3",
  listener: "edge",
}
const end = { route: "api", service: "users", status: 503, flag: "UF,CT", duration: 120 }

describe("what someone wants to see", () => {
  test("is everything when nothing is said", () => {
    const all = new Predicate(query({}))
    expect(all.matchesRequest(request)).toBe(true)
    expect(all.matchesEnd(end, null)).toBe(true)
    expect(all.asksEnd).toBe(false)
  })

  test.each<[TapParameter, readonly string[], readonly string[]]>([
    ["method", ["GET", "get", "POST,GET"], ["POST", "POST,PUT"]],
    ["path", ["/", "/api", "/api/", "/api/users", "*/users", "/a*s", "*"], ["/ap", "/api/users/1", "/api*x", "/users"]],
    ["header", ["x-user", "X-User=42", "x-user=4*", "accept=text/html, text/plain", "request:x-user"], ["x-user=43", "y", "x-user=2"]],
    ["source", ["10.1.2.3", "10.0.0.0/8", "192.168.0.1,10.1.2.3"], ["10.1.2.4", "::1", "192.168.0.0/16"]],
    ["listener", ["edge", "e*", "*"], ["edg", "inner"]],
  ])("is found in the request: %s", (name, matching, others) => {
    for (const value of matching) expect([value, new Predicate(query({ [name]: value })).matchesRequest(request)]).toEqual([value, true])
    for (const value of others) expect([value, new Predicate(query({ [name]: value })).matchesRequest(request)]).toEqual([value, false])
  })

  test.each<[TapParameter, readonly string[], readonly string[]]>([
    ["route", ["api", "a*", "x,api"], ["ap", "API", "x"]],
    ["service", ["users", "*"], ["user"]],
    ["status", ["503", "5xx", "5XX", "500-503", "200,503"], ["504", "4xx", "500-502", "none"]],
    ["flag", ["UF", "CT", "any", "DC,UF"], ["U", "UC"].slice(1)],
    ["slower", ["100ms", "0.1s", "0"], ["121ms", "1h"]],
    ["header", ["response:x-cache", "response:X-Cache=HIT"], ["x-user=1", "response:x-cache=MISS", "response:other"].slice(1)],
  ])("is found in what became of it: %s", (name, matching, others) => {
    const response = "x-other: 1\r\nx-cache: HIT\r\n"
    for (const value of matching) expect([value, new Predicate(query({ [name]: value })).matchesEnd(end, response)]).toEqual([value, true])
    for (const value of others) expect([value, new Predicate(query({ [name]: value })).matchesEnd(end, response)]).toEqual([value, false])
  })

  test("is what all of it asks for together, and any of one list", () => {
    const both = new Predicate(query({ header: ["x-user=42", "accept"], path: ["/other", "/api"] }))
    expect(both.matchesRequest(request)).toBe(true)
    const missing = new Predicate(query({ header: ["x-user=42", "absent"] }))
    expect(missing.matchesRequest(request)).toBe(false)
    const none = new Predicate(query({ status: "none" }))
    expect(none.matchesEnd({ ...end, status: 0 }, null)).toBe(true)
    expect(none.matchesEnd({ ...end, status: -1 }, null)).toBe(false)
    expect(new Predicate(query({ flag: "any" })).matchesEnd({ ...end, flag: "" }, null)).toBe(false)
  })

  test.each<[Partial<Record<TapParameter, string | readonly string[]>>, string]>([
    [{ status: "6xx" }, 'status: "6xx" is not a status; write one (404), a class (5xx), a range (500-503) or none'],
    [{ status: "503-500" }, 'status: "503-500" is not a status; write one (404), a class (5xx), a range (500-503) or none'],
    [{ header: "a b=c" }, 'header: "a b=c" names no header; write name or name=value, such as x-user=42'],
    [
      { header: "Authorization=Bearer a*" },
      "header: the value of authorization is a secret; only its presence can be asked for: authorization",
    ],
    [{ header: "x-session=a*" }, "header: the value of x-session is a secret; only its presence can be asked for: x-session"],
    [{ source: "10.0.0.0/40" }, 'source: "/40" is not the length of such a range; write a number from 0 to 32'],
    [{ method: "GE T" }, 'method: "GE T" is not a method; write one such as GET'],
    [{ path: "api" }, 'path: "api" is not a path; write one that begins with / or *'],
    [{ path: "/*********" }, 'path: "/*********" has too many *; the most is 8'],
    [{ flag: "uf" }, 'flag: "uf" is not a response flag; write one such as UF, or any'],
    [{ slower: "fast" }, 'slower: "fast" is not a duration; write a number and a unit, such as 250ms, 5s, 1m or 1h'],
    [{ sample: "0%" }, "sample: 0% shows nothing; write a share above it, such as 1%"],
    [{ max: "0" }, 'max: "0" is not a number of events; write one from 1 to 1000000'],
    [{ max: ["1", "2"] }, "max: is given more than once"],
    [{ route: "a,,b" }, "route: is empty; leave it out, or write a value"],
    [{ route: Array.from({ length: 17 }, (_, i) => `r${i}`) }, "route: more than 16 values"],
  ])("is refused with what to write: %j", (given, message) => {
    const parsed = parse(given)
    expect(parsed instanceof Wrong ? parsed.message : parsed).toBe(message)
  })

  test("may be any text: it is refused, or matches without failing", () => {
    const names = Object.keys(tapParameters) as TapParameter[]
    const text = fc.oneof(
      fc.string({ unit: anyCharacter, maxLength: 40 }),
      fc.stringMatching(/^[a-z*=:,/0-9.x%-]{0,24}$/),
      fc.constantFrom("5xx", "/a*", "x-user=*", "10.0.0.0/8", "any", "1ms", "10%", "response:a=b*c"),
    )
    const given = fc.dictionary(fc.constantFrom(...names), fc.array(text, { maxLength: 3 }))
    let taken = 0
    fc.assert(
      fc.property(given, text, (values, path) => {
        const parsed = parse(values as Partial<Record<TapParameter, readonly string[]>>)
        if (parsed instanceof Wrong) return /^[a-z]+: /.test(parsed.message) && !/[\p{Cc}]/u.test(parsed.message)
        taken++
        const predicate = new Predicate(structuredClone(parsed))
        return (
          typeof predicate.matchesRequest({ ...request, path }) === "boolean" &&
          typeof predicate.matchesEnd({ ...end, route: path }, `a: ${path}\r\n`) === "boolean"
        )
      }),
      { numRuns: 2000 },
    )
    expect(taken).toBeGreaterThan(20)
  })
})

test("a pattern matches what a regular expression made of it matches", () => {
  const text = fc.stringMatching(/^[ab*]{0,10}$/)
  fc.assert(
    fc.property(text, fc.stringMatching(/^[ab]{0,10}$/), (pattern, value) => {
      const expression = new RegExp(`^${pattern.replaceAll("*", ".*")}$`)
      return new Pattern(pattern).matches(value) === expression.test(value)
    }),
    { numRuns: 3000 },
  )
})

describe("a name that isn't there", () => {
  const names = { routes: ["shop", "pay"], services: ["s1", "s2", "s3", "s4", "s5", "s6", "s7"], listeners: [] }

  test.each<[Partial<Record<TapParameter, string>>, string | null]>([
    [{}, null],
    [{ route: "shop", service: "s7" }, null],
    [{ route: "s*,pay", service: "*" }, null],
    [{ route: "shpo" }, 'there is no route "shpo"; did you mean "shop"?'],
    [{ route: "shop,nope" }, 'there is no route "nope"; there are shop, pay'],
    [{ route: "x*" }, 'there is no route whose name matches "x*"; there are shop, pay'],
    [{ service: "other" }, 'there is no service "other"; there are s1, s2, s3, s4, s5 and 2 more'],
    [{ listener: "edge" }, 'there is no listener "edge"; there are none'],
  ])("%j is said with what there is", (given, expected) => {
    expect(missingName(query(given), names)).toBe(expected)
  })
})

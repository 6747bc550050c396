import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { wrongRegex } from "../../../gateway/config/regex.ts"

describe("wrongRegex accepts", () => {
  test.each([
    "/api/v[0-9]+",
    "/users/[^/]+/orders/[^/]+/items/[^/]+/x/[^/]+",
    "(/[^/]+)*",
    "(?:[a-z0-9]+-)*[a-z0-9]+",
    ".*\\.(?:jpg|jpeg|png)",
    "(foo|far|baz)+",
    "(\\w+\\s)*",
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}",
    "a{2,5}b?c*",
    "(?<year>\\d{4})-\\d\\d",
    "^/a$",
    ".*foo.*",
    "[\\]\\-\\\\a-f]+",
    "\\/a\\.b\\x41\\u0042",
    "a|b|",
    "(a|b)*c",
    "[^]",
  ])("%s", (source) => {
    expect(wrongRegex(source)?.message).toBeUndefined()
  })
})

describe("wrongRegex refuses", () => {
  test.each([
    ["(a+)+", "nests repetitions"],
    ["(a*)*", "can be empty"],
    ["(a+b?)+", "nests repetitions"],
    ["(\\w+\\s?)*x", "nests repetitions"],
    ["((a+)b*)+", "nests repetitions"],
    ["(a|a)*", "begin alike"],
    ["(a|ab)*", "begin alike"],
    ["(.|a)+", "begin alike"],
    ["(a|b|)*", "can be empty"],
    ["(a{1,20}){1,20}", "nests repetitions"],
    [".*a.*b.*c", "compete"],
    ["\\d+\\d+\\d+", "compete"],
    ["a?a?a?a?a?a?a?a?a?a?aaaaaaaaaa", "too many"],
    ["(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)", "too many"],
    ["(a|a){30}", "begin alike"],
    ["(?<=a)b", "lookbehind"],
    ["(?<!a)b", "lookbehind"],
    ["a(?=b)", "lookahead"],
    ["(a)\\1", "backreference"],
    ["(?<n>a)\\k<n>", "backreference"],
    ["(?i:a)", '"(?"'],
    ["\\p{L}", "\\p"],
    ["a**", "repeats a repetition"],
    ["*a", "nothing to repeat"],
    ["a{3,2}", "wrong way round"],
    ["a{1,5000}", "more than 1000"],
    ["/{id}", 'bare "{"'],
    ["(a", 'without its ")"'],
    ["a)", 'without its "("'],
    ["[a", 'without its "]"'],
    ["a]", 'without its "["'],
    ["[z-a]", "wrong way round"],
    ["[\\d-z]", "class at an end"],
    ["a\\", "ends with a backslash"],
    ["\\x4", "\\x"],
    ["", "empty"],
    ["a".repeat(1025), "longer than"],
    ["(".repeat(40) + ")".repeat(40), "deeper"],
  ])("%s", (source, why) => {
    expect(wrongRegex(source)?.message).toContain(why)
  })
})

test("wrongRegex accepts only what compiles and never throws", () => {
  const part = fc.constantFrom(
    "a",
    "b",
    "/",
    ".",
    "[^/]",
    "[a-z]",
    "\\d",
    "(",
    ")",
    "|",
    "*",
    "+",
    "?",
    "{2}",
    "{1,}",
    "\\",
    "]",
    "[",
    "^",
    "$",
    "(?:",
    "-",
    "é",
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      const source = parts.join("")
      if (wrongRegex(source) === undefined) new RegExp(`^(?:${source})$`)
    }),
    { numRuns: 5000 },
  )
})

/** Steps of a backtracking matcher can't be counted from outside; an exponential one would not end within the test. */
test("wrongRegex accepts nothing that takes exponential time on a hostile value", () => {
  const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^b]", "\\w")
  const sign = fc.constantFrom("", "", "*", "+", "?", "{2,}", "{1,3}")
  const expression = fc.letrec<{ any: string; sequence: string; group: string }>((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      fc.tuple(atom, sign).map(([a, s]) => a + s),
      tie("group"),
    ),
    sequence: fc.array(tie("any"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join("")),
    group: fc
      .tuple(fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }), sign)
      .map(([alternatives, s]) => `(${alternatives.join("|")})${s}`),
  })).sequence
  fc.assert(
    fc.property(expression, (source) => {
      if (wrongRegex(source) !== undefined) return
      const compiled = new RegExp(`^(?:${source})$`)
      for (const text of [`${"a".repeat(60)}!`, `${"ab".repeat(30)}!`, `${"aab".repeat(20)}!`, `${"b".repeat(60)}!`]) compiled.test(text)
    }),
    { numRuns: 3000 },
  )
})

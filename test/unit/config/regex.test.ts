import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { wrongRegex } from "../../../gateway/config/regex.ts"
import { type Repeated, Steps, source } from "../../support/backtracking.ts"

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
    "([^/]+/[^/]+/)?[^/]+",
    "/v\\d+/users/([^/]+)(/.*)?",
    "(?:en|de|fr)(?:-[A-Z]{2})?",
    "[a-z0-9]+(-[a-z0-9]+)*",
    "[a-z0-9]+(-[a-z0-9]+)*(\\.[a-z0-9]+(-[a-z0-9]+)*)*",
    "(?:[a-z0-9]+\\.)+[a-z]+",
    "/([^/]+)-(\\d+)/([^/]+)-(\\d+)",
    ".*/[^/]+\\.(css|js|jpe?g)",
    "(\\d{1,3}\\.){3}\\d{1,3}",
    "(/[a-z]+(-[a-z]+)*)*",
    "(([^/]+/){3}){2}.*",
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
    ["((a*(b?[^b]?.{2,}|[ab]{2,}|[^b]*.+)))((\\w*).?[ab]+a?)", "compete"],
    ["(a+)(a+)(a+)", "compete"],
    ["(a*)?(b|a*)a*", "compete"],
    ["(a+b?){3}", "compete"],
    ["a+a+/b+b+", "compete"],
    ["a*[ab]*b*", "compete"],
    ["x[ab]+(?:ba|b;)[b;]*x[ab]+(?:ba|b;)[b;]*", "compete"],
    ["(/a*a*)*", "nests repetitions"],
    ["(/a?a?)*", "nests repetitions"],
    ["(/a+|a+;)*", "nests repetitions"],
    ["(?:x[ab]+[a;];|;)*", "nests repetitions"],
    ["(;[ab]+|ba)*", "nests repetitions"],
    ["[^,]+(, *[^,]+)*", "nests repetitions"],
    ["(a|a)b".repeat(9), "too many"],
    ["x[ab]+[a;];;?".repeat(9), "too many"],
    ["(a|a|a|a|a)(a|a|a|a|a)(a|a|a|a|a)(a|a|a|a|a)", "too many"],
    [`${"(".repeat(8)}ab${"){8}".repeat(8)}`, "too much"],
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

test("wrongRegex accepts nothing that takes more than quadratic time on a hostile value", () => {
  const sign = fc.constantFrom<Repeated["sign"]>("", "", "*", "+", "?", "{2,}", "{1,3}", "{2}", "{1,20}")
  const expression = fc.letrec<{ any: Repeated; sequence: Repeated[]; group: Repeated }>((tie) => ({
    any: fc.oneof(
      { depthSize: "small" },
      fc.record({ of: fc.constantFrom("a", "b", "/", ".", "[ab]", "[^b]", "[^/]"), sign }),
      tie("group"),
    ),
    sequence: fc.array(tie("any"), { minLength: 1, maxLength: 4 }),
    group: fc.record({ of: fc.array(tie("sequence"), { minLength: 1, maxLength: 3 }), sign }),
  })).sequence
  const word = fc.array(fc.constantFrom("a", "b", "/"), { minLength: 1, maxLength: 4 }).map((letters) => letters.join(""))
  fc.assert(
    fc.property(expression, fc.array(word, { minLength: 1, maxLength: 2 }), (sequence, words) => {
      const written = source(sequence)
      if (wrongRegex(written) !== undefined) return
      const steps = new Steps(sequence)
      for (const pumps of [["a"], ["b"], ["a", "b"], words]) {
        const growth = (times: number): number => {
          const took = [times, times * 2].map((n) => steps.count(`${pumps.map((pump) => pump.repeat(n)).join("")}!`))
          return took[1] / took[0]
        }
        // Four, but for parts of fixed lengths, which weigh less the longer the text is; 2520 is a multiple of most of them.
        if (!(growth(60) < 6) && !(growth(2520) < 5)) throw new Error(`${written} is more than quadratic for ${pumps.join(" and ")}`)
      }
    }),
    { numRuns: 1000 },
  )
})

import fc from "fast-check"
import { expect, test } from "vitest"
import { parse } from "yaml"
import { yamlText } from "../../../gateway/config/yaml-text.ts"

test("what is written is read as the same", () => {
  const word = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string(),
    fc.constantFrom(
      "yes",
      "No",
      "null",
      "~",
      "1e3",
      "0x1f",
      "1_000",
      "12:30:45",
      "2001-01-01",
      "-",
      "- a",
      "a: b",
      "a #b",
      "127.0.0.1:80",
      "15s",
      ".5",
      "",
      " a",
      "a ",
      "<<",
      "=",
      "@x",
      "*",
      "&a",
      "!t",
      "{a}",
      "[",
      "a,b",
      "?",
      ": a",
      "\ufeff",
      "__proto__",
      "a\nb",
      "\u2028",
      "Bearer x",
    ),
  )
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      word,
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(word, tie("value"), { maxKeys: 5 }),
    ),
  }))
  fc.assert(
    fc.property(value, (given) => {
      const wanted = JSON.parse(JSON.stringify(given))
      expect(parse(yamlText(wanted))).toEqual(wanted)
    }),
    { numRuns: 300 },
  )
})

import fc from "fast-check"
import { expect, test } from "vitest"
import { Fields, isFieldValue } from "../../../gateway/http/fields.ts"
import { fieldPairs } from "../../../gateway/tap/field-pairs.ts"

test("fields kept as text are the same fields when they are taken apart", () => {
  const name = fc.constantFrom("a", "x-user", "set-cookie", "x-forwarded-for")
  const value = fc.oneof(fc.constantFrom("", ": ", "a: b", "1"), fc.string({ maxLength: 20 }).filter(isFieldValue))
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 8 }), name, value, (pairs, edited, to) => {
      const fields = Fields.from(pairs)
      fields.set(edited, to)
      expect(fieldPairs(fields.serialize())).toEqual(fields.entries())
    }),
    { numRuns: 300 },
  )
})

test.each(["a: 1", "a", "\r\n", "a: 1\r\nb"])("%j, which no fields are, comes to an end", (text) => {
  expect(fieldPairs(text).length).toBeLessThan(5)
})

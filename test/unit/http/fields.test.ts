import { describe, expect, test } from "vitest"
import { Fields, isFieldValue, isToken } from "../../../gateway/http/fields.ts"

describe("Fields", () => {
  test("set replaces the first of its name in place and removes the others", () => {
    const fields = Fields.from([
      ["a", "1"],
      ["b", "2"],
      ["a", "3"],
    ])
    fields.set("a", "x")
    expect(fields.entries()).toEqual(["a", "x", "b", "2"])
  })

  test("remove tells whether there was one", () => {
    const fields = Fields.from([
      ["a", "1"],
      ["a", "2"],
    ])
    expect(fields.remove("a")).toBe(true)
    expect(fields.remove("a")).toBe(false)
    expect(fields.serialize()).toBe("")
  })

  test("names and values that would split a message are told", () => {
    expect(isToken("x-ok")).toBe(true)
    expect(isToken("x ok")).toBe(false)
    expect(isToken("")).toBe(false)
    expect(isFieldValue("a\tb")).toBe(true)
    expect(isFieldValue("a\r\nb")).toBe(false)
    expect(isFieldValue(" a")).toBe(false)
    expect(isFieldValue("")).toBe(true)
  })
})

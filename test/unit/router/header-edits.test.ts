import { expect, test } from "vitest"
import type { HeaderEdits } from "../../../gateway/config/model.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { HeaderEditor } from "../../../gateway/router/header-edits.ts"

function edited(edits: Partial<HeaderEdits>, pairs: readonly (readonly [string, string])[]): string[] {
  const fields = Fields.from(pairs)
  new HeaderEditor({ remove: [], set: [], add: [], ...edits }).apply(fields)
  return fields.entries()
}

test("remove takes every field of a name, whatever its case in the configuration", () => {
  expect(
    edited({ remove: ["X-A"] }, [
      ["x-a", "1"],
      ["b", "2"],
      ["x-a", "3"],
    ]),
  ).toEqual(["b", "2"])
})

test("set replaces all values in the first one's place, or appends", () => {
  expect(
    edited({ set: [["X-A", "9"]] }, [
      ["x-a", "1"],
      ["b", "2"],
      ["x-a", "3"],
    ]),
  ).toEqual(["x-a", "9", "b", "2"])
  expect(edited({ set: [["x-c", "9"]] }, [["b", "2"]])).toEqual(["b", "2", "x-c", "9"])
})

test("add keeps what is there", () => {
  expect(
    edited(
      {
        add: [
          ["x-a", "2"],
          ["x-a", "3"],
        ],
      },
      [["x-a", "1"]],
    ),
  ).toEqual(["x-a", "1", "x-a", "2", "x-a", "3"])
})

test("edits go in the order remove, set, add", () => {
  expect(
    edited({ remove: ["a", "b"], set: [["b", "2"]], add: [["b", "3"]] }, [
      ["a", "0"],
      ["b", "0"],
    ]),
  ).toEqual(["b", "2", "b", "3"])
})

test("values leave as UTF-8 octets", () => {
  expect(edited({ set: [["a", "\u00e9"]] }, [])).toEqual(["a", "\xc3\xa9"])
})

test("an editor without edits says so", () => {
  expect(new HeaderEditor({ remove: [], set: [], add: [] }).empty).toBe(true)
  expect(new HeaderEditor({ remove: ["a"], set: [], add: [] }).empty).toBe(false)
  expect(new HeaderEditor({ remove: [], set: [["a", ""]], add: [] }).empty).toBe(false)
  expect(new HeaderEditor({ remove: [], set: [], add: [["a", "b"]] }).empty).toBe(false)
})

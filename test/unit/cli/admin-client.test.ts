import { expect, test } from "vitest"
import { refusalOf } from "../../../gateway/cli/admin-client.ts"

test.each([
  [
    "generation 9 is not kept; /config/history lists those that are",
    "generation 9 is not kept; sluice config history lists those that are",
  ],
  ["there is no filter a; /filters lists them", "there is no filter a; sluice filter ls lists them"],
  [
    "wrong in the body: `level`: write one of a; /openapi.json says what is expected",
    "wrong in the body: `level`: write one of a; --help says what is expected",
  ],
  ["no such endpoint; / lists them", "no such endpoint; the gateway may be of another version: sluice check --admin"],
  ["path /a/filters lists nothing", "path /a/filters lists nothing"],
])("a refusal speaks of commands, not of paths: %s", (error, shown) => {
  expect(refusalOf(404, { error })).toBe(shown)
})

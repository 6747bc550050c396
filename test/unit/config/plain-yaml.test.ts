// The quick reader must agree with the full parser on everything it reads.

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { stringify } from "yaml"
import { NOT_PLAIN, plainYaml } from "../../../gateway/config/plain-yaml.ts"
import { yamlSource } from "../../../gateway/config/source.ts"

/** Whether it was read; throws when the two disagree. */
function agree(text: string): boolean {
  const value = plainYaml(text)
  if (value === NOT_PLAIN) return false
  const full = yamlSource(text)
  expect({ findings: full.findings, value: full.value }, JSON.stringify(text)).toEqual({ findings: [], value })
  return true
}

describe("plainYaml reads", () => {
  test.each([
    "listeners:\n  - address: 127.0.0.1:8080\nservices:\n  hello: { endpoints: [127.0.0.1:9001] }\nroutes:\n  - backends: hello\n",
    "# a comment\n\nadmin: { address: 127.0.0.1:9901 }   # another\nworkers: 2 # number\n",
    'routes:\n- name: a\n  hosts: [shop.example.com, "*.example.com"]\n  match: { path: /api, method: [GET, POST], headers: { x-beta: "1" } }\n  timeout: { request: 15s }\n- backends:\n    - service: a\n      weight: 90\n    - b\n',
    "a:\n  - - 1\n    - 2\n  - - 3\n  -   b: 1\n      c: 2\n",
    "a:\nb: null\nc: True\nd: 1.5\ne: text with spaces\nf: 'single # quoted'\ng: []\nh: {}\n",
    "regex: /users/(a+)/x$\nurl: http://a/b\nsize: 64KiB\nv: 1.2.3\n",
  ])("%j", (text) => {
    expect(agree(text)).toBe(true)
  })
})

describe("plainYaml leaves to the full parser", () => {
  test.each([
    "",
    "text",
    "a: 1\na: 2\n",
    "a: &x 1\nb: *x\n",
    "a: |\n  text\n",
    "a: one\n  two\n",
    "a: [1,\n  2]\n",
    "a: !t 1\n",
    "a: 0x10\nb: 1e3\n",
    "a: 010\n",
    "? a\n: b\n",
    "a: b: c\n",
    "a: [b: c]\n",
    "a: { b }\n",
    "--- \na: 1\n",
    "a: 1\n...\n",
    "\ta: 1\n",
    "__proto__: 1\n",
    "a:\n  b: 1\n c: 2\n",
    "- a\nb: 1\n",
    'a: "x\\n"\n',
    "a: 'it''s'\n",
    "a: .inf\nb: ~\n",
  ])("%j", (text) => {
    expect(plainYaml(text)).toBe(NOT_PLAIN)
  })
})

test("plainYaml agrees with the full parser on the golden pairs", () => {
  const folder = join(import.meta.dirname, "../../config/refused")
  let read = 0
  for (const file of readdirSync(folder)) if (agree(readFileSync(join(folder, file), "utf8").split("=====\n")[0])) read++
  expect(read).toBeGreaterThan(30)
})

test("plainYaml agrees with the full parser on random documents", () => {
  const text = fc.constantFrom(
    "a",
    "b c",
    "x-y",
    "/a/b",
    "127.0.0.1:80",
    "5s",
    "true",
    "null",
    "1",
    "1.50",
    "01",
    "1e5",
    "-1",
    "- a",
    "a: b",
    "a #b",
    "#",
    "*x",
    "",
    " a",
    "a:",
    "é",
    "it's",
    'say "x"',
    "1.2.3",
    "0x1f",
    "~",
    "Null",
    ".5",
    "5.",
    "a,b",
    "[::1]:1",
    "(a+)+",
    "no",
    "2020-01-01",
    "1_000",
    "=",
    "<<",
    "a;b",
  )
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "medium" },
      text,
      fc.constantFrom(0, 1, -1, 1.5, true, null),
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(text, tie("value"), { maxKeys: 4 }),
    ),
  })).value
  let read = 0
  fc.assert(
    fc.property(value, fc.constantFrom(2, 4), fc.boolean(), fc.nat(3), (root, indent, indentSeq, flowDepth) => {
      const yaml = stringify(root, {
        indent,
        indentSeq,
        lineWidth: 0,
        aliasDuplicateObjects: false,
        collectionStyle: flowDepth === 0 ? "flow" : "any",
      })
      if (agree(yaml)) read++
    }),
    { numRuns: 1500 },
  )
  expect(read).toBeGreaterThan(100)
})

test("plainYaml agrees with the full parser on random text", () => {
  const piece = fc.constantFrom(
    "a",
    "b",
    "c",
    "1",
    "0",
    ".",
    "x-y",
    "true",
    "null",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n",
    "\n  ",
    "\n    ",
    "\n- ",
    "\n  - ",
    " ",
    "{ ",
    " }",
    "[",
    "]",
    ", ",
    ",",
    '"',
    "'",
    '"q"',
    "'q'",
    "#",
    " #",
    "/",
    "*",
    "&",
    "!",
    "|",
    "%",
    "(",
    ")",
    "e",
    "$",
    "a: ",
    "b: ",
    "a:\n  ",
    "- a: ",
    "é",
    "~",
    "+",
    "=",
    "<",
    ">",
    ";",
  )
  let read = 0
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      if (agree(pieces.join(""))) read++
    }),
    { numRuns: 20_000 },
  )
  expect(read).toBeGreaterThan(200)
})

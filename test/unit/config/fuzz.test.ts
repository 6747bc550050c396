// Whatever is written, loading answers with a configuration or with problems, and never throws.

import fc from "fast-check"
import { expect, test } from "vitest"
import { stringify } from "yaml"
import { type LoadResult, parseConfig, validateConfig } from "../../../gateway/config/load.ts"
import { formatProblem } from "../../../gateway/config/problem.ts"
import { anyCharacter } from "../../support/any-character.ts"

const keys = fc.constantFrom(
  ..."listeners services filters routes admin workers log drain accessLog address name protocol limits timeouts path endpoints weight pool module config onError cpu memory match backends redirect respond rewrite timeout headers request response set add remove prefix exact regex host hosts method query use with service status body head idle perTry".split(
    " ",
  ),
)
const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    "127.0.0.1:8080",
    "/a",
    "5s",
    "64KiB",
    "a",
    "GET",
    "*.a.example",
    "[::1]:1",
    "x.wasm",
    "http",
    "auto",
    "all",
    "(a+)+",
    "",
    0,
    1,
    -1,
    302,
    true,
    false,
    null,
    Number.NaN,
  ),
  fc.string({ unit: anyCharacter, maxLength: 12 }),
  fc.double(),
)
const document = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.oneof({ weight: 8, arbitrary: keys }, { weight: 1, arbitrary: fc.string({ maxLength: 8 }) }), tie("value"), {
      maxKeys: 8,
    }),
  ),
})).value

function expectSound(result: LoadResult): void {
  const problems = result.ok ? result.warnings : result.problems
  if (!result.ok) expect(problems.length).toBeGreaterThan(0)
  for (const problem of problems) {
    expect(problem.message).not.toBe("")
    expect(formatProblem(problem, { excerpt: true })).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f]/)
  }
}

test("random values, as a module exports them", () => {
  fc.assert(
    fc.property(document, (value) => expectSound(validateConfig(value, { file: "a.ts", baseDir: "/nowhere" }))),
    { numRuns: 400 },
  )
})

test("random values at every place of a configuration", () => {
  const routes = fc.array(fc.dictionary(keys, document, { maxKeys: 4 }), { maxLength: 3 })
  const sections = fc.record({
    listeners: fc.array(fc.record({ address: fc.oneof(fc.constant("127.0.0.1:1"), document) })),
    services: fc.dictionary(fc.string({ maxLength: 4 }), document),
    filters: document,
    routes,
  })
  fc.assert(
    fc.property(sections, (value) => expectSound(validateConfig(value, { file: "a.ts", baseDir: "/nowhere" }))),
    { numRuns: 400 },
  )
})

test("random documents as YAML and JSON, whole and mutilated", () => {
  fc.assert(
    fc.property(document, fc.boolean(), fc.nat(), fc.string({ unit: anyCharacter, maxLength: 3 }), (value, json, at, splice) => {
      const text = json ? (JSON.stringify(value) ?? "") : stringify(value, { aliasDuplicateObjects: false })
      expectSound(parseConfig(text, { file: "a.yaml", baseDir: "/nowhere" }))
      const cut = at % (text.length + 1)
      expectSound(parseConfig(text.slice(0, cut) + splice + text.slice(cut + 1), { file: "a.yaml", baseDir: "/nowhere" }))
    }),
    { numRuns: 300 },
  )
})

test("random text", () => {
  const piece = fc.constantFrom(
    "a",
    ": ",
    "- ",
    "\n",
    "  ",
    "{",
    "}",
    "[",
    "]",
    ",",
    '"',
    "'",
    "&a ",
    "*a",
    "!x ",
    "|\n",
    "? ",
    "#",
    "%",
    "---\n",
    "\t",
    "\u0000",
    "<<: ",
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) =>
      expectSound(parseConfig(pieces.join(""), { file: "a.yaml", baseDir: "/nowhere" })),
    ),
    { numRuns: 1500 },
  )
})

// Golden pairs: each file of refused/ is a configuration, a line of equals signs, and the exact text of its errors.

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { parseConfig } from "../../gateway/config/load.ts"
import { formatProblems } from "../../gateway/config/problem.ts"

const pairs = join(import.meta.dirname, "refused")
const baseDir = join(import.meta.dirname, "modules")

describe("a configuration that is wrong", () => {
  const files = readdirSync(pairs).sort()

  test("is covered by at least 70 pairs", () => {
    expect(files.length).toBeGreaterThanOrEqual(70)
  })

  test.each(files)("%s", (file) => {
    const [text, expected, ...rest] = readFileSync(join(pairs, file), "utf8").split(/^=====\n/m)
    expect(rest).toEqual([])
    const result = parseConfig(text, { file: "sluice.yaml", baseDir })
    if (result.ok) throw new Error("was accepted")
    expect(`${formatProblems(result.problems).replaceAll(baseDir, "<folder>")}\n`).toBe(expected)
  })
})

import { existsSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"
import { type ErrorCode, errors } from "../../gateway/errors.ts"
import { findFlags, flagRows } from "../../gateway/telemetry/flag-guide.ts"
import { responseFlags } from "../../gateway/telemetry/instruments.ts"
import { DOCUMENT, withTables } from "../../scripts/flag-tables.ts"
import { FAILURES, failureCauses } from "../support/failure-causes.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const read = (path: string): string => readFileSync(`${root}${path}`, "utf8")

test("the tables of flags and failures are what the code says; if they are not: npm run docs:flags", () => {
  expect(withTables(read(DOCUMENT))).toBe(read(DOCUMENT))
})

test("every flag that has a series is explained", () => {
  const explained = new Set(flagRows.map(({ flag }) => flag))
  expect(responseFlags.filter((flag) => flag !== "other" && !explained.has(flag))).toEqual([])
})

test("flags are found by flag, part of one, and code", () => {
  expect(findFlags("nr").map(({ code }) => code)).toEqual(["noRoute"])
  expect(findFlags("CT").map(({ code }) => code)).toEqual(["connectTimeout"])
  expect(findFlags("connectFailure").map(({ flag }) => flag)).toEqual(["UF"])
  expect(findFlags("LR").map(({ source }) => source)).toEqual([""])
  expect(findFlags("")).toEqual([])
})

test("failures that one gateway can't be brought to are brought about in the test that is named", () => {
  for (const [code, { test: path }] of Object.entries(failureCauses)) {
    if (path === FAILURES) continue
    expect(existsSync(`${root}${path}`), path).toBe(true)
    expect(read(path)).toContain(`"${errors[code as ErrorCode].flag}"`)
  }
})

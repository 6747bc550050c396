import { basename } from "node:path"
import { expect, test } from "vitest"

// Each script `test:<runtime>` says which one it means to run; without it (an editor, a single file) there is nothing to check.
const meant = process.env.SLUICE_RUNTIME

test.skipIf(meant === undefined)("the suite runs on the runtime its script names", () => {
  const names = globalThis as { Bun?: unknown; Deno?: unknown }
  const actual = names.Bun !== undefined ? "bun" : names.Deno !== undefined ? "deno" : "node"
  expect(actual).toBe(meant)
  expect([process.versions.bun !== undefined, process.versions.deno !== undefined]).toEqual([meant === "bun", meant === "deno"])
  // Children that tests start through process.execPath are on it too.
  expect(basename(process.execPath)).toMatch(new RegExp(`^${meant}`))
})

test("the runtime is as new as the package asks for", () => {
  const [major, minor] = process.versions.node.split(".").map(Number)
  expect(major * 1000 + minor).toBeGreaterThanOrEqual(22_018)
})

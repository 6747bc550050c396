import { describe, expect, test } from "vitest"
import { unsupportedRuntime } from "../../../gateway/runtime/support.ts"

describe("a runtime", () => {
  test.each([
    [{ node: "20.20.2" }, true],
    [{ node: "22.17.9" }, true],
    [{ node: "22.18.0" }, false],
    [{ node: "24.1.0" }, false],
    [{ node: "18.0.0", bun: "1.4.5" }, false],
    [{ node: "20.0.0", deno: "2.9.5" }, false],
  ])("%o is refused: %s", (versions, refused) => {
    expect(unsupportedRuntime(versions) !== null).toBe(refused)
  })

  test("this one is not", () => {
    expect(unsupportedRuntime(process.versions)).toBeNull()
  })
})

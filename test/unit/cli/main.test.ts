import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { main } from "../../../gateway/cli/main.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-cli-"))
const good = join(folder, "good.yaml")
writeFileSync(good, "admin: false\nlisteners: [{ address: 127.0.0.1:0 }]\nroutes: [{ respond: { status: 200 } }]\n")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let stdout = ""
let stderr = ""

beforeEach(() => {
  stdout = ""
  stderr = ""
  vi.spyOn(process.stdout, "write").mockImplementation((text) => {
    stdout += String(text)
    return true
  })
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    stderr += String(text)
    return true
  })
})

afterEach(() => {
  vi.restoreAllMocks()
})

/** What the command line says, and its exit code. */
async function sluice(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const code = await main(args)
  return { code, stdout, stderr }
}

describe("the command line", () => {
  test.each([
    [["--help"], ["run", "check", "schema", "filter", "version"]],
    [
      ["run", "--help"],
      ["--config", "--log-format", "--watch"],
    ],
    [
      ["check", "--help"],
      ["--config", "--filters"],
    ],
    [["schema", "--help"], ["sluice schema"]],
    [
      ["filter", "--help"],
      ["new", "build", "test", "bench", "inspect", "ls", "push", "release"],
    ],
    [
      ["filter", "test", "--help"],
      ["PATH", "--watch", "--junit", "--filter"],
    ],
    [["filter", "build", "--help"], ["FILE"]],
    [
      ["filter", "release", "--help"],
      ["NAME", "--admin"],
    ],
    [["version", "-h"], ["sluice version"]],
  ])("%j says what there is", async (args, words) => {
    const { code, stdout, stderr } = await sluice(...args)
    expect([code, stderr]).toEqual([0, ""])
    for (const word of words) expect(stdout.toLowerCase()).toContain(word.toLowerCase())
    expect(stdout).not.toContain(String.fromCharCode(27))
  })

  test.each([
    [["runn"], "runn"],
    [["filter", "bild"], "bild"],
    [["--nonsense"], "--nonsense"],
    [["check", "-c", good, "--nonsense"], "--nonsense"],
    [["check", "-c"], "config"],
    [["check", "-c", good, "extra"], "extra"],
    [["run", "-c", good, "--log-format", "xml"], "--log-format"],
  ])("%j is refused with exit code 2", async (args, word) => {
    const { code, stdout, stderr } = await sluice(...args)
    expect([code, stdout]).toEqual([2, ""])
    expect(stderr).toContain(word)
    expect(stderr).not.toContain("    at ")
  })

  test("without a command prints what there is, and exits with 2", async () => {
    const { code, stdout } = await sluice()
    expect([code, stdout.includes("check")]).toEqual([2, true])
  })
})

// What scripts rely on of every command that asks a running gateway: its exit codes, where it writes, and that nobody who reads a pipe
// gets colours.

import { afterEach, expect, test, vi } from "vitest"
import { runCommand } from "../../support/cli.ts"

afterEach(() => vi.unstubAllEnvs())

const COMMANDS: readonly (readonly string[])[] = [
  ["status"],
  ["top", "--once"],
  ["tap"],
  ["routes"],
  ["services"],
  ["explain", "GET", "/"],
  ["drain", "a", "10.0.0.1:80"],
  ["weights", "a"],
  ["filter", "ls"],
  ["filter", "rollback", "a"],
  ["filter", "quarantine", "a"],
  ["filter", "release", "a"],
  ["filter", "log", "a"],
  ["filter", "profile", "a"],
  ["canary", "ls"],
  ["canary", "pause", "a"],
  ["config", "history"],
  ["config", "diff"],
  ["config", "rollback", "1"],
  ["log", "level"],
  ["check"],
  ["debug", "bundle", "-o", "/nonexistent/x"],
]

test.each(COMMANDS)("%s %s: 1 and a sentence where no gateway answers, 2 when it is called wrongly", async (...words) => {
  const command = words.filter((word) => word !== undefined)
  const unanswered = await runCommand([...command, "--admin", "127.0.0.1:1"])
  expect([unanswered.code, unanswered.stdout]).toEqual([1, ""])
  expect(unanswered.stderr).toContain("no gateway's admin API answers at 127.0.0.1:1")
  for (const wrong of [["--nonsense"], ["--admin", "not an address"]]) {
    const { code, stdout, stderr } = await runCommand([...command, ...wrong])
    expect([code, stdout, stderr.split("\n").length]).toEqual([2, "", 2])
    expect(stderr).toContain("--help")
  }
})

test("help has no colours for who reads a pipe, and none with NO_COLOR", async () => {
  vi.stubEnv("NO_COLOR", "1")
  const { code, stdout } = await runCommand(["config", "diff", "--help"])
  expect(code).toBe(0)
  expect(stdout).not.toContain("\u001b")
})

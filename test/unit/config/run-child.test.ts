import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { runChild } from "../../../gateway/config/run-child.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-child-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function script(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

test("more than pipes hold goes in and comes out whole", async () => {
  const echo = script(
    "echo.mjs",
    'import { buffer } from "node:stream/consumers"\nprocess.stdout.write(await buffer(process.stdin), () => process.exit(0))\n',
  )
  const input = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) & 255))
  const run = await runChild({ script: echo, args: [], input, timeout: 20_000, tooLong: "too long" })
  expect(run).toMatchObject({ ok: true, code: 0 })
  expect(run.ok && run.output.equals(input)).toBe(true)
})

test("one that takes too long is given up, whatever it has started", async () => {
  const pid = join(folder, "pid")
  const hanging = script(
    "hanging.mjs",
    `import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
writeFileSync(process.argv[2], String(spawn("sleep", ["100"], { stdio: "inherit", detached: true }).pid))
setInterval(() => {}, 1000)
`,
  )
  try {
    const run = await runChild({ script: hanging, args: [pid], input: null, timeout: 2000, tooLong: "takes too long" })
    expect(run).toEqual({ ok: false, failure: "takes too long" })
  } finally {
    if (existsSync(pid)) process.kill(Number(readFileSync(pid, "utf8")), "SIGKILL")
  }
})

test("one that can't be started is an answer", async () => {
  const run = await runChild({ script: "a", args: ["\0"], input: Buffer.from("x"), timeout: 5000, tooLong: "too long" })
  expect(run).toEqual({ ok: false, failure: expect.stringMatching(/^no process could be started for it: ./) })
})

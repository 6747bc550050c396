// `npm test`: type check, lint, then the whole suite on Node, Bun and Deno, each to its end whatever the one before said.
// The last line it prints is `N passed, N failed`, summed over all of them; the exit code is 0 only when nothing failed.
// A part that gives no counts (it crashed, or the check found errors) is one failure; the tests that were under way in one that
// was ended because it took too long are named above the counts.

import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** ms one part may take before it is ended: one that hangs, the others and an installation fit in the half hour of CI. */
const partLimit = 11 * 60_000
const root = fileURLToPath(new URL("..", import.meta.url))

interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** What to say of parts that were ended. */
const ended: string[] = []

/** Runs an npm script and gives its exit code; its output goes to ours. -1 when it ran into the limit. */
function script(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn("npm", ["run", "--silent", name, ...(args.length > 0 ? ["--", ...args] : [])], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit"],
      detached: true,
    })
    const timer = setTimeout(() => {
      console.error(`${name}: ended after ${partLimit / 60_000} minutes`)
      // The group: npm, its shell and the runtime under it.
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      resolve(-1)
    }, partLimit)
    child.on("error", (error) => {
      clearTimeout(timer)
      console.error(`${name}: ${error.message}`)
      resolve(-1)
    })
    child.on("exit", (code) => {
      clearTimeout(timer)
      resolve(code ?? -1)
    })
  })
}

async function suite(runtime: string, folder: string): Promise<Counts> {
  const output = join(folder, `${runtime}.json`)
  const underWay = join(folder, `${runtime}-under-way.txt`)
  const reporters = ["--reporter=default", "--reporter=json", "--reporter=./test/support/unfinished-reporter.ts"]
  const code = await script(`test:${runtime}`, [...reporters, `--outputFile.json=${output}`], {
    SLUICE_TEST_UNFINISHED: underWay,
    // Node reads and compiles the same files for hundreds of gateways: half of a start's time.
    NODE_COMPILE_CACHE: join(folder, "compile-cache"),
  })
  if (code !== 0 && !existsSync(output)) {
    const tests = existsSync(underWay) ? readFileSync(underWay, "utf8").replace(/^/gm, "  ") : "  nothing yet"
    ended.push(`${runtime}: ended before its end; under way were\n${tests}`)
  }
  let counts: Counts
  try {
    const report = JSON.parse(readFileSync(output, "utf8"))
    counts = {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests,
    }
    // A file that failed as a whole (a syntax error, a failing hook) may count no test.
    const brokenFiles = report.testResults.filter(
      (file: { status: string; assertionResults: { status: string }[] }) =>
        file.status === "failed" && !file.assertionResults.some((test) => test.status === "failed"),
    ).length
    counts.failed += brokenFiles
  } catch {
    counts = { passed: 0, failed: 1, skipped: 0 }
  }
  if ((code !== 0 || counts.passed === 0) && counts.failed === 0) counts.failed = 1
  return counts
}

const folder = mkdtempSync(join(tmpdir(), "sluice-test-"))
const rows: [string, Counts][] = []
try {
  const ok = (await script("check", [])) === 0
  rows.push(["check", { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 }])
  for (const runtime of ["node", "bun", "deno"]) {
    console.log(`\n${runtime}`)
    rows.push([runtime, await suite(runtime, folder)])
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const total: Counts = { passed: 0, failed: 0, skipped: 0 }
console.log("")
for (const each of ended) console.log(`${each}\n`)
for (const [name, counts] of rows) {
  console.log(`${name.padEnd(6)} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  total.passed += counts.passed
  total.failed += counts.failed
  total.skipped += counts.skipped
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`)
process.exitCode = total.failed === 0 ? 0 : 1

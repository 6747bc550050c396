// Times the way of somebody who writes a first filter: `filter new`, edit, `filter test`, a gateway that runs it, and a save
// that is live in it. Run: `node test/bench/new-author.ts [bun|deno|node]`; it prints ms a step.

import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePort } from "../support/ports.ts"
import { sluiceCommand } from "./sluice.ts"

const LIMIT = 60_000
const runtime = process.argv[2] ?? "bun"
const [program, ...before] = sluiceCommand(runtime) ?? []
if (program === undefined) throw new Error(`no ${runtime} in the development dependencies`)
const folder = mkdtempSync(join(tmpdir(), "sluice-author-"))
const filter = join(folder, "hello/filter.ts")
const marks: [string, number][] = []

function step(name: string, since: number): void {
  marks.push([name, Math.round(performance.now() - since)])
}

function sluice(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, [...before, ...args], { cwd: folder, encoding: "utf8", timeout: LIMIT })
  if (status !== 0) throw new Error(`sluice ${args.join(" ")}: ${stdout}${stderr}`)
  return stdout
}

function edit(file: string, from: string, to: string): void {
  const text = readFileSync(file, "utf8")
  if (!text.includes(from)) throw new Error(`${file} has no ${from}`)
  writeFileSync(file, text.replaceAll(from, to))
}

async function answers(port: number, filtered: string): Promise<void> {
  const end = performance.now() + LIMIT
  while (performance.now() < end) {
    const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => null)
    await response?.text()
    if (response?.headers.get("x-filtered-by") === filtered) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`no answer with x-filtered-by: ${filtered}`)
}

try {
  let since = performance.now()
  const start = since
  sluice("filter", "new", "hello")
  step("filter new", since)
  since = performance.now()
  edit(filter, '"hello")', '"first edit")')
  edit(join(folder, "hello/tests.json"), '"x-filtered-by": "hello"', '"x-filtered-by": "first edit"')
  sluice("filter", "test", "hello")
  step("edit and filter test", since)
  since = performance.now()
  const port = await freePort()
  writeFileSync(
    join(folder, "sluice.yaml"),
    `admin: false
listeners: [{ address: 127.0.0.1:${port} }]
filters: { hello: { module: ./hello/filter.ts } }
routes: [{ filters: [hello], respond: { body: "hi\\n" } }]
`,
  )
  const gateway = spawn(program, [...before, "run", "-c", "sluice.yaml"], { cwd: folder, stdio: "ignore" })
  try {
    await answers(port, "first edit")
    step("gateway started and answering", since)
    step("all of it, from nothing", start)
    // The compiler warms up beside the gateway.
    await new Promise((resolve) => setTimeout(resolve, 5000))
    for (const text of ["second", "third", "fourth"]) {
      since = performance.now()
      edit(filter, /x-filtered-by", "[^"]*"/.exec(readFileSync(filter, "utf8"))?.[0] ?? "?", `x-filtered-by", "${text}"`)
      await answers(port, text)
      step(`save: ${text} version live`, since)
    }
  } finally {
    const ended = new Promise((resolve) => gateway.on("exit", resolve))
    gateway.kill("SIGTERM")
    await ended
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
for (const [name, ms] of marks) console.log(`${String(ms).padStart(6)} ms  ${name}`)

// `sluice filter bench`: what filters cost, by phase, with the cases of their tests.

import { parseDuration, Wrong } from "../config/units.ts"
import { runtimeName } from "../runtime/child.ts"
import { type BenchResult, bench } from "../testing/bench.ts"
import type { TestCase } from "../testing/case-schema.ts"
import { FilterLoadError, FilterLoader } from "../testing/loader.ts"
import { findTests, type LoadedTests, loadTests } from "../testing/test-run.ts"
import { type Command, command, rest, UsageError } from "./command.ts"

const DEFAULT_CPU = 5

export const filterBench: Command = command({
  name: "bench",
  description: 'Measure filters: nanoseconds and budget of each phase, with the cases of tests.json marked "bench": true, or the first',
  args: {
    path: {
      type: "positional",
      description: "Filters' folders, or folders of those; default: here and filters/*",
      valueHint: "PATH...",
      required: false,
    },
    time: { type: "string", description: "How long to measure each case", valueHint: "DURATION", default: "500ms" },
    json: { type: "boolean", description: "Print JSON", default: false },
  },
  many: true,
  examples: ["sluice filter bench filters/api-key", "sluice filter bench --time 2s --json"],
  run: async (args) => {
    const duration = parseDuration(String(args.time), false, false)
    if (duration instanceof Wrong) throw new UsageError(`--time: ${duration.message}`)
    let tests: string[]
    try {
      tests = findTests(rest(args))
    } catch (error) {
      if (!(error instanceof FilterLoadError)) throw error
      process.stderr.write(`${error.message}\n`)
      return 2
    }
    const loader = new FilterLoader()
    const rows: Measured[] = []
    let code = 0
    // Everything is compiled before anything is measured.
    const all = await Promise.all(tests.map((file) => loadTests(file, loader)))
    loader.close()
    for (const loaded of all) {
      try {
        for (const row of await measure(loaded, duration)) {
          rows.push(row)
          if (args.json !== true) process.stdout.write(`${table(row)}\n`)
        }
      } catch (error) {
        process.stderr.write(`${loaded.name}: ${error instanceof Error ? error.message : String(error)}\n`)
        code = 1
      }
    }
    if (args.json === true) process.stdout.write(`${JSON.stringify({ runtime: runtimeName(), results: rows }, null, 2)}\n`)
    return code
  },
})

interface Measured extends BenchResult {
  readonly filter: string
  readonly case: string
}

async function measure({ name, tests, runner, error }: LoadedTests, duration: number): Promise<Measured[]> {
  if (tests === null || runner === null) throw new FilterLoadError(error)
  const marked = tests.cases.filter((each) => each.bench === true)
  const cases = marked.length > 0 ? marked : tests.cases.filter(hasRequest).slice(0, 1)
  if (cases.length === 0) throw new FilterLoadError("no case makes a request")
  const out: Measured[] = []
  for (const test of cases) {
    const { filter, request, upstream } = await runner.open(test)
    const cpu = test.limits?.cpu ?? tests.limits?.cpu ?? DEFAULT_CPU
    out.push({ filter: name, case: test.name, ...(await bench(filter, request, upstream, cpu, { duration })) })
  }
  return out
}

function hasRequest(test: TestCase): boolean {
  return test.request !== undefined || test.steps?.some((step) => step.request !== undefined) === true
}

function table(row: Measured): string {
  const lines = [`${row.filter}: ${row.case}`]
  lines.push(`  ${"phase".padEnd(18)}${"calls".padStart(6)}${"ns".padStart(10)}${"units".padStart(10)}${"of its budget".padStart(15)}`)
  for (const { phase, calls, ns, units, budget } of row.phases) {
    const used = phase === "callouts" ? "" : `${(budget * 100).toFixed(2)} %`
    lines.push(
      `  ${phase.padEnd(18)}${String(Number(calls.toFixed(1))).padStart(6)}${ns.toFixed(0).padStart(10)}${(phase === "callouts" ? "" : units.toFixed(0)).padStart(10)}${used.padStart(15)}`,
    )
  }
  lines.push(`  ${"exchange".padEnd(18)}${"".padStart(6)}${row.ns.toFixed(0).padStart(10)}`)
  const statuses = Object.entries(row.statuses).map(([status, count]) => `${count} × ${status}`)
  lines.push(`  answered: ${statuses.join(", ")}${statuses.length > 1 ? " (the case does not do the same every time)" : ""}`)
  return `${lines.join("\n")}\n`
}

// `sluice filter test`: runs the tests.json of filters in the gateway's own host, without a network.

import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { watchFiles } from "../config/watch.ts"
import { testsJsonSchema } from "../testing/case-schema.ts"
import { FilterLoadError, FilterLoader } from "../testing/loader.ts"
import { counted, type FileResult, formatResult, junitXml, paint } from "../testing/report.ts"
import { findTests, runTests } from "../testing/test-run.ts"
import { type Command, command, rest } from "./command.ts"

export const filterTest: Command = command({
  name: "test",
  description: "Run the tests.json of filters in the gateway's own host, in process and without a network",
  args: {
    path: {
      type: "positional",
      description: "Filters' folders, folders of those, or tests.json files; default: here and filters/*",
      valueHint: "PATH...",
      required: false,
    },
    filter: { type: "string", alias: "f", description: "Only cases whose name holds this text", valueHint: "TEXT" },
    watch: { type: "boolean", alias: "w", description: "Run again whenever a filter or its tests are saved", default: false },
    junit: { type: "string", description: "Write the results as JUnit XML", valueHint: "FILE" },
    verbose: { type: "boolean", description: "Name the cases that pass too", default: false },
    schema: { type: "boolean", description: "Print the JSON Schema of tests.json and do nothing else", default: false },
  },
  many: true,
  examples: [
    "sluice filter test",
    "sluice filter test filters/jwt-auth --verbose",
    "sluice filter test filters --filter expired --watch",
    "sluice filter test --junit reports/filters.xml",
    "sluice filter test --schema > tests.schema.json",
  ],
  run: async (args) => {
    if (args.schema === true) {
      process.stdout.write(`${JSON.stringify(testsJsonSchema(), null, 2)}\n`)
      return 0
    }
    const paths = rest(args)
    let tests: string[]
    try {
      tests = findTests(paths)
    } catch (error) {
      if (!(error instanceof FilterLoadError)) throw error
      process.stderr.write(`${error.message}\n`)
      return 2
    }
    const loader = new FilterLoader()
    const once = async (): Promise<{ code: number; files: readonly string[] }> => {
      const { results, files } = await run(tests, loader, args)
      if (typeof args.junit === "string") {
        mkdirSync(dirname(args.junit), { recursive: true })
        writeFileSync(args.junit, junitXml(results))
      }
      return { code: summarize(results, text(args.filter)), files }
    }
    try {
      if (args.watch !== true) return (await once()).code
      return await watch(async () => {
        // A filter may have got its tests meanwhile, or lost them.
        try {
          tests = findTests(paths)
        } catch (error) {
          if (!(error instanceof FilterLoadError)) throw error
        }
        return (await once()).files
      })
    } finally {
      loader.close()
    }
  },
})

function text(value: string | boolean | undefined): string {
  return typeof value === "string" ? value : ""
}

function run(
  tests: readonly string[],
  loader: FilterLoader,
  args: Readonly<Record<string, string | boolean | undefined>>,
): ReturnType<typeof runTests> {
  const colours = paint(process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "")
  return runTests(tests, loader, {
    filter: text(args.filter),
    onResult: (result) => process.stdout.write(`${formatResult(result, { colours, verbose: args.verbose === true })}\n`),
  })
}

// Prints the sum; the exit code.
function summarize(results: readonly FileResult[], filter: string): number {
  const cases = results.flatMap((result) => result.cases)
  const failed = cases.filter((each) => !each.passed).length
  const broken = results.filter((result) => result.error !== "").length
  if (cases.length === 0 && broken === 0) {
    process.stderr.write(`no case's name holds ${JSON.stringify(filter)}\n`)
    return 2
  }
  const tested = results.filter((result) => result.cases.length > 0 || result.error !== "").length
  const parts = [`${cases.length - failed} passed`]
  if (failed > 0) parts.push(`${failed} failed`)
  if (broken > 0) parts.push(`${counted(broken, "filter")} could not be loaded`)
  process.stdout.write(`\n${counted(tested, "filter")}, ${counted(cases.length, "case")}: ${parts.join(", ")}\n`)
  return failed > 0 || broken > 0 ? 1 : 0
}

// Runs, and again after each change, until the program is interrupted.
function watch(run: () => Promise<readonly string[]>): Promise<number> {
  return new Promise((resolve, reject) => {
    let running = false
    let again = false
    const files = watchFiles([], () => go(), { settle: 25 })
    // The watch itself keeps no program alive.
    const alive = setInterval(() => undefined, 60_000)
    const end = (code: number): void => {
      clearInterval(alive)
      files.close()
      resolve(code)
    }
    const go = (): void => {
      again = true
      if (running) return
      running = true
      again = false
      run()
        .then((depends) => {
          files.update(depends)
          process.stdout.write("\nwaiting for changes; end with Ctrl-C\n")
          running = false
          if (again) go()
        })
        .catch((error: unknown) => {
          clearInterval(alive)
          files.close()
          reject(error)
        })
    }
    process.once("SIGINT", () => end(0))
    process.once("SIGTERM", () => end(0))
    go()
  })
}

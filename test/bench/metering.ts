// What metering costs the shipped filters: each is run through the first request of its tests in the host that tests use, once
// as it was built and once as it is instrumented, in turns. Run: `bun test/bench/metering.ts [part of a name]`.

import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { CaseRunner } from "../../gateway/testing/case-runner.ts"
import { readTests, TESTS_FILE } from "../../gateway/testing/case-schema.ts"
import { FilterLoader, findFilter, type LoadedModule } from "../../gateway/testing/loader.ts"
import { markdownTable, median } from "./report.ts"

const ROUNDS = 15
const WARM_UP = 3000
const REQUESTS = 500

type Opened = Awaited<ReturnType<CaseRunner["open"]>>

/** µs of CPU a request. */
async function run({ filter, request, upstream }: Opened, count: number): Promise<number> {
  const before = process.cpuUsage()
  for (let i = 0; i < count; i++) await filter.request(request, { upstream })
  const { user, system } = process.cpuUsage(before)
  return (user + system) / count
}

const root = fileURLToPath(new URL("../../filters", import.meta.url))
const loader = new FilterLoader()
const rows: string[][] = []
const overheads: number[] = []
for (const name of readdirSync(root).sort()) {
  const tests = join(root, name, TESTS_FILE)
  if (!existsSync(tests) || !name.includes(process.argv[2] ?? "")) continue
  const read = readTests(tests)
  const place = findFilter(join(root, name))
  const { module, bytes } = await loader.load(place)
  const original: LoadedModule = { ...module, module: new WebAssembly.Module(Uint8Array.from(bytes)) }
  const test = read.ok ? read.tests.cases.find((each) => each.request !== undefined) : undefined
  if (!read.ok || test === undefined) continue
  const open = (each: LoadedModule): Promise<Opened> => new CaseRunner(read.tests, place, async () => each).open(test)
  const [plain, metered] = [await open(original), await open(module)]
  await run(plain, WARM_UP)
  await run(metered, WARM_UP)
  const times: [number, number][] = []
  for (let round = 0; round < ROUNDS; round++) {
    const first = round % 2 === 0 ? plain : metered
    const a = await run(first, REQUESTS)
    const b = await run(first === plain ? metered : plain, REQUESTS)
    times.push(first === plain ? [a, b] : [b, a])
  }
  // What else the machine does makes a round slower, never faster.
  const best = (i: 0 | 1): number => Math.min(...times.map((each) => each[i]))
  const overhead = best(1) / best(0) - 1
  overheads.push(overhead)
  rows.push([name, best(0).toFixed(2), best(1).toFixed(2), `${(overhead * 100).toFixed(1)} %`])
}
loader.close()
process.stdout.write(
  `${markdownTable(["filter", "as built, µs", "instrumented, µs", "metering"], rows)}\n\nmedian ${(median(overheads) * 100).toFixed(1)} %\n`,
)

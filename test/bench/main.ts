// `npm run bench`: proxies side by side in one run, in interleaved rounds; CPU per request is what counts, since it does not
// depend on how busy the other core is. Writes test/bench/RESULTS.md. Numbers are only worth anything on an idle machine.

import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { get } from "../support/raw-client.ts"
import { type Contender, contenders, custom, type Running, sluiceCommand, startOrigin } from "./contenders.ts"
import { defaultLoadTool, type LoadTool, runLoad } from "./load.ts"
import { cpuBetween, cpuTimes, residentMemory } from "./processes.ts"
import { environment, type Sample, type Series, scenarioTable } from "./report.ts"
import { featureOf, requestFields, type Scenario, scenarios, withoutFeature } from "./scenarios.ts"

const usage = `npm run bench -- [options]
  --scenarios a,b     of: ${scenarios.map((scenario) => scenario.name).join(", ")}; default all
  --proxies a,b       of: ${contenders()
    .map((contender) => contender.name)
    .join(", ")}; default all that are there
  --rounds N          default 5
  --seconds N         length of one measured run, default 4
  --warmup N          seconds of load before the first round, default 3
  --connections N     default 64
  --load wrk|node     default wrk if it is on the PATH
  --cmd NAME=COMMAND  one more proxy; {port}, {origin}, {folder} are filled in
  --out FILE          default test/bench/RESULTS.md; - only prints`

const { values } = parseArgs({
  options: {
    scenarios: { type: "string" },
    proxies: { type: "string" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "4" },
    warmup: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    load: { type: "string", default: defaultLoadTool() },
    cmd: { type: "string", multiple: true, default: [] },
    out: { type: "string", default: fileURLToPath(new URL("RESULTS.md", import.meta.url)) },
    help: { type: "boolean", default: false },
  },
})

interface Entry {
  readonly name: string
  readonly contender: string
  readonly featured: boolean
  readonly running: Running
  readonly samples: Sample[]
}

function chosen<T extends { readonly name: string }>(all: readonly T[], list: string | undefined): T[] {
  if (list === undefined) return [...all]
  return list.split(",").map((name) => {
    const found = all.find((item) => item.name === name)
    if (found === undefined) throw new Error(`${name}: not one of ${all.map((item) => item.name).join(", ")}`)
    return found
  })
}

const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"))
let folders = 0
function newFolder(): string {
  const path = join(folder, String(folders++))
  mkdirSync(path)
  return path
}

/** One answer looked at closely before thousands are counted. */
async function checkAnswer(name: string, scenario: Scenario, port: number): Promise<void> {
  const fields = Object.fromEntries(requestFields(`127.0.0.1:${port}`))
  const response = await get(port, scenario.target, fields)
  if (response.status !== 200 || response.body.length !== scenario.responseBody) {
    throw new Error(`${name} answered ${response.status} with ${response.body.length} octets`)
  }
  if (!scenario.filter) return
  const { "x-api-key": _, ...others } = fields
  const refused = await get(port, scenario.target, others)
  if (refused.status !== 401) throw new Error(`${name} answered ${refused.status} to a request without x-api-key`)
}

async function measure(entry: Entry, scenario: Scenario, seconds: number): Promise<Sample> {
  const before = cpuTimes(entry.running.pid)
  const load = await runLoad(values.load as LoadTool, {
    scenario,
    port: entry.running.port,
    connections: Number(values.connections),
    seconds,
    folder,
  })
  const cpu = cpuBetween(before, cpuTimes(entry.running.pid)) / load.requests
  return {
    cpu,
    requestsPerSecond: load.requests / load.duration,
    requests: load.requests,
    errors: load.errors,
    p50: load.latency.p50,
    p99: load.latency.p99,
    memory: residentMemory(entry.running.pid),
  }
}

async function runScenario(scenario: Scenario, proxies: readonly Contender[], originPort: number): Promise<Series[]> {
  const entries: Entry[] = []
  try {
    const twin = withoutFeature(scenario)
    for (const contender of proxies) {
      if (!contender.suits(scenario)) continue
      const variants =
        twin === null
          ? [{ of: scenario, featured: false }]
          : [
              { of: twin, featured: false },
              { of: scenario, featured: true },
            ]
      for (const { of, featured } of variants) {
        const name = featured ? `${contender.name} + ${featureOf(scenario)}` : contender.name
        const running = await contender.start(of, originPort, newFolder())
        entries.push({ name, contender: contender.name, featured, running, samples: [] })
        await checkAnswer(name, of, running.port)
      }
    }
    if (Number(values.warmup) > 0) for (const entry of entries) await measure(entry, scenario, Number(values.warmup))
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const entry of entries) {
        const sample = await measure(entry, scenario, Number(values.seconds))
        entry.samples.push(sample)
        console.log(
          `${scenario.name} round ${round + 1} ${entry.name}: ${sample.cpu.toFixed(1)} µs, ${Math.round(sample.requestsPerSecond)}/s, ${sample.errors} errors`,
        )
      }
    }
    return entries
  } finally {
    for (const entry of entries) await entry.running.stop()
  }
}

async function main(): Promise<void> {
  const all = [
    ...contenders(),
    ...values.cmd.map((text) => {
      const [name, ...command] = text.split("=")
      return custom(name, command.join("="))
    }),
  ]
  const wanted = values.proxies === undefined ? all : [...chosen(contenders(), values.proxies), ...all.slice(contenders().length)]
  const proxies = wanted.filter((contender) => contender.missing === null)
  for (const { name, missing } of wanted) if (missing !== null) console.log(`${name}: left out, ${missing}`)
  const tables: string[] = []
  const origin = await startOrigin(newFolder())
  try {
    for (const scenario of chosen(scenarios, values.scenarios)) {
      const table = scenarioTable(scenario, await runScenario(scenario, proxies, origin.port))
      console.log(`\n${table}`)
      tables.push(table)
    }
  } finally {
    await origin.stop()
  }
  if (values.out === "-") return
  const runtimes = ["bun", "node", "deno"].map((name): [string, string] => {
    const command = sluiceCommand(name)
    const said = command === null ? "none" : spawnSync(command[0], ["--version"], { encoding: "utf8" }).stdout
    return [name, said.replace(/^deno /, "").split(/[\s(]/)[0]]
  })
  const options = `${values.rounds} rounds of ${values.seconds} s, ${values.connections} keep-alive connections from ${values.load}, requests of ten fields`
  const text = `# Results of \`npm run bench\`

${new Date().toISOString().slice(0, 10)}; ${options}. CPU is user and system time of all of a proxy's processes and threads, divided by the
requests answered. Values are medians over interleaved rounds; ratios and differences are medians of those within a round. RSS is read after the last round.

${environment(runtimes)}

${tables.join("\n")}`
  writeFileSync(values.out, text)
  console.log(`written to ${values.out}`)
}

if (values.help) {
  console.log(usage)
} else {
  try {
    await main()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

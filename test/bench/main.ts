// `npm run bench`: proxies side by side in one run, in interleaved rounds; CPU per request (handshake, call, octet) is what counts,
// since it does not depend on how busy the other core is. Writes test/bench/RESULTS.md. Numbers want an idle machine.

import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { checkAnswer } from "./answers.ts"
import { type Certificate, makeCertificate } from "./certificate.ts"
import type { Contender, Running, Surroundings } from "./contender.ts"
import { contenders, custom } from "./contenders.ts"
import { defaultLoadTool, describeLoad, type LoadTool, runLoad } from "./load.ts"
import { Origins } from "./origins.ts"
import { cpuBetween, cpuTimes, findProgram, residentMemory } from "./processes.ts"
import { describeSample, environment, type Sample, type Series, scenarioTable } from "./report.ts"
import { writeResults } from "./results.ts"
import { featureOf, neededPrograms, type Scenario, scenarios, withoutFeature } from "./scenarios.ts"
import { sluiceCommand } from "./sluice.ts"

const usage = `npm run bench -- [options]
  --scenarios a,b     default all of:
${scenarios.map(({ name, title }) => `                        ${name.padEnd(10)} ${title}`).join("\n")}
  --proxies a,b       of: ${contenders()
    .map((contender) => contender.name)
    .join(", ")}; default all that are there
  --rounds N          default 5
  --seconds N         length of one measured run, default 4
  --warmup N          seconds of load before the first round, default 3
  --connections N     of HTTP/1.1, default 64
  --load wrk|node     for HTTP/1.1, default wrk if it is on the PATH
  --cmd NAME=COMMAND  one more proxy, for plain HTTP/1.1; {port}, {origin}, {folder} are filled in
  --out FILE          default test/bench/RESULTS.md, whose other sections stay; - only prints`

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

async function measure(entry: Entry, scenario: Scenario, seconds: number): Promise<Sample> {
  const before = cpuTimes(entry.running.pid)
  const load = await runLoad(values.load as LoadTool, {
    scenario,
    port: entry.running.port,
    connections: Number(values.connections),
    seconds,
    folder,
  })
  if (load.count === 0) throw new Error(`${entry.name} did nothing under load; ${load.errors} errors`)
  return {
    cpu: cpuBetween(before, cpuTimes(entry.running.pid)) / load.count,
    perSecond: load.count / load.duration,
    errors: load.errors,
    latency: load.latency,
    memory: residentMemory(entry.running.pid),
  }
}

/** The contender, without and with what the scenario is about; added to `entries` as soon as each runs. */
async function startContender(contender: Contender, scenario: Scenario, surroundings: Shared, entries: Entry[]): Promise<void> {
  const twin = withoutFeature(scenario)
  const variants = [...(twin === null ? [] : [twin]), scenario]
  for (const of of variants) {
    const featured = twin !== null && of === scenario
    const name = featured ? `${contender.name} + ${featureOf(scenario)}` : contender.name
    const running = await contender.start(of, { ...surroundings, folder: newFolder() })
    entries.push({ name, contender: contender.name, featured, running, samples: [] })
    await checkAnswer(of, running.port, surroundings.certificate?.pem)
  }
}

type Shared = Omit<Surroundings, "folder">

/** For a sentence: what a gateway gave as its reason in the log that a message ends with, or else the message's first line. */
function firstReason(message: string): string {
  const logged = /"reason":"((?:[^"\\]|\\.)*)"/.exec(message)
  const reason: string = logged === null ? message : JSON.parse(`"${logged[1]}"`)
  return reason.split("\n")[0].slice(0, 200)
}

interface Measured {
  readonly series: readonly Series[]
  /** Contenders that could not do what the scenario asks, and why. */
  readonly failed: readonly string[]
}

async function runScenario(scenario: Scenario, proxies: readonly Contender[], shared: Shared): Promise<Measured> {
  const byContender = new Map<string, Entry[]>()
  const failed: string[] = []
  /** Does something with a contender's entries; one that can't do its part is out, and the others go on. */
  const attempt = async (name: string, work: (entries: Entry[]) => Promise<void>): Promise<void> => {
    const entries = byContender.get(name) ?? []
    try {
      await work(entries)
    } catch (error) {
      byContender.delete(name)
      for (const entry of entries) await entry.running.stop()
      console.error(`${scenario.name}: ${name} is left out: ${(error as Error).message}`)
      failed.push(`${name} (${firstReason((error as Error).message)})`)
    }
  }
  try {
    for (const contender of proxies.filter((each) => each.suits(scenario))) {
      byContender.set(contender.name, [])
      await attempt(contender.name, (entries) => startContender(contender, scenario, shared, entries))
    }
    if (Number(values.warmup) > 0) {
      for (const name of [...byContender.keys()]) {
        await attempt(name, async (entries) => {
          for (const entry of entries) await measure(entry, scenario, Number(values.warmup))
        })
      }
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const name of [...byContender.keys()]) {
        await attempt(name, async (entries) => {
          for (const entry of entries) {
            const sample = await measure(entry, scenario, Number(values.seconds))
            entry.samples.push(sample)
            console.log(`${scenario.name} round ${round + 1} ${entry.name}: ${describeSample(scenario, sample)}`)
          }
        })
      }
    }
    return { series: [...byContender.values()].flat(), failed }
  } finally {
    for (const entry of [...byContender.values()].flat()) await entry.running.stop()
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
  const origins = new Origins(newFolder)
  const sections: string[] = []
  let certificate: Certificate | null = null
  try {
    for (const scenario of chosen(scenarios, values.scenarios)) {
      const missing = neededPrograms(scenario).filter((program) => findProgram(program) === null)
      if (missing.length > 0) {
        console.log(`${scenario.name}: left out, no ${missing.join(" and no ")} on the PATH`)
        continue
      }
      if (scenario.tls) certificate ??= makeCertificate(newFolder())
      const shared = { originPort: await origins.port(scenario), certificate: scenario.tls ? certificate : null }
      const busy = loadavg()[0].toFixed(1)
      const { series, failed } = await runScenario(scenario, proxies, shared)
      if (failed.length > 0) process.exitCode = 1
      const load = describeLoad(values.load as LoadTool, scenario, Number(values.connections))
      const run = `${new Date().toISOString().slice(0, 10)}; ${values.rounds} rounds of ${values.seconds} s, ${load}; load average ${busy}.`
      const leftOut = failed.length === 0 ? "" : ` Left out: ${failed.join("; ")}.`
      const section = `${scenarioTable(scenario, series)}\n${run}${leftOut}\n`
      console.log(`\n${section}`)
      sections.push(section)
    }
  } finally {
    await origins.stop()
  }
  if (values.out === "-") return
  const runtimes = ["bun", "node", "deno"].map((name): [string, string] => {
    const command = sluiceCommand(name)
    const said = command === null ? "none" : spawnSync(command[0], ["--version"], { encoding: "utf8" }).stdout
    return [name, said.replace(/^deno /, "").split(/[\s(]/)[0]]
  })
  writeResults(values.out, environment(runtimes), sections)
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

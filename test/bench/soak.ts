// `npm run soak`: what a client sees while things change or break under load, and what memory does over a million requests.
// Every phase starts a gateway of its own, with a filter in the way, and counts failures by kind. Not part of `npm test`.

import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { FilterCompilation } from "../../sdk/build/compile.ts"
import { sleep, until, within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { freePort } from "../support/ports.ts"
import { get, type Response } from "../support/raw-client.ts"
import { residentMemory } from "./processes.ts"
import { markdownTable, median } from "./report.ts"
import { sluiceCommand } from "./sluice.ts"
import { abortRequests, SoakClient } from "./soak-client.ts"

const phaseNames = ["memory", "reload", "swap", "swap-ts", "worker", "endpoint", "drain", "runaway"] as const
type PhaseName = (typeof phaseNames)[number]

const usage = `npm run soak -- [options]
  --runtimes a,b    of: bun, node, deno; default bun
  --phases a,b      of: ${phaseNames.join(", ")}; default all
  --requests N      of the memory phase, default 1000000
  --aborts N        of the memory phase, default 10000
  --reloads N       default 200
  --swaps N         of a .wasm under load, default 200; memory is reported after every tenth of them
  --cycles N        kills of a worker, of an endpoint, drains, .ts swaps; default 5
  --connections N   default 64
  --out FILE        write the tables there too`

const { values } = parseArgs({
  options: {
    runtimes: { type: "string", default: "bun" },
    phases: { type: "string", default: phaseNames.join(",") },
    requests: { type: "string", default: "1000000" },
    aborts: { type: "string", default: "10000" },
    reloads: { type: "string", default: "200" },
    swaps: { type: "string", default: "200" },
    cycles: { type: "string", default: "5" },
    connections: { type: "string", default: "64" },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
})
const counts = {
  requests: Number(values.requests),
  aborts: Number(values.aborts),
  reloads: Number(values.reloads),
  swaps: Number(values.swaps),
  cycles: Number(values.cycles),
  connections: Number(values.connections),
}

const root = fileURLToPath(new URL("../..", import.meta.url))
const fields = { "x-api-key": "soak" }

interface Outcome {
  readonly phase: string
  /** What was done, and how often. */
  readonly done: string
  readonly requests: number
  readonly failures: string
  readonly notes: string
  readonly examples: readonly string[]
}

// Endpoints

class EchoProcess {
  readonly port: number
  #child: ChildProcess

  private constructor(port: number, child: ChildProcess) {
    this.port = port
    this.#child = child
  }

  static async start(): Promise<EchoProcess> {
    const { port, child } = await EchoProcess.#spawn(0)
    return new EchoProcess(port, child)
  }

  /** SIGKILL: its connections are reset. */
  async kill(): Promise<void> {
    const exited = new Promise((resolve) => this.#child.once("exit", resolve))
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill("SIGKILL")
    await within(exited, "exit of an endpoint")
  }

  async restart(): Promise<void> {
    this.#child = (await EchoProcess.#spawn(this.port)).child
  }

  static async #spawn(port: number): Promise<{ port: number; child: ChildProcess }> {
    const child = spawn(process.execPath, [fileURLToPath(new URL("soak-origin.ts", import.meta.url)), String(port)], {
      stdio: ["ignore", "pipe", "inherit"],
    })
    const said = new Promise<string>((resolve, reject) => {
      child.stdout.once("data", (data: Buffer) => resolve(data.toString()))
      child.once("exit", (code) => reject(new Error(`an endpoint ended with ${code}`)))
    })
    return { port: Number(await within(said, "start of an endpoint")), child }
  }
}

// Filters

function filterSource(version: string): string {
  return `import { Reply, Request, Response } from "sluice/sdk"

export function onRequest(request: Request): Reply | null {
  if (request.headers.get("x-api-key") === null) return new Reply(401, "missing x-api-key")
  request.headers.set("x-filtered", "yes")
  return null
}

export function onResponse(response: Response): void {
  response.headers.set("x-version", "${version}")
}
`
}

const runawaySource = `import { Reply, Request } from "sluice/sdk"

export function onRequest(request: Request): Reply | null {
  while (true) {}
  return null
}
`

function compileFilter(source: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "sluice-soak-filter-"))
  try {
    const file = join(folder, "filter.ts")
    writeFileSync(file, source)
    const outcome = new FilterCompilation(file, "release", join(root, "sdk/assembly")).run()
    if (!outcome.ok) throw new Error(outcome.diagnostics.map((each) => each.message).join("\n"))
    return outcome.wasm
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The same module with another digest: a custom section that says nothing is added. */
function variant(wasm: Uint8Array, number: number): Uint8Array {
  const text = Buffer.from(String(number))
  return Buffer.concat([wasm, Buffer.from([0, 2 + text.length, 1, 0x6e]), text])
}

// Gateways

interface Setup {
  readonly runtime: string
  readonly port: number
  readonly endpoints: readonly EchoProcess[]
  readonly workers: number
  /** Of `/version`. */
  readonly version: number
  readonly module: string
}

function configOf(setup: Setup): object {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: setup.workers,
    accessLog: "off",
    listeners: [{ name: "soak", address: `127.0.0.1:${setup.port}` }],
    services: { echo: { endpoints: setup.endpoints.map((endpoint) => `127.0.0.1:${endpoint.port}`) } },
    filters: { header: { module: setup.module } },
    routes: [
      { name: "version", match: { path: { exact: "/version" } }, respond: { status: 200, body: String(setup.version) } },
      { name: "plain", match: { path: "/plain" }, rewrite: { prefix: "/" }, backends: "echo" },
      { name: "filtered", filters: ["header"], backends: "echo" },
    ],
  }
}

interface Stage extends Setup {
  readonly gateway: Gateway
  readonly client: SoakClient
  get(target: string): Promise<Response>
}

interface StageOptions {
  readonly workers?: number
  readonly endpoints?: number
  readonly killable?: boolean
  /** File name and content; default the header filter as a .wasm. */
  readonly module?: readonly [name: string, content: string | Uint8Array]
  readonly client?: { readonly connections?: number; readonly requests?: number; readonly prefix?: string }
}

/** Starts endpoints, a gateway and a client, hands them over, and ends whatever of them still runs. */
async function onStage<T>(runtime: string, options: StageOptions, play: (stage: Stage) => Promise<T>): Promise<T> {
  const command = sluiceCommand(runtime)
  if (command === null) throw new Error(`no ${runtime} in node_modules`)
  if (options.killable === true) command[command.length - 1] = join(root, "test/support/killable-main.ts")
  const endpoints: EchoProcess[] = []
  let gateway: Gateway | null = null
  try {
    for (let i = 0; i < (options.endpoints ?? 1); i++) endpoints.push(await EchoProcess.start())
    const [name, content] = options.module ?? ["filter.wasm", compileFilter(filterSource("0"))]
    const setup: Setup = { runtime, port: await freePort(), endpoints, workers: options.workers ?? 2, version: 0, module: `./${name}` }
    gateway = await Gateway.start({ config: configOf(setup), files: { [name]: content }, command, startLimit: 60_000 })
    const probe = await get(setup.port, "/plain/echo/probe/2", fields)
    if (probe.status !== 200) throw new Error(`the gateway answers ${probe.status} before anything is done`)
    const client = new SoakClient({ port: setup.port, connections: counts.connections, fields, ...options.client })
    return await play({ ...setup, gateway, client, get: (target) => get(setup.port, target, fields) })
  } finally {
    await gateway?.kill()
    for (const endpoint of endpoints) await endpoint.kill()
  }
}

function outcome(phase: PhaseName, done: string, clients: readonly SoakClient[], notes: string): Outcome {
  const sums = new Map<string, number>()
  for (const client of clients) for (const [kind, count] of client.failures) sums.set(kind, (sums.get(kind) ?? 0) + count)
  return {
    phase,
    done,
    requests: clients.reduce((sum, client) => sum + client.completed + client.failed, 0),
    failures: sums.size === 0 ? "0" : [...sums].map(([kind, count]) => `${count} × ${kind}`).join(", "),
    notes,
    examples: clients.flatMap((client) => client.examples).slice(0, 10),
  }
}

function times(values: readonly number[], unit: string = "ms"): string {
  return `median ${median(values).toFixed(0)}, most ${Math.max(...values).toFixed(0)} ${unit}`
}

function megabytes(octets: number): string {
  return `${(octets / 1e6).toFixed(1)} MB`
}

/** How long until `seen` says so, in ms; it is asked every 2 ms. */
async function timeUntil(seen: () => Promise<boolean>, what: string): Promise<number> {
  const start = performance.now()
  while (!(await seen())) {
    if (performance.now() - start > 20_000) throw new Error(`${what}: not within 20 s`)
    await sleep(2)
  }
  return performance.now() - start
}

// Phases

const phases: Readonly<Record<PhaseName, (runtime: string) => Promise<Outcome>>> = {
  memory: async (runtime) => {
    const warmup = Math.ceil(counts.requests / 20)
    return onStage(runtime, { workers: 1, client: { requests: warmup + counts.requests } }, async ({ gateway, client, port }) => {
      const idle = residentMemory(gateway.pid)
      client.start()
      await client.finished(warmup)
      const before = residentMemory(gateway.pid)
      const points: number[] = []
      for (let step = 1; step <= 10; step++) {
        await client.finished(warmup + (counts.requests * step) / 10)
        points.push(residentMemory(gateway.pid))
        console.log(`  ${Math.round(client.completed)} requests, ${megabytes(points[step - 1])}`)
      }
      await client.stop()
      await abortRequests(port, counts.aborts)
      await sleep(3000)
      const after = residentMemory(gateway.pid)
      const probe = await get(port, "/echo/probe/2", fields)
      const notes = `RSS idle ${megabytes(idle)}, after ${warmup} ${megabytes(before)}, then every tenth: ${points.map((value) => (value / 1e6).toFixed(0)).join(" ")} MB; after the aborted ${megabytes(after)}; then status ${probe.status}`
      return outcome("memory", `${counts.requests} requests, ${counts.aborts} aborted`, [client], notes)
    })
  },

  reload: (runtime) =>
    onStage(runtime, {}, async (stage) => {
      const { gateway, client } = stage
      client.start()
      await client.finished(200)
      const live: number[] = []
      for (let version = 1; version <= counts.reloads; version++) {
        gateway.writeConfig(configOf({ ...stage, version }))
        live.push(await timeUntil(async () => (await stage.get("/version")).text() === String(version), `configuration ${version}`))
      }
      await client.stop()
      return outcome(
        "reload",
        `${counts.reloads} reloads`,
        [client],
        `file saved → first answer of it: ${times(live)}; RSS ${megabytes(residentMemory(gateway.pid))}`,
      )
    }),

  swap: (runtime) =>
    onStage(runtime, {}, async (stage) => {
      const { gateway, client } = stage
      const modules = ["even", "odd"].map((version) => compileFilter(filterSource(version)))
      client.start()
      await client.finished(200)
      const live: number[] = []
      const swapTo = async (swap: number): Promise<void> => {
        gateway.writeFile("filter.wasm", variant(modules[swap % 2], swap))
        const expected = swap % 2 === 0 ? "even" : "odd"
        live.push(await timeUntil(async () => (await stage.get("/echo/probe/2")).header("x-version") === expected, `filter ${swap}`))
      }
      const idle = residentMemory(gateway.pid)
      // The first fill what is filled once: caches, the heaps of the workers' engines.
      const warmup = Math.ceil(counts.swaps / 10)
      for (let swap = 0; swap < warmup; swap++) await swapTo(swap)
      const points = [residentMemory(gateway.pid)]
      for (let swap = 0; swap < counts.swaps; swap++) {
        await swapTo(warmup + swap)
        if ((swap + 1) % Math.max(1, Math.floor(counts.swaps / 10)) === 0) points.push(residentMemory(gateway.pid))
      }
      await client.stop()
      await sleep(3000)
      const settled = residentMemory(gateway.pid)
      const [{ instances, generation, failures }] = JSON.parse((await get(gateway.adminPort, "/filters")).text()).filters
      const notes = [
        `file saved → live: ${times(live)}`,
        `RSS idle ${megabytes(idle)}, after ${warmup} swaps and then every tenth: ${points.map((value) => (value / 1e6).toFixed(0)).join(" ")} MB, at rest ${megabytes(settled)}`,
        `generation ${generation}, ${instances} instances in ${stage.workers} workers, ${failures} exchanges in which the filter failed`,
      ].join("; ")
      return outcome("swap", `${counts.swaps} filter swaps (.wasm)`, [client], notes)
    }),

  "swap-ts": (runtime) =>
    onStage(runtime, { module: ["filter.ts", filterSource("0")], client: { connections: 4 } }, async (stage) => {
      const { gateway, client } = stage
      client.start()
      await client.finished(20)
      const live: number[] = []
      for (let version = 1; version <= counts.cycles; version++) {
        gateway.writeFile("filter.ts", filterSource(String(version)))
        live.push(
          await timeUntil(async () => (await stage.get("/echo/probe/2")).header("x-version") === String(version), `filter ${version}`),
        )
      }
      await client.stop()
      return outcome("swap-ts", `${counts.cycles} filter edits (.ts)`, [client], `file saved → live: ${times(live)}`)
    }),

  worker: (runtime) =>
    onStage(runtime, { killable: true }, async ({ gateway, client }) => {
      client.start()
      await client.finished(200)
      for (let i = 0; i < counts.cycles; i++) {
        const from = gateway.log.length
        gateway.signal("SIGUSR2")
        await gateway.waitForLog((line) => line.message === "worker killed by the test", "the kill", 5000, from)
        await sleep(2000)
        await client.finished(client.completed + client.failed + 200)
      }
      await client.stop()
      return outcome("worker", `${counts.cycles} workers killed of 2`, [client], `p99 ${client.percentile(0.99).toFixed(0)} ms`)
    }),

  endpoint: (runtime) =>
    onStage(runtime, { endpoints: 2 }, async ({ endpoints, client }) => {
      client.start()
      await client.finished(200)
      for (let i = 0; i < counts.cycles; i++) {
        const endpoint = endpoints[i % 2]
        await endpoint.kill()
        await sleep(1000)
        await endpoint.restart()
        await sleep(1000)
      }
      await client.stop()
      return outcome(
        "endpoint",
        `${counts.cycles} kills and restarts of one endpoint of 2`,
        [client],
        `p99 ${client.percentile(0.99).toFixed(0)} ms`,
      )
    }),

  drain: async (runtime) => {
    const clients: SoakClient[] = []
    const took: number[] = []
    const exits = new Set<string>()
    for (let i = 0; i < counts.cycles; i++) {
      await onStage(runtime, {}, async ({ gateway, client }) => {
        clients.push(client)
        client.start()
        await client.finished(2000)
        const start = performance.now()
        // From here on a client would be sent elsewhere: it opens nothing, and what it has must be answered.
        client.stopReopening()
        gateway.signal("SIGTERM")
        const exit = await gateway.exited(40_000)
        took.push(performance.now() - start)
        exits.add(`${exit.code ?? exit.signal}`)
        await client.drained(5000)
      })
    }
    return outcome("drain", `${counts.cycles} × SIGTERM`, clients, `exit code ${[...exits].join(", ")} after ${times(took)}`)
  },

  runaway: (runtime) =>
    onStage(
      runtime,
      { module: ["filter.wasm", compileFilter(runawaySource)], client: { prefix: "/plain", connections: 8 } },
      async (stage) => {
        const { client } = stage
        client.start()
        await client.finished(2000)
        const calm = client.percentile(0.99)
        client.latencies.length = 0
        const replies: number[] = []
        const statuses = new Set<number>()
        for (let i = 0; i < counts.cycles * 4; i++) {
          const start = performance.now()
          statuses.add((await stage.get("/echo/loop/2")).status)
          replies.push(performance.now() - start)
          await sleep(100)
        }
        await until(() => client.latencies.length > 500, "load beside the runaway filter")
        const beside = client.percentile(0.99)
        await client.stop()
        const notes = `reply ${[...statuses].join(", ")} after ${times(replies)}; p99 of another route ${calm.toFixed(1)} ms before, ${beside.toFixed(1)} ms meanwhile`
        return outcome("runaway", `${counts.cycles * 4} calls of \`while (true) {}\``, [client], notes)
      },
    ),
}

async function main(): Promise<boolean> {
  const wanted = values.phases.split(",").map((name): PhaseName => {
    if (!(phaseNames as readonly string[]).includes(name)) throw new Error(`${name}: not one of ${phaseNames.join(", ")}`)
    return name as PhaseName
  })
  let text = "# Results of `npm run soak`\n"
  let clean = true
  for (const runtime of values.runtimes.split(",")) {
    const rows: string[][] = []
    for (const name of wanted) {
      console.log(`${runtime}: ${name}`)
      let result: Outcome
      try {
        result = await phases[name](runtime)
      } catch (error) {
        result = {
          phase: name,
          done: "",
          requests: 0,
          failures: "the phase itself failed",
          notes: (error as Error).message.split("\n")[0],
          examples: [],
        }
      }
      clean &&= result.failures === "0"
      rows.push([result.phase, result.done, String(result.requests), result.failures, result.notes])
      console.log(`  ${result.done}: ${result.failures} failures of ${result.requests}; ${result.notes}`)
      for (const example of result.examples) console.log(`    ${example}`)
    }
    const table = markdownTable(["phase", "what was done", "requests", "failures clients saw", "notes"], rows)
    console.log(`\n${table}\n`)
    text += `\n## ${runtime}\n\n${table}\n`
  }
  if (values.out !== undefined) writeFileSync(values.out, text)
  return clean
}

if (values.help) console.log(usage)
else process.exitCode = (await main()) ? 0 : 1

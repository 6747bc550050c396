// `npm run failures`: what clients see when one of three endpoints fails under load, and what reaches the others, on real
// processes. Not part of `npm test`.

import { type ChildProcess, fork, spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { sleep, within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { freePort } from "../support/ports.ts"
import { type FailureMode, failureModes, routeSettings } from "./failure-scenarios.ts"
import type { PacedResult, PacedTask } from "./paced-result.ts"
import { otherCore, pinned, proxyCore } from "./processes.ts"
import { markdownTable } from "./report.ts"
import { sluiceCommand } from "./sluice.ts"

const usage = `npm run failures -- [options]
  --runtimes a,b    of: bun, node, deno; default all
  --modes a,b       of: ${failureModes.join(", ")}; default all
  --settings a,b    of: ${Object.keys(routeSettings).join(", ")}; default all
  --rate N          requests a second, default 2000
  --seconds N       of load after the failure, default 8
  --all             all three endpoints fail, not one: how much load reaches them
  --out FILE        write the table there too`

const { values } = parseArgs({
  options: {
    runtimes: { type: "string", default: "bun,node,deno" },
    modes: { type: "string", default: failureModes.join(",") },
    settings: { type: "string", default: Object.keys(routeSettings).join(",") },
    rate: { type: "string", default: "2000" },
    seconds: { type: "string", default: "8" },
    all: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false },
  },
})

/** s of load before the failure, and those of them that aren't looked at: the gateway's code is cold, and compiled meanwhile. */
const BEFORE = 6
const COLD = 4
const file = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

class Endpoint {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(port: number, child: ChildProcess) {
    this.port = port
    this.#child = child
  }

  static async start(): Promise<Endpoint> {
    const port = await freePort()
    const child = fork(file("failure-origin.ts"), [String(port)])
    await within(new Promise((resolve) => child.once("message", resolve)), "start of an endpoint")
    return new Endpoint(port, child)
  }

  /** Changes how it behaves, or asks; answers with the requests it has had. */
  async tell(mode: FailureMode | "count"): Promise<number> {
    if (mode === "killed") {
      this.#child.kill("SIGKILL")
      return 0
    }
    if (!this.#child.connected) return 0
    const answer = new Promise<number>((resolve) => this.#child.once("message", (count) => resolve(count as number)))
    this.#child.send(mode)
    return within(answer, "answer of an endpoint")
  }

  stop(): void {
    this.#child.kill("SIGKILL")
  }
}

async function load(task: PacedTask): Promise<PacedResult> {
  const [program, ...args] = pinned(otherCore, [process.execPath, file("paced-load.ts"), JSON.stringify(task)])
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
  let said = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text))
  await within(new Promise((resolve) => child.once("exit", resolve)), "end of the load", (task.seconds + 30) * 1000)
  return JSON.parse(said.slice(said.indexOf("RESULT ") + 7)) as PacedResult
}

interface Outcome {
  readonly before: number
  readonly first: number
  readonly after: number
  readonly failures: Record<string, number>
  /** Requests that reached an endpoint, for one of a client. */
  readonly ratio: number
}

async function run(runtime: string, mode: FailureMode, settings: object, task: Omit<PacedTask, "port">): Promise<Outcome> {
  const endpoints = await Promise.all([Endpoint.start(), Endpoint.start(), Endpoint.start()])
  const gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      accessLog: "off",
      listeners: [{ name: "edge", address: "127.0.0.1:0" }],
      services: { api: { endpoints: endpoints.map(({ port }) => `127.0.0.1:${port}`) } },
      routes: [{ backends: "api", ...settings }],
    },
    command: pinned(proxyCore, sluiceCommand(runtime) as string[]),
    startLimit: 60_000,
  })
  try {
    const running = load({ ...task, port: gateway.port("edge") })
    await sleep(BEFORE * 1000)
    let counted = 0
    if (values.all) {
      for (const endpoint of endpoints) counted -= await endpoint.tell(mode)
    } else await endpoints[0].tell(mode)
    const { slots, sent } = await running
    let reached = 0
    for (const endpoint of endpoints) reached += await endpoint.tell("count")
    const failures: Record<string, number> = {}
    for (const slot of slots.slice(COLD * 2))
      for (const [kind, n] of Object.entries(slot.failures)) failures[kind] = (failures[kind] ?? 0) + n
    const worst = (from: number, to: number): number => Math.max(...slots.slice(from * 2, to * 2).map(({ p99 }) => p99))
    const asked = values.all ? sent - task.rate * BEFORE : sent
    return {
      before: worst(BEFORE - 2, BEFORE),
      first: worst(BEFORE, BEFORE + 2),
      after: worst(BEFORE + 3, task.seconds),
      failures,
      ratio: mode === "killed" ? Number.NaN : (reached + counted) / asked,
    }
  } finally {
    await gateway.kill()
    for (const endpoint of endpoints) endpoint.stop()
  }
}

if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit(0)
}
const rows: string[][] = []
const task = { rate: Number(values.rate), seconds: BEFORE + Number(values.seconds) }
for (const runtime of values.runtimes.split(",")) {
  for (const mode of values.modes.split(",") as FailureMode[]) {
    for (const name of values.settings.split(",")) {
      const { before, first, after, failures, ratio } = await run(runtime, mode, routeSettings[name], task)
      const failed = Object.entries(failures).map(([kind, n]) => `${n} ${kind}`)
      const ms = (value: number): string => value.toFixed(0)
      rows.push([
        runtime,
        mode,
        name,
        failed.join(", ") || "0",
        ms(before),
        ms(first),
        ms(after),
        Number.isNaN(ratio) ? "–" : ratio.toFixed(2),
      ])
      process.stderr.write(`${rows.at(-1)?.join("  ")}\n`)
    }
  }
}
const head = ["runtime", values.all ? "all endpoints" : "one of three", "settings", `failed of ${task.rate * (task.seconds - COLD)}`]
const table = markdownTable([...head, "p99 before, ms", "first 2 s", "from 3 s on", "load upstream"], rows)
process.stdout.write(`${table}\n`)
if (values.out !== undefined) writeFileSync(values.out, `${table}\n`)

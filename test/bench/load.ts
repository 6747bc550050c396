// Load of the bench: wrk when it is there, otherwise a generator of our own, both on the core the proxy does not have.

import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { within } from "../support/deadline.ts"
import { findProgram, otherCore, pinned } from "./processes.ts"
import { requestFields, type Scenario } from "./scenarios.ts"

export interface LoadResult {
  readonly requests: number
  /** Seconds it took. */
  readonly duration: number
  /** Answers other than 2xx, broken connections, time-outs. */
  readonly errors: number
  /** Microseconds. */
  readonly latency: { readonly p50: number; readonly p99: number }
}

export interface LoadOptions {
  readonly scenario: Scenario
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** For the generator's own files. */
  readonly folder: string
}

export type LoadTool = "wrk" | "node"

export function defaultLoadTool(): LoadTool {
  return findProgram("wrk") === null ? "node" : "wrk"
}

export function runLoad(tool: LoadTool, options: LoadOptions): Promise<LoadResult> {
  return tool === "wrk" ? runWrk(options) : runGenerator(options)
}

async function runWrk({ scenario, port, connections, seconds, folder }: LoadOptions): Promise<LoadResult> {
  const script = join(folder, "load.lua")
  const host = `127.0.0.1:${port}`
  const lines = [
    `wrk.method = "${scenario.method}"`,
    // wrk adds a host of its own unless it finds one spelled "Host".
    ...requestFields(host).map(([name, value]) => `wrk.headers["${name === "host" ? "Host" : name}"] = "${value}"`),
    scenario.requestBody > 0 ? `wrk.body = string.rep("x", ${scenario.requestBody})` : "",
    `done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"duration":%f,"errors":%d,"p50":%d,"p99":%d}\\n', summary.requests, summary.duration / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end`,
  ]
  writeFileSync(script, lines.join("\n"))
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, `http://${host}${scenario.target}`]
  return parseResult(await output(pinned(otherCore, [findProgram("wrk") as string, ...args]), seconds))
}

async function runGenerator({ scenario, port, connections, seconds }: LoadOptions): Promise<LoadResult> {
  const script = fileURLToPath(new URL("load-generator.ts", import.meta.url))
  const task = JSON.stringify({ scenario, port, connections, seconds })
  return parseResult(await output(pinned(otherCore, [process.execPath, script, task]), seconds))
}

function parseResult(text: string): LoadResult {
  const line = /^RESULT (\{.*\})$/m.exec(text)
  if (line === null) throw new Error(`the load generator failed: ${text.slice(-2000)}`)
  const { requests, duration, errors, p50, p99 } = JSON.parse(line[1])
  return { requests, duration, errors, latency: { p50, p99 } }
}

function output(command: readonly string[], seconds: number): Promise<string> {
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
  let text = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8")
    stream.on("data", (chunk: string) => {
      text += chunk
    })
  }
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", () => resolve(text))
  })
  return within(ended, `end of ${program}`, (seconds + 30) * 1000).catch((error) => {
    child.kill("SIGKILL")
    throw error
  })
}

// Load of the bench, on the core the proxy does not have. HTTP/1.1: wrk when it is there, otherwise a generator of our own.

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { http2Load, runHandshakes, runHttp2 } from "./h2load.ts"
import { connectionsEachWay } from "./octets.ts"
import { findProgram, otherCore, output, pinned } from "./processes.ts"
import { requestFields, type Scenario } from "./scenarios.ts"

export interface LoadResult {
  /** Of the scenario's units that were done. */
  readonly count: number
  /** Seconds it took. */
  readonly duration: number
  /** Answers other than 2xx, broken connections, time-outs. */
  readonly errors: number
  /** Microseconds; null where a unit's time says nothing. */
  readonly latency: { readonly p50: number; readonly p99: number } | null
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
  const { unit, downstream } = options.scenario
  if (unit === "handshake") return runHandshakes(options)
  if (unit === "octet") return runOwn("octet-load.ts", options)
  if (unit === "call") return runOwn("grpc-load.ts", options)
  if (downstream === "h2") return runHttp2(options)
  return tool === "wrk" ? runWrk(options) : runOwn("load-generator.ts", options)
}

/** What {@link runLoad} does for a scenario, in words. */
export function describeLoad(tool: LoadTool, { unit, downstream }: Scenario, connections: number): string {
  if (unit === "handshake") return "connections for one request each from h2load"
  if (unit === "octet") return `${2 * connectionsEachWay} connections of a generator of our own`
  if (unit === "call") return "4 connections of a generator of our own, time from when a call is due"
  return downstream === "h2" ? http2Load : `${connections} keep-alive connections from ${tool}`
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
  io.write(string.format('\\nRESULT {"count":%d,"duration":%f,"errors":%d,"p50":%d,"p99":%d}\\n', summary.requests, summary.duration / 1e6,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end`,
  ]
  writeFileSync(script, lines.join("\n"))
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "-s", script, `${scenario.tls ? "https" : "http"}://${host}${scenario.target}`]
  return parseResult(await output(pinned(otherCore, [findProgram("wrk") as string, ...args]), seconds))
}

async function runOwn(file: string, { scenario, port, connections, seconds }: LoadOptions): Promise<LoadResult> {
  const script = fileURLToPath(new URL(file, import.meta.url))
  const task = JSON.stringify({ scenario, port, connections, seconds })
  return parseResult(await output(pinned(otherCore, [process.execPath, script, task]), seconds))
}

function parseResult(text: string): LoadResult {
  const line = /^RESULT (\{.*\})$/m.exec(text)
  if (line === null) throw new Error(`the load generator failed: ${text.slice(-2000)}`)
  const { count, duration, errors, p50, p99 } = JSON.parse(line[1])
  return { count, duration, errors, latency: p50 === undefined ? null : { p50, p99 } }
}

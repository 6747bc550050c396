// nghttp2's load generator: HTTP/2 with and without TLS, and connections that serve for one request only.

import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import type { LoadOptions, LoadResult } from "./load.ts"
import { findProgram, otherCore, output, pinned } from "./processes.ts"
import { requestFields } from "./scenarios.ts"

const CONNECTIONS = 8
const STREAMS = 16
/** Connections opened at a time when each is for one request. */
const HANDSHAKES = 400

export const http2Load = `${CONNECTIONS} connections of ${STREAMS} streams from h2load`

/** `options` and the fields and address of the requests. */
function command({ scenario, port }: LoadOptions, options: readonly string[]): string[] {
  const program = findProgram("h2load")
  if (program === null) throw new Error("the scenario needs h2load (apt-get install nghttp2-client)")
  const url = `${scenario.tls ? "https" : "http"}://127.0.0.1:${port}${scenario.target}`
  // The host is the authority of the URL.
  const fields = requestFields("").slice(1)
  return pinned(otherCore, [program, ...options, ...fields.flatMap(([name, value]) => ["-H", `${name}: ${value}`]), url])
}

interface Summary {
  readonly done: number
  readonly errors: number
}

function summary(text: string): Summary {
  // What failed includes other statuses than 2xx and 3xx, broken connections and time-outs.
  const line = /^requests: .* (\d+) succeeded, (\d+) failed,/m.exec(text)
  if (line === null) throw new Error(`h2load failed: ${text.slice(-2000)}`)
  return { done: Number(line[1]), errors: Number(line[2]) }
}

export async function runHttp2(options: LoadOptions): Promise<LoadResult> {
  const log = join(options.folder, "h2load.log")
  const load = ["-t1", `-c${CONNECTIONS}`, `-m${STREAMS}`, `-D${options.seconds}`, `--log-file=${log}`]
  const { done, errors } = summary(await output(command(options, load), options.seconds))
  // A line a request: start, status, µs it took.
  const times = readFileSync(log, "latin1")
    .trimEnd()
    .split("\n")
    .map((line) => Number(line.slice(line.lastIndexOf("\t") + 1)))
    .sort((a, b) => a - b)
  rmSync(log)
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN
  return { count: done, duration: options.seconds, errors, latency: { p50: at(0.5), p99: at(0.99) } }
}

/** h2load never resumes a session. Its own side of a handshake costs more than the proxy's, so the proxy is not busy all the time. */
export async function runHandshakes(options: LoadOptions): Promise<LoadResult> {
  const start = performance.now()
  let count = 0
  let errors = 0
  do {
    const run = summary(await output(command(options, ["-t1", "--h1", `-c${HANDSHAKES}`, `-n${HANDSHAKES}`]), options.seconds))
    count += run.done
    errors += run.errors
  } while (performance.now() - start < options.seconds * 1000)
  return { count, duration: (performance.now() - start) / 1000, errors, latency: null }
}

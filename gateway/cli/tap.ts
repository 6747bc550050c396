// `sluice tap`: live exchanges of a running gateway that match, one line each as they end.

import { Wrong } from "../config/units.ts"
import type { TapEvent } from "../tap/event.ts"
import { parseTapQuery, type TapParameter, tapParameters } from "../tap/query.ts"
import type { TapAlive } from "../tap/reader.ts"
import { adminArgument } from "./admin-client.ts"
import { adminLines } from "./admin-stream.ts"
import { paintFor } from "./colour.ts"
import { type Command, command, every, UsageError, type Values } from "./command.ts"
import { tapText } from "./tap-line.ts"

const HINTS: Readonly<Record<TapParameter, string>> = {
  route: "ROUTE",
  service: "SERVICE",
  listener: "LISTENER",
  method: "METHOD",
  path: "PATH",
  status: "STATUS",
  header: "NAME[=VALUE]",
  source: "ADDRESS",
  flag: "FLAG",
  slower: "DURATION",
  sample: "PERCENT",
  max: "COUNT",
}
const PARAMETERS = Object.keys(tapParameters) as TapParameter[]

export const tap: Command = command({
  name: "tap",
  description: "Show live exchanges of a running gateway as they end; those that match all options. Secrets are hidden",
  args: {
    ...Object.fromEntries(
      PARAMETERS.map((name) => [name, { type: "string" as const, description: sentence(name), valueHint: HINTS[name] }]),
    ),
    ...adminArgument,
    wait: { type: "boolean", description: "Also for a route, service or listener that isn't there yet", default: false },
    verbose: { type: "boolean", alias: "v", description: "With headers, the parts of the time, attempts and filters", default: false },
    json: { type: "boolean", description: "A line of JSON each, with everything that is known", default: false },
  },
  repeated: PARAMETERS,
  examples: [
    "sluice tap --route api --status 5xx",
    "sluice tap --path /checkout --slower 250ms --verbose",
    "sluice tap --flag any --max 10 --json",
  ],
  run: show,
})

function sentence(name: TapParameter): string {
  const text = tapParameters[name]
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

async function show(args: Values): Promise<number> {
  const query = new URLSearchParams()
  for (const name of PARAMETERS) for (const value of every(args, name)) query.append(name, value)
  if (args.wait === true) query.set("wait", "true")
  const parsed = parseTapQuery((name) => every(args, name))
  if (parsed instanceof Wrong) throw new UsageError(`--${parsed.message}`)
  const ended = new AbortController()
  const end = (): void => ended.abort()
  process.on("SIGINT", end)
  process.on("SIGTERM", end)
  try {
    return await follow(args, query, ended.signal)
  } catch (error) {
    if (error instanceof UsageError) throw error
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  } finally {
    process.removeListener("SIGINT", end)
    process.removeListener("SIGTERM", end)
  }
}

async function follow(args: Values, query: URLSearchParams, signal: AbortSignal): Promise<number> {
  const paint = paintFor(process.stdout)
  const json = args.json === true
  let begun = false
  let lost = 0
  for await (const line of adminLines(args, `/tap?${query.toString()}`, signal)) {
    if (line === "") continue
    const message = JSON.parse(line) as TapEvent | TapAlive
    if (!("alive" in message)) {
      if (!(await write(json ? `${line}\n` : tapText(message, paint, args.verbose === true), signal))) break
      continue
    }
    if (!begun && !json) process.stderr.write("tapping; exchanges are shown as they end\n")
    begun = true
    const { rate, reader } = message.dropped
    if (rate + reader > lost) {
      process.stderr.write(`${rate + reader - lost} more exchanges matched than are shown; narrow it down, or use --sample\n`)
      lost = rate + reader
    }
    if (message.end === "max") return 0
    if (message.end === "time") process.stderr.write("ended: a tap lasts for an hour at most\n")
    if (message.end === "time") return 0
    if (message.end === "unread") throw new Error("ended by the gateway: nothing was read for too long")
    if (message.end === "stopping") throw new Error("ended: the gateway stops")
  }
  if (signal.aborted) return 0
  throw new Error("the gateway has ended the tap")
}

/** Waits for a slow reader, so that the gateway notices it too. False when it is gone. */
async function write(text: string, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false
  if (process.stdout.write(text)) return true
  await new Promise<void>((resolve) => {
    const done = (): void => {
      process.stdout.removeListener("drain", done)
      signal.removeEventListener("abort", done)
      resolve()
    }
    process.stdout.once("drain", done)
    signal.addEventListener("abort", done, { once: true })
  })
  return !signal.aborted
}

// `sluice filter log`: what a filter of a running gateway has logged lately, and what it logs from now on.

import { logLevels } from "../telemetry/log.ts"
import type { FilterLogLine } from "../wasm/filter-logs.ts"
import { adminArgument, askAdmin, filterPath, refusalOf } from "./admin-client.ts"
import { requestAdmin } from "./admin-request.ts"
import { adminTarget } from "./admin-target.ts"
import { type Command, command, text, UsageError, type Values } from "./command.ts"
import { printable } from "./table.ts"

export const filterLog: Command = command({
  name: "log",
  description: "Show what a filter of a running gateway has logged, its traps included, as far as the gateway's log level lets it through",
  args: {
    name: { type: "positional", description: "The filter's name in the gateway's configuration", valueHint: "NAME", required: true },
    follow: { type: "boolean", alias: "f", description: "Go on with what it logs from now on", default: false },
    level: { type: "string", description: `Least level: ${logLevels.join(", ")}`, valueHint: "LEVEL", default: "trace" },
    ...adminArgument,
    json: { type: "boolean", description: "A line of JSON each", default: false },
  },
  examples: ["sluice filter log auth", "sluice filter log auth -f --level warn"],
  run: async (args) => {
    const level = text(args, "level")
    if (!logLevels.some((each) => each === level)) throw new UsageError(`--level is one of ${logLevels.join(", ")}`)
    const path = `${filterPath(text(args, "name"))}/logs?level=${level}`
    const show = (line: FilterLogLine): void => {
      process.stdout.write(args.json === true ? `${JSON.stringify(line)}\n` : `${logText(line)}\n`)
    }
    try {
      // Asked in vain, it says why in words.
      const { status, body } = await askAdmin(args, path)
      if (status !== 200 || !Array.isArray(body.logs)) throw new Error(refusalOf(status, body))
      if (args.follow === true) await follow(args, `${path}&follow=true`, show)
      else for (const line of body.logs as FilterLogLine[]) show(line)
      return 0
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${printable((error as Error).message)}\n`)
      return 1
    }
  },
})

// Until the gateway ends, or whoever reads.
async function follow(args: Values, path: string, show: (line: FilterLogLine) => void): Promise<void> {
  const answer = await requestAdmin(adminTarget(args), path)
  if (answer.statusCode !== 200) throw new Error(`the admin API answers ${answer.statusCode}`)
  const decoder = new TextDecoder()
  let rest = ""
  for await (const piece of answer) {
    const lines = (rest + decoder.decode(piece as Buffer, { stream: true })).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const event = JSON.parse(line) as FilterLogLine | { readonly alive: string; readonly dropped: number }
      if (!("alive" in event)) show(event)
      else if (event.dropped > 0) process.stderr.write(`${event.dropped} lines were lost: they came faster than they were read\n`)
    }
  }
}

/** A line for a person. */
export function logText({ at, level, message, fields }: FilterLogLine): string {
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
  return printable([at, level.padEnd(8), message, ...rest].join(" "))
}

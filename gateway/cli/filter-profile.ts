// `sluice filter profile`: measures every callback of a filter of a running gateway for some seconds, and shows what each costs.

import type { FilterProfileResult } from "../wasm/filter-profiles.ts"
import { adminArgument, askAdmin, filterPath, refusalOf } from "./admin-client.ts"
import { type Command, command, text, UsageError } from "./command.ts"
import { printable, table } from "./table.ts"

const HEAD = ["CALLBACK", "CALLS", "TRAPS", "TOTAL", "MEAN", "P50", "P99", "MAX", "BUDGET", "OCTETS"]
/** ms beyond the profile itself: workers have to answer. */
const PATIENCE = 30_000

export const filterProfile: Command = command({
  name: "profile",
  description: "Measure every callback of a filter of a running gateway for some seconds, in all workers",
  args: {
    name: { type: "positional", description: "The filter's name in the gateway's configuration", valueHint: "NAME", required: true },
    seconds: { type: "string", description: "How long, 1 to 60", valueHint: "SECONDS", default: "10" },
    ...adminArgument,
    json: { type: "boolean", description: "As JSON, with everything that is known", default: false },
  },
  examples: ["sluice filter profile auth", "sluice filter profile auth --seconds 30 --json"],
  run: async (args) => {
    const seconds = text(args, "seconds")
    if (!/^([1-9]|[1-5]\d|60)$/.test(seconds)) throw new UsageError("--seconds is a whole number from 1 to 60")
    try {
      const path = `${filterPath(text(args, "name"))}/profile?seconds=${seconds}`
      const { status, body } = await askAdmin(args, path, { method: "POST", timeout: Number(seconds) * 1000 + PATIENCE })
      if (status !== 200) throw new Error(refusalOf(status, body))
      process.stdout.write(args.json === true ? `${JSON.stringify(body, null, 2)}\n` : profileText(body as unknown as FilterProfileResult))
      return 0
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${printable((error as Error).message)}\n`)
      return 1
    }
  },
})

/** Lines for a person: a table of callbacks for each version, then the slowest exchanges. */
function profileText({ filter, seconds, workers, versions }: FilterProfileResult): string {
  const lines = [`${filter}: ${seconds} s in ${workers.answered} of ${workers.asked} workers`]
  if (versions.every(({ callbacks }) => callbacks.length === 0)) return `${printable(lines[0])}: it was not called\n`
  for (const { version, callbacks, slowest } of versions) {
    if (callbacks.length === 0) continue
    lines.push("", ...(versions.length > 1 ? [`version ${version}`] : []))
    const rows = callbacks.map((each) => [
      each.callback,
      String(each.calls),
      String(each.failed),
      ...[each.total, each.mean, each.p50, each.p99, each.max].map(time),
      `${each.budget}%`,
      String(each.octets),
    ])
    lines.push(...table([HEAD, ...rows]))
    if (slowest.length === 0) continue
    lines.push("", "slowest exchanges")
    lines.push(...table(slowest.map(({ took, method, path, route, requestId }) => [time(took), method, path, route, requestId])))
  }
  return `${lines.map(printable).join("\n")}\n`
}

function time(ms: number): string {
  if (ms < 0.01) return `${Math.round(ms * 1e6)}ns`
  return ms < 10 ? `${Math.round(ms * 1000)}µs` : `${Math.round(ms)}ms`
}

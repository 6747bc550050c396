// `sluice canary ls`: the canaries of a running gateway, their steps and figures.

import type { CanaryStatus } from "../router/canary-changes.ts"
import { adminArgument, askAdmin } from "./admin-client.ts"
import { type Command, command, UsageError } from "./command.ts"
import { printable, table } from "./table.ts"

const HEAD = ["ROUTE", "SERVICE", "STATE", "STEP", "SHARE", "SINCE", "REQUESTS", "ERRORS", "P99", "OTHERS", "ERRORS", "P99"]

export const canaryLs: Command = command({
  name: "ls",
  description: "List the canaries of a running gateway: state, step, share, and figures beside those of the other backends",
  args: { ...adminArgument, json: { type: "boolean", description: "As JSON, with everything that is known", default: false } },
  examples: ["sluice canary ls", "sluice canary ls --admin 127.0.0.1:9901 --json"],
  run: async (args) => {
    let canaries: readonly CanaryStatus[]
    try {
      const { status, body } = await askAdmin(args, "/canaries")
      if (status !== 200 || !Array.isArray(body.canaries)) throw new Error(`the admin API answers ${status}`)
      canaries = body.canaries as CanaryStatus[]
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${(error as Error).message}\n`)
      return 1
    }
    process.stdout.write(args.json === true ? `${JSON.stringify(canaries, null, 2)}\n` : canaryTable(canaries))
    return 0
  },
})

/** Lines for a person: one a canary, then what needs to be said of it. */
export function canaryTable(canaries: readonly CanaryStatus[]): string {
  if (canaries.length === 0) return "no canaries\n"
  const rows: string[][] = [HEAD]
  const notes: string[] = []
  for (const each of canaries) {
    const { canary, stable } = each.figures
    rows.push([
      each.route,
      each.service,
      each.state === "rolledBack" ? "rolled back" : each.state,
      `${each.step}/${each.steps.length}`,
      percent(each.share),
      each.since.replace(/\.\d+Z$/, "Z"),
      String(canary.exchanges),
      percent(canary.errorRate),
      time(canary.p99),
      String(stable.exchanges),
      percent(stable.errorRate),
      time(stable.p99),
    ])
    if (each.reason !== "")
      notes.push(`${each.route}: rolled back until it changes or is restarted (sluice canary restart ${each.route}): ${each.reason}`)
    else if (each.waiting !== "") notes.push(`${each.route}: waits: ${each.waiting}`)
  }
  return `${[...table(rows), ...(notes.length === 0 ? [] : ["", ...notes])].map(printable).join("\n")}\n`
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}

function time(ms: number): string {
  return ms === 0 ? "-" : `${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)}ms`
}

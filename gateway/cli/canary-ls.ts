// `sluice canary ls`: the canaries of a running gateway, their steps and figures.

import type { CanaryStatus } from "../canary/canary-changes.ts"
import { adminList } from "./admin-list.ts"
import type { Command } from "./command.ts"
import { printable, table } from "./table.ts"

const HEAD = ["ROUTE", "SERVICE", "STATE", "STEP", "SHARE", "SINCE", "REQUESTS", "ERRORS", "P99", "OTHERS", "ERRORS", "P99"]

export const canaryLs: Command = adminList<CanaryStatus>({
  what: "canaries",
  description: "List the canaries of a running gateway: state, step, share, and figures beside those of the other backends",
  examples: ["sluice canary ls", "sluice canary ls --admin 127.0.0.1:9901 --json"],
  table: canaryTable,
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

// `sluice weights`: shows the weights of a route's backends in a running gateway, or sets them.

import type { RouteWeightsStatus } from "../steering/route-weights.ts"
import { adminArgument, adminPath, askAdmin, orderAdmin, refusalOf } from "./admin-client.ts"
import { type Command, command, rest, text, UsageError, type Values } from "./command.ts"
import { printable, table } from "./table.ts"

export const weights: Command = command({
  name: "weights",
  description: "Show the weights of a route's backends, or set them until these change in the configuration",
  args: {
    route: { type: "positional", description: "The route's name", valueHint: "ROUTE", required: true },
    weight: {
      type: "positional",
      description: "SERVICE=N: its weight from now on; #2=N: of the second backend. Default: show them",
      valueHint: "SERVICE=N",
      required: false,
    },
    reset: { type: "boolean", description: "Those of the configuration again", default: false },
    ...adminArgument,
    json: { type: "boolean", description: "As JSON", default: false },
  },
  many: true,
  examples: ["sluice weights shop", "sluice weights shop stable=90 next=10", "sluice weights shop --reset"],
  run: (args) => {
    const wanted = wantedOf(rest(args).slice(1))
    const path = `${adminPath("routes", text(args, "route"))}/weights`
    if (args.reset === true) {
      if (wanted !== null) throw new UsageError("--reset takes no weights")
      return orderAdmin(args, path, put(null))
    }
    return wanted === null ? show(args, path) : orderAdmin(args, path, put(wanted))
  },
})

/** Null: none is given. */
export function wantedOf(words: readonly string[]): Record<string, number> | null {
  if (words.length === 0) return null
  const wanted = new Map<string, number>()
  for (const word of words) {
    const at = word.lastIndexOf("=")
    const service = word.slice(0, Math.max(0, at))
    const weight = word.slice(at + 1)
    if (service === "" || !/^\d{1,7}$/.test(weight))
      throw new UsageError(`${JSON.stringify(word)} is no weight; write SERVICE=N, such as api=90`)
    if (wanted.has(service)) throw new UsageError(`${service} is there twice`)
    wanted.set(service, Number(weight))
  }
  return Object.fromEntries(wanted)
}

function put(weights: Readonly<Record<string, number>> | null) {
  return { method: "PUT", body: new TextEncoder().encode(JSON.stringify({ weights })), type: "application/json" }
}

async function show(args: Values, path: string): Promise<number> {
  try {
    const { status, body } = await askAdmin(args, path)
    if (status !== 200) throw new Error(refusalOf(status, body))
    process.stdout.write(args.json === true ? `${JSON.stringify(body, null, 2)}\n` : weightsTable(body as unknown as RouteWeightsStatus))
    return 0
  } catch (error) {
    if (error instanceof UsageError) throw error
    process.stderr.write(`${printable((error as Error).message)}\n`)
    return 1
  }
}

/** Lines for a person: one a backend, then whose weights these are. */
export function weightsTable({ route, setBy, since, backends }: RouteWeightsStatus): string {
  const rows = backends.map(({ service, subset, weight, configured, share }, i) => [
    `#${i + 1}`,
    service,
    subset === null
      ? "-"
      : Object.entries(subset)
          .map(([label, value]) => `${label}=${value}`)
          .join(" "),
    String(weight),
    String(configured),
    `${Math.round(share * 1000) / 10}%`,
  ])
  const notes = {
    config: [],
    canary: ["", `a canary sets them, so that they can't be set by order; sluice canary ls shows it`],
    order: ["", `set by order ${(since ?? "").replace(/\.\d+Z$/, "Z")}; sluice weights ${route} --reset takes that back`],
  }
  return `${[...table([["#", "BACKEND", "SUBSET", "WEIGHT", "CONFIGURED", "SHARE"], ...rows]), ...notes[setBy]].map(printable).join("\n")}\n`
}

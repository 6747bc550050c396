// `sluice routes`: the matches of routes in the order in which they are preferred, and what was counted.

import { isSecretKey } from "../config/secrets.ts"
import { type ListedRoute, listRoutes } from "../explain/route-list.ts"
import { adminArgument, askAdmin, refusalOf } from "./admin-client.ts"
import { type Command, command, UsageError, type Values } from "./command.ts"
import { offlineExplainer } from "./offline.ts"
import { printable, table } from "./table.ts"

const LIMIT = 10_000

interface Listed {
  readonly routes: readonly ListedRoute[]
  readonly left: number
}

export const routes: Command = command({
  name: "routes",
  description: "List routes in the order in which they are preferred: match, action, filters, requests and errors",
  args: {
    listener: { type: "string", description: "Only those of this listener", valueHint: "NAME" },
    route: { type: "string", description: "Only this one", valueHint: "NAME" },
    config: { type: "string", alias: "c", description: "Configuration to go by, instead of a running gateway", valueHint: "FILE" },
    ...adminArgument,
    json: { type: "boolean", description: "As JSON", default: false },
  },
  examples: ["sluice routes", "sluice routes --listener edge --json", "sluice routes -c sluice.yaml"],
  run: async (args) => {
    let listed: Listed
    try {
      listed = typeof args.config === "string" ? await ofFile(args.config, args) : await ofGateway(args)
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
    process.stdout.write(args.json === true ? `${JSON.stringify(listed.routes, null, 2)}\n` : routesText(listed))
    return 0
  },
})

/** Lines for a person: one a match. */
function routesText({ routes: list, left }: Listed): string {
  if (list.length === 0) return "no routes\n"
  const counted = list.some(({ figures }) => figures !== null)
  const rows = list.map(({ listener, host, path, route, match, action, filters, figures }) => [
    listener,
    host,
    path,
    // Host and path have columns of their own.
    match
      .split(", ")
      .filter((part) => !part.startsWith("host ") && !part.startsWith("path "))
      .join(", ") || "-",
    route,
    action,
    filters.join(", ") || "-",
    ...(counted ? [String(figures?.requests ?? "-"), figures === null || figures.requests === 0 ? "-" : percent(figures.errors)] : []),
  ])
  const head = ["LISTENER", "HOST", "PATH", "AND", "ROUTE", "ACTION", "FILTERS", ...(counted ? ["REQUESTS", "ERRORS"] : [])]
  return `${[...table([head, ...rows]), ...(left > 0 ? [`and ${left} more`] : [])].map(printable).join("\n")}\n`
}

async function ofFile(file: string, args: Values): Promise<Listed> {
  const { planes } = await offlineExplainer(file)
  const query = { listener: textOf(args.listener), route: textOf(args.route), limit: LIMIT }
  if (planes === null) return { routes: [], left: 0 }
  return listRoutes(planes, { slots: null, read: () => 0, isSecret: isSecretKey }, query)
}

async function ofGateway(args: Values): Promise<Listed> {
  const query = new URLSearchParams({ limit: String(LIMIT) })
  for (const name of ["listener", "route"]) if (typeof args[name] === "string") query.set(name, args[name])
  const { status, body } = await askAdmin(args, `/routes?${query}`)
  if (status !== 200 || !Array.isArray(body.routes)) throw new Error(refusalOf(status, body))
  return { routes: body.routes as ListedRoute[], left: Number(body.left) }
}

function textOf(value: string | boolean | undefined): string | undefined {
  return typeof value === "string" ? value : undefined
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}

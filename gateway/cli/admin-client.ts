// How commands talk to the admin API of a running gateway: a question, an order, and what is printed of the answer.

import { type AdminOrder, readAll, requestAdmin } from "./admin-request.ts"
import { adminTarget } from "./admin-target.ts"
import { UsageError, type Values } from "./command.ts"

export { adminArgument } from "./admin-target.ts"

/** Octets of an answer. */
const MAX_ANSWER = 256 * 1024 * 1024

export interface AdminAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Path of something named; names may hold slashes. */
export function adminPath(kind: "filters" | "canaries" | "routes" | "services", name: string): string {
  return `/${kind}/${name.split("/").map(encodeURIComponent).join("/")}`
}

export function filterPath(name: string): string {
  return adminPath("filters", name)
}

/** An order whose body is JSON. */
export function jsonOrder(method: string, value: object): AdminOrder {
  return { method, body: Buffer.from(JSON.stringify(value)), type: "application/json" }
}

/** Gives an order and prints what became of it; the exit code. */
export async function orderAdmin(args: Values, path: string, order: AdminOrder): Promise<number> {
  return answering(async () => {
    const { status, body } = await askAdmin(args, path, order)
    if (status !== 200) throw new Error(refusalOf(status, body))
    process.stdout.write(`${String(body.done)}\n`)
    return 0
  })
}

/** Runs a command's talk; what goes wrong is printed, and is exit code 1. */
export async function answering(talk: () => Promise<number>): Promise<number> {
  try {
    return await talk()
  } catch (error) {
    if (error instanceof UsageError) throw error
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

/** What the API names by its paths, by commands. */
const COMMANDS: readonly (readonly [RegExp, string])[] = [
  [/; \/config\/history lists/, "; sluice config history lists"],
  [/; \/filters lists/, "; sluice filter ls lists"],
  [/; \/openapi\.json says what is expected$/, "; --help says what is expected"],
  [/; \/ lists (?:them|what there is)$/, "; the gateway may be of another version: sluice check --admin"],
]

/** What a gateway that refuses says, to somebody who gives commands. */
export function refusalOf(status: number, body: AdminAnswer["body"]): string {
  if (typeof body.error !== "string") return `refused with status ${status}`
  return COMMANDS.reduce((text, [path, command]) => text.replace(path, command), body.error)
}

/** The answer to a question; throws what it is refused with. */
export async function questionAdmin(args: Values, path: string): Promise<AdminAnswer["body"]> {
  const { status, body } = await askAdmin(args, path)
  if (status !== 200) throw new Error(refusalOf(status, body))
  return body
}

/** Throws a {@link UsageError} for an address that is none, an `Error` when nothing sensible answers there. */
export async function askAdmin(args: Values, path: string, order?: AdminOrder): Promise<AdminAnswer> {
  const target = adminTarget(args)
  const answer = await requestAdmin(target, path, order, order?.timeout)
  const text = (await readAll(answer, MAX_ANSWER)).toString()
  const status = answer.statusCode ?? 0
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === "object" && body !== null) return { status, body: body as Record<string, unknown> }
  } catch {
    // Not ours.
  }
  throw new Error(`what answers at ${target.shown} is not a gateway's admin API (status ${status})`)
}

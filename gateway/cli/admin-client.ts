// How commands talk to the admin API of a running gateway.

import { parseAddress, Wrong } from "../config/units.ts"
import { UsageError, type Values } from "./command.ts"

/** The argument of every command that does. */
export const adminArgument = {
  admin: { type: "string", description: "Address of the gateway's admin API", valueHint: "HOST:PORT", default: "127.0.0.1:9901" },
} as const

/** ms for an answer: a swap waits for those before it. */
const TIMEOUT = 60_000

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

/** Gives an order and prints what became of it; the exit code. */
export async function orderAdmin(
  args: Values,
  path: string,
  order: { readonly method: string; readonly body?: Uint8Array; readonly type?: string },
): Promise<number> {
  try {
    const { status, body } = await askAdmin(args, path, order)
    if (status !== 200) throw new Error(String(body.error ?? `refused with status ${status}`))
    process.stdout.write(`${String(body.done)}\n`)
    return 0
  } catch (error) {
    if (error instanceof UsageError) throw error
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

/** Throws a {@link UsageError} for an address that is none, an `Error` when nothing sensible answers there. */
export async function askAdmin(
  args: Values,
  path: string,
  order?: { readonly method: string; readonly body?: Uint8Array; readonly type?: string; readonly timeout?: number },
): Promise<AdminAnswer> {
  const address = String(args.admin)
  const parsed = parseAddress(address, 1)
  if (parsed instanceof Wrong) throw new UsageError(`--admin: ${parsed.message}`)
  let response: Response
  let text: string
  try {
    response = await fetch(`http://${address}${path}`, {
      method: order?.method ?? "GET",
      headers: { "x-sluice-admin": "1", ...(order?.body === undefined ? {} : { "content-type": order.type ?? "application/wasm" }) },
      ...(order?.body === undefined ? {} : { body: order.body as BodyInit }),
      signal: AbortSignal.timeout(order?.timeout ?? TIMEOUT),
      redirect: "error",
    })
    text = await response.text()
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { message?: string; code?: string } }
    throw new Error(`no gateway's admin API answers at ${address}: ${cause?.message || cause?.code || message}`, { cause: error })
  }
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === "object" && body !== null) return { status: response.status, body: body as Record<string, unknown> }
  } catch {
    // Not ours.
  }
  throw new Error(`what answers at ${address} is not a gateway's admin API (status ${response.status})`)
}

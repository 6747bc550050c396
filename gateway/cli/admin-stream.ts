// How commands read what the admin API of a running gateway sends for as long as they listen: a line at a time; and what is no JSON.

import { parseAddress, Wrong } from "../config/units.ts"
import { UsageError, type Values } from "./command.ts"

/** Characters of a line. */
const MAX_LINE = 1_048_576
/** ms for a whole answer. */
const TIMEOUT = 60_000

/**
 * Lines of the answer, as they come. Ends with the answer, or when `signal` aborts. Throws a {@link UsageError} for an address that is
 * none, an `Error` with what the gateway says when it refuses, or when nothing sensible answers.
 */
export async function* adminLines(args: Values, path: string, signal: AbortSignal): AsyncGenerator<string, void> {
  const address = String(args.admin)
  let response: Response
  try {
    response = await open(args, path, signal)
  } catch (error) {
    if (signal.aborted) return
    throw error
  }
  if (response.body === null) return
  const decoder = new TextDecoder()
  let rest = ""
  try {
    for await (const chunk of response.body) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true })
      const lines = rest.split("\n")
      rest = lines.pop() as string
      if (rest.length > MAX_LINE) throw new Error(`what answers at ${address} is not a gateway's admin API`)
      yield* lines
    }
  } catch (error) {
    if (signal.aborted) return
    throw new Error(`the connection to ${address} broke off: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

/** The whole answer as text. Throws as {@link adminLines} does. */
export async function adminText(args: Values, path: string): Promise<string> {
  return (await open(args, path, AbortSignal.timeout(TIMEOUT))).text()
}

async function open(args: Values, path: string, signal: AbortSignal): Promise<Response> {
  const address = String(args.admin)
  const parsed = parseAddress(address, 1)
  if (parsed instanceof Wrong) throw new UsageError(`--admin: ${parsed.message}`)
  let response: Response
  try {
    response = await fetch(`http://${address}${path}`, { headers: { "x-sluice-admin": "1" }, signal, redirect: "error" })
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { message?: string; code?: string } }
    throw new Error(`no gateway's admin API answers at ${address}: ${cause?.message || cause?.code || message}`, { cause: error })
  }
  if (response.status !== 200) throw new Error(await refusalOf(response, address))
  return response
}

async function refusalOf(response: Response, address: string): Promise<string> {
  try {
    const body: unknown = JSON.parse(await response.text())
    if (typeof body === "object" && body !== null && "error" in body) return String(body.error)
  } catch {
    // Not ours.
  }
  return `what answers at ${address} is not a gateway's admin API (status ${response.status})`
}

// How commands read what the admin API of a running gateway sends for as long as they listen: a line at a time; and what is no JSON.

import type { IncomingMessage } from "node:http"
import { readAll, requestAdmin } from "./admin-request.ts"
import { adminTarget } from "./admin-target.ts"
import type { Values } from "./command.ts"

/** Characters of a line. */
const MAX_LINE = 1_048_576
/** Octets of a whole answer. */
const MAX_ANSWER = 256 * 1024 * 1024

/**
 * Lines of the answer, as they come. Ends with the answer, or when `signal` aborts. Throws a {@link UsageError} for an address that is
 * none, an `Error` with what the gateway says when it refuses, or when nothing sensible answers.
 */
export async function* adminLines(args: Values, path: string, signal: AbortSignal): AsyncGenerator<string, void> {
  const address = adminTarget(args).shown
  let response: IncomingMessage
  try {
    response = await open(args, path)
  } catch (error) {
    if (signal.aborted) return
    throw error
  }
  const stop = (): void => {
    response.destroy()
  }
  if (signal.aborted) return stop()
  signal.addEventListener("abort", stop, { once: true })
  const decoder = new TextDecoder()
  let rest = ""
  try {
    for await (const chunk of response) {
      rest += decoder.decode(chunk as Uint8Array, { stream: true })
      const lines = rest.split("\n")
      rest = lines.pop() as string
      if (rest.length > MAX_LINE) throw new Error(`what answers at ${address} is not a gateway's admin API`)
      yield* lines
    }
  } catch (error) {
    if (signal.aborted) return
    throw new Error(`the connection to ${address} broke off: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    signal.removeEventListener("abort", stop)
    response.destroy()
  }
}

/** The whole answer as text. Throws as {@link adminLines} does. */
export async function adminText(args: Values, path: string): Promise<string> {
  return (await readAll(await open(args, path), MAX_ANSWER)).toString()
}

async function open(args: Values, path: string): Promise<IncomingMessage> {
  const target = adminTarget(args)
  const response = await requestAdmin(target, path)
  if (response.statusCode !== 200) throw new Error(await refusalOf(response, target.shown))
  return response
}

async function refusalOf(response: IncomingMessage, address: string): Promise<string> {
  try {
    const body: unknown = JSON.parse((await readAll(response, MAX_LINE)).toString())
    if (typeof body === "object" && body !== null && "error" in body) return String(body.error)
  } catch {
    // Not ours.
  }
  return `what answers at ${address} is not a gateway's admin API (status ${response.statusCode})`
}

// How commands read what the admin API of a running gateway sends for as long as they listen, a line at a time; and what is no JSON.

import type { IncomingMessage } from "node:http"
import { refusalOf } from "./admin-client.ts"
import { readAll, requestAdmin } from "./admin-request.ts"
import { adminTarget } from "./admin-target.ts"
import type { Values } from "./command.ts"

/** Characters of a line, octets of a whole answer and of a refusal. */
const MAX_LINE = 1_048_576
const MAX_ANSWER = 256 * 1024 * 1024
const MAX_REFUSAL = 65_536
/** ms between two signs of life. */
const TIMEOUT = 60_000

/**
 * Lines of the answer, as they come. Ends with the answer, or when `signal` aborts. Throws a {@link UsageError} for an address that is
 * none, an `Error` with what the gateway says when it refuses, or when nothing sensible answers.
 */
export async function* adminLines(args: Values, path: string, signal: AbortSignal): AsyncGenerator<string, void> {
  const { shown } = adminTarget(args)
  let answer: IncomingMessage
  try {
    answer = await open(args, path, signal)
  } catch (error) {
    if (signal.aborted) return
    throw error
  }
  const end = (): void => {
    answer.destroy()
  }
  signal.addEventListener("abort", end, { once: true })
  const decoder = new TextDecoder()
  let rest = ""
  try {
    for await (const piece of answer) {
      rest += decoder.decode(piece as Buffer, { stream: true })
      const lines = rest.split("\n")
      rest = lines.pop() as string
      if (rest.length > MAX_LINE) throw new Error("what answers is not a gateway's admin API")
      yield* lines
    }
  } catch (error) {
    if (signal.aborted) return
    throw new Error(`the connection to ${shown} broke off: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  } finally {
    signal.removeEventListener("abort", end)
    answer.destroy()
  }
}

/** The whole answer as text. Throws as {@link adminLines} does. */
export async function adminText(args: Values, path: string): Promise<string> {
  return (await readAll(await open(args, path), MAX_ANSWER)).toString()
}

async function open(args: Values, path: string, signal?: AbortSignal): Promise<IncomingMessage> {
  const target = adminTarget(args)
  const answer = await requestAdmin(target, path, undefined, TIMEOUT, signal)
  const status = answer.statusCode ?? 0
  if (status === 200) return answer
  const text = (await readAll(answer, MAX_REFUSAL)).toString()
  let body: unknown = null
  try {
    body = JSON.parse(text)
  } catch {
    // Not ours.
  }
  if (typeof body === "object" && body !== null) throw new Error(refusalOf(status, body as Record<string, unknown>))
  throw new Error(`what answers at ${target.shown} is not a gateway's admin API (status ${status})`)
}

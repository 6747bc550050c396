// The pattern of the admin API: what the files of its topics (`filters.ts`, `canaries.ts` …) have in common. A topic is an app of
// its own that describes its endpoints (OpenAPI), says in an interface what it needs of the gateway, and knows nothing of who may
// ask: `door.ts` has looked at that before.

import { OpenAPIHono, z } from "@hono/zod-openapi"
import type { Context } from "hono"
import type { Outcome } from "../http/outcome.ts"
import type { Recorder } from "./change-history.ts"

/** What is known of who asks, and of what became of it. */
export interface Visit {
  /** For the history. */
  readonly who: string
  /** The history has what was asked for. */
  noted: boolean
}

export interface AdminEnv {
  Bindings: Visit
}

export type TopicApp = OpenAPIHono<AdminEnv>
export type AdminContext = Context<AdminEnv>

/** Problems of one request that are told. */
const MAX_PROBLEMS = 5

/** An empty app of a topic: what its schemas refuse is answered with what is wrong. */
export function topicApp(): TopicApp {
  return new OpenAPIHono<AdminEnv>({
    defaultHook: (result, c) => {
      if (result.success) return
      const where = { param: "the path", query: "the query", json: "the body", form: "the body", header: "the headers", cookie: "a cookie" }
      const problems = result.error.issues.slice(0, MAX_PROBLEMS).map(({ path, message }) => {
        const at = path.map(String).join(".")
        return `${at === "" ? "" : `\`${at}\`: `}${message.replace(/^Invalid input: /, "").replace(/^[A-Z](?=[a-z])/, (letter) => letter.toLowerCase())}`
      })
      return c.json({ error: `wrong in ${where[result.target]}: ${problems.join("; ")}; /openapi.json says what is expected` }, 400)
    },
  })
}

/** Who gives the order that is being answered. */
export function orderer(c: AdminContext): string {
  return c.env.who
}

/** Answers what became of an order. */
export function answer(c: AdminContext, { status, message }: Outcome) {
  return status === 200 ? c.json({ done: message }, 200) : c.json({ error: message }, status)
}

/** Has an order carried out, takes note of it, and answers what became of it. */
export async function carryOut(
  c: AdminContext,
  history: Recorder,
  { kind, what }: { readonly kind: string; readonly what: string },
  order: Promise<Outcome>,
) {
  try {
    const outcome = await order
    note(c, history, { kind, what, refused: outcome.status === 200 ? null : outcome.message })
    return answer(c, outcome)
  } catch (error) {
    // How much of it was done isn't known: all the more it must be told that it was tried.
    note(c, history, { kind, what, refused: `failed: ${error instanceof Error ? error.message : String(error)}` })
    throw error
  }
}

/** Takes note of an order; `refused` null: it was carried out. What no topic takes note of, the door does. */
export function note(
  c: AdminContext,
  history: Recorder,
  change: { readonly kind: string; readonly what: string; readonly refused: string | null },
): void {
  c.env.noted = true
  history.record({ who: orderer(c), ...change })
}

/** A description of an answer in JSON. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { "application/json": { schema } } }
}

export const refusal = z.object({ error: z.string().describe("What is wrong; what to do about it") }).openapi("Refusal")
export const done = z.object({ done: z.string().describe("What was done, in a sentence") }).openapi("Done")

/** Answers that every order may get. */
export const orderAnswers = {
  200: json(done, "It is done"),
  400: json(refusal, "Something in the request is not as described"),
  404: json(refusal, "There is nothing of that name"),
  409: json(refusal, "It can't be done as things are"),
  422: json(refusal, "What was sent is not good"),
  503: json(refusal, "The gateway can't do it now"),
}

/** A date and time, ISO 8601. */
export const timestamp = z.string().openapi({ format: "date-time" })

/** A name in a path. Names may hold slashes: their paths are written as `/:name{.+}/order`, and described as `/{name}/order`. */
export function nameParameter(description: string) {
  return z.string().min(1).describe(description)
}

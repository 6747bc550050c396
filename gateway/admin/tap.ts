// The tap in the admin API: a stream of the exchanges that match what is asked for, as they end. It lasts until its reader goes away.

import { createRoute, z } from "@hono/zod-openapi"
import { Wrong } from "../config/units.ts"
import { MAX_TAPS } from "../tap/hub.ts"
import { missingName, type TapNames } from "../tap/named.ts"
import { parseTapQuery, type TapParameter, type TapQuery, tapParameters } from "../tap/query.ts"
import type { TapReader } from "../tap/reader.ts"
import { streamed } from "./text-stream.ts"
import { json, refusal, type TopicApp, topicApp } from "./topic.ts"

export interface TapDeps {
  /** Null: too many tap already. */
  tap(query: TapQuery): TapReader | null
  /** Of the configuration in force; null: there is none yet. */
  tapNames(): TapNames | null
}

const TYPE = "application/x-ndjson"

/** May be given several times. */
function several(name: TapParameter) {
  return z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe(tapParameters[name])
}

const stream = createRoute({
  method: "get",
  path: "/",
  summary: "a stream of exchanges as they end, a line of JSON each, that match the query",
  description: "A line with `alive` at the beginning, when all workers look, and every 5 s tells what was seen and what was lost.",
  request: {
    query: z.strictObject({
      route: several("route"),
      service: several("service"),
      listener: several("listener"),
      method: several("method"),
      path: several("path"),
      status: several("status"),
      header: several("header"),
      source: several("source"),
      flag: several("flag"),
      slower: several("slower"),
      sample: several("sample"),
      max: several("max"),
      wait: z.enum(["true", "false"]).optional().describe("true: a route, service or listener that isn't there yet is waited for"),
    } satisfies Record<TapParameter | "wait", z.ZodType>),
  },
  responses: {
    200: { description: "Events, one a line", content: { [TYPE]: { schema: z.string() } } },
    400: json(refusal, "Something in the query is not as described"),
    404: json(refusal, "There is no route, service or listener of that name"),
    429: json(refusal, "Too many tap already"),
  },
})

export function tap(deps: TapDeps): TopicApp {
  const app = topicApp()
  app.openapi(stream, (c) => {
    const query = parseTapQuery((name) => c.req.queries(name) ?? [])
    if (query instanceof Wrong) return c.json({ error: query.message }, 400)
    const names = c.req.query("wait") === "true" ? null : deps.tapNames()
    const missing = names === null ? null : missingName(query, names)
    if (missing !== null) return c.json({ error: `${missing} (it is waited for with --wait, or wait=true)` }, 404)
    // Of what HEAD asks for nothing would ever be read.
    if (c.req.raw.method === "HEAD") return streamed(null, TYPE, c.req.raw.signal)
    const reader = deps.tap(query)
    if (reader === null) return c.json({ error: `${MAX_TAPS} taps are open, and no more are taken; end one of them first` }, 429)
    return streamed(reader, TYPE, c.req.raw.signal)
  })
  return app
}

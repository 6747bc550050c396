// The history in the admin API: what was changed in this gateway since it started, by whom and when.

import { createRoute, z } from "@hono/zod-openapi"
import type { Change } from "./change-history.ts"
import { json, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface HistoryDeps {
  /** Newest first. */
  changes(): readonly Change[]
}

const change = z
  .object({
    at: timestamp,
    who: z.string(),
    kind: z.string(),
    what: z.string(),
    generation: z.number().describe("Of the configuration in force when it was over"),
    refused: z.string().nullable().describe("Why it wasn't carried out; null: it was"),
    times: z.number().describe("How often in a row, `at` being the last; more than 1 only of orders that were turned away (kind `order`)"),
  })
  .openapi("Change")

const list = createRoute({
  method: "get",
  path: "/",
  summary: "what was changed since the start, by whom and when; newest first, at most 1000, and 100 orders that were turned away",
  responses: { 200: json(z.object({ history: z.array(change).readonly() }), "Newest first") },
})

export function history(deps: HistoryDeps): TopicApp {
  const app = topicApp()
  app.openapi(list, (c) => c.json({ history: deps.changes() }, 200))
  return app
}

// Routes in the admin API: their matches in the order in which they are preferred, and what was counted.

import { createRoute, z } from "@hono/zod-openapi"
import type { ListedRoute, RouteListQuery } from "../explain/route-list.ts"
import { json, refusal, type TopicApp, topicApp } from "./topic.ts"

export interface RoutesDeps {
  /** Null: there is no configuration yet. `left`: matches beyond the limit. */
  routes(query: RouteListQuery): Promise<{ readonly routes: readonly ListedRoute[]; readonly left: number } | null>
}

const DEFAULT_LIMIT = 1000
const MAX_LIMIT = 10_000

const route = z
  .object({
    listener: z.string(),
    route: z.string(),
    host: z.string().describe("* = every host"),
    path: z.string().describe("A prefix; exact …; regex …"),
    match: z.string().describe("All of the match"),
    action: z.string(),
    filters: z.array(z.string()).readonly(),
    figures: z
      .object({
        requests: z.number(),
        errors: z.number().describe("Share of them with a 5xx, a gRPC status that blames the server, or without a response"),
      })
      .nullable()
      .describe("Of the whole route at this listener, since the start"),
  })
  .openapi("Route")

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the matches of routes, in the order in which they are preferred",
  request: {
    query: z.object({
      listener: z.string().optional(),
      route: z.string().optional(),
      limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(DEFAULT_LIMIT),
    }),
  },
  responses: {
    200: json(z.object({ routes: z.array(route).readonly(), left: z.number().describe("Beyond the limit") }), "The first of them"),
    400: json(refusal, "Something in the query is not as described"),
    503: json(refusal, "There is no configuration yet"),
  },
})

export function routes(deps: RoutesDeps): TopicApp {
  const app = topicApp()
  app.openapi(list, async (c) => {
    const listed = await deps.routes(c.req.valid("query"))
    return listed === null
      ? c.json({ error: "there is no configuration yet; ask again when /ready answers 200" }, 503)
      : c.json(listed, 200)
  })
  return app
}

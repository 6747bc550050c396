// Response flags in the admin API: what each means, and what to do about it.

import { createRoute, z } from "@hono/zod-openapi"
import { findFlags, flagRows } from "../telemetry/flag-guide.ts"
import { json, refusal, type TopicApp, topicApp } from "./topic.ts"

const row = z
  .object({
    flag: z.string(),
    code: z.string().describe("Row of the table of errors"),
    source: z.string().describe("Whose doing: downstream, upstream, gateway, filter"),
    status: z.number().describe("0: no answer is possible"),
    retryable: z.string(),
    text: z.string().describe("Of the reply"),
    meaning: z.string(),
    causes: z.array(z.string()).readonly().describe("The likeliest first"),
    look: z.string(),
    act: z.string(),
  })
  .openapi("Flag")

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the response flags: what each means, likely causes, what to do",
  request: { query: z.object({ flag: z.string().optional().describe("A flag, a part of one, or a code") }) },
  responses: {
    200: json(z.object({ flags: z.array(row).readonly() }), "All of them, or those asked for"),
    404: json(refusal, "There is no such flag"),
  },
})

export function flags(): TopicApp {
  const app = topicApp()
  app.openapi(list, (c) => {
    const { flag } = c.req.valid("query")
    const found = flag === undefined ? flagRows : findFlags(flag)
    if (found.length === 0) return c.json({ error: "there is no such flag; /flags lists them" }, 404)
    return c.json({ flags: found }, 200)
  })
  return app
}

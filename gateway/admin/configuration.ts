// The configuration in the admin API: what is in force, without secrets.

import { createRoute, z } from "@hono/zod-openapi"
import type { Config } from "../config/model.ts"
import { redactConfig } from "./redact.ts"
import { json, refusal, type TopicApp, topicApp } from "./topic.ts"

export interface ConfigurationDeps {
  /** The configuration in force; null before the first. */
  config(): Config | null
}

const shown = createRoute({
  method: "get",
  path: "/",
  summary: "the configuration in force, without secrets (JSON, or YAML with ?format=yaml)",
  request: { query: z.object({ format: z.enum(["json", "yaml"], { error: "json or yaml" }).optional() }) },
  responses: {
    200: {
      description: "The configuration in force, secrets replaced",
      content: { "application/json": { schema: z.record(z.string(), z.unknown()) }, "application/yaml": { schema: z.string() } },
    },
    400: json(refusal, "No such format"),
    503: json(refusal, "There is none yet"),
  },
})

export function configuration(deps: ConfigurationDeps): TopicApp {
  const app = topicApp()
  app.openapi(shown, async (c) => {
    const config = deps.config()
    if (config === null) return c.json({ error: "there is no configuration yet; ask again when /ready answers 200" }, 503)
    const redacted = redactConfig(config)
    const format = c.req.valid("query").format ?? ((c.req.header("accept") ?? "").includes("yaml") ? "yaml" : "json")
    if (format === "json") return c.json(redacted, 200)
    const { stringify } = await import("yaml")
    return c.body(stringify(redacted, { aliasDuplicateObjects: false }), 200, { "content-type": "application/yaml" })
  })
  return app
}

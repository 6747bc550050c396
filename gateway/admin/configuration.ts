// The configuration in the admin API: what is in force and what was, without secrets; how they differ; and the order to go back.

import { createRoute, z } from "@hono/zod-openapi"
import type { ConfigEntry, KeptConfig } from "../config/config-history.ts"
import type { Outcome } from "../http/outcome.ts"
import type { Recorder } from "./change-history.ts"
import { type ConfigDiff, diffText } from "./config-diff.ts"
import { ConfigTexts } from "./config-text.ts"
import { type AdminContext, carryOut, json, orderAnswers, orderer, refusal, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface ConfigurationDeps {
  readonly history: Recorder
  generation(): number
  /** Configurations that were in force, newest first. */
  configs(): readonly ConfigEntry[]
  /** What was in force at a generation; null: that isn't known. */
  configAt(generation: number): KeptConfig | null
  /** Why what is in force is not what the file says; null: it is. */
  departure(): string | null
  /** Takes what was in force at a generation. */
  rollback(generation: number, who: string): Promise<Outcome>
}

const generation = z.coerce.number({ error: "a generation is a whole number" }).int().min(1)
const query = z.object({ format: z.enum(["json", "yaml"], { error: "write json or yaml" }).optional() })
const configAnswers = {
  200: {
    description: "Secrets replaced",
    content: { "application/json": { schema: z.record(z.string(), z.unknown()) }, "application/yaml": { schema: z.string() } },
  },
  400: json(refusal, "No such format"),
  503: json(refusal, "There is none yet, or too many ask for large ones"),
}

const shown = createRoute({
  method: "get",
  path: "/",
  summary: "the configuration in force, without secrets (JSON, or YAML with ?format=yaml)",
  request: { query },
  responses: configAnswers,
})

const past = createRoute({
  method: "get",
  path: "/history",
  summary: "the configurations that were in force, newest first, at most 50: generation, when, who, why",
  responses: {
    200: json(
      z.object({
        generation: z.number().describe("In force now. Changes of filters, weights and certificates are generations too"),
        departure: z.string().nullable().describe("Why what is in force is not what the file says"),
        history: z
          .array(
            z
              .object({
                generation: z.number().describe("From which on it was in force"),
                at: timestamp,
                who: z.string(),
                why: z.string(),
                inForce: z.boolean(),
              })
              .openapi("ConfigEntry"),
          )
          .readonly(),
      }),
      "Newest first",
    ),
  },
})

const former = createRoute({
  method: "get",
  path: "/history/{generation}",
  summary: "the configuration of a generation, without secrets (JSON, or YAML with ?format=yaml)",
  request: { query, params: z.object({ generation }) },
  responses: { ...configAnswers, 404: json(refusal, "It is not kept") },
})

const change = z
  .object({
    path: z.string().describe("In what is written, such as routes[orders].timeout; routes and listeners by name, others by their place"),
    kind: z.enum(["added", "removed", "changed", "moved"]).describe("moved: in another order"),
    before: z.string().nullable().describe("As YAML; null: there was nothing"),
    after: z.string().nullable(),
  })
  .openapi("ConfigChange")

const differences = createRoute({
  method: "get",
  path: "/diff",
  summary: "what changed from one generation to another (?from=&to=), by its place in what is written; without secrets",
  request: {
    query: z.object({
      from: generation.optional().describe("Default: that before the configuration in force"),
      to: generation.optional().describe("Default: that in force"),
    }),
  },
  responses: {
    200: json(
      z.object({
        from: z.number(),
        to: z.number(),
        diff: z.string().describe("All of it for people: `@@ path @@`, then lines with - and +; empty: nothing differs"),
        changes: z.array(change).readonly(),
        omitted: z.number().describe("Changes beyond those"),
      }),
      "How they differ",
    ),
    400: json(refusal, "No such generations"),
    404: json(refusal, "One of them is not kept"),
    503: json(refusal, "Too many ask for large ones"),
  },
})

const back = createRoute({
  method: "post",
  path: "/rollback",
  summary: "takes the configuration of a generation once more; the file stays as it is, and its next change wins",
  request: { body: { required: true, content: { "application/json": { schema: z.object({ generation: z.number().int().min(1) }) } } } },
  responses: orderAnswers,
})

export function configuration(deps: ConfigurationDeps): TopicApp {
  const app = topicApp()
  const texts = new ConfigTexts()
  app.openapi(shown, (c) => {
    const found = deps.configAt(deps.generation())
    if (found === null) return c.json({ error: "there is no configuration yet; ask again when /ready answers 200" }, 503)
    return show(c, texts, found, c.req.valid("query").format)
  })
  app.openapi(past, (c) => {
    const entries = deps.configs()
    const history = entries.map((entry, i) => ({ ...entry, inForce: i === 0 }))
    return c.json({ generation: deps.generation(), departure: deps.departure(), history }, 200)
  })
  app.openapi(former, async (c) => {
    const found = known(deps, c.req.valid("param").generation)
    return typeof found === "string" ? c.json({ error: found }, 404) : show(c, texts, found, c.req.valid("query").format)
  })
  app.openapi(differences, async (c) => {
    const { from, to } = c.req.valid("query")
    const newer = known(deps, to ?? deps.generation())
    if (typeof newer === "string") return c.json({ error: newer }, 404)
    const older = known(deps, from ?? Math.max(1, newer.entry.generation - 1))
    if (typeof older === "string") return c.json({ error: older }, 404)
    const made = await texts.make({ kind: "diff", before: older.packed.document, after: newer.packed.document })
    if (typeof made === "string") return c.json({ error: made }, 503)
    const found = JSON.parse(new TextDecoder().decode(made)) as ConfigDiff
    return c.json({ from: older.entry.generation, to: newer.entry.generation, diff: diffText(found), ...found }, 200)
  })
  app.openapi(back, (c) => {
    const { generation: to } = c.req.valid("json")
    return carryOut(c, deps.history, { kind: "config rollback", what: `to generation ${to}` }, deps.rollback(to, orderer(c)))
  })
  return app
}

function known(deps: ConfigurationDeps, at: number): KeptConfig | string {
  const found = at > deps.generation() ? null : deps.configAt(at)
  return found ?? `generation ${at} is not kept; /config/history lists those that are`
}

async function show(c: AdminContext, texts: ConfigTexts, { packed: { config } }: KeptConfig, wanted: "json" | "yaml" | undefined) {
  const kind = wanted ?? ((c.req.header("accept") ?? "").includes("yaml") ? "yaml" : "json")
  const made = await texts.make({ kind, config })
  if (typeof made === "string") return c.json({ error: made }, 503)
  return c.body(made, 200, { "content-type": `application/${kind}` }) as never
}

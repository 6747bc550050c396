// The configuration in the admin API: what is in force and what was, without secrets; how they differ; and the order to go back.

import { createRoute, z } from "@hono/zod-openapi"
import type { ConfigEntry } from "../config/config-history.ts"
import type { Config } from "../config/model.ts"
import type { Outcome } from "../http/outcome.ts"
import type { Recorder } from "./change-history.ts"
import { redactConfig } from "./redact.ts"
import { type AdminContext, carryOut, json, orderAnswers, orderer, refusal, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface ConfigurationDeps {
  readonly history: Recorder
  /** The configuration in force; null before the first. */
  config(): Config | null
  generation(): number
  /** Configurations that were in force, newest first. */
  configs(): readonly ConfigEntry[]
  /** What was in force at a generation; null: that isn't known. */
  configAt(generation: number): { readonly entry: ConfigEntry; readonly config: Config } | null
  /** Why what is in force is not what the file says; null: it is. */
  departure(): string | null
  /** Takes what was in force at a generation. */
  rollback(generation: number, who: string): Promise<Outcome>
}

/** ms that finding the differences may take the main thread. */
const DIFF_TIME = 300

const generation = z.coerce.number({ error: "a generation is a whole number" }).int().min(1)
const query = z.object({ format: z.enum(["json", "yaml"], { error: "write json or yaml" }).optional() })
const configAnswers = {
  200: {
    description: "Secrets replaced",
    content: { "application/json": { schema: z.record(z.string(), z.unknown()) }, "application/yaml": { schema: z.string() } },
  },
  400: json(refusal, "No such format"),
}

const shown = createRoute({
  method: "get",
  path: "/",
  summary: "the configuration in force, without secrets (JSON, or YAML with ?format=yaml)",
  request: { query },
  responses: { ...configAnswers, 503: json(refusal, "There is none yet") },
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

const differences = createRoute({
  method: "get",
  path: "/diff",
  summary: "what changed from one generation to another (?from=&to=), as a unified diff of redacted YAML",
  request: {
    query: z.object({
      from: generation.optional().describe("Default: that before the configuration in force"),
      to: generation.optional().describe("Default: that in force"),
    }),
  },
  responses: {
    200: json(
      z.object({ from: z.number(), to: z.number(), diff: z.string().describe("Empty: nothing that may be shown differs") }),
      "How they differ",
    ),
    400: json(refusal, "No such generations"),
    404: json(refusal, "One of them is not kept"),
    422: json(refusal, "They differ too much to be compared"),
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
  app.openapi(shown, async (c) => {
    const config = deps.config()
    if (config === null) return c.json({ error: "there is no configuration yet; ask again when /ready answers 200" }, 503)
    return show(c, config, c.req.valid("query").format)
  })
  app.openapi(past, (c) => {
    const entries = deps.configs()
    const history = entries.map((entry, i) => ({ ...entry, inForce: i === 0 }))
    return c.json({ generation: deps.generation(), departure: deps.departure(), history }, 200)
  })
  app.openapi(former, async (c) => {
    const found = known(deps, c.req.valid("param").generation)
    return typeof found === "string" ? c.json({ error: found }, 404) : show(c, found.config, c.req.valid("query").format)
  })
  app.openapi(differences, async (c) => {
    const { from, to } = c.req.valid("query")
    const newer = known(deps, to ?? deps.generation())
    if (typeof newer === "string") return c.json({ error: newer }, 404)
    const older = known(deps, from ?? Math.max(1, newer.entry.generation - 1))
    if (typeof older === "string") return c.json({ error: older }, 404)
    const [{ createTwoFilesPatch }, before, after] = await Promise.all([import("diff"), yaml(older.config), yaml(newer.config)])
    const names = [older, newer].map(({ entry }) => `generation ${entry.generation}`)
    const patch =
      before === after
        ? ""
        : createTwoFilesPatch(names[0], names[1], before, after, older.entry.at, newer.entry.at, { context: 3, timeout: DIFF_TIME })
    if (patch === undefined) {
      return c.json(
        { error: "they differ too much to be compared here; take both (/config/history/GENERATION?format=yaml) and compare them" },
        422,
      )
    }
    return c.json({ from: older.entry.generation, to: newer.entry.generation, diff: patch.replace(/^=+\n/, "") }, 200)
  })
  app.openapi(back, (c) => {
    const { generation: to } = c.req.valid("json")
    return carryOut(c, deps.history, { kind: "config rollback", what: `to generation ${to}` }, deps.rollback(to, orderer(c)))
  })
  return app
}

function known(deps: ConfigurationDeps, at: number): NonNullable<ReturnType<ConfigurationDeps["configAt"]>> | string {
  const found = at > deps.generation() ? null : deps.configAt(at)
  return found ?? `generation ${at} is not kept; /config/history lists those that are`
}

async function show(c: AdminContext, config: Config, wanted: "json" | "yaml" | undefined) {
  const format = wanted ?? ((c.req.header("accept") ?? "").includes("yaml") ? "yaml" : "json")
  if (format === "json") return c.json(redactConfig(config), 200)
  return c.body(await yaml(config), 200, { "content-type": "application/yaml" })
}

async function yaml(config: Config): Promise<string> {
  const { stringify } = await import("yaml")
  return stringify(redactConfig(config), { aliasDuplicateObjects: false })
}

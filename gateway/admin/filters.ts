// Filters in the admin API: what they are at, and the orders they take: put a module in a filter's place, take that back, let one
// take part again.

import { createRoute, z } from "@hono/zod-openapi"
import { collect } from "../http/collect.ts"
import type { Outcome } from "../http/outcome.ts"
import type { Recorder } from "./change-history.ts"
import type { FilterStatus } from "./status.ts"
import { carryOut, json, nameParameter, orderAnswers, refusal, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface FiltersDeps {
  readonly history: Recorder
  filters(): readonly FilterStatus[]
  /** Puts a module in the place of a version's own; `version` null: of the only one. */
  push(filter: string, version: string | null, module: Uint8Array): Promise<Outcome>
  /** Takes back what was pushed. */
  unpush(filter: string, version: string | null): Promise<Outcome>
  /** Lets a filter that was taken out of use, or a version of it, take part again. */
  release(filter: string): Promise<Outcome>
}

/** Octets of a pushed module. */
export const MAX_MODULE = 16 * 1024 * 1024

const told = z.object({ message: z.string(), at: timestamp.nullable() }).nullable()
const state = z.enum(["starting", "running", "backoff", "quarantined", "failed"])
const figures = {
  exchanges: z.number(),
  errors: z.number().describe("Those that ended with a 5xx, though the filter did not fail"),
  failures: z.number().describe("Those in which it trapped, or in which no instance could be had"),
  calls: z.number().describe("Phases run"),
  traps: z.record(z.string(), z.number()).describe("By reason"),
  duration: z.object({ p50: z.number(), p99: z.number() }).describe("Of one phase, nanoseconds"),
  budget: z.object({ mean: z.number(), limit: z.number(), percent: z.number() }).describe("Units of CPU budget of a phase"),
}
const version = z
  .object({
    name: z.string(),
    module: z.string(),
    digest: z.string().describe("SHA-256 of the module that serves, hex"),
    generation: z.number().describe("Times the module has changed"),
    pushed: z.boolean(),
    restored: z.boolean().describe("It is one that served before"),
    earlier: z.array(z.string()).readonly().describe("Digests of modules that a rollback goes to, the latest first"),
    weight: z.number(),
    rolledBack: told.describe("Why it gets no exchanges; null when it may"),
    state,
    instances: z.number(),
    memory: z.number().describe("Octets"),
    lastError: told,
    ...figures,
  })
  .openapi("FilterVersion")
const filter = z
  .object({
    name: z.string(),
    module: z.string(),
    digest: z.string(),
    generation: z.number(),
    state: state.describe("The worst of its versions"),
    refused: told.describe("Why the newest version of its files doesn't serve"),
    held: told.describe("An order has put it into quarantine"),
    instances: z.number(),
    memory: z.number(),
    lastError: told,
    onError: z.enum(["deny", "skip"]),
    limits: z.object({
      cpu: z.number().describe("ms of one call"),
      memory: z.number().describe("Octets of one instance"),
      body: z.number().describe("Octets it may keep of one body"),
    }),
    versions: z.array(version).readonly(),
    ...figures,
  })
  .openapi("Filter")

const params = z.object({ name: nameParameter("Name of the filter") })
const query = z.object({ version: z.string().min(1).optional().describe("Needed when the filter has several") })

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the filters: versions, state, figures, last error",
  responses: { 200: json(z.object({ filters: z.array(filter).readonly() }), "All of them") },
})
const push = createRoute({
  method: "put",
  path: "/:name{.+}/module",
  summary: "serves the module in the body until its file changes or the process ends (?version=NAME)",
  request: { params, query, body: { content: { "application/wasm": { schema: { type: "string", format: "binary" } } } } },
  responses: { ...orderAnswers, 413: json(refusal, "The module is too large") },
})
const unpush = createRoute({
  method: "delete",
  path: "/:name{.+}/module",
  summary: "goes back to the module of the configuration",
  request: { params, query },
  responses: orderAnswers,
})
const release = createRoute({
  method: "post",
  path: "/:name{.+}/release",
  summary: "lets what was rolled back or quarantined take part again",
  request: { params },
  responses: orderAnswers,
})

export function filters(deps: FiltersDeps): TopicApp {
  const app = topicApp()
  const { history } = deps
  app.openapi(list, (c) => c.json({ filters: deps.filters() }, 200))
  app.openapi(push, async (c) => {
    const body = await readBody(c.req.raw, MAX_MODULE)
    if (body === null) {
      return c.json(
        { error: `a module of more than ${MAX_MODULE / 1024 / 1024} MiB can't be pushed; name its file in the configuration` },
        413,
      )
    }
    const { name } = c.req.valid("param")
    const { version: of = null } = c.req.valid("query")
    return carryOut(c, history, { kind: "filter push", what: titled(name, of) }, deps.push(name, of, body))
  })
  app.openapi(unpush, (c) => {
    const { name } = c.req.valid("param")
    const { version: of = null } = c.req.valid("query")
    return carryOut(c, history, { kind: "filter unpush", what: titled(name, of) }, deps.unpush(name, of))
  })
  app.openapi(release, (c) => {
    const { name } = c.req.valid("param")
    return carryOut(c, history, { kind: "filter release", what: name }, deps.release(name))
  })
  return app
}

function titled(name: string, version: string | null): string {
  return version === null ? name : `${name}, version ${version}`
}

/** Null: it is too large. */
async function readBody(request: Request, limit: number): Promise<Uint8Array | null> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) return null
  return request.body === null ? new Uint8Array() : collect(request.body, limit)
}

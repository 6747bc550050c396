// Filters at run time in the admin API: going back to the module before, quarantine by hand, what a filter logged, and profiles of it.

import { createRoute, z } from "@hono/zod-openapi"
import type { Outcome } from "../http/outcome.ts"
import { type LogLevel, logLevels } from "../telemetry/log.ts"
import { type FilterLogLine, type LogFollower, MAX_FOLLOWERS } from "../wasm/filter-logs.ts"
import type { FilterProfileResult } from "../wasm/filter-profiles.ts"
import type { Recorder } from "./change-history.ts"
import { streamed } from "./text-stream.ts"
import { carryOut, json, nameParameter, note, orderAnswers, refusal, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface FilterRuntimeDeps {
  readonly history: Recorder
  /** Puts the module that served before in the place of the one that does; `version` null: of the only one. */
  restore(filter: string, version: string | null): Promise<Outcome>
  /** Takes a filter out of use, or one of its versions. */
  quarantine(filter: string, version: string | null): Promise<Outcome>
  hasFilter(filter: string): boolean
  /** Oldest first, of a level and above. */
  filterLog(filter: string, level: LogLevel): readonly FilterLogLine[]
  /** Null: too many follow already. */
  followFilter(filter: string, level: LogLevel): LogFollower | null
  profileFilter(filter: string, seconds: number): Promise<FilterProfileResult | Outcome>
}

const TYPE = "application/x-ndjson"
const DEFAULT_SECONDS = 10

const params = z.object({ name: nameParameter("Name of the filter") })
const ms = z.number().describe("ms")
const line = z
  .object({ at: timestamp, level: z.enum(logLevels), message: z.string(), fields: z.record(z.string(), z.unknown()) })
  .openapi("FilterLogLine")
const callback = z
  .object({
    callback: z.string().describe("As the guest exports it"),
    calls: z.number(),
    failed: z.number().describe("Those of them that trapped; they are not timed"),
    total: ms,
    mean: ms,
    p50: ms,
    p99: ms,
    max: ms,
    units: z.number().describe("Of CPU budget, of a call on average"),
    budget: z.number().describe("The same in percent of what a call may use"),
    octets: z.number().describe("Of bodies and connections that it was shown"),
  })
  .openapi("CallbackProfile")
const slow = z.object({
  requestId: z.string(),
  route: z.string(),
  method: z.string(),
  path: z.string().describe("Without its query"),
  took: ms,
})
const profile = z
  .object({
    filter: z.string(),
    seconds: z.number(),
    workers: z.object({ asked: z.number(), answered: z.number() }),
    versions: z
      .array(z.object({ version: z.string(), callbacks: z.array(callback).readonly(), slowest: z.array(slow).readonly() }))
      .readonly(),
  })
  .openapi("FilterProfile")

const rollback = createRoute({
  method: "post",
  path: "/:name{.+}/rollback",
  summary: "goes back to the module that served before (?version=NAME)",
  request: { params, query: z.object({ version: z.string().min(1).optional().describe("Needed when the filter has several") }) },
  responses: orderAnswers,
})
const quarantine = createRoute({
  method: "post",
  path: "/:name{.+}/quarantine",
  summary: "takes a filter out of use; its exchanges go on as its onError says (?version=NAME: others get that one's exchanges)",
  request: { params, query: z.object({ version: z.string().min(1).optional().describe("One version of several; default: the filter") }) },
  responses: orderAnswers,
})
const logs = createRoute({
  method: "get",
  path: "/:name{.+}/logs",
  summary: "what a filter has logged lately, its traps too (?level=LEVEL, ?follow=true: a line of JSON each, as they come)",
  request: {
    params,
    query: z.object({
      level: z.enum(logLevels).optional().describe("This and above; default: all"),
      follow: z.enum(["true", "false"]).optional(),
    }),
  },
  responses: {
    200: {
      description: "What there is; with follow one line of JSON each, and a line with `alive` every 5 s in which nothing comes",
      content: { "application/json": { schema: z.object({ logs: z.array(line).readonly() }) }, [TYPE]: { schema: z.string() } },
    },
    400: json(refusal, "Something in the query is not as described"),
    404: json(refusal, "There is no such filter"),
    429: json(refusal, "Too many follow already"),
  },
})
const measure = createRoute({
  method: "post",
  path: "/:name{.+}/profile",
  summary: "measures every callback of a filter in all workers, and answers with what was found (?seconds=1..60)",
  request: {
    params,
    query: z.object({
      seconds: z
        .string()
        .regex(/^([1-9]|[1-5]\d|60)$/, "expected a whole number from 1 to 60")
        .optional()
        .describe(`1 to 60; default ${DEFAULT_SECONDS}`),
    }),
  },
  responses: { ...orderAnswers, 200: json(profile, "What was found") },
})

export function filterRuntime(deps: FilterRuntimeDeps): TopicApp {
  const app = topicApp()
  const { history } = deps
  app.openapi(rollback, (c) => {
    const { name } = c.req.valid("param")
    const { version = null } = c.req.valid("query")
    return carryOut(c, history, { kind: "filter rollback", what: titled(name, version) }, deps.restore(name, version))
  })
  app.openapi(quarantine, (c) => {
    const { name } = c.req.valid("param")
    const { version = null } = c.req.valid("query")
    return carryOut(c, history, { kind: "filter quarantine", what: titled(name, version) }, deps.quarantine(name, version))
  })
  app.openapi(logs, (c) => {
    const { name } = c.req.valid("param")
    const { level = "trace", follow } = c.req.valid("query")
    if (!deps.hasFilter(name)) return c.json({ error: `there is no filter ${name}; /filters lists them` }, 404)
    if (follow !== "true") return c.json({ logs: deps.filterLog(name, level) }, 200)
    // Of what HEAD asks for nothing would ever be read.
    if (c.req.raw.method === "HEAD") return streamed(null, TYPE, c.req.raw.signal)
    const follower = deps.followFilter(name, level)
    if (follower === null) return c.json({ error: `${MAX_FOLLOWERS} follow logs of filters already; end one of them first` }, 429)
    return streamed(follower, TYPE, c.req.raw.signal)
  })
  app.openapi(measure, async (c) => {
    const { name } = c.req.valid("param")
    const seconds = Number(c.req.valid("query").seconds ?? DEFAULT_SECONDS)
    const found = await deps.profileFilter(name, seconds)
    const refused = "versions" in found ? null : found.message
    note(c, history, { kind: "filter profile", what: `${name}, ${seconds} s`, refused })
    if ("versions" in found) return c.json(found, 200)
    return c.json({ error: found.message }, found.status === 404 ? 404 : 409)
  })
  return app
}

function titled(name: string, version: string | null): string {
  return version === null ? name : `${name}, version ${version}`
}

// Live figures in the admin API: rates, success and latency of the last seconds, by everything that has them. Asking is what starts
// the counting, and not asking for a minute what ends it.

import { createRoute, z } from "@hono/zod-openapi"
import { HISTORY } from "../telemetry/live-figures.ts"
import type { Figures, FiguresQuestion } from "../telemetry/live-summary.ts"
import { json, refusal, type TopicApp, topicApp } from "./topic.ts"

export interface FiguresDeps {
  figures(question: FiguresQuestion): Figures
}

/** Things of a kind that can be asked for. */
const MAX_LIMIT = 1000

const latency = z
  .object({ p50: z.number(), p95: z.number(), p99: z.number(), p999: z.number() })
  .nullable()
  .describe("ms; null where nothing was timed")
const success = z
  .number()
  .nullable()
  .describe("Share (0–1) that was answered, and not with a 5xx or a gRPC status that blames the server; null: there was nothing")
const past = z.array(z.number()).readonly()
const traffic = z
  .object({
    name: z.string(),
    requests: z.number().describe("A second"),
    success,
    rejected: z.number().describe("Answered with a 4xx, a second"),
    latency,
    received: z.number().describe("Body octets from clients, a second"),
    sent: z.number().describe("Body octets to clients, a second"),
    retries: z.number().describe("Requests sent to a service once more, a second"),
    history: past.describe("Requests of each second that is kept, oldest first; empty unless asked for"),
  })
  .openapi("Traffic")
const filter = z
  .object({
    name: z.string(),
    requests: z.number(),
    failures: z.number(),
    calls: z.number().describe("Phases run, a second"),
    traps: z.number().describe("In all these seconds"),
    cost: z
      .object({ mean: z.number(), p50: z.number(), p99: z.number() })
      .nullable()
      .describe("µs of one call: mean of CPU, the others by the clock"),
    cpu: z.number().describe("Seconds of CPU in a second"),
    share: z.number().describe("Of what the whole process used, 0–1"),
    history: past.describe("Seconds of CPU of each second that is kept"),
  })
  .openapi("FilterFigures")
const edge = z
  .object({
    listener: z.string(),
    route: z.string(),
    service: z.string(),
    asksWho: z.boolean().describe("The listener asks clients for a certificate: those that have shown one are among the callers"),
    requests: z.number(),
    success,
  })
  .openapi("Edge")
const caller = z
  .object({
    source: z.string().describe("Identity in the client's certificate; `overflow`: of those that have no series of their own"),
    service: z.string(),
    requests: z.number(),
    success: success.describe("As elsewhere, but for gRPC statuses, which don't count as failures here"),
  })
  .openapi("Caller")
const timed = z.array(z.number().nullable()).readonly()
const figures = z
  .object({
    seconds: z.number().describe("That these figures are of; 0: the counting has only just begun"),
    total: traffic.extend({ cpu: z.number() }),
    listeners: z.array(traffic).readonly(),
    routes: z.array(traffic).readonly(),
    services: z.array(traffic).readonly(),
    endpoints: z.array(traffic).readonly().describe("`name`: service and address"),
    filters: z.array(filter).readonly(),
    edges: z.array(edge).readonly().describe("Of the service graph; `route` is empty for connections, `-` stands for none"),
    callers: z.array(caller).readonly().describe("Of clients with a certificate: who asks which service"),
    omitted: z.record(z.string(), z.number()).describe("Things with traffic that are not among them, by kind"),
    history: z
      .object({ requests: past, failures: past, sent: past, p50: timed, p99: timed, cpu: past })
      .describe(`Of the last ${HISTORY} seconds, oldest first`),
  })
  .openapi("Figures")

const query = z.object({
  seconds: z.coerce.number().int().min(1).max(HISTORY).default(10).describe("Of how many of the last seconds"),
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(50).describe("Things of a kind, those with the most requests"),
  search: z.string().max(200).default("").describe("A part of the names of routes, services and endpoints"),
  history: z.enum(["true", "false"]).default("false").describe("Whether each thing comes with its last minute"),
})

const shown = createRoute({
  method: "get",
  path: "/",
  summary: "requests, success and latency of the last seconds, by listener, route, service, endpoint and filter",
  request: { query },
  responses: { 200: json(figures, "What is known of them"), 400: json(refusal, "Not as described") },
})

export function figuresTopic(deps: FiguresDeps): TopicApp {
  const app = topicApp()
  app.openapi(shown, (c) => {
    const { history, ...question } = c.req.valid("query")
    const { omitted, ...known } = deps.figures({ ...question, history: history === "true" })
    return c.json({ ...known, omitted: { ...omitted } }, 200)
  })
  return app
}

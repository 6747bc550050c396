// Weights of routes' backends in the admin API: what they are, whose they are, and the order that sets them.

import { createRoute, z } from "@hono/zod-openapi"
import type { Outcome } from "../http/outcome.ts"
import type { RouteWeightsStatus, WantedWeights } from "../steering/route-weights.ts"
import type { Recorder } from "./change-history.ts"
import { carryOut, json, nameParameter, orderAnswers, refusal, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface WeightsDeps {
  readonly history: Recorder
  /** An outcome: there is nothing to be told of such a route. */
  weights(route: string): RouteWeightsStatus | Outcome
  /** Null: those of the configuration again. */
  setWeights(route: string, weights: WantedWeights | null): Promise<Outcome>
}

const weights = z
  .object({
    route: z.string(),
    setBy: z.enum(["config", "canary", "order"]),
    since: timestamp.nullable().describe("When they were set by an order; null: they weren't"),
    backends: z
      .array(
        z.object({
          service: z.string(),
          subset: z.record(z.string(), z.string()).nullable(),
          weight: z.number().describe("In force"),
          configured: z.number(),
          share: z.number().describe("Of the route's requests, 0–1"),
        }),
      )
      .readonly(),
  })
  .openapi("Weights")

const params = z.object({ route: nameParameter("Name of the route") })
const body = z
  .object({
    weights: z
      .record(z.string().min(1), z.number())
      .nullable()
      .describe("By service, or #2 for the second backend; who isn't named keeps its weight. null: those of the configuration again"),
  })
  .strict()
  .openapi("WantedWeights")

const show = createRoute({
  method: "get",
  path: "/:route{.+}/weights",
  summary: "the weights of a route's backends, and whose they are",
  request: { params },
  responses: { 200: json(weights, "In force"), 404: json(refusal, "There is no such route"), 409: json(refusal, "It has no backends") },
})
const set = createRoute({
  method: "put",
  path: "/:route{.+}/weights",
  summary: "sets weights of a route's backends, until these change in the configuration",
  request: { params, body: { content: { "application/json": { schema: body } }, required: true } },
  responses: orderAnswers,
})

export function weightsOfRoutes(deps: WeightsDeps): TopicApp {
  const app = topicApp()
  app.openapi(show, (c) => {
    const found = deps.weights(c.req.valid("param").route)
    if ("backends" in found) return c.json(found, 200)
    return c.json({ error: found.message }, found.status === 404 ? 404 : 409)
  })
  app.openapi(set, (c) => {
    const { route } = c.req.valid("param")
    const { weights: wanted } = c.req.valid("json")
    const said =
      wanted === null
        ? "as configured"
        : Object.entries(wanted)
            .map(([service, weight]) => `${service} ${weight}`)
            .join(", ")
    return carryOut(c, deps.history, { kind: "weights", what: `${route}: ${said}` }, deps.setWeights(route, wanted))
  })
  return app
}

// Canaries in the admin API: what they are at, and the orders they take.

import { createRoute, z } from "@hono/zod-openapi"
import type { CanaryStatus } from "../canary/canary-changes.ts"
import type { Outcome } from "../http/outcome.ts"
import { type CanaryOrder, canaryOrders } from "../resilience/canary.ts"
import type { Recorder } from "./change-history.ts"
import { carryOut, json, nameParameter, orderAnswers, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface CanariesDeps {
  readonly history: Recorder
  canaries(): readonly CanaryStatus[]
  /** Tells the canary of a route what to do. */
  steer(route: string, order: CanaryOrder): Promise<Outcome>
}

const WHAT: Readonly<Record<CanaryOrder, string>> = {
  pause: "keeps the canary of a route in its step",
  resume: "lets a paused one go on",
  promote: "puts it into its last step, for good",
  abort: "takes all requests from it",
  restart: "puts it into its first step again",
}

const figures = z.object({ exchanges: z.number(), errors: z.number(), errorRate: z.number(), p99: z.number().describe("ms") })
const plan = z.object({
  service: z.string(),
  steps: z.array(z.number()).readonly(),
  interval: z.number().describe("ms"),
  abortOn: z.object({ errorRate: z.number(), p99: z.number().describe("ms"), minimum: z.number() }),
})
const canary = z
  .object({
    route: z.string(),
    service: z.string(),
    state: z.string().describe("progressing, paused, promoted or rolledBack"),
    step: z.number().describe("Number of the step it is in, from 1; 0: rolled back"),
    steps: z.array(z.number()).readonly().describe("Shares (0–1) of the steps"),
    share: z.number(),
    since: timestamp,
    config: plan,
    figures: z.object({ canary: figures, stable: figures }).describe("Of the last interval"),
    waiting: z.string().describe("What it waits for, beside time; empty: nothing"),
    reason: z.string().describe("Why it was rolled back; empty: it wasn't"),
    refusals: z.record(z.enum(canaryOrders), z.string()).describe("Why each order can't be carried out as things are; empty: it can"),
  })
  .openapi("Canary")

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the canaries of routes: state, step, figures of both sides",
  responses: { 200: json(z.object({ canaries: z.array(canary).readonly() }), "All of them") },
})

export function canaries(deps: CanariesDeps): TopicApp {
  const app = topicApp()
  app.openapi(list, (c) => c.json({ canaries: deps.canaries() }, 200))
  for (const order of canaryOrders) {
    const route = createRoute({
      method: "post",
      path: `/:route{.+}/${order}`,
      summary: WHAT[order],
      request: { params: z.object({ route: nameParameter("Name of the route") }) },
      responses: orderAnswers,
    })
    app.openapi(route, (c) => {
      const { route: name } = c.req.valid("param")
      return carryOut(c, deps.history, { kind: `canary ${order}`, what: name }, deps.steer(name, order))
    })
  }
  return app
}

// Canaries in the admin API: what they are at, and the orders they take.

import type { Hono } from "hono"
import { canaryOrders } from "../resilience/canary.ts"
import { answer, orderApp } from "./orders.ts"
import type { AdminDeps } from "./status.ts"

export const CANARY_ORDERS: Readonly<Record<string, string>> = {
  "POST /canaries/ROUTE/pause": "keeps the canary of a route in its step",
  "POST /canaries/ROUTE/resume": "lets a paused one go on",
  "POST /canaries/ROUTE/promote": "puts it into its last step, for good",
  "POST /canaries/ROUTE/abort": "takes all requests from it",
  "POST /canaries/ROUTE/restart": "puts it into its first step again",
}

export function canaries(deps: AdminDeps, host: string): Hono {
  const app = orderApp(host)
  app.get("/", (c) => c.json({ canaries: deps.canaries() }))
  // Routes' names may hold slashes.
  for (const order of canaryOrders) app.post(`/:route{.+}/${order}`, async (c) => answer(c, await deps.steer(c.req.param("route"), order)))
  return app
}

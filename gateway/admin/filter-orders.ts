// The orders the admin API takes for filters: put a module in a filter's place, take that back, let one take part again.

import type { Hono } from "hono"
import { collect } from "../http/collect.ts"
import { answer, orderApp } from "./orders.ts"
import type { AdminDeps } from "./status.ts"

/** Octets of a pushed module. */
const MAX_MODULE = 16 * 1024 * 1024

export const FILTER_ORDERS: Readonly<Record<string, string>> = {
  "PUT /filters/NAME/module": "serves the module in the body until its file changes or the process ends (?version=NAME)",
  "DELETE /filters/NAME/module": "goes back to the module of the configuration",
  "POST /filters/NAME/release": "lets what was rolled back or quarantined take part again",
}

export function filterOrders(deps: AdminDeps, host: string): Hono {
  const app = orderApp(host)
  // Filters' names may hold slashes.
  app.put("/:name{.+}/module", async (c) => {
    const body = await readBody(c.req.raw, MAX_MODULE)
    if (body === null) return c.json({ error: `a module of more than ${MAX_MODULE / 1024 / 1024} MiB can't be pushed` }, 413)
    return answer(c, await deps.push(c.req.param("name"), c.req.query("version") ?? null, body))
  })
  app.delete("/:name{.+}/module", async (c) => answer(c, await deps.unpush(c.req.param("name"), c.req.query("version") ?? null)))
  app.post("/:name{.+}/release", async (c) => answer(c, await deps.release(c.req.param("name"))))
  return app
}

/** Null: it is too large. */
async function readBody(request: Request, limit: number): Promise<Uint8Array | null> {
  if (Number(request.headers.get("content-length") ?? 0) > limit) return null
  return request.body === null ? new Uint8Array() : collect(request.body, limit)
}

// What all orders to the admin API have in common: who may give them, and how they are answered.

import { type Context, Hono } from "hono"
import type { Outcome } from "../http/outcome.ts"
import { orderRefusal } from "./guard.ts"

/** An app whose requests that change something come from this machine and from no web page. `host`: address it will be bound to. */
export function orderApp(host: string): Hono {
  const app = new Hono()
  app.use(async (c, next) => {
    const refusal = orderRefusal({ get: (name) => c.req.header(name) ?? null }, host)
    if (refusal === null || c.req.method === "GET" || c.req.method === "HEAD") await next()
    else c.res = c.json({ error: refusal }, 403)
  })
  return app
}

export function answer(c: Context, { status, message }: Outcome): Response {
  return c.json(status === 200 ? { done: message } : { error: message }, status)
}

// The admin API: what an operator, a probe or a scraper asks a running gateway, and the few things it can be told to do.

import { Hono } from "hono"
import { CANARY_ORDERS, canaries } from "./canaries.ts"
import { FILTER_ORDERS, filterOrders } from "./filter-orders.ts"
import { isAllowedHost } from "./guard.ts"
import { redactConfig } from "./redact.ts"
import type { AdminDeps } from "./status.ts"

const ENDPOINTS: Readonly<Record<string, string>> = {
  "/": "this list",
  "/live": "200 while the process runs",
  "/ready": "200 when it serves, 503 when it doesn't, and why",
  "/metrics": "metrics for Prometheus",
  "/config": "the configuration in force, without secrets (JSON, or YAML with ?format=yaml)",
  "/services": "the services: endpoints, which of them are unwell or ejected, failures",
  "/filters": "the filters: versions, state, figures, last error",
  "/canaries": "the canaries of routes: state, step, figures of both sides",
}
const ORDERS = { ...FILTER_ORDERS, ...CANARY_ORDERS }
/** Below them methods are looked at by what takes orders. */
const TAKE_ORDERS = ["/filters/", "/canaries/"]

// No page may frame, sniff, cache or run anything of this.
const HEADERS: readonly (readonly [string, string])[] = [
  ["cache-control", "no-store"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["cross-origin-resource-policy", "same-origin"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
]

/** @param host address it will be bound to: decides which `Host` fields it accepts. */
export function createAdmin(deps: AdminDeps, host: string): Hono {
  const app = new Hono()

  app.use(async (c, next) => {
    if (!isAllowedHost(c.req.header("host"), host)) {
      c.res = c.json({ error: "this host name is not served here; use localhost or the address it listens on" }, 421)
    } else if (c.req.method !== "GET" && c.req.method !== "HEAD" && !TAKE_ORDERS.some((path) => c.req.path.startsWith(path))) {
      const known = Object.hasOwn(ENDPOINTS, c.req.path)
      c.res = known ? c.json({ error: "only GET and HEAD" }, 405, { allow: "GET, HEAD" }) : c.json({ error: "no such endpoint" }, 404)
    } else {
      await next()
    }
    for (const [name, value] of HEADERS) c.res.headers.set(name, value)
  })

  app.get("/", (c) => {
    if ((c.req.header("accept") ?? "").includes("application/json")) return c.json({ endpoints: ENDPOINTS, orders: ORDERS })
    const list = Object.entries(ENDPOINTS).map(([path, what]) => `${path.padEnd(10)} ${what}\n`)
    const orders = Object.entries(ORDERS).map(([order, what]) => `${order.padEnd(31)} ${what}\n`)
    // The type is spelled out: on Bun, one that a Response infers from its body is lost when hono answers HEAD.
    return c.body(`Sluice admin\n\n${list.join("")}\n${orders.join("")}`, 200, { "content-type": "text/plain; charset=utf-8" })
  })
  app.get("/live", (c) => {
    const live = deps.live()
    return c.json({ live }, live ? 200 : 503)
  })
  app.get("/ready", (c) => {
    const state = deps.ready()
    return c.json(state, state.ready ? 200 : 503)
  })
  app.get("/metrics", async (c) => {
    const { contentType, body } = await deps.exposition(c.req.header("accept") ?? "")
    return c.body(body, 200, { "content-type": contentType })
  })
  app.get("/config", async (c) => {
    const config = deps.config()
    if (config === null) return c.json({ error: "no configuration yet" }, 503)
    const shown = redactConfig(config)
    const format = c.req.query("format") ?? ((c.req.header("accept") ?? "").includes("yaml") ? "yaml" : "json")
    if (format === "json") return c.json(shown)
    if (format !== "yaml") return c.json({ error: "format is json or yaml" }, 400)
    const { stringify } = await import("yaml")
    return c.body(stringify(shown, { aliasDuplicateObjects: false }), 200, { "content-type": "application/yaml" })
  })
  app.get("/services", (c) => c.json({ services: deps.services() }))
  app.get("/filters", (c) => c.json({ filters: deps.filters() }))
  app.route("/filters", filterOrders(deps, host))
  app.route("/canaries", canaries(deps, host))

  app.notFound((c) => c.json({ error: "no such endpoint", endpoints: Object.keys(ENDPOINTS) }, 404))
  app.onError((error, c) => c.json({ error: `internal error: ${error.message}` }, 500))
  return app
}

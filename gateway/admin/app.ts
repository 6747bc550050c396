// The admin API behind its door: what an operator asks a running gateway, and the things it can be told to do. One file a topic
// (`topic.ts` has the pattern); here they are put together, described and listed.

import { createRoute, z } from "@hono/zod-openapi"
import { HTTPException } from "hono/http-exception"
import { packageVersion } from "../version.ts"
import { type CanariesDeps, canaries } from "./canaries.ts"
import { type CertificatesDeps, certificates } from "./certificates.ts"
import { type ConfigurationDeps, configuration } from "./configuration.ts"
import { type ConnectionsDeps, connections } from "./connections.ts"
import { type ExplainDeps, explain } from "./explain.ts"
import { type FiguresDeps, figuresTopic } from "./figures.ts"
import { type FilterRuntimeDeps, filterRuntime } from "./filter-runtime.ts"
import { type FiltersDeps, filters } from "./filters.ts"
import { flags } from "./flags.ts"
import { type HistoryDeps, history } from "./history.ts"
import { type LogLevelDeps, logLevel } from "./log-level.ts"
import type { ProbesDeps } from "./probes.ts"
import { type ProfilesDeps, profiles } from "./profiles.ts"
import { type RoutesDeps, routes } from "./routes.ts"
import { type ServicesDeps, services } from "./services.ts"
import { smallBodies } from "./small-bodies.ts"
import { type TapDeps, tap } from "./tap.ts"
import { json, type TopicApp, topicApp } from "./topic.ts"
import { type WeightsDeps, weightsOfRoutes } from "./weights.ts"

/** Where the admin API gets what it shows, and what it can have done. None of them may throw in the normal course of things. */
export interface AdminDeps
  extends ProbesDeps,
    ConfigurationDeps,
    RoutesDeps,
    ExplainDeps,
    ServicesDeps,
    WeightsDeps,
    FiguresDeps,
    FiltersDeps,
    FilterRuntimeDeps,
    CanariesDeps,
    ConnectionsDeps,
    CertificatesDeps,
    LogLevelDeps,
    ProfilesDeps,
    HistoryDeps,
    TapDeps {}

export function createApp(deps: AdminDeps): TopicApp {
  const app = topicApp()
  app.use((c, next) => (c.req.path.endsWith("/module") ? next() : smallBodies(c, next)))

  app.get("/", (c) => {
    const { endpoints, orders } = listed(app)
    if ((c.req.header("accept") ?? "").includes("application/json")) return c.json({ endpoints, orders })
    const lines = (of: Readonly<Record<string, string>>): string =>
      Object.entries(of)
        .map(([path, what]) => (path.length > 35 ? `${path}\n${"".padEnd(35)} ${what}\n` : `${path.padEnd(35)} ${what}\n`))
        .join("")
    // The type is spelled out: on Bun, one that a Response infers from its body is lost when hono answers HEAD.
    return c.body(`Sluice admin\n\n${lines(endpoints)}\n${lines(orders)}`, 200, { "content-type": "text/plain; charset=utf-8" })
  })
  app.get("/openapi.json", (c) => c.json(describe(app)))
  describeProbes(app)
  app.route("/config", configuration(deps))
  app.route("/routes", routes(deps))
  app.route("/explain", explain(deps))
  app.route("/flags", flags())
  app.route("/services", services(deps))
  app.route("/routes", weightsOfRoutes(deps))
  app.route("/filters", filters(deps))
  app.route("/filters", filterRuntime(deps))
  app.route("/canaries", canaries(deps))
  app.route("/connections", connections(deps))
  app.route("/certificates", certificates(deps))
  app.route("/log", logLevel(deps))
  app.route("/profile", profiles(deps))
  app.route("/figures", figuresTopic(deps))
  app.route("/history", history(deps))
  app.route("/tap", tap(deps))

  app.notFound((c) => {
    const methods = methodsAt(app, c.req.path)
    if (methods.length === 0) return c.json({ error: "no such endpoint; / lists them", endpoints: Object.keys(listed(app).endpoints) }, 404)
    return c.json({ error: `only ${methods.join(", ")} here; / lists what there is` }, 405, { allow: methods.join(", ") })
  })
  app.onError((error, c) => {
    if (error instanceof HTTPException) return c.json({ error: `${error.message}; /openapi.json says what is expected` }, error.status)
    return c.json({ error: `internal error: ${error.message}` }, 500)
  })
  return app
}

// The door answers them; here they are only described.
function describeProbes(app: TopicApp): void {
  const live = json(z.object({ live: z.boolean() }), "It runs")
  const state = z.looseObject({ ready: z.boolean(), draining: z.boolean(), reasons: z.array(z.string()).optional() }).openapi("Ready")
  const { openAPIRegistry: registry } = app
  registry.registerPath(
    createRoute({ method: "get", path: "/live", summary: "200 while the process runs", responses: { 200: live, 503: live } }),
  )
  registry.registerPath(
    createRoute({
      method: "get",
      path: "/ready",
      summary: "200 when it serves, 503 when it doesn't, and why",
      responses: { 200: json(state, "It serves"), 503: json(state, "It doesn't") },
    }),
  )
  registry.registerPath(
    createRoute({
      method: "get",
      path: "/metrics",
      summary: "metrics for Prometheus",
      responses: { 200: { description: "Prometheus' text format", content: { "text/plain": { schema: z.string() } } } },
    }),
  )
  registry.registerPath(
    createRoute({
      method: "get",
      path: "/dashboard",
      summary: "all of this as a page, for a browser",
      responses: { 200: { description: "The page", content: { "text/html": { schema: z.string() } } } },
    }),
  )
}

interface Endpoint {
  /** Upper case. */
  readonly method: string
  /** As it is described: `/filters/{name}/module`. */
  readonly path: string
  readonly summary: string
}

function endpointsOf(app: TopicApp): Endpoint[] {
  return app.openAPIRegistry.definitions.flatMap((definition) =>
    definition.type === "route"
      ? [
          {
            method: definition.route.method.toUpperCase(),
            path: plainPath(definition.route.path),
            summary: definition.route.summary ?? "",
          },
        ]
      : [],
  )
}

/** Of a path with parameters, some of which may hold slashes, and with the slash that mounting a topic leaves. */
function plainPath(path: string): string {
  return path.replace(/:(\w+)(?:\{[^}]*\})?/g, "{$1}").replace(/(?<=.)\/$/, "")
}

/** What `/` tells: a line each. */
function listed(app: TopicApp): { endpoints: Record<string, string>; orders: Record<string, string> } {
  const endpoints: Record<string, string> = { "/": "this list", "/openapi.json": "the description of all this (OpenAPI 3.1)" }
  const orders: Record<string, string> = {}
  for (const { method, path, summary } of endpointsOf(app)) {
    const shown = path.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())
    if (method === "GET") endpoints[shown] = summary
    else orders[`${method} ${shown}`] = summary
  }
  return { endpoints, orders }
}

function methodsAt(app: TopicApp, path: string): string[] {
  const methods = new Set<string>()
  for (const endpoint of [...endpointsOf(app), { method: "GET", path: "/" }, { method: "GET", path: "/openapi.json" }]) {
    const pattern = endpoint.path.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"))
    if (!new RegExp(`^${pattern.join(".+")}$`).test(path)) continue
    methods.add(endpoint.method)
    if (endpoint.method === "GET") methods.add("HEAD")
  }
  return [...methods]
}

function describe(app: TopicApp): object {
  const document = app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Sluice admin API",
      version: packageVersion(),
      description: "Orders (all but GET) need the header x-sluice-admin, with any value. Errors are { error: what is wrong; what to do }.",
    },
  })
  return { ...document, paths: Object.fromEntries(Object.entries(document.paths ?? {}).map(([path, item]) => [plainPath(path), item])) }
}

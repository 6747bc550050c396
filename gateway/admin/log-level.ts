// The log in the admin API: its last lines, its level, and the order to change it while the gateway runs.

import { createRoute, z } from "@hono/zod-openapi"
import { type LogLevel, logLevels } from "../telemetry/log.ts"
import type { Recorder } from "./change-history.ts"
import { carryOut, json, orderAnswers, type TopicApp, topicApp } from "./topic.ts"

export interface LogLevelDeps {
  readonly history: Recorder
  logLevel(): { readonly level: LogLevel; readonly configured: LogLevel }
  /** The last lines of the log, oldest first. */
  recentLog(): readonly string[]
  /** Until the next configuration is taken. */
  setLogLevel(level: LogLevel): void
}

const level = z.enum(logLevels, { error: `write one of ${logLevels.join(", ")}` })

const show = createRoute({
  method: "get",
  path: "/",
  summary: "from which level on it logs, and what the configuration says",
  responses: { 200: json(z.object({ level, configured: level }), "As it is now") },
})
const recent = createRoute({
  method: "get",
  path: "/recent",
  summary: "the last lines of the log, oldest first, at most 300",
  responses: { 200: json(z.object({ lines: z.array(z.string()).readonly() }), "A line each") },
})
const set = createRoute({
  method: "put",
  path: "/",
  summary: "logs from this level on, in all threads, until the next configuration is taken",
  request: { body: { required: true, content: { "application/json": { schema: z.object({ level }) } } } },
  responses: orderAnswers,
})

export function logLevel(deps: LogLevelDeps): TopicApp {
  const app = topicApp()
  app.openapi(show, (c) => c.json(deps.logLevel(), 200))
  app.openapi(recent, (c) => c.json({ lines: deps.recentLog() }, 200))
  app.openapi(set, (c) => {
    const { level: to } = c.req.valid("json")
    deps.setLogLevel(to)
    const message = `the log begins at ${to} until the next configuration is taken`
    return carryOut(c, deps.history, { kind: "log level", what: to }, Promise.resolve({ status: 200, message }))
  })
  return app
}

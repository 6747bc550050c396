// Open connections in the admin API, as the workers tell when they are asked.

import { createRoute, z } from "@hono/zod-openapi"
import { type ConnectionSight, MAX_CARRIED } from "../http/connection-sight.ts"
import { json, type TopicApp, topicApp } from "./topic.ts"

export interface ConnectionStatus extends Omit<ConnectionSight, "began"> {
  readonly worker: number
  readonly listener: string
  /** ms. */
  readonly age: number
}

export interface ConnectionsStatus {
  /** Open ones, over all workers that have answered. */
  readonly total: number
  /** The oldest first. */
  readonly connections: readonly ConnectionStatus[]
  /** What a worker didn't answer for; empty: all have. */
  readonly missing: readonly string[]
}

export interface ConnectionsDeps {
  connections(limit: number): Promise<ConnectionsStatus>
}

/** Connections that are listed. */
const MAX = 1000

const carried = z
  .object({
    method: z.string().describe("Empty: of a TCP connection"),
    path: z.string().describe("Without its query"),
    route: z.string(),
    service: z.string(),
    endpoint: z.string(),
    status: z.number().describe("Of the response; 0: none has come"),
    age: z.number().describe("ms"),
    received: z.number().describe("Octets of bodies so far, from the client"),
    sent: z.number(),
  })
  .openapi("Carried")

const connection = z
  .object({
    worker: z.number(),
    listener: z.string(),
    id: z.number().describe("Unique in its worker; the access log has it too"),
    peer: z.string(),
    protocol: z.enum(["HTTP/1.1", "HTTP/2", "TCP"]),
    tls: z.string().describe("Version; empty: none that ends here"),
    serverName: z.string(),
    identity: z.string().describe("Who the client is by its certificate"),
    age: z.number().describe("ms"),
    requests: z.number().describe("So far"),
    underWay: z.number(),
    carries: z.array(carried).readonly().describe(`What is under way, the oldest first, at most ${MAX_CARRIED}`),
    received: z.number().nullable().describe("Octets on the socket"),
    sent: z.number().nullable(),
  })
  .openapi("Connection")

const list = createRoute({
  method: "get",
  path: "/",
  summary: `the open connections of clients, the oldest first, at most ${MAX} (?limit=)`,
  request: {
    query: z.object({
      limit: z.coerce
        .number({ error: `write a whole number from 1 to ${MAX}` })
        .int()
        .min(1)
        .max(MAX)
        .default(MAX),
    }),
  },
  responses: {
    200: json(
      z.object({ total: z.number(), connections: z.array(connection).readonly(), missing: z.array(z.string()).readonly() }),
      "As they are now",
    ),
  },
})

export function connections(deps: ConnectionsDeps): TopicApp {
  const app = topicApp()
  app.openapi(list, async (c) => c.json(await deps.connections(c.req.valid("query").limit), 200))
  return app
}

// Services in the admin API: their endpoints, and what is known of each.

import { createRoute, z } from "@hono/zod-openapi"
import type { ServiceStatus } from "./status.ts"
import { json, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface ServicesDeps {
  services(): readonly ServiceStatus[]
}

const endpoint = z
  .object({
    address: z.string().describe("host:port"),
    weight: z.number(),
    healthy: z.boolean().nullable().describe("What its health checks say; null: there are none"),
    ejected: z
      .object({
        reason: z.string(),
        times: z.number(),
        until: timestamp.nullable().describe("null: that is over, and its next request shows whether it is well"),
      })
      .nullable()
      .describe("It is left out because it failed too often"),
    consecutive: z
      .object({ errors5xx: z.number(), gatewayErrors: z.number(), localFailures: z.number() })
      .nullable()
      .describe("Failures in a row; null: it is never ejected"),
    requests: z.number().nullable().describe("Requests to it that have ended; null: they aren't counted one by one"),
    successes: z.number().nullable(),
  })
  .openapi("Endpoint")

const service = z
  .object({
    name: z.string(),
    taking: z.number().describe("Endpoints that take traffic"),
    usable: z.number().describe("Those of them that are neither unwell nor ejected"),
    underWay: z.object({ requests: z.number(), connections: z.number() }),
    endpoints: z.array(endpoint).readonly(),
  })
  .openapi("Service")

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the services: endpoints, which of them are unwell or ejected, failures",
  responses: { 200: json(z.object({ services: z.array(service).readonly() }), "All of them") },
})

export function services(deps: ServicesDeps): TopicApp {
  const app = topicApp()
  app.openapi(list, (c) => c.json({ services: deps.services() }, 200))
  return app
}

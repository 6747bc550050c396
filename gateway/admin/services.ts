// Services in the admin API: their endpoints, what is known of each, and the orders that take one out of traffic and back.

import { createRoute, z } from "@hono/zod-openapi"
import type { Outcome } from "../http/outcome.ts"
import type { Recorder } from "./change-history.ts"
import type { ServiceStatus } from "./service-status.ts"
import { carryOut, json, nameParameter, orderAnswers, type TopicApp, timestamp, topicApp } from "./topic.ts"

export interface ServicesDeps {
  readonly history: Recorder
  services(): readonly ServiceStatus[]
  /** Gives an endpoint no new requests. `force`: even though nobody else could take them. */
  drain(service: string, endpoint: string, force: boolean): Promise<Outcome>
  undrain(service: string, endpoint: string): Promise<Outcome>
}

const endpoint = z
  .object({
    address: z.string().describe("host:port"),
    weight: z.number().describe("Of the configuration"),
    zone: z.string().describe("Empty: not known"),
    priority: z.number().describe("Lower ones come first"),
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
    drained: timestamp.nullable().describe("Since when it gets no new requests by an order; null: it isn't drained"),
    active: z
      .object({ requests: z.number(), connections: z.number() })
      .nullable()
      .describe("Under way to it, each retry counting as one request; null: not known"),
    requests: z.number().nullable().describe("Sent to it since it is known, without those given up for another; TCP connections count too"),
    failures: z.number().nullable().describe("Those of them that failed for its sake, or were answered with a 5xx"),
    latency: z.number().nullable().describe("ms until it answers, an average of late"),
  })
  .openapi("Endpoint")

const limit = z.object({ used: z.number(), max: z.number() })
const limits = { requests: limit, connections: limit, pending: limit, retries: limit }
const service = z
  .object({
    name: z.string(),
    taking: z.number().describe("Endpoints that take traffic"),
    usable: z.number().describe("Those of them that are neither unwell nor ejected"),
    drained: z.number().describe("Endpoints that an order has taken out of traffic"),
    underWay: z.object({ requests: z.number(), connections: z.number() }),
    requests: z.number().describe("Clients' requests that went to it by a route"),
    failures: z.number().describe("Those of them answered with a 5xx or with nothing"),
    latency: z.object({ p50: z.number(), p99: z.number() }).nullable().describe("Of these, ms; null: there were none"),
    limits: z.object(limits).describe("How much of each is used"),
    concurrency: z.number().nullable().describe("Requests at a time that adaptive concurrency has found to be right; null: it isn't used"),
    full: z
      .array(z.enum(["requests", "connections", "pending", "retries"]))
      .readonly()
      .describe("Limits that are used up"),
    refused: z.record(z.string(), z.number()).describe("What its limits refused so far, by limit"),
    failover: z.string().nullable().describe("The service that takes over"),
    endpoints: z.array(endpoint).readonly(),
  })
  .openapi("Service")

const params = z.object({
  service: nameParameter("Name of the service"),
  endpoint: nameParameter("Address of the endpoint, host:port, as /services tells it"),
})

const list = createRoute({
  method: "get",
  path: "/",
  summary: "the services: endpoints with health, load and latency, figures, limits",
  responses: { 200: json(z.object({ services: z.array(service).readonly() }), "All of them") },
})
const drain = createRoute({
  method: "post",
  path: "/:service{.+}/endpoints/:endpoint/drain",
  summary: "gives an endpoint no new requests; what is under way finishes (?force=true: also the last usable one)",
  request: { params, query: z.object({ force: z.enum(["true", "false"]).optional() }) },
  responses: orderAnswers,
})
const undrain = createRoute({
  method: "post",
  path: "/:service{.+}/endpoints/:endpoint/undrain",
  summary: "gives a drained endpoint requests again",
  request: { params },
  responses: orderAnswers,
})

export function services(deps: ServicesDeps): TopicApp {
  const app = topicApp()
  const { history } = deps
  app.openapi(list, (c) => c.json({ services: deps.services() }, 200))
  app.openapi(drain, (c) => {
    const { service: of, endpoint: address } = c.req.valid("param")
    const force = c.req.valid("query").force === "true"
    const what = `${address} of ${of}${force ? ", by force" : ""}`
    return carryOut(c, history, { kind: "endpoint drain", what }, deps.drain(of, address, force))
  })
  app.openapi(undrain, (c) => {
    const { service: of, endpoint: address } = c.req.valid("param")
    return carryOut(c, history, { kind: "endpoint undrain", what: `${address} of ${of}` }, deps.undrain(of, address))
  })
  return app
}

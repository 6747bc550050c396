// What users write about failures, as zod schemas: when a request is sent again, and how endpoints are probed.

import * as z from "zod"
import { parsePath } from "./message-parts.ts"
import type { HealthCheckConfig, HedgeConfig, RetryCondition } from "./model.ts"
import { choice, duration, either, integer, list, object, parsed, string } from "./schema-kit.ts"

const retryFailure = choice([
  "connectFailure",
  "refused",
  "reset",
  "5xx",
  "retriable4xx",
  "cancelled",
  "deadlineExceeded",
  "resourceExhausted",
  "internal",
  "unavailable",
])
const retryOn = either(
  [integer(400, 599), retryFailure],
  "a status or a text",
  "a status, such as 503, or connectFailure, refused, reset, 5xx, retriable4xx, cancelled, deadlineExceeded, resourceExhausted, internal or unavailable",
)
const backoff = object(
  {
    base: duration()
      .default(25)
      .describe("Before the first retry up to twice this, and before each further one up to twice as much. Default 25ms."),
    max: duration().default(250).describe("No pause is longer, but for one that a service asks for. Default 250ms."),
  },
  "{ base: 25ms, max: 250ms }",
)

const retries = object(
  {
    attempts: integer(1, 10).default(2).describe("Times a request may be sent again. Default 2."),
    on: either(
      [retryOn, list(retryOn, "a list, such as [connectFailure, 503]")],
      "a text or a list",
      "a list, such as [connectFailure, 503]",
    )
      .transform((on): readonly RetryCondition[] => (Array.isArray(on) ? [...new Set<RetryCondition>(on)] : [on as RetryCondition]))
      .default(["connectFailure", "refused", "unavailable"])
      .describe(
        "Statuses, and connectFailure, refused, reset, 5xx, retriable4xx; gRPC statuses cancelled, deadlineExceeded, resourceExhausted, internal, unavailable. Default [connectFailure, refused, unavailable].",
      ),
    backoff: backoff.prefault({}).describe("Pauses before a request is sent again, drawn at random."),
  },
  "{ attempts: 2, on: [connectFailure, 503] }",
)

export const retry = either([z.literal(false), retries], "false or an object", "{ attempts: 2, on: [connectFailure, 503] } or false")

export const hedge = either(
  [
    duration().transform((after): HedgeConfig => ({ after, percentile: 0 })),
    object(
      {
        after: duration().optional().describe("Without an answer after this long, a second attempt sets out. With percentile: not before."),
        percentile: integer(50, 99)
          .optional()
          .describe("The delay is this percentile of the answers' latencies in the last 10 to 20 s, once there are 100 of them."),
      },
      "a duration, such as 100ms, or { percentile: 95 }",
    )
      .check((context) => {
        if (context.value.after !== undefined || context.value.percentile !== undefined) return
        context.issues.push({ code: "custom", input: context.value, message: "says not when; write after: 100ms, or percentile: 95" })
      })
      .transform(({ after = 1, percentile = 0 }): HedgeConfig => ({ after, percentile })),
  ],
  "a duration or an object",
  "a duration, such as 100ms, or { percentile: 95 }",
)

export const healthCheck = object(
  {
    path: parsed("a path", "a path, such as /healthz", (text) => parsePath(text, "exact"))
      .optional()
      .describe("An endpoint is well when it answers GET of this path with 2xx. One of path and grpc."),
    grpc: object(
      {
        service: string("a text", "the name of a gRPC service")
          .max(256, { error: "is longer than 256 characters" })
          .default("")
          .describe("Name of the gRPC service asked for; empty = the whole server."),
      },
      "{} or { service: shop.Cart }",
    )
      .optional()
      .describe('An endpoint is well when grpc.health.v1.Health says that it serves; service: which, "" = the whole server.'),
    interval: duration().default(5000).describe("Between two probes of an endpoint. Default 5s."),
    timeout: duration().default(1000).describe("For one probe. Default 1s."),
    unhealthy: integer(1, 100).default(3).describe("Failed probes in a row after which an endpoint is avoided. Default 3."),
    healthy: integer(1, 100).default(2).describe("Good probes in a row after which it is used again. Default 2."),
  },
  "{ path: /healthz } or { grpc: {} }",
)
  .check((context) => {
    const { path, grpc } = context.value
    if ((path === undefined) === (grpc === undefined)) {
      const message =
        path === undefined
          ? "needs one of path and grpc; write { path: /healthz } or { grpc: {} }"
          : "has path and grpc, but only one of them can be; write { path: /healthz } or { grpc: {} }"
      context.issues.push({ code: "custom", input: context.value, message })
    }
  })
  .transform(
    ({ path, grpc, ...rest }): HealthCheckConfig => ({
      probe: grpc === undefined ? { kind: "http", path: path ?? "/" } : { kind: "grpc", service: grpc.service },
      ...rest,
    }),
  )

// What users write about failures, as zod schemas: when a request is sent again.

import * as z from "zod"
import type { HedgeConfig, RetryCondition } from "./model.ts"
import { choice, duration, either, integer, list, object } from "./schema-kit.ts"

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

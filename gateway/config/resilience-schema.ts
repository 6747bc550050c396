// What users write about failures, as zod schemas: when a request is sent again.

import type { RetryCondition } from "./model.ts"
import { choice, either, integer, list, object } from "./schema-kit.ts"

const retryFailure = choice([
  "connectFailure",
  "refused",
  "reset",
  "5xx",
  "cancelled",
  "deadlineExceeded",
  "resourceExhausted",
  "internal",
  "unavailable",
])
const retryOn = either(
  [integer(400, 599), retryFailure],
  "a status or a text",
  "a status, such as 503, or connectFailure, refused, reset, 5xx, cancelled, deadlineExceeded, resourceExhausted, internal or unavailable",
)
export const retry = object(
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
        "Statuses, and connectFailure, refused, reset, 5xx; gRPC statuses cancelled, deadlineExceeded, resourceExhausted, internal, unavailable. Default [connectFailure, refused, unavailable].",
      ),
  },
  "{ attempts: 2, on: [connectFailure, 503] }",
)

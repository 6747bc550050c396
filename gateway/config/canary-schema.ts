// What users write of a route's canary, as a zod schema.

import { duration, integer, list, name, object, percent } from "./schema-kit.ts"

/** ms: the last bound of the histogram that the p99 is read from. */
const MAX_P99 = 30_000

const steps = list(percent(), "a list of shares, such as [1%, 10%, 50%, 100%]").check((context) => {
  const shares = context.value
  const wrong = (message: string, path: number[] = []): void => {
    context.issues.push({ code: "custom", input: context.value, path, message })
  }
  if (shares.length < 1 || shares.length > 20) wrong(`has ${shares.length} steps; write 1 to 20, such as [1%, 10%, 50%, 100%]`)
  shares.forEach((share, i) => {
    if (share === 0) wrong("is no step: with 0% nothing would be tried out; write a share above 0%", [i])
    else if (i > 0 && share <= shares[i - 1])
      wrong("is no more than the step before; write them in ascending order, such as [1%, 10%, 50%, 100%]", [i])
  })
})

export const canary = object(
  {
    service: name("service").optional().describe("Service of the backend that is to take over. Default: that of the last one."),
    steps: steps
      .default([0.01, 0.1, 0.5, 1])
      .describe("Shares of the route's requests it is given, one after the other. Default [1%, 10%, 50%, 100%]."),
    interval: duration()
      .refine((ms) => ms >= 1000, { error: "is too short to see anything; write at least 1s" })
      .default(60_000)
      .describe("How long it stays in a step, at least. Default 1m."),
    abortOn: object(
      {
        errorRate: percent()
          .default(0.05)
          .describe("It is rolled back when more of its requests fail: 5xx, or a gRPC status of the server's. Default 5%."),
        p99: duration()
          .refine((ms) => ms <= MAX_P99, { error: "is longer than durations are told apart; write at most 30s" })
          .optional()
          .describe("It is rolled back when more than one in a hundred takes longer. Default: any time."),
        minimum: integer(1, 1_000_000).default(50).describe("Requests it must have had to be judged, and to move on. Default 50."),
      },
      "{ errorRate: 5%, p99: 500ms, minimum: 50 }",
    )
      .prefault({})
      .describe("When it is rolled back, to 0%."),
  },
  "{ steps: [1%, 10%, 50%, 100%], interval: 1m, abortOn: { errorRate: 5%, p99: 500ms } }",
)

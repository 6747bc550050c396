// What users write about how much may be under way, as zod schemas: limits of a service, and when the gateway itself refuses.

import * as z from "zod"
import type { OverloadConfig } from "./limits-model.ts"
import { choice, duration, either, integer, object, orIssue, percent } from "./schema-kit.ts"
import { parsePercent, parseSize } from "./units.ts"

const most = (what: string) => integer(1, 1_000_000).default(1024).describe(`${what} Default 1024.`)
const cap = (what: string) => integer(0, 1_000_000).default(0).describe(`${what}; 0 = no cap. Default 0.`)

export const circuitBreaker = object(
  {
    maxConnections: most("Open connections to the service, over all workers; over it requests wait, TCP connections are closed."),
    maxPending: most("Requests waiting for a connection, over all workers; over it: 503."),
    maxRequests: most("Requests under way at the service, those that wait included, over all workers; over it: 503."),
    maxRetries: integer(0, 1_000_000)
      .default(1024)
      .describe("Requests being sent again at a time, over all workers; 0 = none. Default 1024."),
    retryBudget: object(
      {
        percentage: percent().default(0.2).describe("Retries in 10 s as a share of the requests in them. Default 20%."),
        perSecond: integer(0, 100_000).default(10).describe("Retries a second beside that share. Default 10."),
      },
      "{ percentage: 20%, perSecond: 10 }",
    )
      .prefault({})
      .transform(({ percentage, perSecond }) => ({ share: percentage, perSecond }))
      .describe("Retries there may be in 10 s, over all workers."),
    queueTimeout: duration()
      .optional()
      .describe("A request waits this long for a connection while none is being made for it; then 503. Default: connectTimeout."),
    endpoint: object(
      {
        maxConnections: cap("Connections to one endpoint, over all workers"),
        maxRequests: cap("Requests under way at one endpoint, over all workers; others are taken while it is full"),
      },
      "caps, such as { maxRequests: 100 }",
    )
      .prefault({})
      .describe("Caps of each endpoint."),
  },
  "limits, such as { maxRequests: 1024 }",
)

export const adaptiveConcurrency = object(
  {
    minConcurrency: integer(1, 100_000).default(3).describe("Requests at a time, over all workers, at least. Default 3."),
    maxConcurrency: integer(1, 100_000).default(1000).describe("Requests at a time, over all workers, at most. Default 1000."),
  },
  "{} or { minConcurrency: 3, maxConcurrency: 1000 }",
)

const windowLength = duration()
  .refine((ms) => ms >= 1000 && ms <= 600_000, { error: "is out of range; write a duration from 1s to 10m" })
  .default(30_000)
const positiveShare = percent().refine((share) => share > 0, { error: "must be more than 0%; write a share such as 95%" })

export const admissionControl = object(
  {
    window: windowLength.describe("How far is looked back. Default 30s."),
    successTarget: positiveShare.default(0.95).describe("Share of requests that should succeed; under it some are refused. Default 95%."),
    maxReject: percent().default(0.8).describe("Largest share of requests that is refused. Default 80%."),
  },
  "{} or { successTarget: 95% }",
)

const memory = z
  .union([z.literal(false), z.string(), z.number()], {
    error: "expected a share or a size; write one, such as 90% or 512MiB, or false",
  })
  .transform((written, context): OverloadConfig["memory"] => {
    if (written === false) return null
    if (typeof written !== "string" || !written.includes("%")) {
      const octets = orIssue(parseSize(written, 16 * 1024 * 1024, 2 ** 53 - 1), written, context)
      return { octets }
    }
    const share = orIssue(parsePercent(written), written, context)
    if (share === 0) context.issues.push({ code: "custom", input: written, message: "must be more than 0%; write a share such as 90%" })
    return { share }
  })
  .meta({ examples: ["90%", "512MiB", false] })

const eventLoopLag = either([z.literal(false).transform(() => 0), duration()], "a duration or false", "a duration, such as 250ms, or false")

export const overload = either(
  [
    z.literal(false).transform((): OverloadConfig | null => null),
    object(
      {
        eventLoopLag: eventLoopLag
          .default(250)
          .describe("How late a worker's event loop may be, for longer than a moment; false = it isn't looked at. Default 250ms."),
        memory: memory
          .default({ share: 0.9 })
          .describe(
            "Memory of the process from which on exchanges are refused: a share of what it may have, or a size; false = it isn't looked at. Default 90%.",
          ),
      },
      "{ eventLoopLag: 250ms, memory: 90% } or false",
    ).transform((given): OverloadConfig | null => given),
  ],
  "false or an object",
  "{ eventLoopLag: 250ms, memory: 90% } or false",
)

export const routePriority = choice(["high", "normal", "low"])

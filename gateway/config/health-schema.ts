// What users write about endpoints that fail, as zod schemas: how they are probed, and when they are ejected.

import * as z from "zod"
import type { HealthCheckConfig, OutlierDetectionConfig } from "./health-model.ts"
import { parsePath } from "./message-parts.ts"
import { boolean, duration, either, integer, list, mismatch, object, orIssue, parsed, percent, string } from "./schema-kit.ts"
import { quote, Wrong } from "./units.ts"

/** ms; longer ones can't be told from the past by a clock that wraps after 24 days. */
const MAX_EJECTION = 24 * 3_600_000

const RANGE = /^([1-5])(?:xx|(\d\d)-([1-5]\d\d))$/

function parseStatuses(text: string): readonly [number, number] | Wrong {
  const match = RANGE.exec(text)
  if (match === null) return new Wrong(`${quote(text)} is no range of statuses; write one such as "200-299" or 2xx`)
  if (match[2] === undefined) return [Number(match[1]) * 100, Number(match[1]) * 100 + 99]
  const range = [Number(match[1] + match[2]), Number(match[3])] as const
  return range[0] <= range[1] ? range : new Wrong(`${quote(text)} is empty; write the lower status first`)
}

/** A status, or a range of them. */
export const statuses = either(
  [
    integer(100, 599).transform((status): readonly [number, number] => [status, status]),
    z.string().transform((text, context) => orIssue(parseStatuses(text), text, context)),
  ],
  "a status or a text",
  'a status, such as 200, or a range, such as "200-299" or 2xx',
)

export const healthCheck = object(
  {
    path: parsed("a path", "a path, such as /healthz", (text) => parsePath(text, "exact"))
      .optional()
      .describe("An endpoint is well when it answers GET of this path as it should. One of path, grpc and tcp."),
    status: either([statuses, list(statuses, "a list, such as [200, 204]")], "a status, a text or a list", "a list, such as [200, 204]")
      .optional()
      .describe('With path: the statuses of one that is well, single or as ranges ("200-299", 2xx). Default 2xx.'),
    body: string("a text", "a text that the answer holds, such as ok")
      .min(1, { error: "is empty, which every answer holds; write some of the text, or leave it out" })
      .max(1024, { error: "is longer than 1024 characters" })
      .optional()
      .describe("With path: a text that the answer of one that is well holds."),
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
    tcp: z
      .literal(true, { error: (raw) => mismatch(raw.input, "true", "true, or leave it out") })
      .optional()
      .describe("An endpoint is well when a connection can be made to it, with TLS if the service has that."),
    interval: duration().default(5000).describe("Between two probes of an endpoint. Default 5s."),
    unhealthyInterval: duration().optional().describe("Between two probes of one that is unwell. Default: interval."),
    timeout: duration().default(1000).describe("For one probe. Default 1s."),
    unhealthy: integer(1, 100).default(3).describe("Failed probes in a row after which an endpoint is avoided. Default 3."),
    healthy: integer(1, 100).default(2).describe("Good probes in a row after which it is used again. Default 2."),
  },
  "{ path: /healthz }, { grpc: {} } or { tcp: true }",
)
  .check((context) => {
    const given = (["path", "grpc", "tcp"] as const).filter((key) => context.value[key] !== undefined)
    const wrong = (message: string): number => context.issues.push({ code: "custom", input: context.value, message })
    if (given.length !== 1) {
      const has = given.length === 0 ? "needs one of path, grpc and tcp" : `has ${given.join(" and ")}, but only one of them can be`
      wrong(`${has}; write { path: /healthz }, { grpc: {} } or { tcp: true }`)
    } else if (given[0] !== "path") {
      for (const key of ["status", "body"] as const)
        if (context.value[key] !== undefined) wrong(`has ${key}, which belongs to path; leave it out, or write path instead of ${given[0]}`)
    }
  })
  .transform(({ path, grpc, tcp, status, body = "", unhealthyInterval, ...rest }): HealthCheckConfig => {
    const ranges = status === undefined ? [[200, 299] as const] : isRange(status) ? [status] : status
    return {
      probe:
        tcp === true
          ? { kind: "tcp" }
          : grpc === undefined
            ? { kind: "http", path: path ?? "/", statuses: ranges, body }
            : { kind: "grpc", service: grpc.service },
      ...rest,
      unhealthyInterval: unhealthyInterval ?? rest.interval,
    }
  })

type Range = readonly [number, number]

function isRange(status: Range | readonly Range[]): status is Range {
  return typeof status[0] === "number"
}

const inARow = (what: string) => integer(0, 1000).default(5).describe(`${what} in a row that eject an endpoint; 0 = never. Default 5.`)

const rate = (requests: number, endpoints: number) => ({
  minEndpoints: integer(2, 10_000)
    .default(endpoints)
    .describe(`Endpoints with minRequests without which nothing is compared. Default ${endpoints}.`),
  minRequests: integer(1, 1_000_000_000)
    .default(requests)
    .describe(`Requests in an interval without which an endpoint is not compared. Default ${requests}.`),
})

const factor = (least: number, by: number) => {
  const error = (raw: { readonly input?: unknown }): string => mismatch(raw.input, `a number from ${least} to 100`, `one such as ${by}`)
  return z.number({ error }).min(least, { error }).max(100, { error }).default(by)
}

const orFalse = <T extends z.ZodType>(settings: T, write: string) =>
  either([z.literal(false).transform(() => null), settings], "an object or false", `${write} or false`)

const off = (): null => null

const settings = object(
  {
    consecutive5xx: inARow("Answers with a 5xx, or requests without an answer,"),
    consecutiveGatewayErrors: inARow("Answers with 502, 503 or 504, or requests without an answer,"),
    consecutiveLocalFailures: inARow("Requests without an answer"),
    interval: duration().default(10_000).describe("Between two comparisons of the endpoints. Default 10s."),
    baseEjectionTime: duration()
      .default(30_000)
      .describe("Of an endpoint's first ejection; each further one is that much longer. Default 30s."),
    maxEjectionTime: duration()
      .refine((ms) => ms <= MAX_EJECTION, { error: "is longer than 24h; write 24h or less" })
      .default(300_000)
      .describe("The longest an ejection lasts. Default 300s."),
    maxEjected: percent().default(0.1).describe("Share of the endpoints that may be ejected at a time; one always may. Default 10%."),
    successRate: orFalse(
      object({ ...rate(100, 5), factor: factor(0.1, 1.9).describe("Standard deviations below the mean. Default 1.9.") }, "{ factor: 1.9 }"),
      "{ factor: 1.9 }",
    )
      .prefault({})
      .describe("Ejects an endpoint whose share of successes in an interval is that far below the mean of all. false = never."),
    failurePercentage: orFalse(
      object(
        { ...rate(50, 5), threshold: percent().default(0.85).describe("Share of failed requests. Default 85%.") },
        "{ threshold: 85% }",
      ),
      "{ threshold: 85% }",
    )
      .default(off)
      .describe("Ejects an endpoint of which that share of requests in an interval failed. Default false."),
    latency: orFalse(
      object({ ...rate(100, 3), factor: factor(1.1, 3).describe("Times the median of the others. Default 3.") }, "{ factor: 3 }"),
      "{ factor: 3 }",
    )
      .default(off)
      .describe("Ejects an endpoint whose mean latency in an interval is that many times the median of the others'. Default false."),
    count429: boolean().default(false).describe("429 and RESOURCE_EXHAUSTED are failures, like a 5xx. Default false."),
  },
  "{ consecutive5xx: 5 }",
)

export const outlierDetection = orFalse(settings, "{ consecutive5xx: 5 }")
  .prefault({})
  .transform((written): OutlierDetectionConfig | undefined => written ?? undefined)

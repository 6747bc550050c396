// What users write about traffic that is shaped on purpose, as zod schemas: faults, mirrors, clients that stay with a backend.

import * as z from "zod"
import { parseFieldName } from "./message-parts.ts"
import type { FaultConfig, MirrorConfig, StickyConfig } from "./model.ts"
import { checked, choice, duration, either, integer, list, name, object, orIssue, parsed, percent, size } from "./schema-kit.ts"
import { parseDuration, quote, Wrong } from "./units.ts"

const service = name("service")

/** Names of gRPC's failures, at their codes − 1. A twin of http/grpc-status.ts, which this folder may not import. */
export const grpcFailures = [
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const

/** Targets of one route's copies. */
const MAX_MIRRORS = 8
/** Points of a delay's distribution. */
const MAX_POINTS = 16

type Delay = NonNullable<FaultConfig["delay"]>
type Abort = NonNullable<FaultConfig["abort"]>

const share = (what: string) => percent().optional().describe(`${what} Default 100%.`)
const ofRequests = () => share("Share of the requests with faults that have this one.")

function refuse(message: string, input: unknown, context: z.RefinementCtx): never {
  context.issues.push({ code: "custom", input, message })
  return z.NEVER
}

const PERCENTILE = /^p(\d{1,2}(?:\.\d{1,3})?|100)$/
const percentiles = z
  .record(z.string(), z.union([z.string(), z.number()]), {
    error: () => "expected percentiles and durations; write them, such as { p50: 10ms, p99: 1s }",
  })
  .transform((entries, context): (readonly [number, number])[] => orIssue(readPercentiles(entries), entries, context))

function readPercentiles(entries: Readonly<Record<string, string | number>>): (readonly [number, number])[] | Wrong {
  const points: (readonly [number, number])[] = []
  for (const [key, text] of Object.entries(entries)) {
    // Thousandths of a percent: 99.9 / 100 is not 0.999 in binary.
    const share = Math.round(Number(PERCENTILE.exec(key)?.[1] ?? 0) * 1000) / 100_000
    if (share === 0) return new Wrong(`has ${quote(key)}, which is no percentile; write p1 to p100, such as { p50: 10ms, p99: 1s }`)
    const ms = parseDuration(text, false, true)
    if (ms instanceof Wrong) return new Wrong(`has for ${key} what is no duration: ${ms.message}`)
    points.push([share, ms])
  }
  points.sort(([a], [b]) => a - b)
  if (points.length === 0) return new Wrong("holds no percentile; write some, such as { p50: 10ms, p99: 1s }")
  if (points.length > MAX_POINTS) return new Wrong(`holds more than ${MAX_POINTS} percentiles; write fewer`)
  for (let i = 1; i < points.length; i++) {
    if (points[i][0] === points[i - 1][0]) return new Wrong("holds one percentile twice; write it once")
    if (points[i][1] < points[i - 1][1])
      return new Wrong("falls, but a higher percentile can't be shorter than a lower one; write durations that grow")
  }
  return points
}

const DELAY_FORMS = "write fixed, or mean and deviation, or percentiles, such as { mean: 200ms, deviation: 50ms }"
const delay = either(
  [
    duration().transform((fixed): Delay => ({ kind: "fixed", fixed, share: 1 })),
    object(
      {
        fixed: duration().optional().describe("Always this long."),
        mean: duration().optional().describe("Mean of a normal distribution."),
        deviation: duration({ zero: true }).optional().describe("Its standard deviation."),
        percentiles: percentiles.optional().describe("Percentiles of the delay, such as { p50: 10ms, p99: 1s }; lines in between."),
        percentage: ofRequests(),
      },
      "a duration, such as 1s, or { mean: 200ms, deviation: 50ms }",
    ).transform((given, context): Delay => orIssue(delayOf(given), given, context)),
  ],
  "a duration or an object",
  "a duration, such as 1s, or { mean: 200ms, deviation: 50ms } or { percentiles: { p50: 10ms, p99: 1s } }",
)

function delayOf(given: {
  readonly fixed?: number | undefined
  readonly mean?: number | undefined
  readonly deviation?: number | undefined
  readonly percentiles?: (readonly [number, number])[] | undefined
  readonly percentage?: number | undefined
}): Delay | Wrong {
  const { fixed, mean, deviation, percentiles: points, percentage: share = 1 } = given
  const normal = mean !== undefined || deviation !== undefined
  const forms = Number(fixed !== undefined) + Number(normal) + Number(points !== undefined)
  if (forms > 1) return new Wrong(`says more than once how long; ${DELAY_FORMS}`)
  if (fixed !== undefined) return { kind: "fixed", fixed, share }
  if (points !== undefined) return { kind: "percentiles", points, share }
  if (mean === undefined || deviation === undefined) return new Wrong(`doesn't say how long; ${DELAY_FORMS}`)
  return { kind: "normal", mean, deviation, share }
}

const abort = object(
  {
    status: integer(400, 599).optional().describe("Status of the reply, 400 to 599. Default: the one that stands for grpcStatus."),
    grpcStatus: choice(grpcFailures)
      .optional()
      .describe("Status that gRPC calls get, such as UNAVAILABLE. Default: the one that stands for status."),
    percentage: ofRequests(),
  },
  "{ status: 503 } or { grpcStatus: UNAVAILABLE }",
).transform((given, context): Abort => {
  const { status = 0, grpcStatus, percentage: share = 1 } = given
  if (status !== 0 || grpcStatus !== undefined)
    return { status, grpcStatus: grpcStatus === undefined ? -1 : grpcFailures.indexOf(grpcStatus) + 1, share }
  return refuse("needs one of status and grpcStatus; write { status: 503 } or { grpcStatus: UNAVAILABLE }", given, context)
})

const rate = () => size(256, 1024 ** 3)
const bandwidth = either(
  [
    rate().transform((octets) => ({ rate: octets, share: 1 })),
    object(
      { rate: rate().describe("Of a response's body, a second, such as 64KiB."), percentage: ofRequests() },
      "a size a second, such as 64KiB",
    ).transform(({ rate: octets, percentage = 1 }) => ({ rate: octets, share: percentage })),
  ],
  "a size or an object",
  "a size a second, such as 64KiB, or { rate: 64KiB, percentage: 10% }",
)

const reset = either(
  [
    z.literal(true, { error: () => "expected true or an object; write true, or leave it out" }).transform(() => ({ share: 1 })),
    object({ percentage: ofRequests() }, "true or { percentage: 1% }").transform(({ percentage = 1 }) => ({ share: percentage })),
  ],
  "true or an object",
  "true or { percentage: 1% }",
)

const FAULTS = "{ delay: 1s }, { abort: { status: 503 } }, { bandwidth: 64KiB } or { reset: true }"
/** `fault` of a route. */
export const fault = object(
  {
    delay: delay.optional().describe("Requests wait before they go on. A duration, or a distribution."),
    abort: abort.optional().describe("Requests are answered with a failure instead of being sent on."),
    bandwidth: bandwidth.optional().describe("Octets of a response's body that pass in a second."),
    reset: reset.optional().describe("The client's connection is reset (of HTTP/2: the stream)."),
    percentage: share("Share of the route's requests that have faults."),
    header: checked("a header name", "a header name, such as x-sluice-fault", (text) => {
      const found = parseFieldName(text, "match")
      return found instanceof Wrong ? found : undefined
    })
      .optional()
      .describe("Only requests with this header have faults; its value can ask for some of them. Default: all requests."),
  },
  FAULTS,
).transform((given, context): FaultConfig => {
  const { delay = null, abort = null, bandwidth = null, reset = null, percentage: share = 1, header = "" } = given
  if (delay === null && abort === null && bandwidth === null && reset === null)
    return refuse(`names no fault; write ${FAULTS}`, given, context)
  return { share, delay, abort, bandwidth, reset, header: header.toLowerCase() }
})

const mirrorTarget = either(
  [
    service.transform((service): MirrorConfig => ({ service, share: 1 })),
    object(
      { service: service.describe("Name in services."), percentage: share("Share of the requests that are copied to it.") },
      "{ service: NAME, percentage: 10% }",
    ).transform(({ service, percentage = 1 }): MirrorConfig => ({ service, share: percentage })),
  ],
  "a text or an object",
  "the name of a service or { service: NAME, percentage: 10% }",
)

/** `mirror` of a route. */
export const mirror = either(
  [
    mirrorTarget,
    list(mirrorTarget, "a list, such as [shadow, { service: other, percentage: 10% }]")
      .min(1, { error: "is an empty list, which copies nothing; leave mirror out" })
      .max(MAX_MIRRORS, { error: `has more than ${MAX_MIRRORS} services; write fewer` }),
  ],
  "a text, an object or a list",
  "the name of a service, { service: NAME, percentage: 10% } or a list of them",
).transform((targets): readonly MirrorConfig[] => (Array.isArray(targets) ? targets : [targets as MirrorConfig]))

const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}$/
// Octets of a cookie's value, in double quotes or not; ASCII only, as with header values.
const COOKIE_VALUE = /^(?:[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*|"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")$/

/** What is wrong with a cookie's value that is to be matched, or undefined. */
export function wrongCookieValue(text: string): Wrong | undefined {
  return COOKIE_VALUE.test(text)
    ? undefined
    : new Wrong(`${quote(text)} can't be a cookie's value, for it has spaces, commas, semicolons or the like; write it as clients send it`)
}

/** The name of a cookie: a token (RFC 6265 §4.1.1). */
export function wrongCookieName(text: string): Wrong | undefined {
  return COOKIE_NAME.test(text) ? undefined : new Wrong(`${quote(text)} can't name a cookie; write a name, such as session`)
}

const stickyBy = parsed("what clients are told apart by", "header:NAME, query:NAME or source, such as header:x-user", (text) => {
  if (text === "source") return { kind: "source", name: "" } as const
  const [, kind, rest] = /^(header|query):(.{1,256})$/.exec(text) ?? []
  if (kind === "query") return { kind: "query", name: rest } as const
  if (kind !== "header") return new Wrong(`${quote(text)} is nothing clients are told apart by; write header:NAME, query:NAME or source`)
  const field = parseFieldName(rest, "match")
  return field instanceof Wrong ? field : ({ kind: "header", name: rest.toLowerCase() } as const)
})

/** `sticky` of a route. */
export const sticky = object(
  {
    cookie: checked("a cookie's name", "a name, such as backend", wrongCookieName)
      .optional()
      .describe("A cookie of this name is given to clients, and says which backend they have."),
    ttl: duration({ zero: true }).optional().describe("How long the cookie lasts; 0 = as long as the browser runs. Default 0."),
    by: stickyBy.optional().describe("Instead of a cookie: header:NAME, query:NAME or source (the client's address)."),
  },
  "{ cookie: backend, ttl: 1h } or { by: header:x-user }",
).transform((given, context): StickyConfig => {
  const { cookie, ttl, by } = given
  const write = "write { cookie: backend, ttl: 1h } or { by: header:x-user }"
  if (cookie !== undefined && by === undefined) return { kind: "cookie", cookie, ttl: ttl ?? 0 }
  if (cookie === undefined && by !== undefined && ttl === undefined) return by
  if (by !== undefined && ttl !== undefined && cookie === undefined)
    return refuse("has a ttl, which belongs to a cookie; leave ttl out", given, context)
  return refuse(
    `${cookie === undefined ? "needs one of cookie and by" : "has cookie and by, but only one of them can be"}; ${write}`,
    given,
    context,
  )
})

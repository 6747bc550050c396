// What users write about rate limits, as a zod schema: figures, what requests are told apart by, and exceptions.

import type * as z from "zod"
import { parseFieldName } from "./message-parts.ts"
import type { RateLimitConfig, RateLimitFigures, RateLimitKeyConfig } from "./rate-limit-model.ts"
import { boolean, choice, duration, either, integer, list, name, object, parsed, record, string } from "./schema-kit.ts"
import { maxDuration, quote, Wrong } from "./units.ts"

const MAX_KEYS = 8
const MAX_OVERRIDES = 10_000
const MAX_BURST = 1_000_000
/** Requests a ms. */
const MAX_RATE = 1000
const FORMS = "source, identity, host, method, path, path:2, header:x-user, cookie:session, query:key or claim:sub"

function parseKey(text: string): RateLimitKeyConfig | Wrong {
  const colon = text.indexOf(":")
  const kind = colon < 0 ? text : text.slice(0, colon)
  const rest = colon < 0 ? "" : text.slice(colon + 1)
  switch (kind) {
    case "path":
      if (colon < 0) return { text, kind }
      if (/^[1-9]\d?$/.test(rest)) return { text, kind: "segment", index: Number(rest) }
      return new Wrong(`${quote(text)} names no segment of the path; write its number, path:1 for a in /a/b, or path for all of it`)
    case "source":
    case "identity":
    case "host":
    case "method":
      return colon < 0 ? { text, kind } : new Wrong(`${quote(kind)} has no part that could be named; write ${kind}`)
    case "header": {
      if (rest === "") return new Wrong(`${quote(text)} names no header; write its name, such as header:x-user`)
      const field = rest.toLowerCase()
      if (field === "host" || field === ":authority") return new Wrong(`${quote(text)} is not counted by as a header; write host`)
      const parsedName = parseFieldName(rest, "match")
      return parsedName instanceof Wrong ? parsedName : { text: `header:${parsedName}`, kind, name: parsedName }
    }
    case "cookie":
      if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,256}$/.test(rest)) return { text, kind, name: rest }
      return new Wrong(`${quote(text)} names no cookie; write its name, such as cookie:session`)
    case "query":
    case "claim":
      if (rest !== "" && rest.length <= 256) return { text, kind, name: rest }
      return new Wrong(`${quote(text)} names nothing; write a name, such as ${kind === "query" ? "query:key" : "claim:sub"}`)
  }
  return new Wrong(`${quote(text)} is nothing to count by; write ${FORMS}`)
}

const key = parsed("a text", FORMS, parseKey)
const requests = integer(1, 1_000_000_000)
const per = duration()
const burst = integer(1, MAX_BURST)
const value = string("a text", "the value as a text").max(4096, { error: "is longer than 4096 characters; write a shorter value" })

const override = object(
  {
    value: either([value, list(value, "a list with one value for each of by")], "a text or a list", "the value, or one for each of by")
      .transform((values): readonly string[] => (typeof values === "string" ? [values] : values))
      .describe("The value that has other figures; a list when by is one, with a value for each."),
    requests: requests.describe("Requests that pass in the time of per."),
    per: per.optional().describe("Default: that of the limit."),
    burst: burst.optional().describe("Requests that may come at once. Default: those of one second, at least 1."),
  },
  "{ value: gold, requests: 1000 }",
)

const descriptorText = (what: string): z.ZodString =>
  string("a text", what)
    .min(1, { error: `is empty; write ${what}` })
    .max(256, { error: "is longer than 256 characters; write a shorter one" })
const descriptorKey = descriptorText("a key, such as generic_key")
const descriptorValue = descriptorText("a value, such as checkout")

const limit = object(
  {
    name: name("rate limit").optional().describe("Told to clients, and part of its name in metrics. Default: its place."),
    scope: choice(["local", "global", "service"])
      .default("local")
      .describe(
        "Who decides: local = this gateway; global = all gateways together, through rateLimitStore; service = rateLimitService. Default local.",
      ),
    requests: requests.optional().describe("Requests that pass in the time of per."),
    per: per.optional().describe("The time for which requests are counted, such as 1s or 1m."),
    burst: burst.optional().describe("Requests that may come at once, after a time with fewer. Default: those of one second, at least 1."),
    by: either(
      [
        key,
        list(key, "a list, such as [source, header:x-user]").max(MAX_KEYS, { error: `has more than ${MAX_KEYS} entries; write fewer` }),
      ],
      "a text or a list",
      FORMS,
    )
      .transform((keys): readonly RateLimitKeyConfig[] => (Array.isArray(keys) ? keys : [keys as RateLimitKeyConfig]))
      .optional()
      .describe(`What requests are told apart by: ${FORMS}; or a list of them. Default: all requests share.`),
    descriptor: record(descriptorKey, descriptorValue, "entries, such as { generic_key: checkout }")
      .optional()
      .describe("scope: service: entries of the descriptor in front of those of by, such as { generic_key: checkout }."),
    overrides: list(override, "a list, such as [{ value: gold, requests: 1000 }]")
      .max(MAX_OVERRIDES, { error: `has more than ${MAX_OVERRIDES} entries; write fewer` })
      .optional()
      .describe("Values of by that have other figures."),
    missing: choice(["share", "skip", "deny"])
      .optional()
      .describe(
        "A request without one of by: share = is counted with others that lack it; skip = is not counted; deny = is refused. Default share.",
      ),
    shadow: boolean().default(false).describe("Only counts whom it would refuse. Default false."),
    status: integer(400, 599).default(429).describe("Status of the reply. Default 429."),
    headers: boolean().default(true).describe("Every response says what is left; false: only those to refused requests. Default true."),
  },
  "a rate limit, such as { requests: 100, per: 1m }",
).check((context) => {
  const { scope, requests, per, burst, by = [], overrides = [], missing, descriptor } = context.value
  const problem = (path: (string | number)[], message: string): void => {
    context.issues.push({ code: "custom", input: context.value, path, message })
  }
  if (scope === "service") {
    for (const key of ["requests", "per", "burst", "overrides"] as const)
      if (context.value[key] !== undefined) problem([key], "is the service's to know with scope: service; leave it out")
    if (by.length === 0 && descriptor === undefined)
      problem(["scope"], "has nothing to ask the service about; write by, or descriptor: { generic_key: NAME }")
    return
  }
  if (descriptor !== undefined) problem(["descriptor"], "is for a rate-limit service; write scope: service, or leave it out")
  if (requests === undefined) problem(["requests"], "is missing; write a whole number from 1 to 1000000000")
  if (per === undefined) problem(["per"], "is missing; write a number and a unit, such as 250ms, 5s, 1m or 1h")
  if (requests === undefined || per === undefined) return
  checkFigures(requests, per, burst, [], problem)
  if (missing !== undefined && by.length === 0) problem(["missing"], "says nothing without by; write by, or leave it out")
  if (overrides.length > 0 && by.length === 0) problem(["overrides"], "are for values of by, which is not there; write by")
  else {
    const seen = new Set<string>()
    overrides.forEach((each, i) => {
      const values = JSON.stringify(each.value)
      if (each.value.length !== by.length)
        problem(["overrides", i, "value"], `needs ${by.length === 1 ? "one value" : `a list of ${by.length} values`}, as by has`)
      else if (seen.has(values)) problem(["overrides", i, "value"], "is there a second time; write it once")
      seen.add(values)
      checkFigures(each.requests, each.per ?? per, each.burst, ["overrides", i], problem)
    })
  }
})

function checkFigures(
  requests: number,
  per: number,
  burst: number | undefined,
  path: readonly (string | number)[],
  problem: (path: (string | number)[], message: string) => void,
): void {
  // What is wrong by itself has been said.
  if (!(requests >= 1 && per > 0)) return
  if (requests / per > MAX_RATE) problem([...path, "requests"], "is more than 1000000 a second; write fewer, or leave the limit out")
  else if (burst === undefined && defaultBurst(requests, per) > MAX_BURST)
    problem([...path, "requests"], "is more than 1000000 a second; write fewer, or leave the limit out")
  else if (burst !== undefined && (burst * per) / requests > maxDuration)
    problem([...path, "burst"], "takes longer than 24 days to fill; write a smaller one")
  else if (per / requests > maxDuration) problem([...path, "per"], "is longer than 24 days a request; write a shorter one")
}

/** The burst of a limit that names none: what it lets pass in a second, and one at least. */
function defaultBurst(requests: number, per: number): number {
  return Math.max(1, Math.ceil((requests * 1000) / per))
}

/** One limit or a list of them; a request has to pass all. */
export const rateLimit = either(
  [limit, list(limit, "a list, such as [{ requests: 100, per: 1m }]").max(16, { error: "has more than 16 limits; write fewer" })],
  "an object or a list",
  "a rate limit, such as { requests: 100, per: 1m }",
)
  .check((context) => {
    const names = new Map<string, number>()
    if (!Array.isArray(context.value)) return
    context.value.forEach(({ name }, i) => {
      const own = rateLimitName(name, i)
      const first = names.get(own)
      if (first !== undefined) {
        const message = `${quote(own)} is the name of limit ${first + 1} of the list too; write another one`
        context.issues.push({ code: "custom", input: context.value, path: [i, "name"], message })
      }
      names.set(own, i)
    })
  })
  .transform((limits): z.output<typeof limit>[] => (Array.isArray(limits) ? limits : [limits as z.output<typeof limit>]))

export type WrittenRateLimits = z.output<typeof rateLimit>

/** `kind` and `owner`: whose limits they are. */
export function buildRateLimits(
  written: WrittenRateLimits | undefined,
  kind: "listener" | "route" | "service",
  owner: string,
): { rateLimits?: readonly RateLimitConfig[] } {
  if (written === undefined || written.length === 0) return {}
  return {
    rateLimits: written.map(({ name, by = [], overrides = [], missing = "share", burst, shadow, status, headers, scope, ...rest }, i) => {
      const { requests = 1, per = 1000, descriptor = {} } = rest
      const own = rateLimitName(name, i)
      return {
        name: own === "" ? `${kind}:${owner}` : `${kind}:${owner}#${own}`,
        policy: name ?? (i === 0 ? kind : `${kind}-${i + 1}`),
        ...figures(requests, per, burst),
        scope,
        descriptor: Object.entries(descriptor).map(([key, value]) => ({ key, value })),
        by,
        overrides: overrides.map((each) => ({ values: each.value, ...figures(each.requests, each.per ?? per, each.burst) })),
        missing,
        shadow,
        status,
        headers,
      }
    }),
  }
}

function figures(requests: number, per: number, burst: number | undefined): RateLimitFigures {
  return { requests, per, burst: burst ?? defaultBurst(requests, per) }
}

/** A limit's name beside its owner's; "" = the first that has none. */
function rateLimitName(name: string | undefined, index: number): string {
  return name ?? (index === 0 ? "" : String(index + 1))
}

// What users write about the choice of endpoints, as zod schemas: policies, what they hash by, zones, priorities, labels.

import * as z from "zod"
import type { HashConfig, LoadBalancingConfig } from "./balancing-model.ts"
import { parseFieldName } from "./message-parts.ts"
import {
  address,
  boolean,
  checked,
  choice,
  duration,
  either,
  integer,
  mismatch,
  name,
  object,
  parsed,
  percent,
  record,
  string,
} from "./schema-kit.ts"
import { quote, Wrong } from "./units.ts"

const policies = ["roundRobin", "random", "leastRequest", "peakEwma", "ringHash", "maglev"] as const
type PolicyName = (typeof policies)[number]
const shown = "roundRobin, random, leastRequest, peakEwma, ringHash or maglev"

/** Policies that need something to hash by. */
function hashes(policy: PolicyName): boolean {
  return policy === "ringHash" || policy === "maglev"
}

/** Policies whose endpoints may have shares that change from one moment to the next. */
function warmsUp(policy: PolicyName): boolean {
  return policy === "roundRobin" || policy === "random" || policy === "leastRequest"
}

type By = { readonly kind: HashConfig["kind"]; readonly name: string }

const remedy = "write header:NAME, cookie:NAME, query:NAME or source"

function parseBy(text: string): By | Wrong {
  if (text === "source") return { kind: "source", name: "" }
  const [kind, ...rest] = text.split(":")
  const named = rest.join(":")
  if (kind === "header") {
    const field = parseFieldName(named, "match")
    return field instanceof Wrong ? field : { kind, name: field }
  }
  if (kind === "cookie")
    return isCookieName(named)
      ? { kind, name: named }
      : new Wrong(`${quote(named)} is not the name of a cookie; use letters, digits, - and _`)
  if (kind === "query")
    return named !== "" && named.length <= 256
      ? { kind, name: named }
      : new Wrong("has no parameter name; write 1 to 256 characters behind query:")
  return new Wrong(`${quote(text)} is not known here; ${remedy}`)
}

/** A token (RFC 6265 §4.1.1). */
function isCookieName(text: string): boolean {
  return text.length <= 256 && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text)
}

const by = parsed("a text", "header:NAME, cookie:NAME, query:NAME or source", parseBy)

const cookiePath = checked("a path", "a path, such as /", (text) =>
  /^\/[\x21-\x3a\x3c-\x7e]{0,255}$/.test(text) ? undefined : new Wrong(`${quote(text)} is not the path of a cookie; write one such as /`),
)

const settings = object(
  {
    policy: choice(policies).default("leastRequest").describe(`How an endpoint is chosen: ${shown}. Default leastRequest.`),
    by: by
      .optional()
      .describe("ringHash and maglev: what of a request decides where it goes: header:NAME, cookie:NAME, query:NAME or source."),
    cookie: object(
      {
        ttl: duration({ zero: true })
          .default(0)
          .describe("How long the client keeps the cookie; 0 = until it ends its session. Default 0."),
        path: cookiePath.default("/").describe("Path of the cookie. Default /."),
      },
      "{} or { ttl: 1h, path: / }",
    )
      .optional()
      .describe("With by: cookie:NAME; clients without the cookie are given one. Default: they are not, and go to any endpoint."),
    slowStart: duration({ zero: true })
      .default(0)
      .describe(
        "roundRobin, random and leastRequest: an endpoint that is new, or well again, gets a tenth of its share at first and all of it after this long. Default 0.",
      ),
    zoneAware: boolean()
      .optional()
      .describe("Endpoints in the gateway's zone are preferred, if it has one. Default true; for ringHash and maglev false."),
    panicThreshold: percent()
      .default(0.5)
      .describe("When a smaller share of the endpoints is available, all of them are used; 0% = never. Default 50%."),
  },
  "a policy, such as { policy: maglev, by: source }",
).check((context) => {
  const { policy, by, cookie, slowStart } = context.value
  const wrong = (key: string, message: string): void => {
    context.issues.push({ code: "custom", input: context.value, path: [key], message })
  }
  if (hashes(policy) && by === undefined)
    wrong("policy", `${policy} needs something to hash by; write by: ${remedy.slice("write ".length)}`)
  if (!hashes(policy) && by !== undefined)
    wrong("by", `belongs to ringHash and maglev, for ${policy} hashes nothing; leave it out, or write one of them`)
  if (cookie !== undefined && by !== undefined && by.kind !== "cookie")
    wrong("cookie", "belongs to by: cookie:NAME; leave it out, or hash by a cookie")
  if (cookie !== undefined && by === undefined) wrong("cookie", "belongs to by: cookie:NAME; write it, or leave cookie out")
  if (slowStart > 0 && !warmsUp(policy))
    wrong(
      "slowStart",
      `belongs to roundRobin, random and leastRequest, for ${hashes(policy) ? "keys would move twice" : "peakEwma adapts by itself"}; leave it out`,
    )
})

export const loadBalancing = z.union(
  [
    choice(policies)
      .check((context) => {
        const { value } = context
        if (!hashes(value)) return
        context.issues.push({
          code: "custom",
          input: value,
          message: `${value} needs something to hash by; write { policy: ${value}, by: source }, or by header:NAME, cookie:NAME or query:NAME`,
        })
      })
      .transform((policy) => balancing({ policy, slowStart: 0, panicThreshold: 0.5 })),
    settings.transform(balancing),
  ],
  {
    error: ({ input }: { input?: unknown }) =>
      typeof input === "string"
        ? `${quote(input)} is not known here; write ${shown}`
        : mismatch(input, "a text or an object", `${shown}, or { policy: maglev, by: source }`),
  },
)

interface WrittenBalancing {
  readonly policy: PolicyName
  readonly by?: By | undefined
  readonly cookie?: { readonly ttl: number; readonly path: string } | undefined
  readonly slowStart: number
  readonly zoneAware?: boolean | undefined
  readonly panicThreshold: number
}

function balancing({ policy, by, cookie, slowStart, zoneAware, panicThreshold }: WrittenBalancing): LoadBalancingConfig {
  let hashed: HashConfig | null = null
  if (by?.kind === "source") hashed = { kind: "source" }
  else if (by?.kind === "cookie") hashed = { kind: "cookie", name: by.name, generate: cookie ?? null }
  else if (by !== undefined) hashed = { kind: by.kind, name: by.name }
  return { policy, by: hashed, slowStart, zoneAware: zoneAware ?? !hashes(policy), panicThreshold }
}

export const zone = name("zone")

const labelName = name("label")
const labelValue = string("a text", "the label's value as a text").max(256, {
  error: "is longer than 256 characters; write a shorter value",
})

export const labels = record(labelName, labelValue, "labels by name, such as { version: v2 }")

/** Labels that choose endpoints. */
export const subset = labels.refine((given) => Object.keys(given).length > 0, {
  error: "is empty, so it would be the whole service; write a label, or leave it out",
})

export const endpoint = either(
  [
    address(1).transform((address) => ({ address, weight: 1, zone: undefined, priority: undefined, labels: undefined })),
    object(
      {
        address: address(1).describe("host:port of the endpoint; IPv6 in brackets."),
        weight: integer(0, 1_000_000).default(1).describe("Share among the service's endpoints; 0 = none."),
        zone: zone.optional().describe("Where it is; gateways of the same zone prefer it."),
        priority: integer(0, 100)
          .optional()
          .describe("Endpoints of a higher number are used as those of lower ones can't take the traffic. Default 0."),
        labels: labels.optional().describe("What routes choose endpoints by, in a backend's subset."),
      },
      "{ address: host:port, weight: 2 }",
    ),
  ],
  "a text or an object",
  "host:port or { address: host:port, weight: 2 }",
)

// What users write in a route, as zod schemas: matches, actions, edits and their short forms, which are expanded here.

import * as z from "zod"
import { subset } from "./balancing-schema.ts"
import { canary } from "./canary-schema.ts"
import { routePriority } from "./limits-schema.ts"
import { fieldValue, match, pairs } from "./match-schema.ts"
import { parseAuthority, parseFieldName, parseHost, parsePath } from "./message-parts.ts"
import type { HeaderEdits, MatchConfig } from "./model.ts"
import { rateLimit } from "./rate-limit-schema.ts"
import { hedge, retry } from "./resilience-schema.ts"
import { boolean, checked, choice, duration, either, integer, json, list, name, object, parsed, record, string } from "./schema-kit.ts"
import { fault, mirror, sticky } from "./shaping-schema.ts"
import { routeTracing } from "./tracing-schema.ts"
import { Wrong } from "./units.ts"

type Pair = readonly [name: string, value: string]

const fieldName = checked("a header name", "a header name, such as x-user", (text) => {
  const found = parseFieldName(text, "edit")
  return found instanceof Wrong ? found : undefined
})
export const service = name("service")
export const filter = name("filter")

const headerValues = record(fieldName, fieldValue, "names and values, such as { x-from: edge }")
const edits = object(
  {
    set: headerValues
      .transform((entries, context): readonly Pair[] => pairs(entries, context))
      .optional()
      .describe("Sets headers, replacing those of the same name."),
    add: record(
      fieldName,
      either([fieldValue, list(fieldValue, "a list of values")], "a text or a list", "a value, such as edge, or a list of values"),
      "names and values, such as { x-from: edge }",
    )
      .transform((entries, context): readonly Pair[] => {
        const out: Pair[] = []
        for (const [key, values] of pairs(entries, context))
          for (const value of typeof values === "string" ? [values] : values) out.push([key, value])
        return out
      })
      .optional()
      .describe("Adds headers beside those of the same name; a list adds several."),
    remove: either(
      [fieldName, list(fieldName, "a list of names, such as [server]")],
      "a text or a list",
      "a list of names, such as [server]",
    )
      .transform((names): readonly string[] =>
        typeof names === "string" ? [names.toLowerCase()] : names.map((text) => text.toLowerCase()),
      )
      .optional()
      .describe("Removes headers of these names, before set and add."),
  },
  "edits, such as { set: { x-from: edge } }",
).transform(({ set = [], add = [], remove = [] }): HeaderEdits => ({ remove, set, add }))

const headers = object(
  {
    request: edits.optional().describe("Edits of the request before it goes to the backend."),
    response: edits.optional().describe("Edits of the response before it goes to the client."),
  },
  "{ request: ..., response: ... }",
)

const newPath = parsed("a path", "a path, such as /new", (text) => parsePath(text, "replacement"))

const rewrite = object(
  {
    prefix: newPath.optional().describe("Replaces the matched prefix; every match of the route must be a prefix."),
    path: newPath.optional().describe("Replaces the whole path; the query stays."),
    host: parsed("a host", "a host, such as internal.example.com", parseAuthority)
      .optional()
      .describe("Replaces the host the service sees."),
  },
  "{ prefix: /new }, { path: /new } or { host: NAME }",
).check(pathOrPrefix(false))

const redirect = object(
  {
    scheme: choice(["http", "https"]).optional().describe("Scheme to redirect to."),
    host: parsed("a host", "a host, such as shop.example.com", (text) => parseHost(text, false))
      .optional()
      .describe("Host to redirect to."),
    port: integer(1, 65535).optional().describe("Port to redirect to."),
    prefix: newPath.optional().describe("Replaces the matched prefix; every match of the route must be a prefix."),
    path: newPath.optional().describe("Replaces the whole path."),
    status: redirectStatus().default(302).describe("301, 302, 303, 307 or 308."),
  },
  "where to, such as { prefix: /new, status: 301 }",
).check(pathOrPrefix(true))

function redirectStatus(): z.ZodLiteral<301 | 302 | 303 | 307 | 308> {
  return z.literal([301, 302, 303, 307, 308], { error: () => "is not the status of a redirect; write 301, 302, 303, 307 or 308" })
}

function pathOrPrefix(
  redirects: boolean,
): (context: z.core.ParsePayload<{ prefix?: string; path?: string; host?: string; scheme?: string; port?: number }>) => void {
  return (context) => {
    const { prefix, path, host, scheme, port } = context.value
    if (prefix !== undefined && path !== undefined) {
      context.issues.push({
        code: "custom",
        input: context.value,
        message: "has prefix and path, but only one of them can be; write prefix to keep the rest of the path, path to replace it whole",
      })
    } else if (prefix === undefined && path === undefined && host === undefined && scheme === undefined && port === undefined) {
      const message = redirects
        ? "would redirect to where the request came from; write scheme, host, port, prefix or path"
        : "changes nothing; write prefix, path or host, or leave it out"
      context.issues.push({ code: "custom", input: context.value, message })
    }
  }
}

const respond = object(
  {
    status: integer(200, 599).default(200).describe("Status of the reply, 200 to 599."),
    body: string("a text", "the body as a text")
      .max(1024 * 1024, { error: "is longer than 1 MiB; serve it from a service instead" })
      .default("")
      .describe("Body of the reply."),
    headers: headerValues
      .transform((entries, context): readonly Pair[] => pairs(entries, context))
      .optional()
      .describe("Headers of the reply."),
  },
  "the reply, such as { status: 200, body: pong }",
).check((context) => {
  const { status, body } = context.value
  if (body !== "" && (status === 204 || status === 205 || status === 304)) {
    context.issues.push({
      code: "custom",
      input: context.value,
      path: ["body"],
      message: `can't be sent with status ${status}, which has no body; write status 200 or leave body out`,
    })
  }
})

export const weight = (what: string) => integer(0, 1_000_000).default(1).describe(`Share among the ${what}; 0 = none.`)

const backend = either(
  [
    service.transform((service) => ({ service, weight: 1 })),
    object(
      {
        service: service.describe("Name in services."),
        subset: subset.optional().describe("Labels: only endpoints that have all of them are used. Default: all endpoints."),
        weight: weight("route's backends"),
        headers: headers.optional().describe("Header edits for this backend, after the route's."),
        rewrite: rewrite.optional().describe("Rewrite for this backend, instead of the route's."),
      },
      "{ service: NAME, weight: 90 }",
    ),
  ],
  "a text or an object",
  "the name of a service or { service: NAME, weight: 90 }",
)

const routeFilter = either(
  [
    filter.transform((use) => ({ use, with: undefined as unknown })),
    object(
      {
        use: filter.describe("Name in filters."),
        with: json().optional().describe("Settings laid over the filter's config for this route."),
      },
      "{ use: NAME, with: {...} }",
    ),
  ],
  "a text or an object",
  "the name of a filter or { use: NAME, with: {...} }",
)

/** Filters of a route or a listener, in order. */
export const filterUses = either(
  [
    filter.transform((use) => ({ use, with: undefined as unknown })),
    list(routeFilter, "a list, such as [auth, { use: limit, with: {...} }]"),
  ],
  "a text or a list",
  "a list of filters, such as [auth]",
).transform((filters): { use: string; with: unknown }[] =>
  Array.isArray(filters)
    ? filters.map(({ use, with: settings }) => ({ use, with: settings }))
    : [filters as { use: string; with: unknown }],
)

const host = parsed("a host", "a host, such as shop.example.com", (text) => parseHost(text, true))
export const listenerName = name("listener")

/** Whole-request, per-attempt and stream-idle limits; a bare duration is the first of them. */
const routeTimeout = z
  .union(
    [
      duration({ zero: true }).transform((request) => ({ request })),
      object(
        {
          request: duration({ zero: true })
            .optional()
            .describe("For the whole exchange, up to the end of the response; 0 = none. Default 15s."),
          perTry: duration({ zero: true }).optional().describe("For one attempt, up to its response head; 0 = none. Default 0."),
          idle: duration({ zero: true })
            .optional()
            .describe("Without a byte in either direction while a body streams; 0 = none. Default 5m."),
          propagate: boolean()
            .optional()
            .describe("Services are told in x-request-timeout how many milliseconds an answer is still wanted. Default false."),
        },
        "a duration, such as 15s, or { request: 15s, perTry: 5s }",
      ),
    ],
    {
      error: (raw: { input?: unknown }) =>
        raw.input === null
          ? "expected a duration or an object, got nothing (null); write one, such as 15s"
          : "expected a duration or an object; write one, such as 15s, or { request: 15s, perTry: 5s }",
    },
  )
  .transform((given): { request?: number; perTry?: number; idle?: number; propagate?: boolean } => given)

const tcpBackend = either(
  [
    service.transform((service) => ({ service, weight: 1 })),
    object({ service: service.describe("Name in services."), weight: weight("listener's backends") }, "{ service: NAME, weight: 90 }"),
  ],
  "a text or an object",
  "the name of a service or { service: NAME, weight: 90 }",
)

/** One form or a list of them → a list. */
function orList<T extends z.ZodType>(one: T) {
  return z
    .union([one, list(one, "a list, such as [a, { service: b, weight: 10 }]")], {
      error: (raw: { input?: unknown }) =>
        raw.input === null
          ? "expected a service, got nothing (null); write its name"
          : "expected the name of a service, an object or a list; write one, such as hello",
    })
    .transform((given): z.output<T>[] => (Array.isArray(given) ? given : [given as z.output<T>]))
}

const backends = orList(backend)
/** Of a tcp listener. */
export const tcpBackends = orList(tcpBackend)

export const routeSchema = object(
  {
    name: name("route").optional().describe("Unique; appears in metrics and logs. Default route-<index>."),
    listeners: either([listenerName, list(listenerName, "a list of listener names")], "a text or a list", "a list of listener names")
      .transform((names): readonly string[] => (typeof names === "string" ? [names] : names))
      .optional()
      .describe("Listeners the route serves. Default: all."),
    hosts: either(
      [host, list(host, 'a list of hosts, such as [shop.example.com, "*.example.com"]')],
      "a text or a list",
      'a list of hosts, such as [shop.example.com, "*.example.com"]',
    )
      .transform((hosts): readonly string[] => (typeof hosts === "string" ? [hosts] : [...new Set(hosts)]))
      .optional()
      .describe("Hosts the route serves, exact or *.suffix. Default: every host."),
    match: either(
      [
        match,
        list(match, "a list of matches, such as [{ path: /a }, { path: /b }]").min(1, {
          error: "is an empty list, which matches nothing; leave match out to match every request",
        }),
      ],
      "an object or a list",
      "what to match, such as { path: /api }",
    )
      .transform((matches): readonly MatchConfig[] => (Array.isArray(matches) ? matches : [matches as MatchConfig]))
      .optional()
      .describe("What a request must have; of a list, any one selects the route. Default: every request."),
    filters: filterUses.optional().describe("Filters the route's requests pass, in order."),
    backends: backends.optional().describe("Services the route forwards to, by weight. One of backends, redirect and respond."),
    canary: canary
      .optional()
      .describe("Moves the route's requests to one of its backends step by step, and takes them back when it does badly."),
    redirect: redirect.optional().describe("Answers with a redirect."),
    respond: respond.optional().describe("Answers with a fixed reply."),
    rewrite: rewrite.optional().describe("Changes path or host before the request goes to a backend."),
    timeout: routeTimeout.optional().describe("A duration for the whole exchange, or { request, perTry, idle }. Default 15s."),
    retry: retry
      .optional()
      .describe(
        "When a request is sent again. Default: { attempts: 2 } for requests without a body; false = only when it has reached no service, and once when it may be repeated and its connection ended without a word.",
      ),
    hedge: hedge
      .optional()
      .describe(
        "Requests that may be repeated and have no answer in time are sent to a second endpoint as well; the first answer is taken. Default: never.",
      ),
    priority: routePriority
      .default("normal")
      .describe("Which exchanges are refused first while the gateway has too much to do: low, then normal, then high. Default normal."),
    rateLimit: rateLimit.optional().describe("How many of the route's requests are taken further. Default: all."),
    fault: fault.optional().describe("What goes wrong on purpose: delay, abort, bandwidth, reset."),
    sticky: sticky.optional().describe("What keeps a client with the backend it was given: a cookie, or a key."),
    mirror: mirror.optional().describe("Services that get copies of the requests; what they answer is thrown away."),
    grpcWeb: boolean().default(false).describe("gRPC-Web of browsers becomes gRPC for the backends. Default false."),
    tracing: routeTracing.optional().describe("How the route's exchanges are traced; false = not at all. Default: as in tracing."),
    headers: headers.optional().describe("Header edits of request and response."),
  },
  "a route, such as { match: { path: /api }, backends: api }",
)

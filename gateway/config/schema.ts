// What users write, as zod schemas: the one source of validation, of the types editors see in a TypeScript config, and of
// the JSON Schema that `sluice schema` prints. Short forms are expanded here; what needs more than one value is in check.ts.

import * as z from "zod"
import { parseAuthority, parseFieldName, parseHost, parseMethod, parsePath, wrongFieldValue } from "./message-parts.ts"
import type { HeaderEdits, MatchConfig, ValueMatch } from "./model.ts"
import { wrongRegex } from "./regex.ts"
import {
  address,
  boolean,
  checked,
  choice,
  duration,
  either,
  integer,
  json,
  list,
  name,
  object,
  orIssue,
  parsed,
  record,
  size,
  string,
} from "./schema-kit.ts"
import { Wrong } from "./units.ts"

type Pair = readonly [name: string, value: string]

const fieldName = checked("a header name", "a header name, such as x-user", (text) => {
  const found = parseFieldName(text, "edit")
  return found instanceof Wrong ? found : undefined
})
const matchedFieldName = checked("a header name", "a header name, such as x-user", (text) => {
  const found = parseFieldName(text, "match")
  return found instanceof Wrong ? found : undefined
})
const fieldValue = checked("a header value", "the value as a text", wrongFieldValue)
const regex = checked("a regular expression", "one, such as [0-9]+", wrongRegex)
const service = name("service")
const filter = name("filter")

/** Lower-cased pairs; two spellings of one name are refused, for which of them wins would depend on their order. */
function pairs<T>(entries: Record<string, T>, context: z.RefinementCtx): (readonly [string, T])[] {
  const out: (readonly [string, T])[] = []
  const seen = new Set<string>()
  for (const [key, value] of Object.entries(entries)) {
    const name = key.toLowerCase()
    if (seen.has(name)) {
      context.issues.push({
        code: "custom",
        input: entries,
        path: [key],
        message: `names the header ${name} a second time; write it once, in lower case`,
      })
    }
    seen.add(name)
    out.push([name, value])
  }
  return out
}

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

const valueForms = object(
  { exact: fieldValue.optional().describe("The whole value."), regex: regex.optional().describe("Matches the whole value.") },
  "{ exact: ... } or { regex: ... }",
)
  .check(oneOf(["exact", "regex"], "write { exact: ... } or { regex: ... }"))
  .transform((forms): ValueMatch => (forms.exact !== undefined ? { exact: forms.exact } : { regex: forms.regex ?? "" }))
const valueMatch = either(
  [fieldValue.transform((exact): ValueMatch => ({ exact })), valueForms],
  "a text or an object",
  'a text, such as "1", which matches exactly, or { regex: ... }',
)

const queryExact = string("a value", "the value as a text").max(4096, { error: "is longer than 4096 characters; write a shorter value" })
const queryForms = object(
  { exact: queryExact.optional().describe("The whole value."), regex: regex.optional().describe("Matches the whole value.") },
  "{ exact: ... } or { regex: ... }",
)
  .check(oneOf(["exact", "regex"], "write { exact: ... } or { regex: ... }"))
  .transform((forms): ValueMatch => (forms.exact !== undefined ? { exact: forms.exact } : { regex: forms.regex ?? "" }))
const queryMatch = either(
  [queryExact.transform((exact): ValueMatch => ({ exact })), queryForms],
  "a text or an object",
  'a text, such as "1", which matches exactly, or { regex: ... }',
)
const queryName = checked("a parameter name", "a parameter name, such as version", (text) =>
  text === "" || text.length > 256 ? new Wrong("is not a parameter name; write 1 to 256 characters") : undefined,
)

function oneOf(keys: readonly string[], remedy: string): (context: z.core.ParsePayload<Record<string, unknown>>) => void {
  return (context) => {
    const given = keys.filter((key) => context.value[key] !== undefined)
    if (given.length === 1) return
    const message =
      given.length === 0
        ? `needs one of ${keys.slice(0, -1).join(", ")} and ${keys[keys.length - 1]}; ${remedy}`
        : `has ${given.join(" and ")}, but only one of them can be; ${remedy}`
    context.issues.push({ code: "custom", input: context.value, message })
  }
}

const exactPath = parsed("a path", "a path, such as /api", (text) => parsePath(text, "exact"))
const prefixPath = parsed("a path", "a path, such as /api", (text) => parsePath(text, "prefix"))
const newPath = parsed("a path", "a path, such as /new", (text) => parsePath(text, "replacement"))

const pathRemedy = "write { exact: /a }, { prefix: /a } or { regex: /a/[0-9]+ }"
const path = either(
  [
    prefixPath
      .transform((value): MatchConfig["path"] => ({ kind: "prefix", value }))
      .describe("A prefix of whole segments: /api matches /api and /api/x."),
    object(
      {
        exact: exactPath.optional().describe("The whole path."),
        prefix: prefixPath.optional().describe("A prefix of whole segments: /api matches /api and /api/x."),
        regex: regex.optional().describe("Matches the whole path."),
      },
      pathRemedy.slice("write ".length),
    )
      .check(oneOf(["exact", "prefix", "regex"], pathRemedy))
      .transform(({ exact, prefix, regex }): MatchConfig["path"] => {
        if (exact !== undefined) return { kind: "exact", value: exact }
        return prefix !== undefined ? { kind: "prefix", value: prefix } : { kind: "regex", value: regex ?? "" }
      }),
  ],
  "a text or an object",
  "a prefix, such as /api, or { exact: ... } or { regex: ... }",
)

const method = parsed("a method", "a method, such as GET", parseMethod)
const match = object(
  {
    path: path.optional().describe("A text is a prefix; { exact: ... } and { regex: ... } are the other forms. Default: every path."),
    method: either(
      [method, list(method, "a list of methods, such as [GET, POST]")],
      "a text or a list",
      "a method, such as GET, or a list of methods",
    )
      .transform((methods): readonly string[] => (typeof methods === "string" ? [methods] : [...new Set(methods)]))
      .optional()
      .describe("One method or a list of them. Default: every method."),
    headers: record(matchedFieldName, valueMatch, 'names and values, such as { x-beta: "1" }')
      .transform((entries, context): MatchConfig["headers"] => pairs(entries, context).map(([name, value]) => ({ name, value })))
      .optional()
      .describe("Headers that must all match; a text matches exactly."),
    query: record(queryName, queryMatch, 'names and values, such as { version: "2" }')
      .transform((entries): MatchConfig["query"] => Object.entries(entries).map(([name, value]) => ({ name, value })))
      .optional()
      .describe("Query parameters that must all match; a text matches exactly."),
  },
  "what to match, such as { path: /api }",
).transform(
  (found): MatchConfig => ({
    path: found.path ?? { kind: "prefix", value: "/" },
    methods: found.method ?? [],
    headers: found.headers ?? [],
    query: found.query ?? [],
  }),
)

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

const weight = (what: string) => integer(0, 1_000_000).default(1).describe(`Share among the ${what}; 0 = none.`)

const backend = either(
  [
    service.transform((service) => ({ service, weight: 1 })),
    object(
      {
        service: service.describe("Name in services."),
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

const host = parsed("a host", "a host, such as shop.example.com", (text) => parseHost(text, true))
const listenerName = name("listener")

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
  .transform((given): { request?: number; perTry?: number; idle?: number } => given)

const backendList = list(backend, "a list, such as [a, { service: b, weight: 10 }]")
const backends = z
  .union([backend, backendList], {
    error: (raw: { input?: unknown }) =>
      raw.input === null
        ? "expected a service, got nothing (null); write its name"
        : "expected the name of a service, an object or a list; write one, such as hello",
  })
  .transform((given) => (Array.isArray(given) ? given : [given]))

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
    filters: either(
      [
        filter.transform((use) => ({ use, with: undefined as unknown })),
        list(routeFilter, "a list, such as [auth, { use: limit, with: {...} }]"),
      ],
      "a text or a list",
      "a list of filters, such as [auth]",
    )
      .transform((filters) => (Array.isArray(filters) ? filters : [filters as { use: string; with: unknown }]))
      .optional()
      .describe("Filters the route's requests pass, in order."),
    backends: backends.optional().describe("Services the route forwards to, by weight. One of backends, redirect and respond."),
    redirect: redirect.optional().describe("Answers with a redirect."),
    respond: respond.optional().describe("Answers with a fixed reply."),
    rewrite: rewrite.optional().describe("Changes path or host before the request goes to a backend."),
    timeout: routeTimeout.optional().describe("A duration for the whole exchange, or { request, perTry, idle }. Default 15s."),
    headers: headers.optional().describe("Header edits of request and response."),
  },
  "a route, such as { match: { path: /api }, backends: api }",
)

const mebibyte = 1024 * 1024
const maxTransfer = 2 ** 53 - 1

export const listenerSchema = object(
  {
    name: listenerName.optional().describe("Unique; appears in metrics and logs. Default listener-<index>."),
    address: address(0).describe("host:port to listen on; IPv6 in brackets; port 0 lets the system choose."),
    protocol: choice(["http"]).default("http").describe("http: HTTP/1.1."),
    limits: object(
      {
        requestLine: size(64, mebibyte).default(8192).describe("Octets of the request line; over it: 414. Default 8KiB."),
        head: size(256, 16 * mebibyte)
          .default(32768)
          .describe("Octets of a request head; over it: 431. Default 32KiB."),
        fields: integer(1, 10_000).default(100).describe("Fields in a request head; over it: 431. Default 100."),
        body: size(0, maxTransfer).default(0).describe("Octets of a request body, 0 = no limit; over it: 413. Default 0."),
        connections: integer(1, 10_000_000)
          .default(65536)
          .describe("Open connections; over it a new one is closed at once. Default 65536."),
      },
      "limits, such as { head: 64KiB }",
    )
      .prefault({})
      .describe("What a client may send."),
    timeouts: object(
      {
        head: duration().default(10_000).describe("For a request head to arrive; over it: 408. Default 10s."),
        idle: duration().default(60_000).describe("A connection may wait this long for its next request. Default 60s."),
        halfClose: duration({ zero: true })
          .default(1000)
          .describe(
            "A client that has closed its sending side is served this long before a response begins; 0 = it is taken for gone at once. Default 1s.",
          ),
        tunnelIdle: duration().default(3_600_000).describe("Without a byte in an upgraded connection. Default 1h."),
      },
      "time limits, such as { idle: 60s }",
    )
      .prefault({})
      .describe("How long a client may take."),
    trustedHops: integer(0, 32).default(0).describe("Proxies in front whose x-forwarded-* and x-request-id are believed. Default 0."),
    path: object(
      {
        encodedSlash: choice(["reject", "keep", "decode"]).default("keep").describe("What happens to %2F in a path."),
        encodedBackslash: choice(["reject", "keep", "decode"]).default("keep").describe("What happens to %5C in a path."),
        backslash: choice(["reject", "keep", "slash"]).default("keep").describe("What happens to \\ in a path."),
        nul: choice(["reject", "keep"]).default("reject").describe("What happens to %00 in a path."),
        mergeSlashes: boolean().default(true).describe("Several slashes in a row count as one."),
      },
      "policies, such as { encodedSlash: reject }",
    )
      .prefault({})
      .describe("How unusual spellings of a path are treated before it is matched."),
  },
  "a listener, such as { address: 127.0.0.1:8080 }",
)

const endpoint = either(
  [
    address(1).transform((address) => ({ address, weight: 1 })),
    object(
      { address: address(1).describe("host:port of the endpoint; IPv6 in brackets."), weight: weight("service's endpoints") },
      "{ address: host:port, weight: 2 }",
    ),
  ],
  "a text or an object",
  "host:port or { address: host:port, weight: 2 }",
)

export const serviceSchema = object(
  {
    endpoints: list(endpoint, "a list, such as [127.0.0.1:9001]").describe("Addresses of the service: host:port or { address, weight }."),
    loadBalancing: choice(["roundRobin", "random", "leastRequest"])
      .default("roundRobin")
      .describe("How an endpoint is chosen. Default roundRobin."),
    protocol: choice(["http1"]).default("http1").describe("http1: HTTP/1.1."),
    connectTimeout: duration().default(5000).describe("For a connection to be made. Default 5s."),
    pool: object(
      {
        maxConnections: integer(1, 1_000_000).default(1024).describe("Connections to one endpoint, over all workers. Default 1024."),
        maxPending: integer(0, 1_000_000)
          .default(1024)
          .describe("Requests waiting for a connection to one endpoint; over it: 503. Default 1024."),
        idleTimeout: duration().default(60_000).describe("An idle connection is kept this long. Default 60s."),
        maxAge: duration({ zero: true })
          .default(0)
          .describe("A connection ends between two requests after this long; 0 = no limit. Default 0."),
      },
      "pool settings, such as { maxConnections: 100 }",
    )
      .prefault({})
      .describe("Connections kept to each endpoint."),
    limits: object(
      {
        head: size(256, 16 * mebibyte)
          .default(65536)
          .describe("Octets of a response head; over it: 502. Default 64KiB."),
        fields: integer(1, 10_000).default(200).describe("Fields of a response head; over it: 502. Default 200."),
      },
      "limits, such as { head: 128KiB }",
    )
      .prefault({})
      .describe("What the service may send."),
  },
  "a service, such as { endpoints: [127.0.0.1:9001] }",
)

export const filterSchema = object(
  {
    module: string("a path", "the path of a .ts or .wasm file")
      .min(1, { error: "is empty; write the path of a .ts or .wasm file" })
      .describe("Path of a .ts (AssemblyScript) or .wasm file, from this file's folder."),
    config: json().optional().describe("Any value; handed to the filter's configure."),
    onError: choice(["deny", "skip"])
      .default("deny")
      .describe("When the filter fails: deny answers 500, skip goes on without it. Default deny."),
    limits: object(
      {
        cpu: duration({ fine: true })
          .refine((ms) => ms >= 0.01 && ms <= 60_000, { error: "is out of range; write a duration from 0.01ms to 1m" })
          .default(5)
          .describe("CPU time one call into the filter may use. Default 5ms."),
        memory: size(65536, 4 * 1024 * mebibyte)
          .default(16 * mebibyte)
          .describe("Memory of the filter. Default 16MiB."),
      },
      "limits, such as { cpu: 5ms, memory: 16MiB }",
    )
      .prefault({})
      .describe("What the filter may use; over it the call is stopped."),
  },
  "a filter, such as { module: ./filter.ts }",
)

export const configSchema = object(
  {
    $schema: string("a text", "the address of the JSON Schema")
      .optional()
      .describe("Where an editor finds the JSON Schema of this file; Sluice ignores it."),
    admin: either(
      [
        z.literal(false),
        object(
          {
            address: address(0)
              .default({ host: "127.0.0.1", port: 9901 })
              .describe("host:port of the admin server. Default 127.0.0.1:9901."),
          },
          "{ address: 127.0.0.1:9901 } or false",
        ),
      ],
      "false or an object",
      "{ address: 127.0.0.1:9901 } or false",
    )
      .prefault({})
      .describe("Admin server: readiness, metrics, configuration. false turns it off."),
    workers: either([z.literal("auto"), integer(1, 256)], "auto or a whole number from 1 to 256", "auto for one thread a core")
      .default("auto")
      .describe("Threads that carry traffic: auto = one per core; a sidecar uses 1."),
    log: object(
      {
        level: choice(["trace", "debug", "info", "warn", "error"]).default("info").describe("Least severe events shown. Default info."),
        format: choice(["auto", "human", "json"]).default("auto").describe("auto: human on a terminal, else json."),
      },
      "{ level: info, format: auto }",
    )
      .prefault({})
      .describe("The structured log."),
    accessLog: choice(["off", "errors", "all"])
      .default("errors")
      .describe("Which exchanges get a line: off, errors (those with a response flag), all."),
    drain: object(
      { timeout: duration({ zero: true }).default(30_000).describe("Running exchanges get this long. Default 30s.") },
      "{ timeout: 30s }",
    )
      .prefault({})
      .describe("What happens at shutdown."),
    listeners: list(listenerSchema, "a list, such as [{ address: 127.0.0.1:8080 }]")
      .min(1, { error: "is an empty list; write at least one, such as { address: 127.0.0.1:8080 }" })
      .describe("Addresses to listen on."),
    services: record(service, serviceSchema, "services by name, such as { hello: { endpoints: [127.0.0.1:9001] } }")
      .default({})
      .describe("Upstream services, by name."),
    filters: record(filter, filterSchema, "filters by name, such as { auth: { module: ./auth.ts } }")
      .default({})
      .describe("Configured filters, used by routes by name."),
    routes: list(routeSchema, "a list, such as [{ backends: hello }]")
      .default([])
      .describe("The most specific match wins, as in the Kubernetes Gateway API; order breaks ties."),
  },
  "the configuration, beginning with listeners",
)

/** What a person writes: the type of a TypeScript config. */
export type ConfigInput = z.input<typeof configSchema>
/** After zod: short forms expanded, but not yet checked across sections. */
export type Written = z.output<typeof configSchema>
export type WrittenRoute = z.output<typeof routeSchema>

/** JSON Schema (draft 2020-12) of what users write, for editors. */
export function configJsonSchema(): object {
  return { title: "Sluice configuration", ...z.toJSONSchema(configSchema, { io: "input" }) }
}

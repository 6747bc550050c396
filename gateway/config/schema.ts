// What users write, as zod schemas: the one source of validation, of the types editors see in a TypeScript config, and of
// the JSON Schema that `sluice schema` prints. Short forms are expanded here; what needs more than one value is in check.ts.

import * as z from "zod"
import { accessLog } from "./access-log-schema.ts"
import { adminSchema } from "./admin-schema.ts"
import { endpoint, loadBalancing, zone } from "./balancing-schema.ts"
import { proxyProtocolSchema, proxyVersion, serverNamesSchema } from "./connection-schema.ts"
import { discovery, dns } from "./discovery-schema.ts"
import { healthCheck, outlierDetection } from "./health-schema.ts"
import { adaptiveConcurrency, admissionControl, circuitBreaker, overload } from "./limits-schema.ts"
import { metrics } from "./metrics-schema.ts"
import { permissionsSchema } from "./permissions.ts"
import { rateLimit } from "./rate-limit-schema.ts"
import { rateLimitService, rateLimitStore } from "./rate-limit-store-schema.ts"
import { filter, filterUses, listenerName, routeSchema, service, tcpBackends, weight } from "./route-schema.ts"
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
  parsed,
  percent,
  record,
  size,
  string,
} from "./schema-kit.ts"
import { listenerTls, serviceTls } from "./tls-schema.ts"
import { tracing } from "./tracing-schema.ts"
import { quote, Wrong } from "./units.ts"

const mebibyte = 1024 * 1024
const maxTransfer = 2 ** 53 - 1

// What a listener of one protocol has and others don't carries no default here, so that check.ts sees whether it was written;
// build.ts has them.
const listenerSchema = object(
  {
    name: listenerName.optional().describe("Unique; appears in metrics and logs. Default listener-<index>."),
    address: address(0).describe("host:port to listen on; IPv6 in brackets; port 0 lets the system choose."),
    protocol: choice(["http", "https", "tcp", "tls", "auto"])
      .default("http")
      .describe(
        "http: HTTP/1.1 and HTTP/2, whose requests routes take further. https: the same over TLS. tcp: connections are carried to backends as they are. tls: with certificates, TLS ends here, and what is in it is carried like tcp; without, it is carried to a service by its server name. auto: each of these by what a client speaks. Default http.",
      ),
    tls: listenerTls.optional().describe("https, tls and auto: certificates, and what clients must show."),
    proxyProtocol: proxyProtocolSchema
      .optional()
      .describe("Proxies in front that tell where a connection comes from by the PROXY protocol, v1 or v2."),
    serverNames: serverNamesSchema.optional().describe("tls and auto: services by the server name a client asks for."),
    backends: tcpBackends
      .optional()
      .describe(
        "tcp, tls and auto: services the listener's connections go to, by weight; where there are serverNames, those without one of them.",
      ),
    filters: filterUses.optional().describe("tcp, tls and auto: filters its connections pass, in order."),
    limits: object(
      {
        requestLine: size(64, mebibyte).optional().describe("http: octets of the request line; over it: 414. Default 8KiB."),
        head: size(256, 16 * mebibyte)
          .optional()
          .describe("http: octets of a request head; over it: 431. Default 32KiB."),
        fields: integer(1, 10_000).optional().describe("http: fields in a request head; over it: 431. Default 100."),
        body: size(0, maxTransfer).optional().describe("http: octets of a request body, 0 = no limit; over it: 413. Default 0."),
        streams: integer(1, 10_000)
          .optional()
          .describe("http: requests at once on one HTTP/2 connection; over it they are refused. Default 100."),
        connections: integer(1, 10_000_000)
          .default(65536)
          .describe("Open connections in each worker; over it a new one is closed at once. Default 65536."),
      },
      "limits, such as { connections: 1000 }",
    )
      .prefault({})
      .describe("What a client may send."),
    timeouts: object(
      {
        head: duration().optional().describe("http: for a request head to arrive; over it: 408. Default 10s."),
        idle: duration()
          .optional()
          .describe("http: a connection may wait this long for its next request; default 60s. tcp: without a byte either way; default 1h."),
        halfClose: duration({ zero: true })
          .optional()
          .describe(
            "http: a client that has closed its sending side is served this long before a response begins; 0 = it is taken for gone at once. Default 1s.",
          ),
        detect: duration()
          .optional()
          .describe(
            "tls and auto: for what tells a client's protocol and the server it wants; auto takes a silent one for another protocol then. Default 10s.",
          ),
        tunnelIdle: duration().optional().describe("http: without a byte in an upgraded connection. Default 1h."),
      },
      "time limits, such as { idle: 60s }",
    )
      .prefault({})
      .describe("How long a client may take."),
    rateLimit: rateLimit.optional().describe("http: how many of the listener's requests routes take further. Default: all."),
    trustedHops: integer(0, 32)
      .optional()
      .describe("http: proxies in front whose x-forwarded-*, x-request-id and x-request-timeout are believed. Default 0."),
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
      .optional()
      .describe("http: how unusual spellings of a path are treated before it is matched."),
  },
  "a listener, such as { address: 127.0.0.1:8080 }",
)

/** Also what a file of endpoints holds. */
export const endpoints = list(endpoint, "a list, such as [127.0.0.1:9001]")

const serviceSchema = object(
  {
    endpoints: endpoints.optional().describe("Addresses of the service: host:port or { address, weight, zone, priority, labels }."),
    discovery: discovery.optional().describe("Where its endpoints come from, instead of endpoints: DNS or a file."),
    loadBalancing: loadBalancing
      .prefault("leastRequest")
      .describe(
        "How an endpoint is chosen: a policy, or { policy, by, cookie, slowStart, zoneAware, panicThreshold }. Default leastRequest.",
      ),
    failover: service.optional().describe("Service that takes over while no endpoint of this one can be used. Default: none."),
    protocol: choice(["http1", "h2", "auto"])
      .default("http1")
      .describe(
        "http1: HTTP/1.1. h2: HTTP/2. auto: over TLS what the service takes, else HTTP/2 for gRPC requests and HTTP/1.1 for the rest. Default http1.",
      ),
    tls: serviceTls.optional().describe("Connections to the service are made with TLS. true = with the system's authorities."),
    proxyProtocol: proxyVersion
      .optional()
      .describe("Connections to the service begin with a PROXY header, v1 or v2. For services of tcp, tls and auto listeners only."),
    connectTimeout: duration().default(5000).describe("For a connection to be made. Default 5s."),
    pool: object(
      {
        maxConnections: integer(1, 1_000_000)
          .default(1024)
          .describe("Connections to one endpoint, over all workers, each of which has an equal part. Default 1024."),
        maxPending: integer(0, 1_000_000)
          .default(1024)
          .describe("Requests waiting for a connection to one endpoint, shared out in the same way; over it: 503. Default 1024."),
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
    rateLimit: rateLimit.optional().describe("How many requests are sent to the service. Default: all."),
    healthCheck: healthCheck.optional().describe("Probes endpoints; those that fail are avoided. Default: no probes."),
    outlierDetection: outlierDetection.describe(
      "Endpoints that fail too often are left out for a while; false = never. Default on, with the settings below.",
    ),
    circuitBreaker: circuitBreaker.prefault({}).describe("How much may be under way at the service, over all workers."),
    adaptiveConcurrency: adaptiveConcurrency
      .optional()
      .describe("Finds out how many requests at a time the service answers fast; over it: 503. Default: off."),
    admissionControl: admissionControl.optional().describe("Keeps a share of requests from a service that fails: 503. Default: off."),
  },
  "a service, such as { endpoints: [127.0.0.1:9001] }",
)

const moduleSource = string("a path", "the path of a .ts or .wasm file, or a URL")
  .min(1, { error: "is empty; write the path of a .ts or .wasm file, or a URL" })
  .describe("Path of a .ts (AssemblyScript) or .wasm file, from this file's folder; or an https URL of a .wasm, together with sha256.")

const sha256 = parsed("a SHA-256", "64 hexadecimal digits", (text) => {
  const digest = text.toLowerCase().replace(/^sha256:/, "")
  return /^[0-9a-f]{64}$/.test(digest) ? digest : new Wrong(`${quote(text)} is not a SHA-256; write its 64 hexadecimal digits`)
}).describe("SHA-256 the .wasm file must have; needed for a URL.")

const versionSchema = object(
  {
    name: name("version").optional().describe("Unique in the filter; appears in metrics. Default stable, then canary, canary-2 and so on."),
    module: moduleSource,
    sha256: sha256.optional(),
    weight: weight("filter's versions"),
    config: json().optional().describe("Laid over the filter's config for this version; top-level keys replace."),
  },
  "a version, such as { module: ./filter-2.wasm, weight: 5 }",
)

const rollback = either(
  [
    z.literal(false),
    object(
      {
        failures: percent().default(0.01).describe("Share of its exchanges a version may fail in. Default 1%."),
        errors: percent().default(0.05).describe("How much larger than the first version's its share of 5xx may be. Default 5%."),
        window: duration()
          .refine((ms) => ms >= 1000 && ms <= 3_600_000, { error: "is out of range; write a duration from 1s to 1h" })
          .default(30_000)
          .describe("How far is looked back. Default 30s."),
        minimum: integer(1, 1_000_000).default(50).describe("Exchanges in the window without which a version is not judged. Default 50."),
      },
      "limits, such as { failures: 1%, window: 30s }, or false",
    ),
  ],
  "false or an object",
  "limits, such as { failures: 1%, window: 30s }, or false",
)

const variableName = checked("a name", "the name of a variable", (text) =>
  /^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(text) && !(text in Object.prototype)
    ? undefined
    : new Wrong(`${quote(text)} can't name a variable; use up to 128 letters, digits and "_", not beginning with a digit`),
)

const variableValue = checked("a text", "a text", (text) => {
  if (text.length > 4096) return new Wrong("is longer than 4096 characters; write a shorter one, or hand it over in config")
  return text.includes("\0") ? new Wrong("holds a NUL, which ends a variable; leave it out") : undefined
})

const filterSchema = object(
  {
    module: moduleSource.optional(),
    sha256: sha256.optional(),
    versions: list(versionSchema, "a list, such as [{ module: ./filter-1.wasm, weight: 95 }, { module: ./filter-2.wasm, weight: 5 }]")
      .min(1, { error: "is an empty list; write at least one, such as { module: ./filter.wasm }" })
      .max(8, { error: "has more than 8 versions; write fewer" })
      .optional()
      .describe(
        "Several versions instead of module: each exchange is given to one, by weight. The first is the one others are measured by.",
      ),
    rollback: rollback.prefault({}).describe("When a version other than the first is taken out of use by itself. false = never."),
    config: json().optional().describe("Handed to the filter's configure: a text as it is, anything else as JSON."),
    vm: name("VM")
      .optional()
      .describe("Filters of one module and the same vm share instances; names their shared data and queues. Default: the module's own."),
    vmConfig: json().optional().describe("Handed to the module when an instance starts: a text as it is, anything else as JSON."),
    env: record(variableName, variableValue, "variables by name, such as { RUST_LOG: info }")
      .default({})
      .describe("What the module reads as environment variables; it sees no others."),
    rootId: string("a text", "the name of a root of the module")
      .max(256, { error: "is too long; the most is 256 characters" })
      .default("")
      .describe("Which of the roots that the module registers."),
    onError: choice(["deny", "skip"])
      .default("deny")
      .describe("When the filter fails: deny answers 500, skip goes on without it. Default deny."),
    permissions: permissionsSchema("*")
      .optional()
      .describe(
        "What the filter may do, no more than its manifest (filter.json) allows. Default: what that allows; without one, everything.",
      ),
    limits: object(
      {
        cpu: duration({ fine: true })
          .refine((ms) => ms >= 0.01 && ms <= 60_000, { error: "is out of range; write a duration from 0.01ms to 1m" })
          .default(5)
          .describe("CPU time one call into the filter may use. Default 5ms."),
        memory: size(65536, 4 * 1024 * mebibyte)
          .default(16 * mebibyte)
          .describe("Memory of the filter. Default 16MiB."),
        body: size(0, 64 * mebibyte)
          .default(mebibyte)
          .describe("Octets of one body the filter may keep back; over it 413 or 502. Default 1MiB."),
      },
      "limits, such as { cpu: 5ms, memory: 16MiB }",
    )
      .prefault({})
      .describe("What the filter may use."),
    reroute: choice(["onCall", "onEdit"])
      .default("onCall")
      .describe(
        "When the route is looked up anew: when the filter asks for it, or after every edit of request headers as well, as Envoy does. Default onCall.",
      ),
  },
  "a filter, such as { module: ./filter.ts }",
)

export const configSchema = object(
  {
    $schema: string("a text", "the address of the JSON Schema")
      .optional()
      .describe("Where an editor finds the JSON Schema of this file; Sluice ignores it."),
    admin: adminSchema,
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
    accessLog: accessLog
      .default("errors")
      .describe("Which exchanges get a line, off, errors (those with a response flag) or all; or also what is in it, and where it goes."),
    metrics,
    tracing: tracing.optional().describe("Distributed tracing: spans of exchanges and their attempts go to a collector. Default: none."),
    drain: object(
      {
        delay: duration({ zero: true })
          .default(0)
          .describe("All is served as before for this long, while /ready says no and clients are told to go elsewhere. Default 0s."),
        timeout: duration({ zero: true }).default(30_000).describe("Running exchanges get this long after it. Default 30s."),
      },
      "{ delay: 10s, timeout: 30s }",
    )
      .prefault({})
      .describe("What happens at shutdown."),
    zone: zone.optional().describe("Where this gateway is; endpoints of the same zone are preferred. Default: zones don't matter."),
    overload: overload
      .prefault({})
      .describe("When the gateway itself has too much to do: exchanges are refused by their route's priority."),
    rateLimitStore: rateLimitStore
      .optional()
      .describe("Where limits with scope: global are counted: the same for all gateways that share them."),
    rateLimitService: rateLimitService
      .optional()
      .describe("Who decides on limits with scope: service: a service that speaks Envoy's rate-limit protocol."),
    listeners: list(listenerSchema, "a list, such as [{ address: 127.0.0.1:8080 }]")
      .min(1, { error: "is an empty list; write at least one, such as { address: 127.0.0.1:8080 }" })
      .describe("Addresses to listen on."),
    dns: dns.optional().describe("How names of services with discovery are looked up."),
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
export type WrittenFilter = z.output<typeof filterSchema>
export type WrittenListener = z.output<typeof listenerSchema>
export type WrittenListenerTls = z.output<typeof listenerTls>
export type WrittenDiscovery = z.output<typeof discovery>
export type WrittenService = z.output<typeof serviceSchema>
export type WrittenRoute = z.output<typeof routeSchema>

/** JSON Schema (draft 2020-12) of what users write, for editors. */
export function configJsonSchema(): object {
  return { title: "Sluice configuration", ...z.toJSONSchema(configSchema, { io: "input" }) }
}

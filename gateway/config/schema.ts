// What users write, as zod schemas: the one source of validation, of the types editors see in a TypeScript config, and of
// the JSON Schema that `sluice schema` prints. Short forms are expanded here; what needs more than one value is in check.ts.

import * as z from "zod"
import { filter, listenerName, routeSchema, service, weight } from "./route-schema.ts"
import { address, boolean, choice, duration, either, integer, json, list, object, record, size, string } from "./schema-kit.ts"

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
      .default("leastRequest")
      .describe("How an endpoint is chosen. Default leastRequest."),
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

// What the bench measures: what is sent and what the proxies are configured to do with it.

export interface Scenario {
  readonly name: string
  readonly title: string
  /** What one measured unit is: CPU is given for one of it, or how many of them a second of CPU is good for. */
  readonly unit: "request" | "handshake" | "call" | "octet"
  /** Spoken by the load. HTTP/2 without TLS is by prior knowledge. */
  readonly downstream: Protocol
  /** TLS 1.3 between load and proxy. */
  readonly tls: boolean
  /** Spoken to the origin, always without TLS. */
  readonly upstream: Protocol
  readonly method: "GET" | "POST"
  /** Target of every request. */
  readonly target: string
  /** Octets of the request body. */
  readonly requestBody: number
  /** Octets of the response body. */
  readonly responseBody: number
  /** Path prefixes with a route each; the target is under the last. Zero: one route for everything. */
  readonly routes: number
  /** Look up one request field and set another: nginx in Lua, HAProxy with its rules, Sluice in an AssemblyScript filter. */
  readonly filter: boolean
  /** A line of the access log for each request, to a file; Sluice also records the trace of one in a hundred. */
  readonly observed: boolean
}

export type Protocol = "http1" | "h2" | "tcp"

const plain: Omit<Scenario, "name" | "title"> = {
  unit: "request",
  downstream: "http1",
  tls: false,
  upstream: "http1",
  method: "GET",
  target: "/1k",
  requestBody: 0,
  responseBody: 1024,
  routes: 0,
  filter: false,
  observed: false,
}

export const routeCount = 10_000

/** Of the gRPC scenario: at this rate, whatever becomes of the calls before. */
export const callsPerSecond = 1000
export const callPath = "/bench.Echo/Say"
/** Octets of its request and of its response, gRPC's five of framing included. */
export const callSize = 105

/** Prefix of a route: a few segments, as in a real table. */
export function routePrefix(index: number): string {
  return `/team-${index % 100}/service-${index}`
}

/** One for each of the scenario's routes. */
export function routePrefixes({ routes }: Scenario): string[] {
  return Array.from({ length: routes }, (_, index) => routePrefix(index))
}

/** The same requests without what the scenario is about, or null when there is nothing to leave out: run beside it to show the difference. */
export function withoutFeature(scenario: Scenario): Scenario | null {
  const { filter, routes, observed } = scenario
  return filter || routes > 0 || observed ? { ...scenario, filter: false, routes: 0, observed: false } : null
}

/** Short name of what {@link withoutFeature} leaves out. */
export function featureOf(scenario: Scenario): string {
  if (scenario.observed) return "log"
  return scenario.filter ? "filter" : `${scenario.routes} routes`
}

export const scenarios: readonly Scenario[] = [
  { ...plain, name: "1k", title: "GET, 1 KiB response" },
  { ...plain, name: "64k", title: "GET, 64 KiB response", target: "/64k", responseBody: 65_536 },
  { ...plain, name: "observed", title: "GET, 1 KiB response, access log to a file; Sluice: and traces of 1 %", observed: true },
  { ...plain, name: "filter", title: "GET, 1 KiB response, header filter", filter: true },
  {
    ...plain,
    name: "routes",
    title: `GET, 1 KiB response, ${routeCount} routes`,
    target: `${routePrefix(routeCount - 1)}/item`,
    routes: routeCount,
  },
  { ...plain, name: "post", title: "POST 1 KiB, 1 KiB response", method: "POST", requestBody: 1024 },
  { ...plain, name: "h2", title: "HTTP/2 → HTTP/2, GET, 1 KiB response", downstream: "h2", upstream: "h2" },
  { ...plain, name: "h2-h1", title: "HTTP/2 → HTTP/1.1, GET, 1 KiB response", downstream: "h2" },
  { ...plain, name: "tls", title: "HTTP/1.1 over TLS 1.3, keep-alive, GET, 1 KiB response", tls: true },
  { ...plain, name: "tls-h2", title: "HTTP/2 over TLS 1.3 → HTTP/1.1, GET, 1 KiB response", tls: true, downstream: "h2" },
  { ...plain, name: "handshake", title: "TLS 1.3 handshakes, P-256, no resumption, one request each", tls: true, unit: "handshake" },
  {
    ...plain,
    name: "grpc",
    title: `gRPC, unary, ${callsPerSecond} calls/s`,
    unit: "call",
    downstream: "h2",
    upstream: "h2",
    method: "POST",
    target: callPath,
    requestBody: callSize,
    responseBody: callSize,
  },
  { ...plain, name: "tcp", title: "TCP, 64 KiB writes, 4 connections each way", unit: "octet", downstream: "tcp", upstream: "tcp" },
]

/** Spoken on both sides, and nothing is asked of the proxy that a plain one can't do. */
export function isPlainHttp1({ downstream, upstream, tls, filter, routes, observed }: Scenario): boolean {
  return downstream === "http1" && upstream === "http1" && !tls && !filter && !observed && routes === 0
}

/** What has to be on the PATH for it, beside proxies. nginx is the origin of the others. */
export function neededPrograms({ unit, downstream, upstream, tls }: Scenario): string[] {
  if (unit === "call" || unit === "octet") return []
  return [
    ...(downstream === "h2" || unit === "handshake" ? ["h2load"] : []),
    upstream === "h2" ? "nghttpd" : "nginx",
    ...(tls ? ["openssl"] : []),
  ]
}

/** One gRPC message: not compressed, its length in four octets, its octets. */
export function callBody(): Buffer {
  const body = Buffer.alloc(callSize, "x")
  body.writeUInt8(0, 0)
  body.writeUInt32BE(callSize - 5, 1)
  return body
}

/** Ten fields, as a browser's `fetch` sends them. `host` is the first. */
export function requestFields(host: string): [name: string, value: string][] {
  return [
    ["host", host],
    ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"],
    ["accept", "application/json, text/plain, */*"],
    ["accept-language", "en-GB,en;q=0.9,de;q=0.8"],
    ["accept-encoding", "gzip, deflate, br, zstd"],
    ["referer", "https://shop.example.com/catalogue/chairs?page=3&sort=price"],
    ["cookie", "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=necessary.statistics"],
    ["x-api-key", "b3f0c7f6bb763af1be91d9e74eabfeb199dc1f1f"],
    ["cache-control", "no-cache"],
    ["sec-fetch-mode", "cors"],
  ]
}

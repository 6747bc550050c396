// What the bench measures: the requests sent and what the proxies are configured to do with them.

export interface Scenario {
  readonly name: string
  readonly title: string
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
}

const plain: Omit<Scenario, "name" | "title"> = {
  method: "GET",
  target: "/1k",
  requestBody: 0,
  responseBody: 1024,
  routes: 0,
  filter: false,
}

export const routeCount = 10_000

/** Prefix of a route: a few segments, as in a real table. */
export function routePrefix(index: number): string {
  return `/team-${index % 100}/service-${index}`
}

/** The same requests without the routes or the filter, or null when there is nothing to leave out: run beside it to show the difference. */
export function withoutFeature(scenario: Scenario): Scenario | null {
  return scenario.filter || scenario.routes > 0 ? { ...scenario, filter: false, routes: 0 } : null
}

/** Short name of what {@link withoutFeature} leaves out. */
export function featureOf(scenario: Scenario): string {
  return scenario.filter ? "filter" : `${scenario.routes} routes`
}

export const scenarios: readonly Scenario[] = [
  { ...plain, name: "1k", title: "GET, 1 KiB response" },
  { ...plain, name: "64k", title: "GET, 64 KiB response", target: "/64k", responseBody: 65_536 },
  { ...plain, name: "filter", title: "GET, 1 KiB response, header filter", filter: true },
  {
    ...plain,
    name: "routes",
    title: `GET, 1 KiB response, ${routeCount} routes`,
    target: `${routePrefix(routeCount - 1)}/item`,
    routes: routeCount,
  },
  { ...plain, name: "post", title: "POST 1 KiB, 1 KiB response", method: "POST", requestBody: 1024 },
]

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

// Golden pairs: what a person writes, and what it comes out as.

import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { LEAST_REQUEST } from "../../gateway/config/balancing-model.ts"
import { type LoadResult, parseConfig } from "../../gateway/config/load.ts"
import type { Config, RouteConfig } from "../../gateway/config/model.ts"
import { formatProblems } from "../../gateway/config/problem.ts"

const DEFAULT_RETRY = {
  attempts: 2,
  on: ["connectFailure", "refused", "unavailable"],
  backoff: { base: 25, max: 250 },
  keepsBodies: false,
}

const baseDir = join(import.meta.dirname, "modules")
const listeners = "listeners: [{ address: 127.0.0.1:8080 }]\n"
const services =
  "services: { a: { endpoints: [127.0.0.1:9001] }, b: { endpoints: [127.0.0.1:9002] }, c: { endpoints: [{ address: 127.0.0.1:9003, labels: { version: v2 } }] } }\n"
const filters = "filters: { auth: { module: filter.wasm }, limit: { module: ./filter.wasm } }\n"

function load(text: string): Extract<LoadResult, { ok: true }> {
  const result = parseConfig(text, { file: "sluice.yaml", baseDir })
  if (!result.ok) throw new Error(formatProblems(result.problems))
  return result
}

function config(text: string): Config {
  return load(text).config
}

function route(text: string): RouteConfig {
  const result = load(`${listeners}${services}${filters}routes:\n  - ${text.replaceAll("\n", "\n    ")}\n`)
  expect(result.warnings).toEqual([])
  return result.config.routes[0]
}

const noEdits = { remove: [], set: [], add: [] }
const forwardToA = { kind: "forward", backends: [{ service: "a", weight: 1, headers: { request: noEdits, response: noEdits } }] }

test("all buckets of histograms are shown when that is asked for", () => {
  expect(config(`${listeners}${services}metrics: { histograms: fine }\nroutes: [{ backends: a }]\n`).metrics).toEqual({
    histograms: "fine",
    exemplars: true,
  })
})

test("the smallest useful file has every default filled in", () => {
  const result = load(
    "listeners:\n  - address: 127.0.0.1:8080\nservices:\n  hello: { endpoints: [127.0.0.1:9001] }\nroutes:\n  - backends: hello\n",
  )
  expect(result.warnings).toEqual([])
  expect(result.config).toEqual({
    admin: { address: { host: "127.0.0.1", port: 9901 }, openMetrics: false },
    workers: "auto",
    log: { level: "info", format: "auto" },
    accessLog: {
      when: "errors",
      only: null,
      to: { kind: "stdout" },
      format: { kind: "json" },
      headers: { request: [], response: [] },
      redact: null,
    },
    metrics: { histograms: "coarse", exemplars: true },
    drain: { delay: 0, timeout: 30_000 },
    zone: "",
    overload: { eventLoopLag: 250, memory: { share: 0.9 } },
    listeners: [
      {
        name: "listener-0",
        address: { host: "127.0.0.1", port: 8080 },
        protocol: "http",
        tls: null,
        proxyProtocol: null,
        limits: { requestLine: 8192, head: 32_768, fields: 100, body: 0, streams: 100, connections: 65_536 },
        timeouts: { head: 10_000, idle: 60_000, halfClose: 1000, tunnelIdle: 3_600_000 },
        trustedHops: 0,
        path: { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true },
      },
    ],
    services: {
      hello: {
        endpoints: [{ address: { host: "127.0.0.1", port: 9001 }, weight: 1 }],
        loadBalancing: LEAST_REQUEST,
        protocol: "http1",
        proxyProtocol: "",
        tls: null,
        connectTimeout: 5000,
        pool: { maxConnections: 1024, maxPending: 1024, idleTimeout: 60_000, maxAge: 0 },
        limits: { head: 65_536, fields: 200 },
        outlierDetection: {
          consecutive5xx: 5,
          consecutiveGatewayErrors: 5,
          consecutiveLocalFailures: 5,
          interval: 10_000,
          baseEjectionTime: 30_000,
          maxEjectionTime: 300_000,
          maxEjected: 0.1,
          successRate: { minEndpoints: 5, minRequests: 100, factor: 1.9 },
          failurePercentage: null,
          latency: null,
          count429: false,
        },
        circuitBreaker: {
          maxConnections: 1024,
          maxPending: 1024,
          maxRequests: 1024,
          maxRetries: 1024,
          retryBudget: { share: 0.2, perSecond: 10 },
          queueTimeout: 5000,
          endpoint: { maxConnections: 0, maxRequests: 0 },
        },
      },
    },
    filters: {},
    routes: [
      {
        name: "route-0",
        listeners: [],
        hosts: [],
        matches: [{ path: { kind: "prefix", value: "/" }, methods: [], headers: [], query: [] }],
        filters: [],
        action: { kind: "forward", backends: [{ service: "hello", weight: 1, headers: { request: noEdits, response: noEdits } }] },
        timeout: { request: 15_000, perTry: 0, idle: 300_000, propagate: false, grpc: 0 },
        retry: DEFAULT_RETRY,
        hedge: null,
        priority: "normal",
        grpcWeb: false,
        headers: { request: noEdits, response: noEdits },
      },
    ],
  })
  expect(structuredClone(result.config)).toEqual(result.config)
})

describe("a document", () => {
  const cases: [name: string, text: string, expected: object][] = [
    ["in JSON", '{ "listeners": [{ "address": "127.0.0.1:8080" }], "workers": 2 }', { workers: 2 }],
    ["in JSON indented by tabs", '{\n\t"listeners": [\n\t\t{ "address": "127.0.0.1:8080" }\n\t]\n}', { workers: "auto" }],
    [
      "in JSON that names its schema",
      '{ "$schema": "./sluice.schema.json", "listeners": [{ "address": "127.0.0.1:8080" }] }',
      { workers: "auto" },
    ],
    ["with a byte order mark and CRLF", "\ufefflisteners:\r\n  - address: 127.0.0.1:8080\r\nworkers: 3\r\n", { workers: 3 }],
    [
      "with anchors and aliases",
      "listeners: [{ address: &x 127.0.0.1:8080, name: a, timeouts: &t { idle: 1m } }, { address: 127.0.0.1:81, timeouts: *t }]\n",
      { listeners: [{ timeouts: { idle: 60_000 } }, { timeouts: { idle: 60_000 } }] },
    ],
    ["without an admin server", `${listeners}admin: false\n`, { admin: null }],
    ["with an admin server elsewhere", `${listeners}admin: { address: "[::1]:0" }\n`, { admin: { address: { host: "::1", port: 0 } } }],
    [
      "with logs set",
      `${listeners}log: { level: debug, format: json }\naccessLog: off\n`,
      { log: { level: "debug", format: "json" }, accessLog: { when: "off", to: { kind: "stdout" } } },
    ],
    [
      "with an access log of lines of text, some of them, in a file",
      `${listeners}accessLog: { only: { status: [404, 5xx], slowerThan: 1s, sample: 10% }, openEvery: 10m, to: { file: logs/access.log }, format: { template: "%REQ(X-A?:PATH):9%%% %START_TIME(%s)%" } }\n`,
      {
        accessLog: {
          when: "all",
          only: {
            status: [
              [404, 404],
              [500, 599],
            ],
            slowerThan: 1000,
            sample: 0.1,
            keepErrors: true,
          },
          openEvery: 600_000,
          to: { kind: "file", path: join(baseDir, "logs/access.log") },
          format: {
            kind: "template",
            template: "%REQ(X-A?:PATH):9%%% %START_TIME(%s)%",
          },
        },
      },
    ],
    [
      "with an access log for a receiver",
      `${listeners}accessLog: { to: { otlp: { url: "https://logs.example/in/", headers: { Authorization: { env: TOKEN } } } }, headers: { request: [X-User] }, redact: [] }\n`,
      {
        accessLog: {
          when: "errors",
          to: {
            kind: "otlp",
            otlp: { url: "https://logs.example/in", headers: { authorization: { env: "TOKEN" } }, timeout: 10_000 },
            serviceName: "sluice",
          },
          format: { kind: "json" },
          headers: { request: ["x-user"], response: [] },
          redact: [],
        },
      },
    ],
    ["without time to drain", `${listeners}drain: { timeout: 0 }\n`, { drain: { delay: 0, timeout: 0 } }],
    ["with time to go elsewhere", `${listeners}drain: { delay: 10s }\n`, { drain: { delay: 10_000, timeout: 30_000 } }],
    [
      "with durations of every unit",
      "listeners: [{ address: 127.0.0.1:1, timeouts: { head: 250ms, idle: 1.5s, tunnelIdle: 2h, halfClose: 0 } }]\ndrain: { timeout: 1m }\n",
      { listeners: [{ timeouts: { head: 250, idle: 1500, tunnelIdle: 7_200_000, halfClose: 0 } }], drain: { timeout: 60_000 } },
    ],
    [
      "with sizes of every unit",
      "listeners: [{ address: 127.0.0.1:1, limits: { head: 64KiB, requestLine: 4096, body: 1GiB } }]\nservices: { s: { endpoints: [a:1], limits: { head: 1MiB } } }\n",
      {
        listeners: [{ limits: { head: 65_536, requestLine: 4096, body: 1_073_741_824 } }],
        services: { s: { limits: { head: 1_048_576 } } },
      },
    ],
    [
      "with addresses of every kind",
      'listeners: [{ address: "[2001:DB8::1]:443" }, { address: 0.0.0.0:0 }, { address: 0.0.0.0:0 }, { address: Localhost:80 }]\n',
      {
        listeners: [
          { address: { host: "2001:db8::1", port: 443 } },
          { address: { host: "0.0.0.0", port: 0 } },
          { name: "listener-2" },
          { address: { host: "localhost", port: 80 } },
        ],
      },
    ],
    [
      "with path policies",
      "listeners: [{ address: 127.0.0.1:1, trustedHops: 2, path: { encodedSlash: decode, backslash: slash, nul: keep, mergeSlashes: false } }]\n",
      {
        listeners: [
          {
            trustedHops: 2,
            path: { encodedSlash: "decode", encodedBackslash: "keep", backslash: "slash", nul: "keep", mergeSlashes: false },
          },
        ],
      },
    ],
    [
      "with a service in full",
      `${listeners}services: { s: { endpoints: [a.b:1, { address: "[::1]:2", weight: 3 }, { address: 1.2.3.4:5 }], loadBalancing: leastRequest, protocol: http1, connectTimeout: 1s, pool: { maxConnections: 1, maxPending: 0, idleTimeout: 1s, maxAge: 1h } } }\n`,
      {
        services: {
          s: {
            endpoints: [
              { address: { host: "a.b", port: 1 }, weight: 1 },
              { address: { host: "::1", port: 2 }, weight: 3 },
              { address: { host: "1.2.3.4", port: 5 }, weight: 1 },
            ],
            loadBalancing: LEAST_REQUEST,
            connectTimeout: 1000,
            pool: { maxConnections: 1, maxPending: 0, idleTimeout: 1000, maxAge: 3_600_000 },
          },
        },
      },
    ],
    [
      "with balancing in every form",
      `${listeners}zone: eu-1a\nservices: { s: { endpoints: [{ address: a.b:1, zone: eu-1a, priority: 1, labels: { version: v2 } }], loadBalancing: peakEwma, failover: t }, t: { endpoints: [a.b:2], loadBalancing: { slowStart: 30s, zoneAware: false, panicThreshold: 0% } }, u: { endpoints: [a.b:3], loadBalancing: { policy: maglev, by: "header:X-User" } }, v: { endpoints: [a.b:4], loadBalancing: { policy: ringHash, by: "cookie:c", cookie: { ttl: 1h } } }, w: { endpoints: [a.b:5], loadBalancing: { policy: ringHash, by: source, zoneAware: true } } }\n`,
      {
        zone: "eu-1a",
        services: {
          s: {
            endpoints: [{ address: { host: "a.b", port: 1 }, weight: 1, zone: "eu-1a", priority: 1, labels: { version: "v2" } }],
            loadBalancing: { ...LEAST_REQUEST, policy: "peakEwma" },
            failover: "t",
          },
          t: { loadBalancing: { policy: "leastRequest", by: null, slowStart: 30_000, zoneAware: false, panicThreshold: 0 } },
          u: { loadBalancing: { policy: "maglev", by: { kind: "header", name: "x-user" }, zoneAware: false } },
          v: { loadBalancing: { by: { kind: "cookie", name: "c", generate: { ttl: 3_600_000, path: "/" } } } },
          w: { loadBalancing: { policy: "ringHash", by: { kind: "source" }, zoneAware: true } },
        },
      },
    ],
    [
      "with health checks",
      `${listeners}services: { s: { endpoints: [a.b:1], healthCheck: { path: /healthz, timeout: 2s } }, g: { endpoints: [a.b:2], healthCheck: { grpc: { service: shop.Cart }, interval: 1s, unhealthyInterval: 2s, unhealthy: 1, healthy: 4 } }, w: { endpoints: [a.b:3], healthCheck: { grpc: {} } }, t: { endpoints: [a.b:4], proxyProtocol: v2, healthCheck: { tcp: true } }, p: { endpoints: [a.b:5], healthCheck: { path: /, status: [2xx, 401, "300-304"], body: ok } }, q: { endpoints: [a.b:6], healthCheck: { path: /, status: 204 } } }\n`,
      {
        services: {
          s: {
            healthCheck: {
              probe: { kind: "http", path: "/healthz", statuses: [[200, 299]], body: "" },
              interval: 5000,
              unhealthyInterval: 5000,
              timeout: 2000,
              unhealthy: 3,
              healthy: 2,
            },
          },
          g: {
            healthCheck: {
              probe: { kind: "grpc", service: "shop.Cart" },
              interval: 1000,
              unhealthyInterval: 2000,
              timeout: 1000,
              unhealthy: 1,
              healthy: 4,
            },
          },
          w: { healthCheck: { probe: { kind: "grpc", service: "" } } },
          t: { healthCheck: { probe: { kind: "tcp" } } },
          p: {
            healthCheck: {
              probe: {
                kind: "http",
                statuses: [
                  [200, 299],
                  [401, 401],
                  [300, 304],
                ],
                body: "ok",
              },
            },
          },
          q: { healthCheck: { probe: { statuses: [[204, 204]] } } },
        },
      },
    ],
    [
      "with detection of outliers",
      `${listeners}services: { s: { endpoints: [a.b:1], outlierDetection: { consecutive5xx: 0, consecutiveLocalFailures: 1000, interval: 1s, baseEjectionTime: 200ms, maxEjectionTime: 24h, maxEjected: 100%, successRate: false, failurePercentage: {}, latency: { factor: 1.5, minEndpoints: 2, minRequests: 1 }, count429: true } }, r: { endpoints: [a.b:2], outlierDetection: { successRate: { factor: 3 }, failurePercentage: false, latency: {} } } }\n`,
      {
        services: {
          s: {
            outlierDetection: {
              consecutive5xx: 0,
              consecutiveGatewayErrors: 5,
              consecutiveLocalFailures: 1000,
              interval: 1000,
              baseEjectionTime: 200,
              maxEjectionTime: 86_400_000,
              maxEjected: 1,
              successRate: null,
              failurePercentage: { minEndpoints: 5, minRequests: 50, threshold: 0.85 },
              latency: { minEndpoints: 2, minRequests: 1, factor: 1.5 },
              count429: true,
            },
          },
          r: {
            outlierDetection: {
              successRate: { minEndpoints: 5, minRequests: 100, factor: 3 },
              failurePercentage: null,
              latency: { minEndpoints: 3, minRequests: 100, factor: 3 },
            },
          },
        },
      },
    ],
    [
      "without detection of outliers",
      `${listeners}services: { s: { endpoints: [a.b:1], outlierDetection: false } }\n`,
      { services: { s: { outlierDetection: undefined } } },
    ],
    [
      "with a filter",
      `${listeners}filters: { f: { module: ./filter.wasm } }\n`,
      {
        filters: {
          f: {
            versions: [{ name: "stable", module: join(baseDir, "filter.wasm"), sha256: "", weight: 1, config: undefined }],
            rollback: { failures: 0.01, errors: 0.05, window: 30_000, minimum: 50 },
            config: undefined,
            vm: "",
            vmConfig: undefined,
            env: {},
            rootId: "",
            onError: "deny",
            limits: { cpu: 5, memory: 16_777_216, body: 1_048_576 },
            reroute: "onCall",
          },
        },
      },
    ],
    [
      "with a filter that has variables",
      `${listeners}filters: { f: { module: filter.wasm, env: { RUST_LOG: info, _x1: "" } } }\n`,
      { filters: { f: { env: { RUST_LOG: "info", _x1: "" } } } },
    ],
    [
      "with a filter in full",
      `${listeners}filters: { f: { module: filter.wasm, config: { a: [1, null, true, { b: x }] }, onError: skip, limits: { cpu: 0.5ms, memory: 1MiB } } }\n`,
      {
        filters: {
          f: { config: { a: [1, null, true, { b: "x" }] }, onError: "skip", limits: { cpu: 0.5, memory: 1_048_576, body: 1_048_576 } },
        },
      },
    ],
  ]
  test.each(cases)("%s", (_name, text, expected) => {
    expect(config(text)).toMatchObject(expected)
  })
})

describe("a route", () => {
  const everything = { path: { kind: "prefix", value: "/" }, methods: [], headers: [], query: [] }
  const cases: [name: string, text: string, expected: object][] = [
    ["with one service", "backends: a", { action: forwardToA }],
    [
      "with a subset of a service",
      "backends: [{ service: c, subset: { version: v2 } }]",
      {
        action: {
          kind: "forward",
          backends: [{ service: "c", subset: { version: "v2" }, weight: 1, headers: { request: noEdits, response: noEdits } }],
        },
      },
    ],
    ["with a list of one service", "backends: [a]", { action: forwardToA }],
    ["with a service as an object", "backends: { service: a }", { action: forwardToA }],
    [
      "with weighted services",
      "backends: [a, { service: b, weight: 3 }, { service: b, weight: 0 }]",
      {
        action: {
          backends: [
            { service: "a", weight: 1 },
            { service: "b", weight: 3 },
            { service: "b", weight: 0 },
          ],
        },
      },
    ],
    [
      "with edits and a rewrite for one backend",
      "backends: [{ service: a, headers: { request: { set: { X-A: b } } }, rewrite: { host: B.example:81 } }]",
      {
        action: {
          backends: [
            { headers: { request: { set: [["x-a", "b"]], add: [], remove: [] }, response: noEdits }, rewrite: { host: "b.example:81" } },
          ],
        },
      },
    ],
    ["with a prefix", "match: { path: /api }\nbackends: a", { matches: [{ ...everything, path: { kind: "prefix", value: "/api" } }] }],
    [
      "with a prefix that ends with a slash",
      "match: { path: /api/ }\nbackends: a",
      { matches: [{ ...everything, path: { kind: "prefix", value: "/api" } }] },
    ],
    [
      "with a prefix as an object",
      "match: { path: { prefix: /api } }\nbackends: a",
      { matches: [{ ...everything, path: { kind: "prefix", value: "/api" } }] },
    ],
    [
      "with an exact path, whose slash at the end stays",
      "match: { path: { exact: /api/ } }\nbackends: a",
      { matches: [{ ...everything, path: { kind: "exact", value: "/api/" } }] },
    ],
    [
      "with escapes of unreserved characters",
      "match: { path: { exact: /%7Euser/%41%2fb%2Fc } }\nbackends: a",
      { matches: [{ path: { kind: "exact", value: "/~user/A%2Fb%2Fc" } }] },
    ],
    [
      "with a regular expression",
      "match: { path: { regex: '/users/[0-9]+(/[^/]+)*' } }\nbackends: a",
      { matches: [{ path: { kind: "regex", value: "/users/[0-9]+(/[^/]+)*" } }] },
    ],
    ["with one method", "match: { method: get }\nbackends: a", { matches: [{ ...everything, methods: ["GET"] }] }],
    ["with methods", "match: { method: [GET, post, GET] }\nbackends: a", { matches: [{ ...everything, methods: ["GET", "POST"] }] }],
    [
      "with headers",
      'match: { headers: { X-A: "1", x-b: { exact: b }, x-c: { regex: "c+" } } }\nbackends: a',
      {
        matches: [
          {
            headers: [
              { name: "x-a", value: { exact: "1" } },
              { name: "x-b", value: { exact: "b" } },
              { name: "x-c", value: { regex: "c+" } },
            ],
          },
        ],
      },
    ],
    [
      "with query parameters",
      'match: { query: { A: "1", b: { exact: ä }, c: { regex: "c+" } } }\nbackends: a',
      {
        matches: [
          {
            query: [
              { name: "A", value: { exact: "1" } },
              { name: "b", value: { exact: "ä" } },
              { name: "c", value: { regex: "c+" } },
            ],
          },
        ],
      },
    ],
    [
      "with several matches",
      "match: [{ path: /a }, { method: GET }]\nbackends: a",
      {
        matches: [
          { ...everything, path: { kind: "prefix", value: "/a" } },
          { ...everything, methods: ["GET"] },
        ],
      },
    ],
    [
      "with hosts",
      'hosts: [Shop.Example.com, "*.example.com", 10.0.0.1, "[::1]", shop.example.com]\nbackends: a',
      { hosts: ["shop.example.com", "*.example.com", "10.0.0.1", "[::1]"] },
    ],
    ["with one host", "hosts: shop.example.com\nbackends: a", { hosts: ["shop.example.com"] }],
    ["with a listener", "listeners: [listener-0]\nbackends: a", { listeners: ["listener-0"] }],
    [
      "with filters",
      "filters: [auth, { use: limit, with: { n: 1 } }, { use: auth }]\nbackends: a",
      {
        filters: [
          { use: "auth", with: undefined },
          { use: "limit", with: { n: 1 } },
          { use: "auth", with: undefined },
        ],
      },
    ],
    ["with one filter", "filters: auth\nbackends: a", { filters: [{ use: "auth", with: undefined }] }],
    ["with a time limit", "timeout: 5s\nbackends: a", { timeout: { request: 5000, perTry: 0, idle: 300_000, grpc: 5000 } }],
    [
      "with time limits",
      "timeout: { perTry: 2s, idle: 0 }\nbackends: a",
      { timeout: { request: 15_000, perTry: 2000, idle: 0, propagate: false, grpc: 0 } },
    ],
    ["without a time limit", "timeout: 0\nbackends: a", { timeout: { request: 0, perTry: 0, idle: 300_000, propagate: false, grpc: 0 } }],
    ["with retries", "retry: {}\nbackends: a", { retry: { ...DEFAULT_RETRY, keepsBodies: true } }],
    ["without retries", "retry: false\nbackends: a", { retry: null }],
    [
      "with retries that wait",
      "retry: { on: retriable4xx, backoff: { base: 1ms, max: 1s } }\nbackends: a",
      { retry: { attempts: 2, on: ["retriable4xx"], backoff: { base: 1, max: 1000 }, keepsBodies: true } },
    ],
    ["with a second attempt after a while", "hedge: 100ms\nbackends: a", { hedge: { after: 100, percentile: 0 } }],
    ["with a second attempt for the slowest", "hedge: { percentile: 95 }\nbackends: a", { hedge: { after: 1, percentile: 95 } }],
    [
      "with a second attempt at its soonest",
      "hedge: { percentile: 99, after: 20ms }\nbackends: a",
      { hedge: { after: 20, percentile: 99 } },
    ],
    [
      "with retries of its own",
      "retry: { attempts: 1, on: [503, reset, 503, 5xx, internal] }\nbackends: a",
      { retry: { ...DEFAULT_RETRY, attempts: 1, on: [503, "reset", "5xx", "internal"], keepsBodies: true } },
    ],
    ["with retries on one thing", "retry: { on: 502 }\nbackends: a", { retry: { ...DEFAULT_RETRY, on: [502], keepsBodies: true } }],
    [
      "with a canary",
      "name: r\nbackends: [a, b]\ncanary: {}",
      { canary: { service: "b", steps: [0.01, 0.1, 0.5, 1], interval: 60_000, abortOn: { errorRate: 0.05, p99: 0, minimum: 50 } } },
    ],
    [
      "with a canary of its own kind",
      "name: r\nbackends: [a, { service: b, weight: 3 }]\ncanary: { service: a, steps: [0.5%, 30%], interval: 5m, abortOn: { errorRate: 1%, p99: 500ms, minimum: 1000 } }",
      { canary: { service: "a", steps: [0.005, 0.3], interval: 300_000, abortOn: { errorRate: 0.01, p99: 500, minimum: 1000 } } },
    ],
    ["with gRPC-Web", "grpcWeb: true\nbackends: a", { grpcWeb: true }],
    [
      "with a rewrite",
      "match: { path: /a }\nrewrite: { prefix: /, host: b }\nbackends: a",
      { action: { ...forwardToA, rewrite: { prefix: "/", host: "b" } } },
    ],
    [
      "with a redirect",
      "redirect: { scheme: https, host: B.example, port: 8443, prefix: /new }",
      { action: { kind: "redirect", redirect: { scheme: "https", host: "b.example", port: 8443, prefix: "/new", status: 302 } } },
    ],
    [
      "with a reply",
      "respond: { body: pong, headers: { Content-Type: text/plain } }",
      { action: { kind: "respond", status: 200, body: "pong", headers: [["content-type", "text/plain"]] } },
    ],
    [
      "with header edits",
      "backends: a\nheaders: { request: { set: { X-A: a }, add: { X-B: [b, c], x-c: d }, remove: [Server] }, response: { remove: Via } }",
      {
        headers: {
          request: {
            set: [["x-a", "a"]],
            add: [
              ["x-b", "b"],
              ["x-b", "c"],
              ["x-c", "d"],
            ],
            remove: ["server"],
          },
          response: { set: [], add: [], remove: ["via"] },
        },
      },
    ],
    [
      "with cookies and a share of requests",
      'match: { cookies: { tier: gold, Seen: { regex: "[0-9]+" } }, percentage: 2.5% }\nbackends: a',
      {
        matches: [
          {
            cookies: [
              { name: "tier", value: { exact: "gold" } },
              { name: "Seen", value: { regex: "[0-9]+" } },
            ],
            percentage: 0.025,
          },
        ],
      },
    ],
    [
      "with faults in short forms",
      "backends: a\nfault: { delay: 1s, abort: { status: 503 }, bandwidth: 64KiB, reset: true, percentage: 5%, header: X-Sluice-Fault }",
      {
        fault: {
          share: 0.05,
          delay: { kind: "fixed", fixed: 1000, share: 1 },
          abort: { status: 503, grpcStatus: -1, share: 1 },
          bandwidth: { rate: 65_536, share: 1 },
          reset: { share: 1 },
          header: "x-sluice-fault",
        },
      },
    ],
    [
      "with a delay that is distributed, and a failure of gRPC",
      "backends: a\nfault: { delay: { percentiles: { p99.9: 1s, p50: 10ms }, percentage: 10% }, abort: { grpcStatus: UNAVAILABLE } }",
      {
        fault: {
          share: 1,
          delay: {
            kind: "percentiles",
            points: [
              [0.5, 10],
              [0.999, 1000],
            ],
            share: 0.1,
          },
          abort: { status: 0, grpcStatus: 14, share: 1 },
          bandwidth: null,
          reset: null,
          header: "",
        },
      },
    ],
    [
      "with a delay around a mean",
      "backends: a\nfault: { delay: { mean: 200ms, deviation: 50ms } }",
      { fault: { delay: { kind: "normal", mean: 200, deviation: 50, share: 1 } } },
    ],
    ["with a mirror", "backends: a\nmirror: b", { mirrors: [{ service: "b", share: 1 }] }],
    [
      "with mirrors",
      "backends: a\nmirror: [b, { service: a, percentage: 10% }]",
      {
        mirrors: [
          { service: "b", share: 1 },
          { service: "a", share: 0.1 },
        ],
      },
    ],
    [
      "that is sticky by a cookie",
      "backends: [a, b]\nsticky: { cookie: backend, ttl: 1h }",
      { sticky: { kind: "cookie", cookie: "backend", ttl: 3_600_000 } },
    ],
    ["that is sticky by a header", "backends: [a, b]\nsticky: { by: header:X-User }", { sticky: { kind: "header", name: "x-user" } }],
    ["that is sticky by address", "backends: [a, b]\nsticky: { by: source }", { sticky: { kind: "source" } }],
    ["named", "name: api/v1.x\nbackends: a", { name: "api/v1.x" }],
  ]
  test.each(cases)("%s", (_name, text, expected) => {
    expect(route(text)).toMatchObject(expected)
  })
})

describe("a warning is given for", () => {
  const cases: [name: string, text: string, expected: string][] = [
    [
      "a document without routes",
      "",
      "sluice.yaml:1:1: routes: there is no route, so every request is answered with 404; write one, such as - backends: NAME",
    ],
    [
      "a route that is sticky with one backend",
      "routes: [{ backends: a, sticky: { by: source } }]\n",
      "sluice.yaml:3:25: routes[0].sticky: has nothing to choose from, for the route has one backend; write another one, or leave sticky out",
    ],
    [
      "an unknown service",
      "routes: [{ backends: [a, aa] }]\n",
      'sluice.yaml:3:26: routes[0].backends[1]: there is no service "aa", so its share of requests is answered with 500; did you mean "a"?',
    ],
    [
      "no action",
      "routes: [{ match: { path: /a } }]\n",
      "sluice.yaml:3:10: routes[0]: has none of backends, redirect and respond, so its requests are answered with 500; write one of them",
    ],
    [
      "a subset that no endpoint is in",
      "routes: [{ backends: [{ service: a, subset: { version: v2 } }] }]\n",
      'sluice.yaml:3:45: routes[0].backends[0].subset: no endpoint of "a" with a weight above 0 has { version: v2 }, so its share of requests is answered with 503; write the labels of some',
    ],
    [
      "an empty list of backends",
      "routes: [{ backends: [] }]\n",
      "sluice.yaml:3:22: routes[0].backends: is empty, so the route's requests are answered with 500; write the name of a service",
    ],
    [
      "weights of 0",
      "routes: [{ backends: [{ service: a, weight: 0 }] }]\n",
      "sluice.yaml:3:22: routes[0].backends: every weight is 0, so the route's requests are answered with 500; give one a weight above 0",
    ],
    [
      "a try as long as the request",
      "routes: [{ backends: a, timeout: { request: 1s, perTry: 1s } }]\n",
      "sluice.yaml:3:57: routes[0].timeout.perTry: never comes into play, for request ends first; write a shorter one",
    ],
    [
      "a canary of a route without a name",
      "routes: [{ backends: [a, b], canary: {} }]\n",
      "sluice.yaml:3:30: routes[0].canary: is of a route without a name, so that it begins again when routes change places; write a name",
    ],
    [
      "slashes in a row",
      "routes: [{ backends: a, match: [{ path: /a//b }] }]\n",
      'sluice.yaml:3:41: routes[0].match[0].path: "/a//b" never matches: listeners merge slashes; write one slash, or path: { mergeSlashes: false } in the listener',
    ],
  ]
  test.each(cases)("%s", (_name, text, expected) => {
    expect(formatProblems(load(`${listeners}${services}${text}`).warnings)).toBe(expected)
  })

  test("a service without endpoints", () => {
    const result = load(`${listeners}services: { a: { endpoints: [] } }\nroutes: [{ backends: a }]\n`)
    expect(formatProblems(result.warnings)).toBe(
      "sluice.yaml:2:29: services.a.endpoints: is empty, so requests for this service are answered with 503; write at least one host:port",
    )
  })
})

describe("a tcp listener", () => {
  const tcp = (text: string) => config(`listeners:\n  - ${text}\n${services}${filters}`).listeners[0]

  test("has backends, filters and limits of its own, with their defaults", () => {
    expect(tcp("{ name: db, address: 127.0.0.1:5432, protocol: tcp, backends: a }")).toEqual({
      name: "db",
      address: { host: "127.0.0.1", port: 5432 },
      protocol: "tcp",
      proxyProtocol: null,
      serverNames: [],
      tls: null,
      backends: [{ service: "a", weight: 1 }],
      filters: [],
      limits: { connections: 65536 },
      timeouts: { idle: 3_600_000, detect: 10_000 },
    })
  })

  test("shares its connections out, and takes settings for its filters", () => {
    expect(
      tcp(
        "{ address: 127.0.0.1:5432, protocol: tcp, backends: [a, { service: b, weight: 3 }], filters: [auth, { use: limit, with: { n: 1 } }], limits: { connections: 5 }, timeouts: { idle: 10s } }",
      ),
    ).toMatchObject({
      name: "listener-0",
      backends: [
        { service: "a", weight: 1 },
        { service: "b", weight: 3 },
      ],
      filters: [
        { use: "auth", with: undefined },
        { use: "limit", with: { n: 1 } },
      ],
      limits: { connections: 5 },
      timeouts: { idle: 10_000 },
    })
  })

  test("needs no route, and is warned of services that are missing", () => {
    const warnings = (backends: string): string[] =>
      load(`listeners: [{ address: 127.0.0.1:5432, protocol: tcp, backends: ${backends} }]\n${services}`).warnings.map(
        ({ message }) => message,
      )
    expect(warnings("a")).toEqual([])
    expect(warnings("[]")).toEqual(["is empty, so every connection is closed; write the name of a service"])
    expect(warnings("{ service: a, weight: 0 }")).toEqual(["every weight is 0, so every connection is closed; give one a weight above 0"])
    expect(warnings("nowhere")).toEqual(['there is no service "nowhere", so its share of connections is closed; add it to services'])
  })
})

describe("a listener that reads no requests", () => {
  const listener = (text: string) => config(`listeners:\n  - ${text}\n${services}`).listeners[0]

  test("chooses services by server name", () => {
    expect(
      listener(
        '{ address: 127.0.0.1:443, protocol: tls, serverNames: [{ hosts: [DB.example.com, "*.db.example.com"], backends: a }, { hosts: x, backends: [{ service: b, weight: 2 }] }], timeouts: { detect: 1s } }',
      ),
    ).toMatchObject({
      protocol: "tls",
      serverNames: [
        { hosts: ["db.example.com", "*.db.example.com"], backends: [{ service: "a", weight: 1 }] },
        { hosts: ["x"], backends: [{ service: "b", weight: 2 }] },
      ],
      backends: [],
      timeouts: { idle: 3_600_000, detect: 1000 },
    })
  })

  test("believes proxies of some ranges, in one spelling", () => {
    expect(
      listener(
        '{ address: 127.0.0.1:5432, protocol: tcp, backends: a, proxyProtocol: { trusted: [10.0.0.0/8, "::FFFF:192.0.2.1", FD00::/8] } }',
      ),
    ).toMatchObject({ proxyProtocol: { trusted: ["10.0.0.0/8", "192.0.2.1", "fd00::/8"], timeout: 5000 } })
    expect(listener("{ address: 127.0.0.1:80, proxyProtocol: { trusted: 0.0.0.0/0, timeout: 1s } }")).toMatchObject({
      proxyProtocol: { trusted: ["0.0.0.0/0"], timeout: 1000 },
    })
  })

  test("does both by protocol, each with its own settings", () => {
    const both = "limits: { head: 1KiB, connections: 5 }, timeouts: { idle: 7s, tunnelIdle: 9s, detect: 1s }, trustedHops: 2"
    expect(listener(`{ name: any, address: 127.0.0.1:443, protocol: auto, backends: a, ${both} }`)).toMatchObject({
      name: "any",
      protocol: "auto",
      limits: { connections: 5 },
      timeouts: { detect: 1000 },
      http: { name: "any", protocol: "http", trustedHops: 2, limits: { head: 1024 }, timeouts: { idle: 7000, tunnelIdle: 9000 } },
      tcp: { name: "any", protocol: "tls", backends: [{ service: "a", weight: 1 }], timeouts: { idle: 9000, detect: 1000 } },
    })
  })

  test("gives a service the PROXY header it asks for", () => {
    const text =
      "listeners: [{ address: 127.0.0.1:5432, protocol: tcp, backends: a }]\nservices: { a: { endpoints: [127.0.0.1:9001], proxyProtocol: v1 } }\n"
    expect(config(text).services.a.proxyProtocol).toBe("v1")
  })
})

describe("a source of endpoints", () => {
  const discovery = (source: string, more = ""): object | undefined =>
    config(`${listeners}${more}services: { a: { discovery: ${source} } }\n`).services.a.discovery

  test("is a name, with every default filled in", () => {
    expect(discovery("{ dns: API.internal.:9001 }")).toEqual({
      kind: "dns",
      address: { host: "api.internal", port: 9001 },
      family: "any",
      refresh: 0,
      timeout: 5000,
      resolvers: [],
    })
  })

  test("is the name of SRV records, asked of the DNS servers that are its own, or else everyone's", () => {
    const everyones = 'dns: { resolvers: [10.0.0.2, "[fd00::2]:5353", fd00::3] }\n'
    expect(discovery("{ srv: _http._tcp.api.internal., refresh: 1m, timeout: 2s, family: 6 }", everyones)).toEqual({
      kind: "srv",
      name: "_http._tcp.api.internal",
      family: 6,
      refresh: 60_000,
      timeout: 2000,
      resolvers: [
        { host: "10.0.0.2", port: 53 },
        { host: "fd00::2", port: 5353 },
        { host: "fd00::3", port: 53 },
      ],
    })
    expect(discovery("{ dns: localhost:1, resolvers: [127.0.0.1:5353] }", everyones)).toMatchObject({
      resolvers: [{ host: "127.0.0.1", port: 5353 }],
    })
  })

  test("is a file beside the configuration, which may come later", () => {
    const result = load(`${listeners}services: { a: { discovery: { file: ./endpoints.yaml } } }\nroutes: [{ backends: a }]\n`)
    expect(result.config.services.a).toMatchObject({ endpoints: [], discovery: { kind: "file", path: join(baseDir, "endpoints.yaml") } })
    expect(result.warnings.map(({ message }) => message)).toEqual([expect.stringContaining("there is no file")])
  })

  test("gives TLS the name that is written, unless it has one of its own", () => {
    const serverName = (source: string, tls = "true"): string | undefined =>
      config(`${listeners}services: { a: { tls: ${tls}, discovery: ${source} } }\n`).services.a.tls?.serverName
    expect(serverName("{ dns: api.internal:443 }")).toBe("api.internal")
    expect(serverName("{ srv: _https._tcp.api.internal }")).toBe("api.internal")
    expect(serverName("{ dns: api.internal:443 }", "{ serverName: other.internal }")).toBe("other.internal")
    expect(serverName("{ file: filter.wasm }")).toBe("")
  })
})

describe("limits", () => {
  const service = (text: string) =>
    config(`${listeners}services: { a: { endpoints: [127.0.0.1:9001], ${text} } }\nroutes: [{ backends: a }]\n`).services.a

  test("of a service are each as written, and others as always", () => {
    const given =
      "connectTimeout: 2s, circuitBreaker: { maxRequests: 10, maxRetries: 0, retryBudget: { percentage: 5% }, endpoint: { maxRequests: 3 } }"
    expect(service(given).circuitBreaker).toEqual({
      maxConnections: 1024,
      maxPending: 1024,
      maxRequests: 10,
      maxRetries: 0,
      retryBudget: { share: 0.05, perSecond: 10 },
      queueTimeout: 2000,
      endpoint: { maxConnections: 0, maxRequests: 3 },
    })
    expect(service("circuitBreaker: { queueTimeout: 100ms }").circuitBreaker.queueTimeout).toBe(100)
  })

  test("that are found out are off unless they are asked for", () => {
    expect(service("protocol: http1")).not.toHaveProperty("adaptiveConcurrency")
    expect(service("adaptiveConcurrency: {}, admissionControl: {}")).toMatchObject({
      adaptiveConcurrency: { minConcurrency: 3, maxConcurrency: 1000 },
      admissionControl: { window: 30_000, successTarget: 0.95, maxReject: 0.8 },
    })
  })

  test("of the gateway can be changed, and left out", () => {
    const overload = (text: string) => config(`overload: ${text}\n${listeners}${services}routes: [{ backends: a }]\n`).overload
    expect(overload("false")).toBe(null)
    expect(overload("{ memory: false }")).toEqual({ eventLoopLag: 250, memory: null })
    expect(overload("{ eventLoopLag: false, memory: 512MiB }")).toEqual({ eventLoopLag: 0, memory: { octets: 512 * 1024 * 1024 } })
    expect(overload("{ eventLoopLag: 1s, memory: 75% }")).toEqual({ eventLoopLag: 1000, memory: { share: 0.75 } })
  })

  test("that contradict others are warned of", () => {
    const warnings = (text: string): string[] => load(text).warnings.map(({ message }) => message)
    expect(
      warnings(`${listeners}services: { a: { endpoints: [127.0.0.1:9001], pool: { maxConnections: 2000 } } }\nroutes: [{ backends: a }]\n`),
    ).toEqual(["is for each endpoint, but all of them together get 1024; write a larger circuitBreaker.maxConnections"])
    expect(warnings(`overload: false\n${listeners}${services}routes: [{ backends: a, priority: low }]\n`)).toEqual([
      "means nothing with overload: false, for nothing is refused then; leave one of them out",
    ])
  })

  test("know which exchanges matter most", () => {
    expect(route("{ backends: a, priority: high }").priority).toBe("high")
  })
})

describe("rate limits", () => {
  test("a short one has every default", () => {
    expect(route("{ backends: a, name: r, rateLimit: { requests: 100, per: 1m } }").rateLimits).toEqual([
      {
        name: "route:r",
        policy: "route",
        requests: 100,
        per: 60_000,
        burst: 2,
        by: [],
        overrides: [],
        missing: "share",
        scope: "local",
        descriptor: [],
        shadow: false,
        status: 429,
        headers: true,
      },
    ])
    expect(route("{ backends: a }").rateLimits).toBeUndefined()
  })

  test("a list has names, and overrides what the limit has", () => {
    const text = `backends: a
name: r
rateLimit:
  - { requests: 5, per: 1s, by: "header:X-User", shadow: true, headers: false }
  - requests: 1
    per: 1s
    name: team
    burst: 7
    by: [source, identity, host, method, path, path:2, cookie:s]
    missing: deny
    status: 503
  - { requests: 1, per: 10s, by: claim:org.id, overrides: [{ value: "7", requests: 30 }, { value: [x], requests: 2, per: 1s, burst: 9 }] }`
    const limits = route(text).rateLimits
    expect(limits).toMatchObject([
      { name: "route:r", burst: 5, by: [{ text: "header:x-user", kind: "header", name: "x-user" }], shadow: true, headers: false },
      { name: "route:r#team", policy: "team", burst: 7, missing: "deny", status: 503 },
      {
        name: "route:r#3",
        policy: "route-3",
        burst: 1,
        overrides: [
          { values: ["7"], requests: 30, per: 10_000, burst: 3 },
          { values: ["x"], requests: 2, per: 1000, burst: 9 },
        ],
      },
    ])
    expect(limits?.[1].by.map(({ kind }) => kind)).toEqual(["source", "identity", "host", "method", "path", "segment", "cookie"])
  })

  test("stand at listeners and services too", () => {
    const { listeners, services } = config(
      "listeners: [{ name: edge, address: 127.0.0.1:8080, rateLimit: { requests: 9, per: 1s } }, { name: any, address: 127.0.0.1:8081, protocol: auto, rateLimit: { requests: 8, per: 1s } }]\nservices: { a: { endpoints: [127.0.0.1:9001], rateLimit: [{ requests: 7, per: 1s, by: query:q }] } }\n",
    )
    expect(listeners).toMatchObject([{ rateLimits: [{ name: "listener:edge" }] }, { http: { rateLimits: [{ name: "listener:any" }] } }])
    expect(services.a.rateLimits).toMatchObject([{ name: "service:a", policy: "service", by: [{ kind: "query", name: "q" }] }])
  })
})

describe("limits that gateways share", () => {
  const limits = `routes:
  - { rateLimit: { scope: global, requests: 5, per: 1s }, respond: { status: 204 } }
  - { match: { path: /b }, rateLimit: { scope: service, by: source, descriptor: { generic_key: b } }, respond: { status: 204 } }
`
  const shared = (store: string): string =>
    `${listeners}services: { rls: { endpoints: [127.0.0.1:9001], protocol: h2 } }\nrateLimitStore: ${store}\nrateLimitService: { service: rls }\n${limits}`

  test("have every default filled in", () => {
    const result = load(shared("{ redis: redis://127.0.0.1 }"))
    expect(result.warnings).toEqual([])
    expect(result.config.rateLimitStore).toEqual({
      redis: { address: { host: "127.0.0.1", port: 6379 }, database: 0, username: null, password: null, tls: null },
      onFailure: "local",
      timeout: 50,
      replicas: 1,
      lease: 0.1,
      prefix: "sluice:",
    })
    expect(result.config.rateLimitService).toEqual({ service: "rls", domain: "sluice", onFailure: "allow", timeout: 20 })
    const [global, service] = result.config.routes.map(({ rateLimits }) => rateLimits?.[0])
    expect(global).toMatchObject({ scope: "global", requests: 5, per: 1000, descriptor: [] })
    expect(service).toMatchObject({ scope: "service", descriptor: [{ key: "generic_key", value: "b" }] })
  })

  test.each([
    ["redis://[::1]:80/3", { address: { host: "::1", port: 80 }, database: 3 }],
    [
      "redis://me:p%40ss%3A%2F@redis.internal:6380",
      { address: { host: "redis.internal", port: 6380 }, username: "me", password: "p@ss:/" },
    ],
    ["{ url: 'redis://a.b/1', username: me, password: { env: HOME } }", { database: 1, username: "me", password: { env: "HOME" } }],
    ["{ url: 'rediss://a.b', tls: { serverName: c.d } }", { tls: expect.objectContaining({ serverName: "c.d", minVersion: "1.2" }) }],
    ["rediss://a.b:7000", { address: { host: "a.b", port: 7000 }, tls: expect.objectContaining({ serverName: "", ca: "" }) }],
  ])("are kept in the Redis %s", (redis, expected) => {
    const result = load(shared(`{ redis: ${redis.startsWith("{") ? redis : JSON.stringify(redis)} }`))
    expect(result.warnings).toEqual([])
    expect(result.config.rateLimitStore?.redis).toMatchObject(expected)
  })

  test("need no environment to be checked, but it is said that something will be missing", () => {
    const { warnings } = load(shared("{ redis: { url: redis://a.b, password: { env: SLUICE_NOT_THERE } } }"))
    expect(warnings.map(({ message }) => message)).toEqual([
      "there is no environment variable SLUICE_NOT_THERE here; set it where the gateway runs",
    ])
  })

  test("that nothing uses are warned of", () => {
    const text = `${listeners}${services}rateLimitStore: { redis: redis://a.b }\nrateLimitService: { service: rls }\nroutes: [{ backends: a }]\n`
    const { warnings } = load(text.replace("b: {", "rls: { protocol: h2, endpoints: [127.0.0.1:1] }, b: {"))
    expect(warnings.map(({ message }) => message)).toEqual([
      "is used by no limit; write scope: global in one, or leave it out",
      "is asked by no limit; write scope: service in one, or leave it out",
    ])
  })
})

test("the admin API may listen at a socket, or for others with a token or client certificates", () => {
  const admin = (text: string): unknown => config(`admin: ${text}\n${listeners}routes: [{ respond: { status: 200 } }]\n`).admin
  expect(admin("false")).toBeNull()
  expect(admin('{ address: "unix:./run/a.sock" }')).toEqual({ address: { socket: join(baseDir, "run/a.sock") }, openMetrics: false })
  expect(admin('{ address: "0.0.0.0:1", token: { file: t }, openMetrics: true }')).toEqual({
    address: { host: "0.0.0.0", port: 1 },
    token: { file: join(baseDir, "t") },
    openMetrics: true,
  })
  expect(admin('{ address: "[::1]:1", token: { env: T } }')).toEqual({
    address: { host: "::1", port: 1 },
    token: { env: "T" },
    openMetrics: false,
  })
})

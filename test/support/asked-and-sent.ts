// Requests drawn by a seed, for a configuration that has something of everything a route may ask for: they are asked about, and sent.

import type { ExplainRequest } from "../../gateway/explain/explanation.ts"
import { seeded } from "./balanced.ts"

/** For {@link NAMES}, in the folder of the configuration. */
export const CERTIFICATE = { cert: "edge.pem", key: "edge.key" }
export const NAMES: readonly string[] = ["shop.example.com", "*.y.example.com"]

/** `port`: of an origin that takes connections on every address of this machine; `h2Port`: the same over HTTP/2; `dead`: nobody's. */
export function askedConfig(port: number, h2Port: number, dead: number): object {
  const at = (i: number, more: object = {}): object => ({ address: `127.0.0.${i}:${port}`, ...more })
  const hashed = (policy: string, by: string): object => ({ endpoints: [21, 22, 23, 24].map((i) => at(i)), loadBalancing: { policy, by } })
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    // What a busy machine does between question and request is no disagreement.
    overload: false,
    zone: "here",
    accessLog: { when: "all", headers: { request: ["x-tag"] } },
    listeners: [
      { name: "edge", address: "127.0.0.1:0", limits: { requestLine: 300, fields: 20, body: 100 } },
      { name: "trusting", address: "127.0.0.1:0", trustedHops: 1, path: { encodedSlash: "decode", mergeSlashes: false } },
      { name: "auto", address: "127.0.0.1:0", protocol: "auto", backends: "plain" },
      { name: "secure", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [CERTIFICATE] } },
      { name: "sorted", address: "127.0.0.1:0", protocol: "auto", tls: { certificates: [CERTIFICATE] }, backends: "plain" },
      { name: "raw", address: "127.0.0.1:0", protocol: "tcp", backends: "plain" },
    ],
    services: {
      plain: { endpoints: [at(2), at(3), at(4, { weight: 0 })] },
      labelled: { endpoints: [at(5, { labels: { v: "1" } }), at(6, { labels: { v: "2" } }), at(7, { labels: { v: "2" } })] },
      zoned: { endpoints: [at(8, { zone: "here" }), at(9, { zone: "there" }), at(10, { zone: "here" })] },
      ranked: { endpoints: [at(11), at(12), at(13, { priority: 1 })] },
      ring: hashed("ringHash", "header:x-user"),
      maglev: hashed("maglev", "query:v"),
      bySource: hashed("ringHash", "source"),
      none: { endpoints: [at(14, { weight: 0 })] },
      spare: { endpoints: [at(15, { weight: 0 })], failover: "plain" },
      // One of two fails, and is ejected by the first request to it: half are left, which are enough.
      sick: {
        endpoints: [at(16), { address: `127.0.0.17:${dead}` }],
        outlierDetection: { consecutiveLocalFailures: 1, maxEjected: "100%", baseEjectionTime: "300s" },
      },
      // Two of three do: those that are left are too few, so that the others have to do as well.
      sicker: {
        endpoints: [at(18), { address: `127.0.0.19:${dead}` }, { address: `127.0.0.20:${dead}` }],
        outlierDetection: { consecutiveLocalFailures: 1, maxEjected: "100%", baseEjectionTime: "300s" },
      },
      drained: { endpoints: [at(25), at(26)] },
      calls: { protocol: "h2", endpoints: [`127.0.0.1:${h2Port}`] },
    },
    routes: [
      { name: "users", hosts: ["shop.example.com"], match: { path: "/api", method: ["GET", "HEAD"] }, backends: "plain" },
      { name: "beta", hosts: ["shop.example.com"], match: { path: "/api", headers: { "x-beta": "1" } }, backends: "labelled" },
      { name: "query", match: { path: "/api", query: { v: { regex: "[0-9]+" } } }, backends: { service: "labelled", subset: { v: "2" } } },
      { name: "wide", hosts: ["*.example.com"], match: { path: "/" }, backends: "zoned", rewrite: { prefix: "/wide", host: "wide" } },
      { name: "cookie", match: { path: "/", cookies: { group: "a" } }, backends: "ranked" },
      { name: "old", match: { path: "/old" }, redirect: { prefix: "/new", status: 301 } },
      { name: "secure", match: { path: "/secure" }, redirect: { scheme: "https", host: "safe.test", port: 444 } },
      { name: "pong", match: { path: { exact: "/ping" } }, respond: { status: 203, body: "pong", headers: { "x-pong": "1" } } },
      { name: "digits", match: { path: { regex: "/re/[0-9]+" } }, backends: "ring", headers: { request: { set: { "x-user": "set" } } } },
      { name: "ring", match: { path: "/ring" }, backends: "ring", rewrite: { prefix: "/" } },
      { name: "maglev", match: { path: "/maglev" }, backends: "maglev" },
      { name: "source", match: { path: "/source" }, backends: "bySource" },
      { name: "trace", match: { path: "/trace", method: "TRACE" }, backends: "plain" },
      { name: "none", match: { path: "/none" }, backends: "none" },
      { name: "spare", match: { path: "/spare" }, backends: "spare" },
      { name: "gone", match: { path: "/gone" }, backends: "nowhere" },
      { name: "zero", match: { path: "/zero" }, backends: [{ service: "plain", weight: 0 }] },
      { name: "sick", match: { path: "/sick" }, backends: "sick" },
      { name: "sicker", match: { path: "/sicker" }, backends: "sicker" },
      { name: "drained", match: { path: "/drained" }, backends: "drained" },
      { name: "calls", match: { path: "/svc.Calls" }, backends: "calls" },
      { name: "web", match: { path: "/svc.Web" }, backends: "calls", grpcWeb: true },
      {
        name: "split",
        match: { path: "/split" },
        backends: [
          { service: "plain", weight: 3, headers: { request: { add: { "x-part": "plain" } } } },
          { service: "labelled", subset: { v: "1" }, weight: 1, rewrite: { path: "/part" } },
        ],
        headers: { request: { remove: ["x-beta"], add: { "x-via": "sluice" } } },
      },
      {
        name: "canary",
        match: { path: "/canary" },
        backends: ["plain", { service: "labelled", weight: 0 }],
        canary: { service: "labelled", steps: ["10%", "100%"], interval: "1h" },
      },
      { name: "sticky", match: { path: "/sticky" }, sticky: { by: "header:x-user" }, backends: ["plain", "labelled", "zoned"] },
      { name: "kept", match: { path: "/kept" }, sticky: { cookie: "keep" }, backends: ["plain", "labelled"] },
      { name: "some", match: { path: "/some", percentage: "30%" }, backends: "plain" },
      { name: "rest", match: { path: "/some" }, backends: "labelled" },
      { name: "limited", match: { path: "/limited" }, backends: "plain", rateLimit: { requests: 1000, per: "1s" }, mirror: "zoned" },
      { name: "elsewhere", listeners: ["trusting"], match: { path: "/else" }, backends: "plain" },
    ],
  }
}

const HOSTS = [
  "shop.example.com",
  "SHOP.example.com:8080",
  "x.y.example.com",
  "example.com",
  ...Array.from({ length: 12 }, () => "other.test"),
  "127.0.0.1",
]
const PATHS = [
  "/api",
  "/api/",
  "/api/1?v=7",
  "/api?v=x",
  "/apix",
  "/old",
  "/old/a/b?c=d",
  "/oldest",
  "/secure/x",
  "/ping",
  "/ping/",
  "/ping?x",
  "/re/12",
  "/re/ab",
  "/ring/a",
  "/ring",
  "/maglev?v=2",
  "/maglev",
  "/source",
  "/trace",
  "/none",
  "/spare",
  "/gone",
  "/zero",
  "/sick",
  "/sicker",
  "/drained",
  "/svc.Calls/Do",
  "/svc.Web/Do",
  "/split",
  "/split/x",
  "/canary",
  "/sticky",
  "/kept",
  "/some",
  "/limited",
  "/else",
  "/",
  "/nowhere",
  "/a/../api",
  "/%61pi",
  "/api%2f1",
  "//api",
  "/api/%00",
  "/..",
  "/api;x=1",
  "/else%2fx",
  `/${"long".repeat(80)}`,
  "*",
  "/caf%c3%a9",
]
const METHODS = ["GET", "GET", "GET", "HEAD", "POST", "DELETE", "OPTIONS", "TRACE", "get"]
const FIELDS: readonly (readonly [string, string])[] = [
  ["x-beta", "1"],
  ["x-beta", "2"],
  ["x-user", "alice"],
  ["x-user", "bob"],
  ["x-user", ""],
  ["cookie", "group=a"],
  ["cookie", "group=b; x=1"],
  ["cookie", "keep=00"],
  ["accept", "application/problem+json"],
  ["x-forwarded-for", "203.0.113.9"],
  ["x-forwarded-proto", "https"],
  ["x-request-id", "abc"],
  ["x-request-timeout", "5000"],
  ["x-request-timeout", "0"],
  ["x-request-timeout", "soon"],
  ["expect", "100-continue"],
  ["te", "trailers"],
  ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
  ["authorization", "Basic eDp5"],
]
/** Only where a connection is of HTTP/1.1. */
const FIELDS_1: readonly (readonly [string, string])[] = [
  ["connection", "x-user"],
  ["connection", "close"],
  ["expect", "a-miracle"],
  ["content-length", "0"],
  ["te", "gzip"],
  ["x bad", "1"],
  ["host", "twice.test"],
]

export interface Asked extends ExplainRequest {
  readonly headers: readonly (readonly [string, string])[]
  readonly listener: string
  readonly http2: boolean
  readonly tag: string
  /** Octets. */
  readonly body: number
}

/** So many requests, always the same of a seed. */
export function askedRequests(count: number, seed: number): Asked[] {
  const random = seeded(seed)
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]
  return Array.from({ length: count }, (_, i) => {
    const http2 = random() < 0.3
    const tag = `t${i}`
    const headers: [string, string][] = [["x-tag", tag]]
    for (let n = Math.floor(random() * 4); n > 0; n--) {
      const [name, value] = one(!http2 && random() < 0.1 ? FIELDS_1 : FIELDS)
      if (name === "host" || !headers.some(([other]) => other === name)) headers.push([name, value])
    }
    const path = one(PATHS)
    const call = random() < (path.startsWith("/svc") ? 0.8 : 0.1)
    const method = call ? "POST" : one(METHODS)
    let body = method === "POST" ? one([0, 0, 5, 50, 150]) : 0
    if (call) {
      headers.push(["content-type", one(path.includes("Web") ? ["application/grpc-web", "application/grpc"] : ["application/grpc"])])
      if (random() < 0.5) headers.push(["grpc-timeout", one(["5S", "0S", "soon", "1H"])])
      body = 5
    }
    if (body > 0 && !headers.some(([name]) => name === "content-length")) headers.push(["content-length", String(body)])
    const listener = one(["edge", "edge", "edge", "trusting", "auto", "secure", "sorted", "sorted"])
    const scheme = listener === "secure" || (listener === "sorted" && random() < 0.5) ? "https" : "http"
    const host = one(HOSTS)
    // A connection that was made for another host, as browsers go on with one.
    const other = scheme === "https" && random() < 0.3 ? { serverName: NAMES[0] } : {}
    return {
      method,
      url: path === "*" ? "*" : `${scheme}://${host}${path}`,
      headers,
      listener,
      http2,
      tag,
      body,
      ...other,
      source: "127.0.0.1",
      others: 0,
    }
  })
}

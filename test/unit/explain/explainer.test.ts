import { describe, expect, test } from "vitest"
import { errors } from "../../../gateway/errors.ts"
import type { ExplainRequest } from "../../../gateway/explain/explanation.ts"
import { explained, explainerOf, outcomeOf, specOf } from "./planes.ts"

const yaml = `
listeners:
  - { name: edge, address: 127.0.0.1:8080, limits: { requestLine: 200, fields: 20 } }
services:
  api: { endpoints: [127.0.0.1:9001, { address: 127.0.0.1:9002, weight: 3 }, { address: 127.0.0.1:9003, weight: 0 }] }
  hashed: { endpoints: [127.0.0.1:9004, 127.0.0.1:9005, 127.0.0.1:9006], loadBalancing: { policy: ringHash, by: header:x-user } }
  empty: { endpoints: [{ address: 127.0.0.1:9007, weight: 0 }] }
  labelled: { endpoints: [{ address: 127.0.0.1:9008, labels: { v: "1" } }, { address: 127.0.0.1:9009, labels: { v: "2" } }] }
filters:
  auth: { module: filters/ab-test/filter.ts }
routes:
  - name: api
    match: { path: /api, method: [GET, HEAD] }
    backends: [{ service: api, weight: 9 }, { service: hashed, weight: 1 }]
    rewrite: { prefix: /v1 }
    headers: { request: { set: { x-from: edge, authorization: Bearer s3cr3t } }, response: { remove: [server] } }
    rateLimit: { requests: 10, per: 1s, by: header:x-user }
    filters: [auth]
    fault: { delay: 100ms, percentage: 10% }
    mirror: { service: hashed, percentage: 5% }
  - { name: hashed, match: { path: /hashed }, backends: hashed }
  - { name: old, match: { path: /old }, redirect: { prefix: /new, status: 301 } }
  - { name: pong, match: { path: { exact: /ping } }, respond: { status: 200, body: pong } }
  - { name: gone, match: { path: /gone }, backends: nowhere }
  - { name: none, match: { path: /none }, backends: empty }
  - { name: idle, match: { path: /idle }, backends: [{ service: api, weight: 0 }] }
  - { name: part, match: { path: /part }, backends: [{ service: labelled, subset: { v: "2" } }] }
  - { name: some, match: { path: /some, percentage: 30% }, backends: api }
  - { name: rest, match: { path: /some }, backends: hashed }
  - { name: sticky, match: { path: /sticky }, sticky: { by: header:x-user }, backends: [{ service: api, weight: 1 }, { service: labelled, weight: 1 }] }
`

function verdict(request: Partial<ExplainRequest> & { readonly url: string }) {
  return outcomeOf(yaml, request).verdict
}

describe("the verdict", () => {
  test.each<[Partial<ExplainRequest> & { url: string }, string]>([
    [
      { method: "POST", url: "/api/x" },
      "404 NR: no route matches: closest is route `api`: path /api matches but method POST isn't in GET, HEAD",
    ],
    [{ url: "/apix" }, "404 NR: no route matches: closest is route `api`: path /apix isn't /api or below it"],
    [{ url: "/a%00" }, "400 DPE: its path is refused: %00, which the listener's path.nul refuses"],
    [{ url: "/../a" }, "400 DPE: its path is refused: its .. lead above the root"],
    [{ url: `/${"a".repeat(300)}` }, "414 CL: its request line is longer than the listener's limits.requestLine"],
    [
      { url: "/", headers: Array.from({ length: 30 }, (_, i) => [`x-${i}`, ""] as const) },
      "431 CL: its head is longer, or has more fields",
    ],
    [
      {
        url: "/api",
        headers: [
          ["host", "a"],
          ["host", "b"],
        ],
      },
      "400 DPE: it has more than one host",
    ],
    [{ url: "/api", headers: [["host", "a b"]] }, "400 DPE: it is no valid request of HTTP/1.1"],
    [{ url: "/api", headers: [["x", "a\r\n\r\nGET /admin HTTP/1.1"]] }, "400 DPE: it is no valid request of HTTP/1.1"],
    [{ method: "CONNECT", url: "/" }, "405 DPE: method CONNECT would open a tunnel"],
    [{ method: "TRACE", url: "/hashed" }, "405 DPE: no match of route `hashed` names TRACE"],
    [{ url: "/gone" }, "500 NC: route `gone` names service nowhere, which doesn't exist"],
    [{ url: "/idle" }, "500 NC: route `idle` has only backends of weight 0"],
    [{ url: "/none" }, "503 UH: service empty has no endpoint that takes traffic"],
    [
      {
        method: "POST",
        url: "/hashed",
        headers: [
          ["content-type", "application/grpc"],
          ["grpc-timeout", "0S"],
        ],
      },
      "grpc-status 4 UT: its grpc-timeout is 0",
    ],
    [
      {
        method: "POST",
        url: "/hashed",
        headers: [
          ["content-type", "application/grpc"],
          ["grpc-timeout", "x"],
        ],
      },
      "grpc-status 3 DPE: its grpc-timeout is malformed",
    ],
  ])("of %j is %s", (request, text) => {
    const { ok, status, grpcStatus, code, flag, text: said } = verdict(request)
    expect(said).toContain(`would be answered ${text}`)
    const row = errors[code as keyof typeof errors]
    expect([ok, flag]).toEqual([false, row.flag])
    expect([status, grpcStatus]).toEqual(text.startsWith("grpc") ? [200, row.grpcStatus] : [row.status, null])
  })

  test.each<[string, string, number | null]>([
    [
      "/api/x?q",
      "would be sent by route `api` to service api, one of 2 endpoints, as GET http://127.0.0.1:8080/v1/x?q, unless fault, auth answer first",
      null,
    ],
    ["/old/x?q", "would be redirected by route `old`: 301 to http://127.0.0.1:8080/new/x?q", 301],
    ["/ping", "would be answered by route `pong`: 200, 4 octets", 200],
    ["/part", "would be sent by route `part` to service labelled (v=2), one of 1 endpoint, as GET http://127.0.0.1:8080/part", null],
  ])("of %s is %s", (url, text, status) => {
    expect(verdict({ url })).toEqual({ ok: true, status, grpcStatus: null, code: "", flag: "", text })
  })
})

describe("what is told beside", () => {
  test("how the path was brought into its one spelling", () => {
    expect(outcomeOf(yaml, { url: "/x/%2e%2e//api/%41%2fb" }).path).toEqual({
      asked: "/x/%2e%2e//api/%41%2fb",
      normal: "/api/A%2Fb",
      changes: [
        "dot segments were resolved",
        "repeated slashes were merged",
        "escapes of unreserved characters were decoded",
        "escapes are in upper case",
      ],
      why: "",
    })
  })

  test("limits, faults and filters in their order", () => {
    const { filters, settings } = outcomeOf(yaml, { url: "/api" })
    expect(filters.map(({ kind, name, text }) => `${kind} ${name}: ${text}`)).toEqual([
      "rate limit route:api: 10 requests in 1s, 10 at once by header:x-user; over it 429",
      "fault fault: on purpose delayed (10%)",
      "filter auth: its state isn't known",
    ])
    expect(settings).toMatchObject({ timeout: { request: 15_000 }, retry: { attempts: 2 }, mirrors: [{ service: "hashed", share: 0.05 }] })
  })

  test("what is sent, without secrets", () => {
    const outcome = outcomeOf(yaml, {
      url: "/api/x",
      headers: [
        ["cookie", "s3cr3t"],
        ["x-a", "1"],
      ],
      source: "10.1.2.3",
    })
    expect(outcome.sent).toMatchObject({ method: "GET", authority: "127.0.0.1:8080", path: "/v1/x", protocol: "http1", tls: false })
    expect(Object.fromEntries(outcome.sent?.headers ?? [])).toMatchObject({
      "x-a": "1",
      "x-from": "edge",
      authorization: "[redacted]",
      cookie: "[redacted]",
      "x-forwarded-for": "10.1.2.3",
    })
    expect(outcome.sent?.edits.response).toEqual([{ remove: ["server"], set: [], add: [] }])
    expect(JSON.stringify(outcome)).not.toContain("s3cr3t")
  })

  test("which endpoints may be taken, and why others aren't", () => {
    const { service } = outcomeOf(yaml, { url: "/api" })
    const told = service?.endpoints.map(({ address, eligible, reasons }) => [address, eligible, ...reasons])
    expect(told).toEqual([
      ["127.0.0.1:9001", true],
      ["127.0.0.1:9002", true],
      ["127.0.0.1:9003", false, "weight 0: it takes no traffic"],
    ])
    const [light, heavy, none] = service?.endpoints.map(({ share }) => share ?? 0) ?? []
    expect([heavy > light, none, service?.policy]).toEqual([true, 0, "leastRequest"])
  })

  test("which are drained, and how many share the requests", () => {
    const panic = explainerOf(specOf(yaml), { isDrained: (service, address) => `${service} ${address}` === "api 127.0.0.1:9003" })
    const { service, verdict } = explained(panic, { url: "/api" }).outcomes[0]
    expect(service?.endpoints.map(({ reasons }) => reasons)).toEqual([[], [], ["drained: an operator has taken it out of traffic"]])
    expect(verdict.text).toContain("one of 2 endpoints")
  })

  test("the endpoint a key belongs to, and those behind it", () => {
    const ask = (user: string) => outcomeOf(yaml, { url: "/hashed", headers: [["x-user", user]] }).service?.order ?? []
    const orders = ["1", "2", "3", "4", "5", "6", "7", "8"].map(ask)
    for (const order of orders) expect([...order].sort()).toEqual(["127.0.0.1:9004", "127.0.0.1:9005", "127.0.0.1:9006"])
    expect(ask("1")).toEqual(orders[0])
    expect(new Set(orders.map(([first]) => first)).size).toBeGreaterThan(1)
    expect(outcomeOf(yaml, { url: "/hashed" }).service).toMatchObject({ key: { by: "header:x-user", found: false }, order: [] })
  })

  test("the backend a client stays with", () => {
    const ask = (user: string) => outcomeOf(yaml, { url: "/sticky", headers: [["x-user", user]] }).action
    const chosen = (user: string) => {
      const action = ask(user)
      return action?.kind === "forward" ? action.backends.find((each) => each.chosen) : undefined
    }
    expect(ask("1")).toMatchObject({ kind: "forward", why: "the client stays with it by its header x-user" })
    expect(chosen("1")).toMatchObject({ odds: 1 })
    expect(new Set(["1", "2", "3", "4", "5", "6", "7", "8"].map((user) => chosen(user)?.service)).size).toBe(2)
  })

  test("weights as a canary has them now", () => {
    const { action } = outcomeOf(yaml, { url: "/api" }, { weights: { api: [1, 3] } })
    expect(action).toMatchObject({
      backends: [
        { service: "api", odds: 0.25 },
        { service: "hashed", odds: 0.75, chosen: true },
      ],
    })
  })

  test("shares of matches with percentages, and the likeliest is followed", () => {
    const { odds, route, others } = outcomeOf(yaml, { url: "/some" })
    expect(odds.map(({ route: name, odds: share }) => [name, share])).toEqual([
      ["some", 0.3],
      ["rest", 0.7],
    ])
    expect(route?.name).toBe("rest")
    expect(others[0]).toMatchObject({ route: "some", reason: "percentage" })
  })

  test("as many of the routes not taken as are asked for", () => {
    const { others, othersLeft } = outcomeOf(yaml, { url: "/ping", others: 2 })
    expect([others.length, othersLeft]).toEqual([2, 8])
    expect(outcomeOf(yaml, { url: "/ping", others: 0 }).others).toEqual([])
  })
})

describe("what runs", () => {
  const spec = specOf(yaml)

  test("a filter that can't run refuses, unless it may be skipped", () => {
    const version = { name: "stable", weight: 1, state: "quarantined", rolledBack: null }
    const ask = (onError: "deny" | "skip") => {
      const filters = () => [{ name: "auth", state: "quarantined", onError, versions: [version] }]
      return explained(explainerOf(spec, { filters }), { url: "/api" }).verdict
    }
    expect(ask("deny")).toMatchObject({
      ok: false,
      code: "filterUnavailable",
      text: expect.stringContaining("filter auth of route `api` can't run"),
    })
    expect(ask("skip")).toMatchObject({ ok: true })
  })

  test("an overloaded gateway refuses its share by priority", () => {
    const ask = (level: number) => explained(explainerOf(spec, { overloadLevel: () => level }), { url: "/hashed" }).outcomes[0]
    expect(ask(3).verdict).toMatchObject({ ok: false, code: "overloaded" })
    expect(ask(1.5)).toMatchObject({ verdict: { ok: true }, settings: { shed: 0.5 } })
    expect(ask(0).settings?.shed).toBe(0)
  })

  test("before there is a configuration it says so", () => {
    expect(explainerOf(null).explain({ method: "GET", url: "/" })).toContain("no configuration")
  })

  test("another snapshot is looked at as soon as it is in force", () => {
    let current = spec
    const explainer = explainerOf(spec, { spec: () => current })
    expect(explained(explainer, { url: "/new" }).verdict.code).toBe("noRoute")
    current = specOf(`${yaml}  - { name: new, match: { path: /new }, backends: api }\n`, { generation: 2 })
    expect(explained(explainer, { url: "/new" })).toMatchObject({ generation: 2, verdict: { ok: true } })
  })
})

describe("the listener", () => {
  const two = `
listeners:
  - { name: a, address: 127.0.0.1:8080 }
  - { name: b, address: 127.0.0.1:8081 }
  - { name: c, address: 127.0.0.1:8082, protocol: tcp, backends: api }
  - name: d
    address: 127.0.0.1:8083
    protocol: tls
    serverNames: [{ hosts: ["a.test"], backends: [{ service: api, weight: 3 }, other] }]
  - { name: e, address: 127.0.0.1:8084, protocol: auto, backends: nowhere }
services: { api: { endpoints: [127.0.0.1:9001] }, other: { endpoints: [127.0.0.1:9002] } }
routes:
  - { name: a, listeners: [a], backends: api }
  - { name: d, listeners: [e], backends: api }
`
  const ask = (request: Partial<ExplainRequest> & { url: string }) => explained(explainerOf(specOf(two, { ports: { a: 80 } })), request)

  test("is the one with the port of the URL", () => {
    expect(ask({ url: "http://x/" }).outcomes.map(({ listener }) => listener)).toEqual(["a"])
    expect(ask({ url: "http://x:8081/" }).outcomes.map(({ listener }) => listener)).toEqual(["b"])
  })

  test("is the one that is asked for", () => {
    expect(ask({ url: "http://x/", listener: "b" }).outcomes.map(({ listener }) => listener)).toEqual(["b"])
    expect(explainerOf(specOf(two)).explain({ method: "GET", url: "/", listener: "z" })).toContain("there are a, b, c")
  })

  test("may be any where nothing tells", () => {
    expect(ask({ url: "/" }).outcomes.map(({ listener, verdict: { ok } }) => [listener, ok])).toEqual([
      ["a", true],
      ["b", false],
      ["e", true],
    ])
  })

  test("is none where all speak something else", () => {
    const said = ask({ url: "https://x/" })
    expect([said.outcomes, said.verdict.ok]).toEqual([[], false])
    expect(said.verdict.text).toContain("c: it carries connections, not requests")
    expect(ask({ url: "https://x:8081/" }).verdict.text).toContain("b: it has port 8081, but doesn't speak https")
  })

  test.each<[Partial<ExplainRequest> & { url: string }, boolean, string, string]>([
    [{ url: "http://x:8082/" }, true, "", "taken by listener c, which carries connections as they are, to service api"],
    [{ url: "/", listener: "c" }, true, "", "to service api"],
    [
      { url: "https://a.test:8083/" },
      true,
      "",
      "taken by listener d, which carries connections as they are, to service api (75%) or other (25%)",
    ],
    [
      { url: "https://b.test:8083/" },
      false,
      "noRoute",
      "closed NR: listener d, which carries connections as they are, has no backend for b.test",
    ],
    [{ url: "http://a.test:8083/" }, false, "clientHello", "closed DPE: listener d, which carries connections as they are, expects TLS"],
    [{ url: "https://x:8084/" }, false, "noService", "names service nowhere"],
    [{ url: "http://x:8084/" }, true, "", "would be sent by route `d`"],
  ])("that carries the connection of %j says where to", (request, ok, code, text) => {
    const said = ask(request)
    expect(said.verdict).toMatchObject({ ok, code })
    expect(said.verdict.text).toContain(text)
  })

  test("of another's routes it is said that they serve another", () => {
    const { verdict, others } = ask({ url: "http://x:8081/" }).outcomes[0]
    expect(verdict.text).toContain("it serves listener a, not b")
    expect(others).toMatchObject([
      { route: "a", reason: "listener" },
      { route: "d", reason: "listener" },
    ])
  })
})

test("whatever is asked is answered, within bounds", () => {
  const explainer = explainerOf(specOf(yaml))
  const hostile = [
    "",
    " ",
    "http://",
    "http:///",
    "*",
    "//",
    "/\0",
    "/\u{1f600}",
    "http://[::1",
    "http://a@b/",
    "x".repeat(10_000),
    "/?\r\n",
  ]
  for (const url of hostile) {
    for (const method of ["", "GET", "G\r\nT", "\u{1f600}"]) {
      const said = explainer.explain({
        method,
        url,
        headers: [
          ["\0", "\u{1f600}"],
          ["", ""],
        ],
      })
      if (typeof said !== "string") expect(said.verdict.ok).toBe(false)
    }
  }
})

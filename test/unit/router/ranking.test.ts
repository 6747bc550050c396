import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { RouteConfig } from "../../../gateway/config/model.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { type Lookup, Ranking } from "../../../gateway/router/ranking.ts"
import { Router } from "../../../gateway/router/router.ts"
import { routeOf, type ShortMatch } from "./routes.ts"

function entriesOf(routes: readonly RouteConfig[]) {
  return routes.map((route) => ({ route, target: route.name }))
}

function lookupOf(short: Partial<Omit<Lookup, "fields">> & { readonly headers?: readonly (readonly [string, string])[] }): Lookup {
  const { headers = [], ...rest } = short
  return { host: "x.test", path: "/", query: undefined, method: "GET", draw: 0, ...rest, fields: Fields.from(headers) }
}

function judged(routes: readonly RouteConfig[], lookup: Lookup) {
  return new Ranking(entriesOf(routes), "edge")
    .judge(lookup)
    .map(({ placement, miss, failures }) => ({ route: placement.candidate.target, miss, failures }))
}

describe("what is said of a match", () => {
  test.each<[string, ShortMatch, Parameters<typeof lookupOf>[0], object]>([
    ["a method", { methods: ["GET", "HEAD"] }, { method: "POST" }, { kind: "method", expected: "GET, HEAD", actual: "POST" }],
    ["a path", { path: "/a" }, { path: "/ab" }, { kind: "path", expected: "/a", actual: "/ab" }],
    ["an exact path", { path: "=/a" }, { path: "/a/" }, { kind: "path", expected: "exact /a", actual: "/a/" }],
    ["a regex", { path: "~/a/[0-9]+" }, { path: "/a/x" }, { kind: "path", expected: "regex /a/[0-9]+", actual: "/a/x" }],
    ["a header", { headers: { "x-a": "1" } }, { headers: [["x-a", "2"]] }, { kind: "header", name: "x-a", expected: "1", actual: "2" }],
    ["a header that is missing", { headers: { "X-A": "1" } }, {}, { kind: "header", name: "x-a", expected: "1", actual: null }],
    ["a header's regex", { headers: { a: { regex: "/x" } } }, {}, { kind: "header", expected: "/x", regex: true, actual: null }],
    [
      "the second header",
      { methods: ["GET"], headers: { a: "1", b: "ü" } },
      { headers: [["a", "1"]] },
      { kind: "header", name: "b", expected: "ü" },
    ],
    ["a cookie", { cookies: { s: "1" } }, { headers: [["cookie", "s=2"]] }, { kind: "cookie", name: "s", expected: "1", actual: "2" }],
    ["a query parameter", { query: { q: "1" } }, { query: "q=2" }, { kind: "query", name: "q", expected: "1", actual: "2" }],
    ["a percentage", { percentage: 1e-9 }, { draw: 1 }, { kind: "percentage", expected: "0%", actual: null }],
  ])("%s that fails is named, with what was asked for and what there is", (_, match, short, miss) => {
    const lookup = lookupOf(short)
    expect(judged([routeOf("a", [match])], lookup)).toEqual([{ route: "a", failures: 1, miss: expect.objectContaining(miss) }])
  })

  test("a host that fails is named", () => {
    const [one] = judged([routeOf("a", [{}], ["a.test", "*.b.test"])], lookupOf({ host: "b.test" }))
    expect(one.miss).toMatchObject({ kind: "host", expected: "a.test, *.b.test", actual: "b.test" })
  })

  test("near misses come first: what would have taken it, then by how little is missing", () => {
    const routes = [
      routeOf("far", [{ path: "/zzz", methods: ["PUT"] }], ["y.test"]),
      routeOf("path", [{ path: "/ap" }]),
      routeOf("nearer path", [{ path: "/api/v1/x" }]),
      routeOf("host", [{ path: "/api" }], ["y.test"]),
      routeOf("method", [{ path: "/api", methods: ["PUT"] }]),
      routeOf("header", [{ path: "/api", headers: { a: "1" } }]),
      routeOf("catch-all", [{}]),
      routeOf("taken", [{ path: "/api" }]),
    ]
    expect(judged(routes, lookupOf({ path: "/api/v1" })).map(({ route }) => route)).toEqual([
      "taken",
      "catch-all",
      "header",
      "method",
      "host",
      "nearer path",
      "path",
      "far",
    ])
  })

  test("the order of all is the one in which they are preferred", () => {
    const routes = [
      routeOf("1", [{}]),
      routeOf("2", [{ path: "~/a.*" }, { path: "=/b" }]),
      routeOf("3", [{ path: "/a" }, { path: "/a/b" }]),
      routeOf("4", [{ path: "/a", methods: ["GET"] }], ["*.test", "x.test"]),
      routeOf("5", [{ path: "/a", headers: { a: "1" } }]),
    ]
    const ordered = new Ranking(entriesOf(routes), "edge").ordered.map(
      ({ placement, host }) => `${host} ${placement.path} ${placement.candidate.target}`,
    )
    expect(ordered).toEqual(["x.test /a 4", ".test /a 4", " /b 2", " /a/b 3", " /a 5", " /a 3", " /a.* 2", "  1"])
  })
})

// Few of everything, so that matches meet.
const host = fc.constantFrom("a.test", "b.test", "x.a.test", "y.x.a.test", "test")
const path = fc.constantFrom("/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/c", "*")
const value = fc.constantFrom("1", "2")
const values = fc.dictionary(fc.constantFrom("p", "q"), value, { maxKeys: 2 })
const method = fc.constantFrom("GET", "HEAD", "POST")
const match: fc.Arbitrary<ShortMatch> = fc.record(
  {
    path: fc.constantFrom("/", "/a", "/a/", "/a/b", "=/a", "=/a/", "=/", "=/a/b", "~/a.*", "~/a/[a-c]", "~/.*", "~/[^/]+/b(?:/c)?"),
    methods: fc.uniqueArray(method, { minLength: 1, maxLength: 2 }),
    headers: values,
    query: values,
    cookies: values,
    percentage: fc.constantFrom(0.5, 1),
  },
  { requiredKeys: [] },
)
const hosts = fc.array(fc.constantFrom("a.test", "b.test", "*.a.test", "*.test", "x.a.test"), { maxLength: 2 })
const listeners = fc.constantFrom<readonly string[]>([], ["edge"], ["other"])
const route = fc.record({ matches: fc.array(match, { minLength: 1, maxLength: 3 }), hosts, listeners })
const request = fc.record({
  host,
  path,
  method,
  query: fc.constantFrom(undefined, "p=1", "p=2&q=1", "q=2"),
  draw: fc.nat({ max: 2 ** 32 - 1 }),
  headers: fc
    .record({ p: value, q: value, cookie: fc.constantFrom("p=1", "p=2; q=1", "q=2") }, { requiredKeys: [] })
    .map((fields) => Object.entries(fields) as [string, string][]),
})

test("the match that is said to take a request is the one that does", () => {
  fc.assert(
    fc.property(fc.array(route, { maxLength: 12 }), fc.array(request, { minLength: 1, maxLength: 4 }), (table, requests) => {
      const routes = table.map(({ matches, hosts, listeners }, i) => routeOf(String(i), matches, hosts, listeners))
      const router = new Router(entriesOf(routes), "edge")
      const ranking = new Ranking(entriesOf(routes), "edge")
      for (const short of requests) {
        const { host, path, query, method, fields, draw } = lookupOf(short)
        const taken = router.match(host, path, query, method, fields, draw)
        const [first] = ranking.judge({ host, path, query, method, fields, draw })
        const said = first === undefined || first.failures > 0 ? null : first.placement.candidate
        expect([said?.route.name, said?.order, said?.matchedPrefix]).toEqual([
          taken?.route.name,
          (taken as typeof said)?.order,
          taken?.matchedPrefix,
        ])
      }
    }),
    { numRuns: 300 },
  )
})

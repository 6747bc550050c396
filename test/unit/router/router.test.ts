import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { RouteConfig } from "../../../gateway/config/model.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { Router } from "../../../gateway/router/router.ts"
import { matchOf, routeOf, type ShortMatch } from "./routes.ts"

interface Ask {
  readonly host?: string
  readonly path?: string
  readonly query?: string
  readonly method?: string
  readonly headers?: readonly (readonly [string, string])[]
}

function routerOf(routes: readonly RouteConfig[], listener = "edge"): Router<string> {
  return new Router(
    routes.map((route) => ({ route, target: route.name })),
    listener,
  )
}

function ask(router: Router<string>, { host = "x.test", path = "/", query, method = "GET", headers = [] }: Ask): string | null {
  return router.match(host, path, query, method, Fields.from(headers))?.target ?? null
}

/** Routes named by their one match. */
function paths(...spelled: string[]): Router<string> {
  return routerOf(spelled.map((path) => routeOf(path, [{ path }])))
}

describe("paths", () => {
  test.each([
    ["/v2", "/v2"],
    ["/v2/", "/v2"],
    ["/v2/x", "/v2"],
    ["/v2x", null],
    ["/foo/v2", null],
    ["/V2", null],
    ["/", null],
  ])("a prefix goes by whole segments: %s", (path, name) => {
    expect(ask(paths("/v2"), { path })).toBe(name)
  })

  test.each([
    ["/two", "=/two"],
    ["/two/", null],
    ["/Two", null],
    ["/two/x", null],
    ["/tw", null],
  ])("an exact path is exact: %s", (path, name) => {
    expect(ask(paths("=/two"), { path })).toBe(name)
  })

  test("an exact path with a final slash is another path", () => {
    const router = paths("=/two/", "=/")
    expect(ask(router, { path: "/two/" })).toBe("=/two/")
    expect(ask(router, { path: "/two" })).toBeNull()
    expect(ask(router, { path: "/" })).toBe("=/")
  })

  test("the final slash of a prefix is ignored", () => {
    expect(ask(paths("/v2/"), { path: "/v2" })).toBe("/v2/")
    expect(ask(paths("/v2/"), { path: "/v2/x" })).toBe("/v2/")
  })

  test("exact comes before longest prefix, before regex, before the prefix /", () => {
    const router = paths("/", "~/a/.*", "/a/b", "=/a/b/c", "/a/b/c/d")
    expect(ask(router, { path: "/a/b/c" })).toBe("=/a/b/c")
    expect(ask(router, { path: "/a/b/c/d/e" })).toBe("/a/b/c/d")
    expect(ask(router, { path: "/a/b/c/e" })).toBe("/a/b")
    expect(ask(router, { path: "/a/x" })).toBe("~/a/.*")
    expect(ask(router, { path: "/b" })).toBe("/")
  })

  test("a regex matches the whole path, the longest source first, then the older", () => {
    const router = paths("~/[a-z]+", "~/[a-z]+/[0-9]+", "~/[0-9]+|/x", "~/[a-m]+")
    expect(ask(router, { path: "/abc" })).toBe("~/[a-z]+")
    expect(ask(router, { path: "/abc/12" })).toBe("~/[a-z]+/[0-9]+")
    expect(ask(router, { path: "/x" })).toBe("~/[0-9]+|/x")
    expect(ask(router, { path: "/abc/12/" })).toBeNull()
    expect(ask(router, { path: "/12x" })).toBeNull()
  })

  test("a path that only begins like a longer one falls back to the shorter prefix", () => {
    const router = paths("/a", "/a/b/c/d")
    expect(ask(router, { path: "/a/b/c" })).toBe("/a")
    expect(ask(router, { path: "/a/b/c/dd" })).toBe("/a")
  })

  test("more children than are compared one by one are told apart", () => {
    const router = paths(...Array.from({ length: 20 }, (_, i) => `/s${i}/x`))
    for (let i = 0; i < 20; i++) expect(ask(router, { path: `/s${i}/x/y` })).toBe(`/s${i}/x`)
    expect(ask(router, { path: "/s20/x" })).toBeNull()
    expect(ask(router, { path: "/constructor" })).toBeNull()
  })

  test("paths of the configuration are brought into the spelling of requests", () => {
    const router = paths("=/caf\u00e9", "/%7euser/%c3%a9", "=/a/./b")
    expect(ask(router, { path: "/caf%C3%A9" })).toBe("=/caf\u00e9")
    expect(ask(router, { path: "/~user/%C3%A9/x" })).toBe("/%7euser/%c3%a9")
    expect(ask(router, { path: "/a/b" })).toBe("=/a/./b")
  })

  test("* is taken only by what asks nothing of the path", () => {
    expect(ask(paths("/a", "~.*", "/"), { path: "*", method: "OPTIONS" })).toBe("/")
    expect(ask(paths("/a", "~.*"), { path: "*", method: "OPTIONS" })).toBeNull()
  })

  test("the matched prefix is what a rewrite replaces", () => {
    const router = paths("/", "/a/", "=/b/", "~/c.*")
    const prefixOf = (path: string) => router.match("x.test", path, undefined, "GET", new Fields())?.matchedPrefix
    expect(prefixOf("/z")).toBe("")
    expect(prefixOf("/a/x")).toBe("/a")
    expect(prefixOf("/b/")).toBe("/b/")
    expect(prefixOf("/cc")).toBe("")
  })
})

describe("hosts", () => {
  const router = routerOf([
    routeOf("any", [{}]),
    routeOf("*.com", [{}], ["*.com"]),
    routeOf("*.example.com", [{}], ["*.example.com"]),
    routeOf("example.com", [{}], ["example.com"]),
    routeOf("a.example.com", [{ path: "/only" }], ["a.example.com"]),
    routeOf("v6", [{}], ["[2001:db8:0::1]"]),
  ])

  test.each([
    ["example.com", "example.com"],
    ["b.example.com", "*.example.com"],
    ["c.b.example.com", "*.example.com"],
    ["example.org", "any"],
    ["com", "any"],
    ["notexample.com", "*.com"],
    ["", "any"],
    ["[2001:db8::1]", "v6"],
  ])("%s goes to the most specific host", (host, name) => {
    expect(ask(router, { host })).toBe(name)
  })

  test("a less specific host serves what the routes of the more specific one leave over", () => {
    expect(ask(router, { host: "a.example.com", path: "/only" })).toBe("a.example.com")
    expect(ask(router, { host: "a.example.com", path: "/else" })).toBe("*.example.com")
  })

  test("host outranks path, and path outranks everything else", () => {
    const ranked = routerOf([
      routeOf("exact path", [{ path: "=/a", methods: ["GET"], headers: { x: "1" } }]),
      routeOf("wildcard", [{ path: "/a" }], ["*.test"]),
      routeOf("host", [{ path: "/" }], ["x.test"]),
    ])
    expect(ask(ranked, { path: "/a", headers: [["x", "1"]] })).toBe("host")
    expect(ask(ranked, { host: "y.test", path: "/a", headers: [["x", "1"]] })).toBe("wildcard")
    expect(ask(ranked, { host: "y.else", path: "/a", headers: [["x", "1"]] })).toBe("exact path")
  })

  test("without a route for every host an unknown host has none", () => {
    expect(ask(routerOf([routeOf("a", [{}], ["a.test", "*.b.test"])]), { host: "c.test" })).toBeNull()
    expect(ask(routerOf([routeOf("a", [{}], ["a.test", "*.b.test"])]), { host: "b.test" })).toBeNull()
    expect(ask(routerOf([]), {})).toBeNull()
  })

  test("a host named twice in a route counts once", () => {
    expect(ask(routerOf([routeOf("a", [{}], ["a.test", "A.TEST", "a.test."])]), { host: "a.test" })).toBe("a")
  })
})

test("a route serves only the listeners it names", () => {
  const routes = [routeOf("inner", [{ path: "/a" }], [], ["inner", "third"]), routeOf("every", [{}])]
  expect(ask(routerOf(routes, "inner"), { path: "/a" })).toBe("inner")
  expect(ask(routerOf(routes, "edge"), { path: "/a" })).toBe("every")
})

describe("methods, headers and query", () => {
  test("any of several methods does, case counts", () => {
    const router = routerOf([routeOf("a", [{ methods: ["GET", "POST"] }])])
    expect(ask(router, { method: "POST" })).toBe("a")
    expect(ask(router, { method: "PUT" })).toBeNull()
    expect(ask(router, { method: "get" })).toBeNull()
  })

  test("header values are exact and case-sensitive, all values of a name joined by a comma", () => {
    const router = routerOf([routeOf("a", [{ headers: { "X-Flag": "one,Two" } }])])
    expect(ask(router, { headers: [["x-flag", "one,Two"]] })).toBe("a")
    expect(
      ask(router, {
        headers: [
          ["x-flag", "one"],
          ["y", "z"],
          ["x-flag", "Two"],
        ],
      }),
    ).toBe("a")
    expect(ask(router, { headers: [["x-flag", "one,two"]] })).toBeNull()
    expect(ask(router, { headers: [["x-flag", "one"]] })).toBeNull()
    expect(ask(router, {})).toBeNull()
  })

  test("header and query values may be a regex over the whole value", () => {
    const router = routerOf([
      routeOf("h", [{ headers: { v: { regex: "[0-9]+|x" } } }]),
      routeOf("q", [{ query: { v: { regex: "\u00e9+" } } }]),
    ])
    expect(ask(router, { headers: [["v", "12"]] })).toBe("h")
    expect(ask(router, { headers: [["v", "12a"]] })).toBeNull()
    expect(ask(router, { headers: [["v", "xx"]] })).toBeNull()
    expect(ask(router, { query: "v=%C3%A9%c3%a9" })).toBe("q")
    expect(ask(router, { query: "v=%E9" })).toBeNull()
  })

  test.each([
    ["animal=whale", "a"],
    ["animal=Whale", null],
    ["Animal=whale", null],
    ["x=1&animal=whale", "a"],
    ["&&animal=whale&", "a"],
    ["animal=whale&animal=dolphin", "a"],
    ["animal=dolphin&animal=whale", null],
    ["%61nimal=whal%65", "a"],
    ["animal=wh+ale", null],
    ["animal", null],
    ["", null],
    [undefined, null],
    ["animal=whale=1", null],
    ["x?animal=whale", null],
  ])("query parameters are decoded, the first of a name counts: %s", (query, name) => {
    expect(ask(routerOf([routeOf("a", [{ query: { animal: "whale" } }])]), { query })).toBe(name)
  })

  test("a query is read alike whether it is short, escaped or long", () => {
    const names = fc.constantFrom("a", "ab", "b", "")
    const piece = fc.oneof(
      names,
      fc.tuple(names, fc.constantFrom("", "1", "=", "a=1")).map(([name, text]) => `${name}=${text}`),
    )
    const wanted = fc.record({ name: names, value: fc.constantFrom("", "1", "=") })
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 6 }), wanted, (pieces, { name, value }) => {
        const router = routerOf([routeOf("a", [{ query: { [name]: value } }])])
        const query = pieces.join("&")
        const found = ask(router, { query })
        expect(ask(router, { query: `${query}&%20` })).toBe(found)
        expect(ask(router, { query: `${query}&long=${"x".repeat(300)}` })).toBe(found)
        expect(found === "a").toBe(new URLSearchParams(query).get(name) === value)
      }),
      { numRuns: 1000 },
    )
  })

  test("a query value is compared as it is meant: spaces, escapes, other scripts, none", () => {
    const router = routerOf([
      routeOf("space", [{ query: { "a b": "c d" } }]),
      routeOf("plus", [{ query: { q: "1+1" } }]),
      routeOf("utf-8", [{ query: { q: "caf\u00e9" } }]),
      routeOf("percent", [{ query: { q: "100%" } }]),
      routeOf("empty", [{ query: { flag: "" } }]),
    ])
    expect(ask(router, { query: "a+b=c%20d" })).toBe("space")
    expect(ask(router, { query: "q=1%2B1" })).toBe("plus")
    expect(ask(router, { query: "q=caf%c3%a9" })).toBe("utf-8")
    expect(ask(router, { query: "q=100%" })).toBe("percent")
    expect(ask(router, { query: "flag" })).toBe("empty")
    expect(ask(router, { query: "flag=" })).toBe("empty")
  })

  test("parameters of one request are forgotten in the next", () => {
    const router = routerOf([routeOf("a", [{ query: { a: "1" } }])])
    expect(ask(router, { query: "a=1" })).toBe("a")
    expect(ask(router, { query: "b=1" })).toBeNull()
    expect(ask(router, {})).toBeNull()
  })

  test("method outranks number of headers, that outranks number of parameters, that outranks age", () => {
    const all: Ask = {
      headers: [
        ["x", "1"],
        ["y", "1"],
      ],
      query: "p=1&q=1",
    }
    const matches: Record<string, ShortMatch> = {
      older: { query: { p: "1" } },
      younger: { query: { q: "1" } },
      "two parameters": { query: { p: "1", q: "1" } },
      header: { headers: { x: "1" } },
      "header and parameter": { headers: { x: "1" }, query: { p: "1" } },
      "two headers": { headers: { x: "1", y: "1" } },
      method: { methods: ["GET"] },
    }
    let names = Object.keys(matches)
    while (names.length > 0) {
      const router = routerOf(names.map((name) => routeOf(name, [matches[name]])))
      expect(ask(router, all)).toBe(
        ["method", "two headers", "header and parameter", "header", "two parameters", "older", "younger"].find((name) =>
          names.includes(name),
        ),
      )
      names = names.filter((name) => name !== ask(router, all))
    }
  })

  test("many matches of one path are found by the value that tells them apart", () => {
    const tenants = Array.from({ length: 50 }, (_, i) => routeOf(`t${i}`, [{ headers: { env: "prod", tenant: `${i}` } }]))
    const router = routerOf([
      ...tenants,
      ...Array.from({ length: 10 }, (_, i) => routeOf(`q${i}`, [{ query: { q: `${i}` } }])),
      routeOf("t7 of q7", [{ headers: { env: "prod", tenant: "7" }, query: { q: "7" } }]),
      routeOf("any tenant", [{ headers: { tenant: { regex: "[0-9]+" } } }]),
      routeOf("put", [{ methods: ["PUT"] }]),
      routeOf("rest", [{}]),
      routeOf("never", [{}]),
    ])
    const of = (tenant: string, env = "prod") => [["env", env] as const, ["tenant", tenant] as const]
    expect(ask(router, { headers: of("49") })).toBe("t49")
    expect(ask(router, { headers: of("7") })).toBe("t7")
    expect(ask(router, { headers: of("7"), query: "q=7" })).toBe("t7 of q7")
    expect(ask(router, { headers: of("7"), query: "q=8" })).toBe("t7")
    expect(ask(router, { headers: of("7", "test"), query: "q=8" })).toBe("any tenant")
    expect(ask(router, { headers: of("x"), query: "q=8" })).toBe("q8")
    expect(ask(router, { headers: of("49"), method: "PUT" })).toBe("put")
    expect(ask(router, { headers: of("50") })).toBe("any tenant")
    expect(ask(router, { headers: of("toString") })).toBe("rest")
    expect(ask(router, { query: "q=10" })).toBe("rest")
  })

  test("a request that lacks what the most specific match asks for goes to the next", () => {
    const router = routerOf([
      routeOf("deep", [{ path: "/a/b", headers: { x: "1" } }]),
      routeOf("post", [{ path: "/a", methods: ["POST"] }]),
      routeOf("regex", [{ path: "~/a/.+", query: { r: "1" } }]),
      routeOf("root", [{ path: "/", methods: ["GET"] }]),
    ])
    expect(ask(router, { path: "/a/b", headers: [["x", "1"]], method: "POST" })).toBe("deep")
    expect(ask(router, { path: "/a/b", method: "POST" })).toBe("post")
    expect(ask(router, { path: "/a/b", query: "r=1" })).toBe("regex")
    expect(ask(router, { path: "/a/b" })).toBe("root")
    expect(ask(router, { path: "/a/b", method: "PUT" })).toBeNull()
  })
})

describe("against a model that tries every match", () => {
  const segment = fc.constantFrom("a", "b", "c")
  const path = fc
    .array(segment, { maxLength: 4 })
    .chain((parts) => fc.constantFrom(`/${parts.join("/")}`, parts.length === 0 ? "/" : `/${parts.join("/")}/`))
  const spelled = fc.tuple(fc.constantFrom("", "", "="), path).map(([kind, text]) => kind + text)
  const value = fc.dictionary(fc.constantFrom("x", "y"), fc.constantFrom("1", "2"), { maxKeys: 2 })
  const short: fc.Arbitrary<ShortMatch> = fc.record({
    path: spelled,
    methods: fc.constantFrom([], [], ["GET"], ["GET", "PUT"]),
    headers: value,
    query: value,
  })
  const host = fc.constantFrom("t", "a.t", "b.a.t", "c.b.a.t", "u")
  const hosts = fc.array(
    fc.oneof(
      host,
      host.map((name) => `*.${name}`),
    ),
    { maxLength: 3 },
  )
  const routes = fc
    .array(fc.tuple(fc.array(short, { minLength: 1, maxLength: 3 }), hosts), { maxLength: 12 })
    .map((list) => list.map(([matches, names], i) => routeOf(`r${i}`, matches, names)))
  const request = fc.record({ host, path, method: fc.constantFrom("GET", "PUT", "POST"), headers: value, query: value })

  function model(
    list: readonly RouteConfig[],
    asked: { host: string; path: string; method: string; headers: Record<string, string>; query: Record<string, string> },
  ): string | null {
    let best: { rank: number[]; name: string } | null = null
    let order = 0
    for (const route of list) {
      for (const match of route.matches) {
        order++
        const { kind } = match.path
        const bare = kind === "prefix" ? match.path.value.replace(/\/$/, "") : match.path.value
        if (kind === "exact" ? asked.path !== bare : asked.path !== bare && !asked.path.startsWith(`${bare}/`)) continue
        if (match.methods.length > 0 && !match.methods.includes(asked.method)) continue
        if (match.headers.some(({ name, value }) => "exact" in value && asked.headers[name] !== value.exact)) continue
        if (match.query.some(({ name, value }) => "exact" in value && asked.query[name] !== value.exact)) continue
        const hostRanks = (route.hosts.length === 0 ? [""] : route.hosts).map((name) =>
          name === "" ? 0 : name === asked.host ? 1000 : name.startsWith("*.") && asked.host.endsWith(name.slice(1)) ? name.length : -1,
        )
        const hostRank = Math.max(...hostRanks)
        if (hostRank < 0) continue
        const rank = [
          hostRank,
          kind === "exact" ? 1000 : bare.length,
          Math.sign(match.methods.length),
          match.headers.length,
          match.query.length,
          -order,
        ]
        const differs = best === null ? -1 : rank.findIndex((part, i) => part !== best?.rank[i])
        if (best === null || rank[differs] > best.rank[differs]) best = { rank, name: route.name }
      }
    }
    return best?.name ?? null
  }

  test("the same route is found", () => {
    fc.assert(
      fc.property(routes, fc.array(request, { minLength: 1, maxLength: 8 }), (list, requests) => {
        const router = routerOf(list)
        for (const asked of requests) {
          const query = Object.entries(asked.query).map(([name, text]) => `${name}=${text}`)
          const found = ask(router, {
            ...asked,
            query: query.length === 0 ? undefined : query.join("&"),
            headers: Object.entries(asked.headers),
          })
          expect(found).toBe(model(list, asked))
        }
      }),
      { numRuns: 1500 },
    )
  })

  test("the same route is found among many of one path", () => {
    const crowded = fc
      .array(fc.record({ methods: fc.constantFrom([], ["GET"]), headers: value, query: value }), { minLength: 8, maxLength: 24 })
      .map((list) => list.map((match, i) => routeOf(`r${i}`, [match])))
    fc.assert(
      fc.property(crowded, fc.array(request, { minLength: 1, maxLength: 8 }), (list, requests) => {
        const router = routerOf(list)
        for (const asked of requests) {
          const query = Object.entries(asked.query).map(([name, text]) => `${name}=${text}`)
          const found = ask(router, { ...asked, query: query.join("&"), headers: Object.entries(asked.headers) })
          expect(found).toBe(model(list, asked))
        }
      }),
      { numRuns: 500 },
    )
  })

  test("the model itself tells routes apart", () => {
    const list = [routeOf("a", [{ path: "/a" }]), routeOf("b", [{ path: "/a", headers: { x: "1" } }])]
    expect(matchOf({ path: "=/a" }).path.kind).toBe("exact")
    expect(model(list, { host: "t", path: "/a", method: "GET", headers: { x: "1" }, query: {} })).toBe("b")
    expect(model(list, { host: "t", path: "/b", method: "GET", headers: {}, query: {} })).toBeNull()
  })
})

// Matches by cookie, and by a share of requests.

import { describe, expect, test } from "vitest"
import { Fields } from "../../../gateway/http/fields.ts"
import { Router } from "../../../gateway/router/router.ts"
import { routeOf, type ShortMatch } from "./routes.ts"

const REQUESTS = 100_000

function routerOf(matches: Readonly<Record<string, ShortMatch>>): Router<string> {
  const routes = Object.entries(matches).map(([name, match]) => routeOf(name, [match]))
  return new Router(
    routes.map((route) => ({ route, target: route.name })),
    "edge",
  )
}

/** Lots that are the same in every run, and fall as by chance. */
function* lots(count: number): Generator<number> {
  let state = 12_345
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state
  }
}

function ask(router: Router<string>, fields: readonly (readonly [string, string])[], draw = 0, query?: string): string | null {
  return router.match("x.test", "/", query, "GET", Fields.from(fields), draw)?.target ?? null
}

function shares(router: Router<string>, fields: readonly (readonly [string, string])[] = []): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const lot of lots(REQUESTS)) {
    const target = ask(router, fields, lot) ?? "none"
    counts[target] = (counts[target] ?? 0) + 1
  }
  for (const [name, count] of Object.entries(counts)) counts[name] = (count / REQUESTS) * 100
  return counts
}

describe("cookies", () => {
  test("count in precedence behind headers, and before the query", () => {
    const router = routerOf({
      query: { query: { a: "1", b: "1" } },
      cookie: { cookies: { tier: "gold" } },
      cookies: { cookies: { tier: "gold", beta: { regex: "[0-9]+" } } },
      header: { headers: { "x-a": "1" } },
      method: { methods: ["GET"], query: { c: "1" } },
    })
    const gold: [string, string] = ["cookie", "tier=gold"]
    expect(ask(router, [gold], 0, "a=1&b=1")).toBe("cookie")
    expect(ask(router, [gold, ["x-a", "1"]])).toBe("header")
    expect(ask(router, [["cookie", "beta=17; tier=gold"]])).toBe("cookies")
    expect(ask(router, [["cookie", "beta=x; tier=gold"]])).toBe("cookie")
    expect(ask(router, [gold], 0, "c=1")).toBe("method")
    expect(ask(router, [], 0, "a=1&b=1")).toBe("query")
    expect(ask(router, [["cookie", "tier=golden"]])).toBeNull()
  })

  test("tell a thousand matches apart without trying them in turn", () => {
    const router = routerOf(Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`t${i}`, { cookies: { tenant: `t${i}` } }])))
    for (const i of [0, 1, 500, 999]) expect(ask(router, [["cookie", `a=b; tenant=t${i}`]])).toBe(`t${i}`)
    expect(ask(router, [["cookie", "tenant=t1000"]])).toBeNull()
  })
})

describe("a percentage", () => {
  test("takes its share of 10^5 requests within half a point, and the next match the rest", () => {
    const found = shares(routerOf({ canary: { percentage: 0.1 }, rest: {} }))
    expect(Math.abs(found.canary - 10)).toBeLessThan(0.5)
    expect(Math.abs(found.rest - 90)).toBeLessThan(0.5)
  })

  test("takes its share of what others before it have left", () => {
    const found = shares(routerOf({ a: { percentage: 0.2 }, b: { percentage: 0.5 }, c: { percentage: 0.25 } }))
    for (const [name, share] of Object.entries({ a: 20, b: 40, c: 10, none: 30 })) expect(Math.abs(found[name] - share)).toBeLessThan(0.5)
  })

  test("of 0 takes nothing, and of 100 everything", () => {
    expect(shares(routerOf({ a: { percentage: 0 }, b: { percentage: 1 }, c: {} }))).toEqual({ b: 100 })
  })

  test("takes the same requests as often as they are looked up", () => {
    const router = routerOf({ a: { percentage: 0.5 }, b: {} })
    for (const lot of lots(1000)) expect(ask(router, [], lot)).toBe(ask(router, [], lot))
  })

  test("is no specificity: a match that asks for more comes first, and order decides between equals", () => {
    const router = routerOf({ half: { percentage: 0.5 }, header: { headers: { "x-a": "1" } }, rest: {}, never: { percentage: 0.5 } })
    expect(shares(router, [["x-a", "1"]])).toEqual({ header: 100 })
    expect(Object.keys(shares(router)).sort()).toEqual(["half", "rest"])
  })

  test("is of the requests that have the rest of its match", () => {
    const router = routerOf({ some: { headers: { "x-a": "1" }, percentage: 0.5 }, rest: {} })
    expect(shares(router)).toEqual({ rest: 100 })
    expect(Math.abs(shares(router, [["x-a", "1"]]).some - 50)).toBeLessThan(0.5)
  })

  test("asks callers for lots only where there is one", () => {
    expect(routerOf({ a: { cookies: { a: "1" } }, b: { percentage: 1 } }).drawsLots).toBe(false)
    expect(routerOf({ a: { percentage: 0.99 } }).drawsLots).toBe(true)
  })
})

// Nanoseconds a look-up takes, by number and shape of routes: `bun test/unit/router/match.bench.ts` (or node, deno run).
// Not part of the suite.

import { hostOf } from "../../../gateway/http/authority.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { normalizePath } from "../../../gateway/http/path.ts"
import { Router } from "../../../gateway/router/router.ts"
import { routeOf, type ShortMatch } from "./routes.ts"

// Many short rounds, of which the best counts: a busy machine disturbs some of them, not all.
const ROUNDS = 100
const CALLS = 10_000
const POLICY = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true } as const

// Requests are slices of a longer text, as a codec makes them: their hashes are not known yet.
const heads = Array.from({ length: 64 }, (_, i) => `GET /api/v1/users/${i}/orders HTTP/1.1\r\nHost: shop${i}.example.com\r\n`)
const path = (i: number) => heads[i & 63].slice(4, heads[i & 63].indexOf(" ", 4))
const host = (i: number) => heads[i & 63].slice(heads[i & 63].lastIndexOf(":") + 2, -2)
const fields = Array.from({ length: 64 }, (_, i) =>
  Fields.from([...Array.from({ length: 8 }, (_, k) => [`x-field-${k}`, "v"] as const), ["x-tenant", `${i}`]]),
)

function nanoseconds(call: (i: number) => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    let hits = 0
    const start = performance.now()
    for (let i = 0; i < CALLS; i++) if (call(i) !== null) hits++
    best = Math.min(best, ((performance.now() - start) * 1e6) / CALLS)
    if (hits !== CALLS) throw new Error(`${CALLS - hits} of ${CALLS} look-ups found nothing`)
  }
  return best
}

function routerOf(count: number, match: (i: number) => ShortMatch, hosts: (i: number) => string[] = () => []): Router<number> {
  return new Router(
    Array.from({ length: count }, (_, i) => ({ route: routeOf(`r${i}`, [match(i)], hosts(i)), target: i })),
    "edge",
  )
}

function row(name: string, cells: readonly number[]): void {
  console.log(name.padEnd(52) + cells.map((cell) => cell.toFixed(0).padStart(8)).join(""))
}

const counts = [64, 1000, 10_000]
row("ns, slicing included; routes:", [1, ...counts])
const shapes: Record<string, (count: number) => (i: number) => unknown> = {
  "prefixes of one segment, one host": (count) => {
    const router = routerOf(count, (i) => ({ path: i === 0 ? "/api" : `/service-${i}` }))
    return (i) => router.match("a.test", path(i), undefined, "GET", fields[0])
  },
  "prefixes of three segments": (count) => {
    const router = routerOf(count, (i) => ({ path: i === 0 ? "/api/v1/users" : `/api/v1/kind-${i}` }))
    return (i) => router.match("a.test", path(i), undefined, "GET", fields[0])
  },
  "exact paths": (count) => {
    const router = routerOf(count, (i) => ({ path: `=/api/v1/users/${i}/orders` }))
    return (i) => router.match("a.test", path(count === 1 ? 0 : i), undefined, "GET", fields[0])
  },
  "exact hosts": (count) => {
    const router = routerOf(
      count,
      () => ({}),
      (i) => [`shop${i}.example.com`],
    )
    return (i) => router.match(host(count === 1 ? 0 : i), path(i), undefined, "GET", fields[0])
  },
  "wildcard hosts": (count) => {
    const router = routerOf(
      count,
      () => ({}),
      (i) => [i === 0 ? "*.example.com" : `*.d${i}.example.com`],
    )
    return (i) => router.match(host(i), path(i), undefined, "GET", fields[0])
  },
  "one path, told apart by a header (9 fields)": (count) => {
    const router = routerOf(count, (i) => ({ headers: { "x-tenant": `${i}` } }))
    return (i) => router.match("a.test", path(i), undefined, "GET", fields[count === 1 ? 0 : i & 63])
  },
  "one path, told apart by a query parameter": (count) => {
    const router = routerOf(count, (i) => ({ query: { tenant: `${i}` } }))
    return (i) => router.match("a.test", path(i), `page=1&tenant=${count === 1 ? 0 : i & 63}`, "GET", fields[0])
  },
}
for (const [name, shape] of Object.entries(shapes))
  row(
    name,
    [1, ...counts].map((count) => nanoseconds(shape(count))),
  )
row("normalizePath, nothing to do", [nanoseconds((i) => normalizePath(path(i), POLICY))])
row("normalizePath, one %20", [nanoseconds((i) => normalizePath(`/api/v1/a%20b/${i & 63}/orders`, POLICY))])
row("hostOf", [nanoseconds((i) => hostOf(host(i)))])
const start = performance.now()
routerOf(
  10_000,
  (i) => ({ path: `/a/b${i}` }),
  (i) => [`h${i}.test`],
)
console.log(`compiling 10 000 routes: ${(performance.now() - start).toFixed(0)} ms`)

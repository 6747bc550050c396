import { describe, expect, test } from "vitest"
import type { StickyConfig } from "../../../gateway/config/model.ts"
import { RequestHead } from "../../../gateway/http/message.ts"
import { StickySplit } from "../../../gateway/router/sticky.ts"

const CLIENTS = 20_000

function request(fields: Readonly<Record<string, string>>, query?: string): RequestHead {
  const head = new RequestHead()
  for (const [name, value] of Object.entries(fields)) head.fields.add(name, value)
  head.query = query
  return head
}

const byCookie: StickyConfig = { kind: "cookie", cookie: "backend", ttl: 90_500 }
const byUser: StickyConfig = { kind: "header", name: "x-user" }

/** The pair of a Set-Cookie, as a client sends it back. */
function pairOf(cookie: string): string {
  return cookie.split(";")[0]
}

describe("a cookie", () => {
  const sticky = new StickySplit(byCookie, ["stable", "canary"])

  test("keeps its client with its backend", () => {
    for (const i of [0, 1]) expect(sticky.pick(request({ cookie: `a=1; ${pairOf(sticky.cookie(i, false))}` }), "", [90, 10])).toBe(i)
  })

  test("has its attributes, and Secure where the client speaks TLS", () => {
    expect(sticky.cookie(1, false)).toMatch(/^backend=[0-9a-f]{16}; Path=\/; Max-Age=91; HttpOnly; SameSite=Lax$/)
    expect(sticky.cookie(1, true)).toMatch(/; Secure$/)
    const session = new StickySplit({ kind: "cookie", cookie: "backend", ttl: 0 }, ["stable", "canary"])
    expect(session.cookie(0, false)).toMatch(/^backend=[0-9a-f]{16}; Path=\/; HttpOnly; SameSite=Lax$/)
  })

  test("of a backend without a weight counts for nothing", () => {
    expect(sticky.pick(request({ cookie: pairOf(sticky.cookie(1, false)) }), "", [100, 0])).toBe(-1)
  })

  test("of a backend that is gone, or made up, counts for nothing", () => {
    const cookie = pairOf(sticky.cookie(1, false))
    expect(new StickySplit(byCookie, ["stable", "other"]).pick(request({ cookie }), "", [1, 1])).toBe(-1)
    for (const value of ["", "canary", "1", "__proto__", "0".repeat(16)])
      expect(sticky.pick(request({ cookie: `backend=${value}` }), "", [1, 1])).toBe(-1)
    expect(sticky.pick(request({}), "", [1, 1])).toBe(-1)
  })

  test("means the same backend when their order or number changes", () => {
    const cookie = pairOf(sticky.cookie(1, false))
    expect(new StickySplit(byCookie, ["new", "canary", "stable"]).pick(request({ cookie }), "", [1, 1, 1])).toBe(1)
  })
})

describe("a key", () => {
  const sticky = new StickySplit(byUser, ["stable", "canary", "other"])
  const backendsOf = (weights: readonly number[]): number[] =>
    Array.from({ length: CLIENTS }, (_, i) => sticky.pick(request({ "x-user": `user-${i}` }), "", weights))

  test("gives backends their shares of clients", () => {
    const backends = backendsOf([60, 10, 30])
    const share = (index: number): number => backends.filter((backend) => backend === index).length / CLIENTS
    for (const [index, expected] of [0.6, 0.1, 0.3].entries()) expect(Math.abs(share(index) - expected)).toBeLessThan(0.01)
  })

  test("stays when nothing changes, whatever the unit of the weights", () => {
    expect(backendsOf([60, 10, 30])).toEqual(backendsOf([6, 1, 3]))
  })

  test("moves to the backend whose weight grows, which gives up none", () => {
    const before = backendsOf([65, 10, 25])
    const after = backendsOf([50, 25, 25])
    let moved = 0
    for (let i = 0; i < CLIENTS; i++) {
      if (before[i] === after[i]) continue
      moved++
      // Stable gives clients up; canary gives up none.
      expect(before[i]).not.toBe(1)
    }
    const toCanary = after.filter((backend, i) => backend === 1 && before[i] !== 1).length
    expect(Math.abs(toCanary / CLIENTS - 0.15)).toBeLessThan(0.01)
    expect(moved / CLIENTS).toBeLessThan(0.2)
    const grown = backendsOf([65, 20, 25])
    for (let i = 0; i < CLIENTS; i++) if (grown[i] !== before[i]) expect(grown[i]).toBe(1)
  })

  test("never leads to a weight of 0, and none is no key", () => {
    expect(backendsOf([0, 1, 0]).every((backend) => backend === 1)).toBe(true)
    expect(sticky.pick(request({ "x-user": "a" }), "", [0, 0, 0])).toBe(-1)
    expect(sticky.pick(request({}), "", [1, 1, 1])).toBe(-1)
    expect(sticky.pick(request({ "x-user": "" }), "", [1, 1, 1])).toBe(-1)
    expect(sticky.cookie(0, true)).toBe("")
  })

  test("can be the address, or a query parameter", () => {
    const byAddress = new StickySplit({ kind: "source", name: "" }, ["a", "b"])
    const byQuery = new StickySplit({ kind: "query", name: "tenant" }, ["a", "b"])
    const seen = new Set<number>()
    for (let i = 0; i < 64; i++) {
      const first = byAddress.pick(request({}), `10.0.0.${i}`, [1, 1])
      expect(byAddress.pick(request({ other: "field" }), `10.0.0.${i}`, [1, 1])).toBe(first)
      seen.add(first)
      expect(byQuery.pick(request({}, `x=1&tenant=t%2d${i}`), "a", [1, 1])).toBe(byQuery.pick(request({}, `tenant=t-${i}`), "b", [1, 1]))
    }
    expect(seen).toEqual(new Set([0, 1]))
    expect(byQuery.pick(request({}), "a", [1, 1])).toBe(-1)
  })
})

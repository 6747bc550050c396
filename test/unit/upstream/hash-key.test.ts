import { describe, expect, test } from "vitest"
import type { HashConfig } from "../../../gateway/config/balancing-model.ts"
import { RequestHead } from "../../../gateway/http/message.ts"
import { hashText, mixBits } from "../../../gateway/http/text-hash.ts"
import { AffinityCookie, HashKey, NO_KEY, NOBODY } from "../../../gateway/upstream/load-balancing/hash-key.ts"

function keyOf(config: HashConfig, fields: readonly (readonly [string, string])[], query?: string): number {
  const head = new RequestHead()
  for (const [name, value] of fields) head.fields.add(name, value)
  head.query = query
  return new HashKey(config).of(head, { sourceAddress: "192.0.2.7" })
}

const cookie: HashConfig = { kind: "cookie", name: "id", generate: null }
const header: HashConfig = { kind: "header", name: "x-user" }
const query: HashConfig = { kind: "query", name: "user" }

describe("the key of a request", () => {
  test.each<[string, HashConfig, (readonly [string, string])[], string | undefined, string | null]>([
    ["a header's value", header, [["x-user", "joe"]], undefined, "joe"],
    [
      "all values of a header",
      header,
      [
        ["x-user", "joe"],
        ["x-user", "ann"],
      ],
      undefined,
      "joe,ann",
    ],
    ["an empty header", header, [["x-user", ""]], undefined, ""],
    ["no header", header, [["x-users", "joe"]], undefined, null],
    ["a cookie", cookie, [["cookie", "id=7"]], undefined, "7"],
    ["a cookie among others", cookie, [["cookie", "xid=1; id=7; id=8"]], undefined, "7"],
    [
      "a cookie in several fields",
      cookie,
      [
        ["cookie", "a=1"],
        ["cookie", "id=7"],
      ],
      undefined,
      "7",
    ],
    ["a cookie with = in it", cookie, [["cookie", "id=a=b;c=d"]], undefined, "a=b"],
    ["an empty cookie", cookie, [["cookie", "id=; x=1"]], undefined, null],
    ["a cookie of a longer name", cookie, [["cookie", "id2=7; ids=7; i=7"]], undefined, null],
    ["a name without a value", cookie, [["cookie", "id"]], undefined, null],
    ["no cookie at all", cookie, [], undefined, null],
    ["a parameter", query, [], "a=1&user=joe&user=ann", "joe"],
    ["an escaped parameter", query, [], "user=j%6fe", "joe"],
    ["a query without it", query, [], "users=1", null],
    ["no query", query, [], undefined, null],
    ["the source", { kind: "source" }, [], undefined, "192.0.2.7"],
  ])("is %s", (_, config, fields, text, expected) => {
    expect(keyOf(config, fields, text)).toBe(expected === null ? NO_KEY : hashText(expected))
  })

  test("is absent where nobody has sent it", () => {
    expect(new HashKey({ kind: "source" }).ofClient(NOBODY)).toBe(NO_KEY)
    expect(new HashKey(header).ofClient({ sourceAddress: "192.0.2.7" })).toBe(NO_KEY)
  })
})

test("hashes are unsigned, and every bit of them changes with every character", () => {
  const ones = Array.from({ length: 32 }, () => 0)
  for (let i = 0; i < 2000; i++) {
    const hash = hashText(`user-${i}`)
    expect(hash).toBe(hash >>> 0)
    for (let bit = 0; bit < 32; bit++) ones[bit] += (hash >>> bit) & 1
  }
  // 1000 expected; 6 standard deviations are 134.
  for (const count of ones) expect(Math.abs(count - 1000)).toBeLessThan(134)
  expect(new Set(Array.from({ length: 5000 }, (_, i) => mixBits(i))).size).toBe(5000)
})

describe("an affinity cookie", () => {
  test("lasts as long as it says, or as the client's session", () => {
    expect(new AffinityCookie("id", { ttl: 90_500, path: "/a" }).field("v", false)).toBe(
      "id=v; Path=/a; Max-Age=91; HttpOnly; SameSite=Lax",
    )
    expect(new AffinityCookie("id", { ttl: 0, path: "/" }).field("v", true)).toBe("id=v; Path=/; HttpOnly; SameSite=Lax; Secure")
  })

  test("has 64 bits of chance in it", () => {
    const values = [0.5, 0]
    expect(new AffinityCookie("id", { ttl: 0, path: "/" }).value(() => values.shift() as number)).toBe("8000000000000000")
  })
})

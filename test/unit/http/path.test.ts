import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { normalizePath, type PathPolicy, pathRefusal } from "../../../gateway/http/path.ts"

const standard: PathPolicy = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true }
const strict: PathPolicy = { encodedSlash: "reject", encodedBackslash: "reject", backslash: "reject", nul: "reject", mergeSlashes: true }
const decoding: PathPolicy = { encodedSlash: "decode", encodedBackslash: "decode", backslash: "slash", nul: "reject", mergeSlashes: true }

function table(policy: PathPolicy, rows: readonly (readonly [string, string | null])[]): void {
  test.each(rows)("%j becomes %j", (path, normal) => {
    expect(normalizePath(path, policy)).toBe(normal)
  })
}

describe("path normalisation under the default policy", () => {
  table(standard, [
    ["/", "/"],
    ["/a/b", "/a/b"],
    ["/a/b/", "/a/b/"],
    ["/a.b/c..d/e.", "/a.b/c..d/e."],
    ["/.well-known/acme", "/.well-known/acme"],
    ["/...", "/..."],
    ["/a;v=1/b", "/a;v=1/b"],
    ["/-_~!$&'()*+,;=:@", "/-_~!$&'()*+,;=:@"],
    ["*", "*"],
    ["", null],
    ["a", null],
    ["**", null],
    ["http://x/", null],
    ["/%41%7a%30%2D%5f%7E%2e", "/Az0-_~."],
    ["/%c3%a9", "/%C3%A9"],
    ["/\xc3\xa9", "/%C3%A9"],
    ["/%7B%7d", "/%7B%7D"],
    ['/{"<>}^`|[]', "/%7B%22%3C%3E%7D%5E%60%7C%5B%5D"],
    ["/%24", "/%24"],
    ["/%2541", "/%2541"],
    ["/%25", "/%25"],
    ["/%", null],
    ["/%4", null],
    ["/%4g", null],
    ["/%g4", null],
    ["/% 1", null],
    ["/a%", null],
    ["/a b", null],
    ["/a\tb", null],
    ["/a\0", null],
    ["/a\x7f", null],
    ["/a#b", null],
    ["/a?b", null],
    ["/\u0100", null],
    ["/\u2025", null],
    ["/a/./b", "/a/b"],
    ["/a/.", "/a/"],
    ["/a/..", "/"],
    ["/a/b/..", "/a/"],
    ["/a/b/../", "/a/"],
    ["/a/../b", "/b"],
    ["/.", "/"],
    ["/..", null],
    ["/../a", null],
    ["/a/../..", null],
    ["/a/../../b", null],
    ["//", "/"],
    ["//a", "/a"],
    ["/a//b///c", "/a/b/c"],
    ["/a//", "/a/"],
    ["/a//..", "/"],
    ["/a//../b", "/b"],
    ["/a%2fb", "/a%2Fb"],
    ["/a%5cb", "/a%5Cb"],
    ["/a\\b", "/a\\b"],
    ["/a%00", null],
    ["/a/..%2fb", null],
    ["/a%2f..", null],
    ["/a%2F.%2Fb", null],
    ["/a%5c..%5cb", null],
    ["/a\\..\\b", null],
    ["/a/..;/b", null],
    ["/a/.;x/b", null],
    ["/a%2F...", "/a%2F..."],
    ["/v1.2%2F3", "/v1.2%2F3"],
  ])
})

describe("path normalisation with the strict policy", () => {
  table(strict, [
    ["/a%2Fb", null],
    ["/a%2fb", null],
    ["/a%5Cb", null],
    ["/a\\b", null],
    ["/a%2E%2E/b", "/a../b"],
  ])
})

describe("path normalisation with decoding", () => {
  table(decoding, [
    ["/a%2Fb", "/a/b"],
    ["/a%2F%2fb", "/a/b"],
    ["/a%2F..%2Fb", "/b"],
    ["/a/..%2Fb", "/b"],
    ["/..%2Fb", null],
    ["/a%5Cb", "/a/b"],
    ["/a\\..\\b", "/b"],
    ["/%5C..", null],
    ["/a%252Fb", "/a%252Fb"],
  ])
})

test("a decoded backslash is under the policy for backslashes", () => {
  expect(normalizePath("/a%5cb", { ...decoding, backslash: "reject" })).toBeNull()
  expect(normalizePath("/a%5cb", { ...decoding, backslash: "keep" })).toBe("/a\\b")
})

test("NUL is kept only when the policy says so", () => {
  expect(normalizePath("/a%00b", { ...standard, nul: "keep" })).toBe("/a%00b")
  expect(normalizePath("/a\0b", { ...standard, nul: "keep" })).toBeNull()
})

describe("path normalisation without merging slashes", () => {
  table({ ...standard, mergeSlashes: false }, [
    ["//a", "//a"],
    ["/a//b/", "/a//b/"],
    ["/a//..", "/a/"],
    ["/a//../b", "/a/b"],
    ["//..", "/"],
    ["//../..", null],
    ["/a/.//b", "/a//b"],
  ])
})

// Spellings that some server takes for /admin. Each must come out as /admin (or below it), or be refused.
const EVASIONS = [
  "/admin",
  "//admin",
  "///admin",
  "/./admin",
  "/.//admin",
  "/././admin",
  "/a/../admin",
  "/a/b/../../admin",
  "/a/./../admin",
  "/a//../admin",
  "/a/..//admin",
  "/../admin",
  "/..//admin",
  "/a/../../admin",
  "/%61dmin",
  "/%61%64%6d%69%6e",
  "/%61%64%6D%69%6E",
  "/adm%69n",
  "/admi%6E",
  "/%2e/admin",
  "/%2E/admin",
  "/a/%2e%2e/admin",
  "/a/%2E%2e/admin",
  "/a/.%2e/admin",
  "/a/%2e./admin",
  "/%2e%2e/admin",
  "/%2e%2e//admin",
  "/a/..%2fadmin",
  "/a/..%2Fadmin",
  "/a/%2e%2e%2fadmin",
  "/a%2f..%2fadmin",
  "/a%2f../admin",
  "/a%2F%2e%2e%2Fadmin",
  "/a/..%5cadmin",
  "/a/..%5Cadmin",
  "/a/%2e%2e%5cadmin",
  "/a%5c..%5cadmin",
  "/a/..\\admin",
  "/a\\..\\admin",
  "/.\\admin",
  "/a/..;/admin",
  "/a/..;x=y/admin",
  "/a/%2e%2e;/admin",
  "/.;/admin",
  "/a/.;x/../admin",
  "/%/../admin",
  "/%zz/../admin",
  "/a/.%00./admin",
  "/admin%00",
  "/admin\0",
  "/a/..\t/admin",
  "/a/..#/admin",
  "/a/..?/admin",
  "/admin/.",
  "/admin/x/..",
  "/admin/%2e",
  "/admin/./",
  "/admin//",
] as const

test.each(EVASIONS)("%j does not pass for another path than /admin", (spelling) => {
  for (const policy of [standard, strict, decoding]) {
    const normal = normalizePath(spelling, policy)
    if (normal !== null) expect(normal).toMatch(/^\/admin\/?$/)
  }
})

const piece = fc.constantFrom(
  "/",
  "//",
  ".",
  "..",
  "%2e",
  "%2E",
  "%2f",
  "%2F",
  "%5c",
  "%5C",
  "\\",
  "%00",
  "%25",
  "%",
  "%c3",
  "\xe9",
  ";",
  "a",
  "%41",
  "{",
  " ",
  "~",
  "%7e",
  "[",
)
const spelling = fc.oneof(
  fc.array(piece, { maxLength: 14 }).map((pieces) => `/${pieces.join("")}`),
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)), maxLength: 20 }).map((text) => `/${text}`),
)
const policies: fc.Arbitrary<PathPolicy> = fc.record({
  encodedSlash: fc.constantFrom("reject", "keep", "decode"),
  encodedBackslash: fc.constantFrom("reject", "keep", "decode"),
  backslash: fc.constantFrom("reject", "keep", "slash"),
  nul: fc.constantFrom("reject", "keep"),
  mergeSlashes: fc.boolean(),
})

test("normalisation is idempotent, and its results have no other spelling left in them", () => {
  fc.assert(
    fc.property(spelling, policies, (path, policy) => {
      const normal = normalizePath(path, policy)
      if (normal === null) return
      expect(normalizePath(normal, policy)).toBe(normal)
      expect(normal).toMatch(/^\/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\\]|%[0-9A-F]{2})*$/)
      expect(normal).not.toMatch(/(?:^|[/\\]|%2F|%5C)\.\.?(?:$|[/\\;]|%2F|%5C)/)
      expect(normal).not.toMatch(/%(?:4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A]|3\d|2D|2E|5F|7E)/)
      if (policy.mergeSlashes) expect(normal).not.toContain("//")
      if (policy.encodedSlash !== "keep") expect(normal).not.toContain("%2F")
      if (policy.encodedBackslash !== "keep") expect(normal).not.toContain("%5C")
      if (policy.backslash !== "keep") expect(normal).not.toContain("\\")
      if (policy.nul !== "keep") expect(normal).not.toContain("%00")
    }),
    { numRuns: 3000 },
  )
})

test("escaping any unreserved character does not change what a path becomes", () => {
  fc.assert(
    fc.property(spelling, policies, fc.nat(), (path, policy, at) => {
      const i = 1 + (at % path.length)
      const c = path[i]
      if (c === undefined || !/[A-Za-z0-9\-._~]/.test(c) || /%.?$/.test(path.slice(Math.max(0, i - 2), i))) return
      const escaped = `${path.slice(0, i)}%${c.charCodeAt(0).toString(16)}${path.slice(i + 1)}`
      expect(normalizePath(escaped, policy)).toBe(normalizePath(path, policy))
    }),
    { numRuns: 3000 },
  )
})

test("a path is refused for a reason, and for none otherwise", () => {
  fc.assert(
    fc.property(spelling, policies, (path, policy) => {
      expect(pathRefusal(path, policy) === "").toBe(normalizePath(path, policy) !== null)
    }),
  )
})

test.each([
  ["a", "it doesn't begin with a slash"],
  ["/..", "lead above the root"],
  ["/%2", "without two hexadecimal digits"],
  ["/a b", "no path may have"],
  ["/%00", "path.nul"],
  ["/a%2f..", "may be .. to a service"],
])("%j is refused since %s", (path, reason) => {
  expect(pathRefusal(path, standard)).toContain(reason)
})

test.each([
  ["/a%2fb", "path.encodedSlash"],
  ["/a%5Cb", "path.encodedBackslash"],
  ["/a\\b", "path.backslash"],
])("strictly, %j is refused by %s", (path, reason) => {
  expect(pathRefusal(path, strict)).toContain(reason)
})

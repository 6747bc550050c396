import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { parseAuthority, parseHost, parsePath } from "../../../gateway/config/message-parts.ts"
import { Wrong } from "../../../gateway/config/units.ts"
import { normalizePath } from "../../../gateway/http/path.ts"

const policy = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: false } as const

describe("parsePath", () => {
  test.each([
    ["/a%2fb", "/a%2Fb"],
    ["/%7e%41", "/~A"],
    ["/a[1]^|", "/a%5B1%5D%5E%7C"],
    ["/a;b=c,d:e@f", "/a;b=c,d:e@f"],
    ["/a//b/", "/a//b/"],
    ["/...", "/..."],
  ])("spells %s as requests are", (text, path) => {
    expect(parsePath(text, "exact")).toBe(path)
  })

  test.each(["/a/..%2Fb", "/a/..;/b", "/a/.", "/a/%2e%2e/b", "/users/{id}", "/a b", "/%", "/a\\b"])("refuses %s", (text) => {
    expect(parsePath(text, "exact")).toBeInstanceOf(Wrong)
  })

  test("gives nothing but paths in the normal form of requests", () => {
    const piece = fc.constantFrom(
      "/",
      "a",
      ".",
      "..",
      "%2F",
      "%5c",
      "%2e",
      "%41",
      "%20",
      "%e4",
      ";",
      "[",
      "|",
      "~",
      "%",
      "*",
      "+",
      " ",
      "é",
      "\\",
      "%00",
      "//",
      "^",
      '"',
      "<",
    )
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 10 }),
        fc.constantFrom("exact" as const, "prefix" as const, "replacement" as const),
        (pieces, kind) => {
          const path = parsePath(`/${pieces.join("")}`, kind)
          if (!(path instanceof Wrong)) expect(normalizePath(path, policy)).toBe(path)
        },
      ),
      { numRuns: 5000 },
    )
  })
})

test("parseHost lower-cases names, and takes wildcards only where they mean something", () => {
  expect(parseHost("Shop.Example.COM", true)).toBe("shop.example.com")
  expect(parseHost("*.Example.com", true)).toBe("*.example.com")
  expect(parseHost("*.example.com", false)).toBeInstanceOf(Wrong)
  expect(parseHost("a_b.svc-1.local", false)).toBe("a_b.svc-1.local")
  for (const wrong of ["", "*", "a..b", "-a", `${"a".repeat(64)}.b`, "1.2.3", "*.1.2.3.4", "::1", "a b", "a:80", "*a.b"]) {
    expect(parseHost(wrong, true), wrong).toBeInstanceOf(Wrong)
  }
})

test("parseAuthority takes a port", () => {
  expect(parseAuthority("A.b:80")).toBe("a.b:80")
  expect(parseAuthority("[::1]:80")).toBe("[::1]:80")
  expect(parseAuthority("[::1]")).toBe("[::1]")
  expect(parseAuthority("a.b")).toBe("a.b")
  for (const wrong of ["a:0", "a:65536", "::1:80", "a:b", ":80"]) expect(parseAuthority(wrong), wrong).toBeInstanceOf(Wrong)
})

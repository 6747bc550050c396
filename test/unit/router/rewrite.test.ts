import { describe, expect, test } from "vitest"
import type { RedirectConfig } from "../../../gateway/config/model.ts"
import { redirectLocation, replacePrefix, rewriteAuthority, rewritePath } from "../../../gateway/router/rewrite.ts"

describe("prefix replacement", () => {
  // The table of HTTPPathModifier in the Gateway API; the router gives prefixes without final slash.
  test.each([
    ["/foo/bar", "/foo", "/xyz", "/xyz/bar"],
    ["/foo/bar", "/foo", "/xyz/", "/xyz/bar"],
    ["/foo", "/foo", "/xyz", "/xyz"],
    ["/foo/", "/foo", "/xyz", "/xyz/"],
    ["/foo/bar", "/foo", "", "/bar"],
    ["/foo/", "/foo", "", "/"],
    ["/foo", "/foo", "", "/"],
    ["/foo/", "/foo", "/", "/"],
    ["/foo", "/foo", "/", "/"],
    ["/foo/bar", "/foo", "/", "/bar"],
    ["/foo/bar", "", "/xyz", "/xyz/foo/bar"],
    ["/", "", "/xyz", "/xyz/"],
    ["/foo/bar/", "/foo/bar/", "/xyz", "/xyz"],
  ])("%s with %j replaced by %j is %s", (path, prefix, replacement, result) => {
    expect(replacePrefix(path, prefix, replacement)).toBe(result)
  })
})

test("a rewrite replaces the prefix, or the whole path, or neither", () => {
  expect(rewritePath({ prefix: "/v2" }, "/v1", "/v1/x")).toBe("/v2/x")
  expect(rewritePath({ path: "/fixed" }, "/v1", "/v1/x")).toBe("/fixed")
  expect(rewritePath({ host: "other" }, "/v1", "/v1/x")).toBe("/v1/x")
  expect(rewritePath({ path: "/fixed" }, "", "*")).toBe("*")
})

test("a rewrite replaces the whole authority, or keeps it with its port", () => {
  expect(rewriteAuthority({ host: "other.test" }, "shop.test:8080")).toBe("other.test")
  expect(rewriteAuthority({ prefix: "/" }, "shop.test:8080")).toBe("shop.test:8080")
})

describe("redirect location", () => {
  const at = (
    redirect: Partial<RedirectConfig>,
    authority = "Shop.test:1234",
    scheme = "http",
    port = 80,
    query: string | undefined = undefined,
  ) => redirectLocation({ status: 302, ...redirect }, "/old", "/old/x", query, authority, scheme, port)

  test.each<[Partial<RedirectConfig>, string, number, string]>([
    [{}, "http", 80, "http://shop.test/old/x"],
    [{}, "http", 8080, "http://shop.test:8080/old/x"],
    [{}, "https", 443, "https://shop.test/old/x"],
    [{}, "https", 8443, "https://shop.test:8443/old/x"],
    [{ scheme: "https" }, "http", 8080, "https://shop.test/old/x"],
    [{ scheme: "http" }, "https", 8443, "http://shop.test/old/x"],
    [{ scheme: "http" }, "http", 8080, "http://shop.test/old/x"],
    [{ port: 80 }, "http", 8080, "http://shop.test/old/x"],
    [{ port: 443 }, "http", 8080, "http://shop.test:443/old/x"],
    [{ port: 80 }, "https", 443, "https://shop.test:80/old/x"],
    [{ scheme: "https", port: 443 }, "http", 80, "https://shop.test/old/x"],
    [{ scheme: "https", port: 8443 }, "http", 80, "https://shop.test:8443/old/x"],
    [{ host: "new.test" }, "http", 80, "http://new.test/old/x"],
    [{ prefix: "/new" }, "http", 80, "http://shop.test/new/x"],
    [{ prefix: "/" }, "http", 80, "http://shop.test/x"],
    [{ path: "/fixed" }, "http", 80, "http://shop.test/fixed"],
  ])("%j on %s port %i leads to %s", (redirect, scheme, port, location) => {
    expect(at(redirect, "Shop.test:1234", scheme, port)).toBe(location)
  })

  test("the query stays, an empty one too", () => {
    expect(at({ path: "/fixed" }, "a.test", "http", 80, "a=1&b")).toBe("http://a.test/fixed?a=1&b")
    expect(at({}, "a.test", "http", 80, "")).toBe("http://a.test/old/x?")
  })

  test("an IPv6 host keeps its brackets", () => {
    expect(at({}, "[::1]:8080", "http", 8080)).toBe("http://[::1]:8080/old/x")
  })

  test("a path that begins with two slashes can't become another host", () => {
    expect(redirectLocation({ status: 302 }, "", "//evil.test/x", undefined, "a.test", "http", 80)).toBe("http://a.test//evil.test/x")
  })

  test("a redirect of * leads to the root", () => {
    expect(redirectLocation({ status: 302, host: "b.test" }, "", "*", undefined, "a.test", "http", 80)).toBe("http://b.test/")
  })
})

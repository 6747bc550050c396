import { describe, expect, test } from "vitest"
import { describeOrderer, pageOf, pageRefusal } from "../../../gateway/admin/guard.ts"

const host = "127.0.0.1:9901"
const own = { host, origin: `http://${host}`, "sec-fetch-site": "same-origin" }
const fields = (values: Record<string, string>) => new Headers(values)

describe("pages", () => {
  test.each<[string, Record<string, string>, string]>([
    ["no browser", { host }, "none"],
    ["an address that was typed in", { host, "sec-fetch-site": "none" }, "none"],
    ["our page", own, "own"],
    ["our page, a GET", { host, "sec-fetch-site": "same-origin" }, "own"],
    ["another port of this host", { ...own, origin: "http://127.0.0.1:8080", "sec-fetch-site": "same-site" }, "foreign"],
    ["another site", { ...own, origin: "https://evil.example", "sec-fetch-site": "cross-site" }, "foreign"],
    ["another site, a GET", { host, "sec-fetch-site": "cross-site" }, "foreign"],
    ["a browser that doesn't say which", { host, origin: `http://${host}` }, "foreign"],
    ["an origin that isn't the host's", { ...own, origin: "http://localhost:9901" }, "foreign"],
    ["another scheme", { ...own, origin: `https://${host}` }, "foreign"],
    ["a sandboxed page", { ...own, origin: "null" }, "foreign"],
    // Over plain HTTP browsers say no more of a page that isn't of this machine.
    ["our page at another machine", { host: "10.0.0.7:9901", origin: "http://10.0.0.7:9901" }, "own"],
    ["another page at another machine", { host: "10.0.0.7:9901", origin: "http://evil.example" }, "foreign"],
    ["a sandboxed page at another machine", { host: "10.0.0.7:9901", origin: "null" }, "foreign"],
  ])("%s", (_what, values, page) => {
    expect(pageOf(fields(values), "http")).toBe(page)
  })

  test.each<[string, string, Record<string, string>, boolean]>([
    ["an order without the field", "POST", { host }, false],
    ["an order with it", "POST", { host, "x-sluice-admin": "1" }, true],
    ["an order of our page", "PUT", { ...own, "x-sluice-admin": "1" }, true],
    ["an order of our page without the field", "PUT", own, false],
    ["an order without origin", "POST", { host, "x-sluice-admin": "1", "sec-fetch-site": "same-origin" }, false],
    ["an order of another page", "DELETE", { ...own, "x-sluice-admin": "1", "sec-fetch-site": "cross-site" }, false],
    ["reading by our page", "GET", { host, "sec-fetch-site": "same-origin" }, true],
    ["reading by another page", "GET", { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }, false],
    [
      "a frame of another page",
      "GET",
      { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe" },
      false,
    ],
    [
      "following a link, in a tab",
      "GET",
      { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
      true,
    ],
    ["following a link", "GET", { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }, true],
  ])("%s", (_what, method, values, allowed) => {
    expect(pageRefusal(method, fields(values), "http") === null).toBe(allowed)
  })
})

test.each([
  [null, "", "127.0.0.1", "somebody from 127.0.0.1"],
  ["ann@laptop", "", "10.0.0.7", "ann@laptop from 10.0.0.7"],
  ["ann", "spiffe://a/b", "10.0.0.7", "ann (spiffe://a/b) from 10.0.0.7"],
  [null, "the token", "", "the token"],
  ["a\u001b[31m\u202eb", "", "", "a[31mb"],
  ["x".repeat(500), "", "", "x".repeat(100)],
])("who claims %j and shows %j at %j is %j", (claimed, proven, address, described) => {
  expect(describeOrderer(claimed, proven, address)).toBe(described)
})

import { describe, expect, test } from "vitest"
import { ServerNames } from "../../../gateway/router/server-names.ts"

describe("server names", () => {
  const names = new ServerNames([
    [["db.example.com", "*.db.example.com"], "db"],
    [["*.example.com"], "any"],
    [["*.b.a.test", "localhost"], "deep"],
    [["*.a.test"], "shallow"],
  ])

  test.each([
    ["db.example.com", "db"],
    ["x.db.example.com", "db"],
    ["x.y.db.example.com", "db"],
    ["xdb.example.com", "any"],
    ["x.example.com", "any"],
    ["example.com", null],
    ["db.example.com.test", null],
    ["c.b.a.test", "deep"],
    ["b.a.test", "shallow"],
    ["a.test", null],
    ["localhost", "deep"],
    ["*.example.com", "any"],
    ["", null],
    [".example.com", "any"],
  ])("%o leads to %s", (name, target) => {
    expect(names.find(name)).toBe(target)
  })

  test("of nothing lead nowhere", () => {
    expect(new ServerNames([]).find("a.example")).toBe(null)
  })
})

import fc from "fast-check"
import { expect, test } from "vitest"
import { hostOf } from "../../../gateway/http/authority.ts"

test.each([
  ["example.com", "example.com"],
  ["Example.COM", "example.com"],
  ["example.com.", "example.com"],
  ["EXAMPLE.com.:8080", "example.com"],
  ["example.com:80", "example.com"],
  ["example.com:0", "example.com"],
  ["example.com:65535", "example.com"],
  ["example.com:00080", "example.com"],
  ["my_service", "my_service"],
  ["a-b.c", "a-b.c"],
  ["10.0.0.1", "10.0.0.1"],
  ["10.0.0.1:9001", "10.0.0.1"],
  ["[::1]", "[::1]"],
  ["[::1]:8080", "[::1]"],
  ["[2001:DB8:0:0::1]:443", "[2001:db8::1]"],
  [`${"a".repeat(251)}.com`, `${"a".repeat(251)}.com`],
])("the host of %j is %j", (authority, host) => {
  expect(hostOf(authority)).toBe(host)
})

test.each([
  "",
  ".",
  "..",
  ":80",
  ".:80",
  "example.com:",
  "example.com:65536",
  "example.com:123456",
  "example.com:8a",
  "example.com:+80",
  "example.com:80:80",
  "example.com: 80",
  "user@example.com",
  "user:pw@example.com",
  "exam ple.com",
  " example.com",
  "example.com ",
  "example.com/",
  "example.com?x",
  "example.com#x",
  "example.com\\x",
  "example..com",
  ".example.com",
  "*.example.com",
  "exam%70le.com",
  "example.com,other.com",
  "ex\xe4mple.com",
  "ex\u0430mple.com",
  "::1",
  "2001:db8::1",
  "[::1",
  "[]",
  "[::1]x",
  "[::1]:",
  "[::1]:99999",
  "[fe80::1%25eth0]",
  "[fe80::1%eth0]",
  "[1.2.3.4]",
  "[v1.x]",
  "x[::1]",
  "a\0b",
  "a\tb",
  "a".repeat(256),
])("%j is not an authority", (authority) => {
  expect(hostOf(authority)).toBeNull()
})

test("a host is found once and for all: its own host is itself", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."aZ09-_.:[]%@ 1"), maxLength: 12 }), (authority) => {
      const host = hostOf(authority)
      if (host === null) return
      expect(host).toMatch(/^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])$/)
      expect(hostOf(host)).toBe(host)
      expect(hostOf(`${host}:443`)).toBe(host)
      expect(hostOf(host.toUpperCase())).toBe(host)
    }),
    { numRuns: 3000 },
  )
})

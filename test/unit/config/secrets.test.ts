import { describe, expect, test } from "vitest"
import { parseConfig } from "../../../gateway/config/load.ts"
import { formatProblems } from "../../../gateway/config/problem.ts"
import { maskLine, maskText } from "../../../gateway/config/secrets.ts"

/** What is said of a configuration with this store of rate limits. */
function said(redis: string): string {
  const rest = "listeners: [{ address: 127.0.0.1:1 }]\nservices: { a: { endpoints: [127.0.0.1:1] } }\nroutes: [{ backends: a }]\n"
  const result = parseConfig(`rateLimitStore: { redis: ${redis} }\n${rest}`, { file: "sluice.yaml", baseDir: "/" })
  return result.ok ? "" : formatProblems(result.problems, { excerpt: true })
}

describe("errors in a configuration don't show passwords", () => {
  test.each([
    ['"redis://:s3cret@host:bad"', "is not the address of a Redis"],
    ['"redis://me:p@s3cret@host:6379/x/y"', "names no database"],
    ["{ url: 'redis://host', password: s3cret, tsl: true }", "unknown key"],
    ['{ "url": "redis://host", "password": "s3, cret", "tsl": true }', "unknown key"],
    ["{ url: 'redis://host', password: 31337 }", "expected a text or an object; write it in quotes"],
    ["{ url: 'redis://u:s3cret@host', password: other }", "is in the url too"],
  ])("%s", (redis, message) => {
    const text = said(redis)
    expect(text).toContain(message)
    expect(text).not.toMatch(/s3|cret|31337|other|p@s/)
  })

  test("lines stay as long as they were, and what is no secret stays", () => {
    for (const line of ["a: 'redis://me:pw@host/1', b: 2", 'apiToken: "x y", keep: 1', "password: a b # why", "secret: { env: NAME }"]) {
      expect(maskLine(line)).toHaveLength(line.length)
    }
    expect(maskLine("a: 'redis://me:pw@host/1', b: 2")).toBe("a: 'redis://*****@host/1', b: 2")
    expect(maskLine("password: { env: NAME }, c: d")).toBe("password: { env: NAME }, c: d")
    expect(maskLine("url: https://host/a, user: b@c")).toBe("url: https://host/a, user: b@c")
  })
})

test.each([
  ["authorization: Bearer abc.def-ghi", "abc.def"],
  ['{"authorization":"Basic czNjcjN0"}', "czNjcjN0"],
  ["redis://user:s3cr3t@host", "s3cr3t"],
  ["password: s3cr3t", "s3cr3t"],
  ['{"token":"s3cr3t","x":1}', "s3cr3t"],
  ['{"token":"a \\" s3cr3t","x":1}', "s3cr3t"],
  ['{"message":"{\\"password\\":\\"s3cr3t\\"}","x":1}', "s3cr3t"],
  ['{"path":"/a?access_token=s3cr3t&x=1"}', "s3cr3t"],
  ["cookie: sid=s3cr3t; b=c", "s3cr3t"],
  ['"x-api-key": "s3cr3t"', "s3cr3t"],
  ["-----BEGIN RSA PRIVATE KEY-----\nczNjcjN0\nczNjcjN0\n-----END RSA PRIVATE KEY-----", "czNjcjN0"],
])("a text loses its secret: %j", (text, secret) => {
  expect(maskText(text)).not.toContain(secret)
})

test("a text keeps what is no secret", () => {
  for (const text of ["GET /a?x=1 by alice@example.com", '{"key":"a","keyId":"b","cookies":3}', "tokens are counted", "https://host/a b@c"])
    expect(maskText(text)).toBe(text)
  expect(maskText('{"path":"/a?token=x&y=1","status":200}')).toBe('{"path":"/a?token=[redacted]&y=1","status":200}')
})

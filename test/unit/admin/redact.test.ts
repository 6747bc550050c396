import { describe, expect, test } from "vitest"
import { redactConfig, redactSettings } from "../../../gateway/admin/redact.ts"
import { parseConfig } from "../../../gateway/config/load.ts"
import { isLoopback } from "../../../gateway/config/loopback.ts"
import { isSecretKey, REDACTED } from "../../../gateway/config/secrets.ts"
import { config } from "./support/config.ts"

describe("redaction", () => {
  test.each([
    "password",
    "dbPassword",
    "PASSPHRASE",
    "secret",
    "client_secret",
    "clientSecret",
    "token",
    "accessToken",
    "key",
    "keys",
    "apiKey",
    "api-keys",
    "x-api-key",
    "privateKey",
    "Authorization",
    "cookie",
    "set-cookie",
    "credentials",
    "pin",
  ])("%s is secret", (key) => {
    expect(isSecretKey(key)).toBe(true)
  })

  test.each(["header", "issuer", "keyId", "per", "requests", "keyPrefix", "passthrough", "spin", "compass"])("%s is not", (key) => {
    expect(isSecretKey(key)).toBe(false)
  })

  test("settings keep their shape, also unusual ones", () => {
    const settings = JSON.parse('{"a":[1,{"token":5,"b":"x"}],"__proto__":{"secret":"y","c":1},"secret":null,"keys":true}')
    expect(JSON.stringify(redactSettings(settings))).toBe(
      '{"a":[1,{"token":"[redacted]","b":"x"}],"__proto__":{"secret":"[redacted]","c":1},"secret":null,"keys":true}',
    )
    expect(redactSettings("text")).toBe("text")
    expect(redactSettings(undefined)).toBe(undefined)
  })

  test("a configuration keeps everything but its secrets, and names that merely sound like one", () => {
    const shown = redactConfig(config) as unknown as typeof config
    expect(JSON.stringify(shown)).not.toContain("s3cr3t")
    expect(shown.services).toEqual(config.services)
    expect(shown.filters.key.config).toEqual({
      header: "x-visible",
      keys: REDACTED,
      nested: [{ api_key: REDACTED, "client-secret": REDACTED, requireToken: true }],
    })
    expect(shown.routes[0].filters).toEqual([{ use: "key", with: { password: REDACTED, per: "visible-minute" } }])
    expect(shown.routes[0].headers.request.set).toEqual([["authorization", REDACTED]])
    expect(shown.routes[0].matches[0].path).toEqual(config.routes[0].matches[0].path)
  })

  test("settings of filters of connections are redacted like those of routes", () => {
    const loaded = parseConfig(
      `
listeners:
  - { name: db, address: "127.0.0.1:1", protocol: tcp, backends: s, filters: [key, { use: key, with: { password: s3cr3t, per: minute } }] }
  - { name: any, address: "127.0.0.1:2", protocol: auto, backends: s, filters: [{ use: key, with: "token: s3cr3t" }] }
services: { s: { endpoints: ["127.0.0.1:3"] } }
filters: { key: { module: "https://a.test/f.wasm", sha256: ${"a".repeat(64)} } }
`,
      { file: "sluice.yaml", baseDir: "/" },
    )
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    const text = JSON.stringify(redactConfig(loaded.config))
    expect(text).not.toContain("s3cr3t")
    expect(text).toContain(`{"use":"key","with":{"password":"${REDACTED}","per":"minute"}}`)
    expect(text).toContain(`{"use":"key","with":"token: ${REDACTED}"}`)
  })

  test("nobody sees what a collector is sent with spans", () => {
    const otlp = { url: "http://a.b", headers: { "x-any": "s3cr3t", authorization: { env: "TOKEN" } }, timeout: 1 }
    const tracing = { otlp, sampling: 1, propagation: ["w3c"], trustParents: false, force: "", serviceName: "s" } as const
    expect(redactConfig({ ...config, tracing }).tracing).toEqual({
      ...tracing,
      otlp: { ...otlp, headers: { "x-any": REDACTED, authorization: { env: "TOKEN" } } },
    })
  })

  test.each([
    ["s3cr3t", REDACTED],
    [{ env: "REDIS_PASSWORD" }, { env: "REDIS_PASSWORD" }],
    [null, null],
  ])("a password of Redis, %j, is shown as %j", (password, expected) => {
    const redis = { address: { host: "127.0.0.1", port: 6379 }, database: 0, username: "me", password, tls: null }
    const rateLimitStore = { redis, onFailure: "local", timeout: 50, replicas: 1, lease: 0.1, prefix: "sluice:" } as const
    const shown = redactConfig({ ...config, rateLimitStore })
    expect(shown.rateLimitStore).toEqual({ ...rateLimitStore, redis: { ...redis, password: expected } })
  })

  test("headers for a receiver of the access log are hidden where they are written out", () => {
    const { accessLog } = config
    const headers = { authorization: "Bearer x", "x-scope": { env: "SCOPE" } }
    const to = { kind: "otlp", otlp: { url: "http://127.0.0.1:4318", headers, timeout: 1000 }, serviceName: "a" } as const
    expect(redactConfig({ ...config, accessLog: { ...accessLog, to } }).accessLog).toEqual({
      ...accessLog,
      to: { ...to, otlp: { ...to.otlp, headers: { authorization: REDACTED, "x-scope": { env: "SCOPE" } } } },
    })
  })

  test("exceptions of rate limits don't show the keys they are for", () => {
    const limit = {
      name: "n",
      policy: "n",
      scope: "local",
      descriptor: [],
      by: [
        { text: "source", kind: "source" },
        { text: "header:x-api-key", kind: "header", name: "x-api-key" },
      ],
      overrides: [{ values: ["10.0.0.1", "k3y"], requests: 5, per: 1000, burst: 5 }],
      requests: 1,
      per: 1000,
      burst: 1,
      missing: "share",
      shadow: false,
      status: 429,
      headers: true,
    } as const
    const rateLimits = [limit]
    const [listener] = config.listeners
    const service = { ...Object.values(config.services)[0], rateLimits }
    const shown = redactConfig({
      ...config,
      listeners: [{ ...listener, rateLimits } as typeof listener],
      services: { service },
      routes: [{ ...config.routes[0], rateLimits }],
    })
    const text = JSON.stringify(shown)
    expect(text).not.toContain("k3y")
    expect(text.split(`"values":["10.0.0.1","${REDACTED}"]`)).toHaveLength(4)
  })

  test("the configuration itself isn't touched", () => {
    const before = JSON.stringify(config)
    redactConfig(config)
    expect(JSON.stringify(config)).toBe(before)
  })
})

test("loopback addresses", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"]) expect(isLoopback(host)).toBe(true)
  for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com", "example.com", "128.0.0.1"])
    expect(isLoopback(host)).toBe(false)
})

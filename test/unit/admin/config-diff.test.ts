import { describe, expect, test } from "vitest"
import { parse } from "yaml"
import { type ConfigDiff, diffConfigs, diffText } from "../../../gateway/admin/config-diff.ts"
import { ConfigTexts, makeText } from "../../../gateway/admin/config-text.ts"
import { redactDocument } from "../../../gateway/admin/redact-document.ts"
import type { Config } from "../../../gateway/config/model.ts"
import { packConfig } from "../../../gateway/config/packed-config.ts"

function diff(before: string, after: string): ConfigDiff {
  const [a, b] = [before, after].map((text): unknown => parse(text))
  return diffConfigs({ whole: a, shown: redactDocument(a) }, { whole: b, shown: redactDocument(b) })
}

const text = (before: string, after: string): string => diffText(diff(before, after))

describe("what changed is said by its place in what was written", () => {
  test("values, and what is new or gone, with what is in it", () => {
    const before = "zone: a\nservices: { api: { endpoints: [10.0.0.1:80, 10.0.0.2:80] }, old: { endpoints: [10.0.0.9:80] } }\n"
    const after =
      "zone: b\nservices: { api: { endpoints: [10.0.0.2:80, 10.0.0.3:80] }, new: { endpoints: [10.0.0.4:80], connectTimeout: 1s } }\n"
    expect(text(before, after)).toBe(
      [
        "@@ zone @@\n-a\n+b\n",
        "@@ services.api.endpoints @@\n-10.0.0.1:80\n@@ services.api.endpoints @@\n+10.0.0.3:80\n",
        "@@ services.old @@\n-endpoints: [10.0.0.9:80]\n",
        "@@ services.new @@\n+endpoints: [10.0.0.4:80]\n+connectTimeout: 1s\n",
      ].join(""),
    )
    expect(diff(before, before)).toEqual({ changes: [], omitted: 0 })
  })

  test("routes by their names, wherever they stand", () => {
    const route = (name: string, more = ""): string => `  - { name: ${name}, match: /${name}, backends: api${more} }\n`
    const before = `routes:\n${route("a")}${route("b")}${route("c")}`
    expect(text(before, `routes:\n${route("x/y z")}${route("a")}${route("b", ", timeout: { request: 1s }")}`)).toBe(
      [
        "@@ routes[b].timeout @@\n+request: 1s\n".replace("request: 1s", "{ request: 1s }"),
        "@@ routes[c] @@\n-{ name: c, match: /c, backends: api }\n",
        '@@ routes["x/y z"] @@\n+{ name: x/y z, match: /x/y z, backends: api }\n',
      ].join(""),
    )
    expect(text(before, `routes:\n${route("b")}${route("a")}${route("c")}`)).toBe("@@ routes (order) @@\n-[a, b, c]\n+[b, a, c]\n")
  })

  test("items without names by their place, those that are still there left out", () => {
    const before = "routes:\n  - { match: /a, backends: a }\n  - { match: /b, backends: b }\n  - { match: /c, backends: c }\n"
    const after =
      "routes:\n  - { match: /new, backends: n }\n  - { match: /a, backends: a }\n  - { match: /b, backends: x }\n  - { match: /c, backends: c }\n"
    // Which of the two without a counterpart was /b can't be known.
    expect(diff(before, after).changes.map(({ path }) => path)).toEqual(["routes[0].match", "routes[0].backends", "routes[2]"])
    expect(text(before, before.replace("backends: b", "backends: x"))).toBe("@@ routes[1].backends @@\n-b\n+x\n")
  })

  test("one kind of thing in the place of another", () => {
    expect(text("a: 1\nb: { c: 1 }\n", "a: [1]\nb: null\n")).toBe("@@ a @@\n-1\n+[1]\n@@ b @@\n-{ c: 1 }\n+null\n")
  })
})

describe("a comparison shows no secret", () => {
  const written = (n: number): string => `
admin: { token: { env: ADMIN_TOKEN_${n} } }
listeners: [{ name: e, address: "127.0.0.1:1", tls: { certificates: [{ cert: c${n}.pem, key: visible${n}.pem }] } }]
accessLog: { to: { otlp: { url: "http://a:1", headers: { x-any: s3cr3t${n}, authorization: { env: V${n} } } } } }
tracing: { otlp: { url: "http://a:1", headers: { x-any: s3cr3t${n} } } }
rateLimitStore: { redis: { url: "redis://me:s3cr3t${n}@host:6379", password: s3cr3t${n} } }
services:
  token: { endpoints: ["127.0.0.1:${n}"], rateLimit: { by: "cookie:sid", overrides: [{ value: s3cr3t${n}, requests: ${n} }] } }
  headers: { endpoints: ["127.0.0.1:3"], rateLimit: { by: "cookie:sid", overrides: [{ value: s3cr3t${n}, requests: 1 }] } }
filters:
  key:
    module: visible${n}.wasm
    config: { keys: { s3cr3t${n}: x }, nested: [{ password: s3cr3t${n} }], text: "token=s3cr3t${n}", per: visible${n} }
    vmConfig: '{"apiKey":"s3cr3t${n}","visible":${n}}'
    env: { API_TOKEN: s3cr3t${n}, MODE: visible${n} }
    versions: [{ name: a, config: "password: s3cr3t${n}" }]
  headers: { module: f.wasm, config: '{"password":"s3cr3t${n}"}' }
  query: { module: f.wasm, vmConfig: "password: s3cr3t${n}" }
routes:
  - name: r
    match: { headers: { authorization: { exact: Bearer s3cr3t${n} } }, query: { access_token: s3cr3t${n} }, cookies: { session: s3cr3t${n}, tier: s3cr3t${n} } }
    headers: { request: { set: { x-api-key: s3cr3t${n}, x-env: visible${n} }, add: { cookie: [s3cr3t${n}] } }, response: { set: { set-cookie: s3cr3t${n} } } }
    filters: [{ use: key, with: { password: s3cr3t${n} } }]
    rateLimit: [{ by: ["source", "header:x-api-key"], overrides: [{ value: [10.0.0.${n}, s3cr3t${n}], requests: 5 }] }]
    redirect: { to: "http://me:s3cr3t${n}@host/" }
`

  test("though that they changed is said", () => {
    const found = diff(written(1), written(2))
    expect(JSON.stringify(found)).not.toContain("s3cr3t")
    const paths = found.changes.map(({ path }) => path)
    for (const path of [
      "tracing.otlp.headers.x-any",
      "rateLimitStore.redis.url",
      "rateLimitStore.redis.password",
      "services.token.endpoints",
      "services.token.rateLimit.overrides[0].value",
      "filters.key.config.keys",
      "filters.key.vmConfig",
      "filters.key.env.API_TOKEN",
      "filters.key.versions[a].config",
      "routes[r].match.cookies.session",
      "routes[r].headers.request.add.cookie",
      "routes[r].filters[0].with.password",
    ])
      expect(paths).toContain(path)
    const shown = diffText(found)
    expect(shown).toContain("@@ listeners[e].tls.certificates[0].key @@\n-visible1.pem\n+visible2.pem\n")
    expect(shown).toContain("@@ admin.token.env @@\n-ADMIN_TOKEN_1\n+ADMIN_TOKEN_2\n")
    expect(shown).toContain('@@ routes[r].headers.request.set.x-api-key @@\n-"[redacted]"\n+"[redacted]"\n')
  })

  test("nor do parts that are new or gone", () => {
    for (const [before, after] of [
      ["zone: a", written(1)],
      [written(1), "zone: a"],
      [written(1), `${written(1)}\n  - { name: s, headers: { request: { set: { x-api-key: s3cr3t } } } }\n`],
    ])
      expect(text(before, after)).not.toContain("s3cr3t")
  })
})

test("changes are bounded in number, lines and length", () => {
  const side = (whole: unknown) => ({ whole, shown: whole })
  const many = (n: number) => side({ services: Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`s${i}`, n])) })
  const found = diffConfigs(many(1), many(2))
  expect([found.changes.length, found.omitted]).toEqual([500, 1500])
  expect(diffText(found)).toContain("@@ and 1500 more changes @@\n")
  const large = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, "x".repeat(5000)]))
  const [long] = diffConfigs(side({}), side({ a: large })).changes
  expect(long.after?.split("\n").length).toBe(61)
  expect(long.after?.length).toBeLessThan(61 * 510)
})

test("a text of a large configuration is made elsewhere, and is the same", async () => {
  const services = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`s${i}`, { endpoints: [`10.0.0.1:${i}`], a: Math.sin(i) }]))
  const one = packConfig({ services } as unknown as Config, { services, zone: "ä" })
  const two = packConfig({ services } as unknown as Config, { services, zone: "b" })
  const texts = new ConfigTexts()
  const jobs = [
    { kind: "yaml", config: one.config },
    { kind: "diff", before: one.document, after: two.document },
  ] as const
  const made = await Promise.all(jobs.map((job) => texts.make(job)))
  for (const [i, job] of jobs.entries()) expect(new TextDecoder().decode(made[i] as Uint8Array)).toBe(makeText(job))
  const full = new ConfigTexts(1)
  const [broken, busy] = await Promise.all([0, 1].map(() => full.make({ kind: "json", config: Buffer.alloc(20_000) })))
  expect(busy).toBe("too many ask for large configurations; ask again in some seconds")
  expect(broken).toMatch(/^it can't be made: /)
})

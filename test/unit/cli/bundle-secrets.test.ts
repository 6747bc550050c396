// What a bundle for others holds of a gateway whose configuration, history and log have a secret wherever one can be.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { ChangeHistory } from "../../../gateway/admin/change-history.ts"
import { type AdminServer, serveAdmin } from "../../../gateway/admin/server.ts"
import { requestAdmin } from "../../../gateway/cli/admin-request.ts"
import { adminTarget } from "../../../gateway/cli/admin-target.ts"
import { collectBundle } from "../../../gateway/cli/debug-bundle.ts"
import type { ConfigEntry } from "../../../gateway/config/config-history.ts"
import { parseConfig } from "../../../gateway/config/load.ts"
import { packConfig } from "../../../gateway/config/packed-config.ts"
import { formatProblems } from "../../../gateway/config/problem.ts"
import { isSecretKey } from "../../../gateway/config/secrets.ts"
import { ExplainedPlanes } from "../../../gateway/explain/planes.ts"
import { listRoutes } from "../../../gateway/explain/route-list.ts"
import { StructuredLogger } from "../../../gateway/telemetry/log.ts"
import { Authority } from "../../support/certs.ts"
import { adminDeps } from "../admin/support/deps.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-bundle-"))
let server: AdminServer | null = null
afterAll(async () => {
  await server?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** Each another one, so that what is shown can be told from where it came. */
const secrets: string[] = []
function secret(): string {
  secrets.push(`s3cr3t-${secrets.length}-`)
  return secrets.at(-1) as string
}

const TOKEN = "s3cr3t-the-token-itself"

const written = (): string => `
admin: { address: "127.0.0.1:0", token: { file: token }, tls: { certificate: c.pem, key: k.pem, clientAuthority: ca.pem } }
listeners:
  - name: secure
    address: 127.0.0.1:1
    protocol: https
    tls: { certificates: [{ cert: c.pem, key: k.pem }] }
    rateLimit: { name: a, requests: 1, per: 1s, by: "header:x-api-key", overrides: [{ value: ${secret()}, requests: 2 }] }
accessLog: { to: { otlp: { url: "http://127.0.0.1:4318", headers: { authorization: "Bearer ${secret()}", x-any: ${secret()} } } } }
tracing: { otlp: { url: "http://127.0.0.1:4318", headers: { x-tenant: ${secret()} } } }
rateLimitStore: { redis: { url: "redis://me:${secret()}@127.0.0.1:6379" } }
services:
  token: { endpoints: ["127.0.0.1:1"], tls: { cert: c.pem, key: k.pem } }
  other: { endpoints: ["127.0.0.1:2"], rateLimit: { name: b, requests: 1, per: 1s, by: ["source", "cookie:sid"], overrides: [{ value: ["10.0.0.1", ${secret()}], requests: 2 }] } }
filters:
  deep: { module: f.wasm, config: { password: ${secret()}, list: [{ client-secret: [${secret()}], keys: { ${secret()}: alice } }], text: "token=${secret()}", url: "https://me:${secret()}@host/?access_token=${secret()}" } }
  json: { module: f.wasm, config: '{"apiKey":"${secret()}","inner":"{\\"token\\":\\"${secret()}\\"}"}', vmConfig: { credentials: ${secret()} } }
  text: { module: f.wasm, config: "user: alice\\npassword: ${secret()}\\nauthorization: Basic ${secret()}", env: { API_TOKEN: ${secret()}, DATABASE: "postgres://me:${secret()}@db/x" } }
  pem: { module: f.wasm, config: { certificate: "-----BEGIN PRIVATE KEY-----\\n${secret()}\\n-----END PRIVATE KEY-----" } }
  versioned: { versions: [{ name: a, module: f.wasm, config: { token: ${secret()} } }, { name: b, module: f.wasm, weight: 1, config: "secret: ${secret()}" }] }
routes:
  - name: all
    match:
      - { path: /a, headers: { authorization: { exact: "Bearer ${secret()}" }, x-auth-token: ${secret()} } }
      - { path: /b, cookies: { session: ${secret()} }, query: { api_key: ${secret()}, password: { exact: ${secret()} } } }
    headers:
      request: { set: { authorization: "Basic ${secret()}", x-plain: "Bearer ${secret()}" }, add: { cookie: ["sid=${secret()}"] } }
      response: { set: { set-cookie: "sid=${secret()}" } }
    filters: [{ use: deep, with: { password: ${secret()} } }, json, text, pem, versioned]
    rateLimit: { name: c, requests: 1, per: 1s, by: "query:token", overrides: [{ value: ${secret()}, requests: 2 }] }
    backends: [{ service: token, weight: 1, headers: { request: { set: { x-api-key: ${secret()} } } } }, { service: other, weight: 1 }]
  - { name: moved, match: { path: /m }, redirect: { path: /login/token=${secret()} } }
  - { name: said, match: { path: /s }, respond: { status: 401, headers: { set-cookie: "sid=${secret()}", x-token: ${secret()} }, body: "Bearer ${secret()}" } }
`

function load(text: string) {
  const loaded = parseConfig(text, { file: "sluice.yaml", baseDir: folder })
  if (!loaded.ok) throw new Error(formatProblems(loaded.problems))
  return loaded
}

test("a bundle holds no secret of the configuration, of one before it, of orders or of the log", async () => {
  const authority = new Authority()
  const pair = authority.issue({ names: ["localhost", "127.0.0.1"] })
  for (const [name, content] of Object.entries({
    "c.pem": pair.cert,
    "k.pem": pair.key,
    "ca.pem": authority.cert,
    token: TOKEN,
    "f.wasm": "",
  }))
    writeFileSync(join(folder, name), content)
  const [before, after] = [load(written()), load(written())]
  const entry = (generation: number): ConfigEntry => ({ generation, at: new Date(0).toISOString(), who: "the file", why: "start" })
  const kept = [before, after].map(({ config, document }, i) => ({ entry: entry(i + 1), packed: packConfig(config, document) }))
  const history = new ChangeHistory({ now: () => 0, generation: () => 2 })
  const logger = new StructuredLogger({ level: "trace", format: "json", write: () => {} })
  const spec = { generation: 1, config: after.config, ports: {}, weights: {}, tls: { listeners: {} }, records: null, limits: {} }
  const problem = parseConfig(`routes: [{ redirect: { path: "/login?token=${secret()}" } }]`, { file: "a.yaml" })
  if (problem.ok) throw new Error("it is not good")
  logger.log("error", "configuration refused", { reason: formatProblems(problem.problems) })
  history.record({ who: "the file", kind: "config", what: "SIGHUP", refused: formatProblems(problem.problems) })
  const refusal = `redis://me:${secret()}@host can't be reached`
  server = await serveAdmin(
    adminDeps({
      history,
      changes: () => history.entries,
      configs: () => kept.map((each) => each.entry),
      generation: () => 2,
      configAt: (generation) => kept[generation - 1] ?? null,
      recentLog: () => logger.tail.lines,
      routes: (query) =>
        Promise.resolve(
          listRoutes(new ExplainedPlanes(spec, null, () => false), { slots: null, read: () => 0, isSecret: isSecretKey }, query),
        ),
      setLogLevel: () => {
        throw new Error(refusal)
      },
    }),
    after.config.admin as NonNullable<typeof after.config.admin>,
    {},
    logger,
  )
  const command = { admin: `https://${server.address}`, ca: join(folder, "ca.pem") }
  const target = adminTarget(command, { SLUICE_ADMIN_TOKEN: TOKEN })
  // Orders: one turned away with a token that is not the one, one that fails with a secret in its reason.
  await requestAdmin(adminTarget(command, { SLUICE_ADMIN_TOKEN: secret() }), "/log", {
    method: "PUT",
    body: Buffer.from("{}"),
    type: "application/json",
  })
  await requestAdmin(target, `/log?token=${secret()}`, { method: "PUT", body: Buffer.from('{"level":"debug"}'), type: "application/json" })
  // The log: of the gateway itself, and of filters.
  logger.log("warn", `GET https://me:${secret()}@host/x?token=${secret()} failed`, {
    authorization: `Bearer ${secret()}`,
    cookie: `sid=${secret()}`,
  })
  logger.log("info", `{"password":"${secret()}"}`, { filter: "deep", reason: `apiKey=${secret()}`, nested: { "x-api-key": secret() } })
  logger.log("error", "can't read", { pem: `-----BEGIN EC PRIVATE KEY-----\n${secret()}\n-----END EC PRIVATE KEY-----` })

  const files = await collectBundle(target)
  expect(files.filter(({ name }) => name.endsWith(".error")).map(({ name, content }) => `${name}: ${Buffer.from(content)}`)).toEqual([])
  const found = files.flatMap(({ name, content }) => {
    const text = Buffer.from(content).toString()
    const shown = [...secrets, TOKEN, ...pair.key.split("\n").filter((line) => line.length > 40)].filter((each) => text.includes(each))
    return shown.map((each) => `${name}: ${/.*/.exec(text.slice(Math.max(0, text.indexOf(each) - 60)))?.[0].slice(0, 120)}`)
  })
  expect(found).toEqual([])
  // It is not for want of content.
  const text = files.map(({ content }) => Buffer.from(content).toString()).join("\n")
  for (const part of ["x-auth-token", "redis", "API_TOKEN", "/login", "PUT /log", "alice", "@@ routes[all]"]) expect(text).toContain(part)
  expect(secrets.length).toBeGreaterThan(80)
})

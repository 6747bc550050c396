// The filters in filters/: each folder is complete, its tests pass in the production host, and the example of its README works.

import { createHmac } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { loadConfig } from "../../gateway/config/load.ts"
import { CLAIMS_PROPERTY } from "../../gateway/filter/native/rate-limit-keys.ts"
import { readTests } from "../../gateway/testing/case-schema.ts"
import { FilterLoader } from "../../gateway/testing/loader.ts"
import { loadTests } from "../../gateway/testing/test-run.ts"
import { loadFilter, loadFilters } from "../../gateway/testing/testing.ts"
import { FilterCompiler } from "../../gateway/wasm/compiler.ts"
import { FilterStore } from "../../gateway/wasm/filter-store.ts"
import { readManifest } from "../../gateway/wasm/manifest.ts"
import { calibrate } from "../../gateway/wasm/meter/calibrate.ts"
import { openModuleCache } from "../../gateway/wasm/module-cache.ts"
import { propertyPath } from "../../gateway/wasm/proxy-wasm/property-paths.ts"
import { systemClock } from "../../gateway/wasm/system-clock.ts"

const root = fileURLToPath(new URL("../../filters/", import.meta.url))
/** Compiling all of them takes its time where nothing is cached. */
const LIMIT = 120_000

const names = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort()

const shipped = [
  "ab-test",
  "api-key",
  "basic-auth",
  "body-transform",
  "bot-block",
  "cache-control",
  "canary",
  "cors",
  "csrf",
  "geo-route",
  "header-transform",
  "hmac-auth",
  "ip-allow",
  "jwt-auth",
  "maintenance",
  "quota",
  "rate-limit",
  "redact",
  "request-validate",
  "security-headers",
]

const scratch = mkdtempSync(join(tmpdir(), "sluice-shipped-"))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const read = (...path: string[]): string => readFileSync(join(root, ...path), "utf8")

/** The first YAML block of a text, as a configuration: examples leave out what every gateway has. */
function example(markdown: string): string {
  const block = /```yaml\n(.*?)```/s.exec(markdown)?.[1]
  if (block === undefined) throw new Error("there is no YAML example")
  const text = block.replaceAll("./filters/", root)
  return /^listeners:/m.test(text) ? text : `listeners: [{ address: 127.0.0.1:0 }]\n${text}`
}

describe("the shipped filters", () => {
  test("are all there, and filters/README.md lists each with a link", () => {
    expect(names).toEqual(shipped)
    const readme = read("README.md")
    for (const name of names) expect(readme).toContain(`| [${name}](${name}) |`)
  })

  test.each(names)("%s: its folder is complete, and its manifest fits it", (name) => {
    for (const file of ["filter.ts", "filter.json", "tests.json", "README.md"])
      expect({ file, exists: existsSync(join(root, name, file)) }).toEqual({ file, exists: true })
    const manifest = readManifest(join(root, name, "filter.json"))
    if (manifest?.ok !== true) throw new Error(JSON.stringify(manifest))
    expect(manifest.manifest.name).toBe(name)
    expect(manifest.manifest.version).toMatch(/^[1-9]/)
    expect(manifest.manifest.description).toMatch(/^[A-Z].*\.$/)
    expect(read(name, "README.md")).toMatch(new RegExp(`^# ${name}\n`))
  })

  test.each(names)("%s: nothing but the SDK is imported", (name) => {
    const sources = readdirSync(join(root, name)).filter((file) => file.endsWith(".ts"))
    for (const file of sources) {
      for (const [, from] of read(name, file).matchAll(/^(?:import|\}) .*?from "([^"]+)"/gm))
        expect(from === "sluice/sdk" || /^\.\/[a-z-]+$/.test(from)).toBe(true)
    }
  })

  test.each(names)("%s: its tests have a case for the bench", (name) => {
    const result = readTests(join(root, name, "tests.json"))
    if (!result.ok) throw new Error(JSON.stringify(result.problems))
    const marked = result.tests.cases.filter((each) => each.bench === true)
    expect(marked.length).toBeGreaterThan(0)
    for (const each of marked) expect(each.request ?? each.steps).toBeDefined()
  })
})

describe("the tests of", () => {
  const loader = new FilterLoader()
  afterAll(() => loader.close())

  test.each(names)(
    "%s pass",
    async (name) => {
      const loaded = await loadTests(join(root, name, "tests.json"), loader)
      if (loaded.tests === null || loaded.runner === null) throw new Error(loaded.error)
      const failed: unknown[] = []
      for (const each of loaded.tests.cases) {
        const result = await loaded.runner.run(each)
        if (!result.passed) failed.push(result)
      }
      expect(failed).toEqual([])
    },
    LIMIT,
  )
})

describe("the example in the README of", () => {
  let store: FilterStore
  const compiler = new FilterCompiler()
  beforeAll(() => {
    store = new FilterStore({ compiler, unitsPerMs: calibrate(), clock: systemClock, cache: openModuleCache() })
  })
  afterAll(() => compiler.close())

  test.each(names)(
    "%s is a configuration that works",
    async (name) => {
      const file = join(scratch, `${name}.yaml`)
      writeFileSync(file, example(read(name, "README.md")))
      const loaded = await loadConfig(file)
      if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems, null, 2))
      expect(Object.values(loaded.config.filters).length).toBeGreaterThan(0)
      const prepared = await store.prepare(loaded.config)
      expect(prepared.ok ? [] : prepared.problems).toEqual([])
    },
    LIMIT,
  )
})

test(
  "jwt-auth leaves the claims of a good token, and of no other, to what comes behind it",
  async () => {
    const secret = "a secret of thirty-two characters"
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")
    const data = `${part({ alg: "HS256" })}.${part({ sub: "alice", org: { id: 7 } })}`
    const signature = createHmac("sha256", secret).update(data).digest("base64url")
    const config = { issuers: ["*"], audiences: ["*"], withoutExpiry: true, optional: true, keys: [{ alg: "HS256", secret }] }
    const chain = await loadFilters([
      { module: join(root, "jwt-auth"), config },
      { module: join(root, "header-transform"), config: { request: { set: { "x-claims": "{property:jwt_claims}" } } } },
    ])
    // The second time it is one that was found good before.
    for (let i = 0; i < 2; i++) {
      const { upstream } = await chain.request({ headers: { authorization: `Bearer ${data}.${signature}` } })
      expect(upstream?.headers.get("x-claims")).toBe('{"sub":"alice","org":{"id":7}}')
    }
    expect((await chain.request({})).upstream?.headers.get("x-claims")).toBeNull()
    chain.close()
    expect(propertyPath("jwt_claims").key).toBe(CLAIMS_PROPERTY)
  },
  LIMIT,
)

describe("shares", () => {
  /** How many of 4000 clients went where `pick` says. */
  async function count(
    name: string,
    config: unknown,
    backends: string[],
    pick: (service: string, variant: string) => boolean,
  ): Promise<number> {
    const filter = await loadFilter(join(root, name), { config, backends, logLevel: "warn" })
    let hits = 0
    for (let i = 0; i < 4000; i++) {
      const { upstream } = await filter.request({ headers: { "x-user": `user-${i}` } })
      if (upstream !== null && pick(upstream.service, upstream.headers.get("x-variant") ?? "")) hits++
    }
    filter.close()
    return hits
  }

  test(
    "canary: one in ten clients, and those of one canary aren't those of another",
    async () => {
      const config = { service: "next", percent: 10, by: ["header:x-user"] }
      // Which clients are in is fixed: 400 are expected, with a standard deviation of 19.
      const hits = await count("canary", config, ["shop", "next"], (service) => service === "next")
      expect(Math.abs(hits - 400)).toBeLessThan(80)
      const chosen = async (seed: string): Promise<string[]> => {
        const filter = await loadFilter(join(root, "canary"), { config: { ...config, seed }, backends: ["shop", "next"] })
        const users: string[] = []
        for (let i = 0; i < 1000; i++) {
          const user = `user-${i}`
          if ((await filter.request({ headers: { "x-user": user } })).upstream?.service === "next") users.push(user)
        }
        filter.close()
        return users
      }
      const first = await chosen("a")
      const second = await chosen("b")
      // A tenth of a tenth would be in both.
      expect(first.filter((user) => second.includes(user)).length).toBeLessThan(first.length / 2)
    },
    LIMIT,
  )

  test(
    "ab-test: by weight",
    async () => {
      const config = { name: "e", by: ["header:x-user"], variants: [{ name: "a", weight: 3 }, { name: "b" }] }
      const hits = await count("ab-test", config, ["shop"], (_, variant) => variant === "b")
      expect(Math.abs(hits - 1000)).toBeLessThan(140)
    },
    LIMIT,
  )
})

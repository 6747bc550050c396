import { createHmac, createPublicKey, verify } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { parseTests, testsJsonSchema } from "../../../gateway/testing/case-schema.ts"
import { equal } from "../../../gateway/testing/compare.ts"
import { FilterLoader, findFilter } from "../../../gateway/testing/loader.ts"
import { newFilter } from "../../../gateway/testing/new-filter.ts"
import { diffLines, type FileResult, formatResult, junitXml, paint } from "../../../gateway/testing/report.ts"
import { evaluate, TemplateError, templateNames } from "../../../gateway/testing/templates.ts"
import { keyAlgorithms, TestKeys } from "../../../gateway/testing/test-keys.ts"
import { findTests } from "../../../gateway/testing/test-run.ts"
import { grantsOf, parseManifest } from "../../../gateway/wasm/manifest.ts"
import { ModuleCache } from "../../../gateway/wasm/module-cache.ts"
import { until } from "../../support/deadline.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-formats-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function problems(document: unknown): string[] {
  const text = typeof document === "string" ? document : JSON.stringify(document, null, 1)
  const parsed = parseTests(text, "tests.json")
  return parsed.ok ? [] : parsed.problems.map(({ line, path, message }) => `${line} ${path}: ${message}`)
}

describe("tests.json", () => {
  test.each([
    [{ cases: [] }, /^2 cases: is an empty list/],
    [{}, /^1 cases: is missing/],
    [{ cases: [{ name: "a" }] }, /cases\[0\]: does nothing; write "request", "steps" or "refused"/],
    [{ cases: [{ name: "a", request: {}, steps: [{ request: {} }] }] }, /more than one of "request", "steps" and "refused"/],
    [{ cases: [{ name: "a", steps: [{ request: {} }], expect: {} }] }, /cases\[0\]\.expect: belongs to a request/],
    [{ cases: [{ name: "a", steps: [{}] }] }, /steps\[0\]: does nothing/],
    [{ cases: [{ name: "a", steps: [{ request: {}, advance: "1s" }] }] }, /advance: can't stand beside request/],
    [{ cases: [{ name: "a", steps: [{ advance: "soon" }] }] }, /advance: "soon" is not a duration/],
    [{ cases: [{ name: "a", request: { pth: "/" } }] }, /^6 cases\[0\]\.request\.pth: unknown key; did you mean "path"\?/],
    [{ cases: [{ name: "a", request: { headers: { a: 5 } } }] }, /headers\.a: expected a text/],
    [{ cases: [{ name: "a", request: { path: { $nope: 1 } } }] }, /path\.\$nope: unknown key; .*\$value/],
    [{ cases: [{ name: "a", request: {}, expect: { response: { status: 20 } } }] }, /status: is 20; write a whole number from 200 to 999/],
    [
      { cases: [{ name: "a", request: {}, expect: { response: { headers: { a: { matches: "(" } } } } }] },
      /matches: is no regular expression/,
    ],
    [{ cases: [{ name: "a", request: {}, save: { a: { from: "somewhere" } } }] }, /from: is no place/],
    [
      {
        cases: [
          { name: "a", request: {} },
          { name: "a", request: {} },
        ],
      },
      /cases\[1\]\.name: the name "a" is used twice/,
    ],
    [{ version: 2, cases: [{ name: "a", request: {} }] }, /version: is not known; write 1/],
    ["cases:\n\t- a", /a tab indents this line/],
  ])("%j is refused with its place", (document, message) => {
    expect(problems(document)).toEqual([expect.stringMatching(message)])
  })

  test("shows every error at once", () => {
    expect(problems({ confg: {}, cases: [{ name: "", request: { scheme: "ftp" } }] })).toHaveLength(3)
  })

  test("has a JSON Schema that knows its parts", () => {
    const schema = JSON.stringify(testsJsonSchema())
    for (const word of ["cases", "advance", "trailers", "$jwt", "contains", "bench"]) expect(schema).toContain(`"${word}"`)
  })

  test("of a new filter is accepted, with its manifest", () => {
    const files = newFilter("hello-1")
    expect(problems(files["tests.json"])).toEqual([])
    expect(parseManifest(files["filter.json"], "filter.json")).toMatchObject({ ok: true, manifest: { name: "hello-1" } })
  })
})

describe("a template", () => {
  const keys = new TestKeys({ hs: { alg: "HS256", secret: "s3cret" }, es: { alg: "ES256", kid: "k-1" } })
  const context = {
    now: () => 1_700_000_000_500,
    keys,
    values: { a: "A", twice: { $join: [{ $value: "a" }, { $value: "a" }] }, loop: { $value: "loop" } },
    saved: new Map<string, unknown>([["s", "S"]]),
  }
  const value = (template: unknown): unknown => evaluate(template, context)

  test.each([
    [{ $value: "twice" }, "AA"],
    [{ $value: "s" }, "S"],
    [{ a: [{ $join: ["x", 1, { $value: "a" }] }] }, { a: ["x1A"] }],
    [{ $json: { a: { $value: "a" } } }, '{"a":"A"}'],
    [{ $repeat: { text: "ab", times: 3 } }, "ababab"],
    [{ $time: "now" }, 1_700_000_000],
    [{ $time: "+5m" }, 1_700_000_300],
    [{ $time: { at: "-1h", as: "milliseconds" } }, 1_699_996_400_500],
    [{ $time: { at: "now", as: "iso" } }, "2023-11-14T22:13:20.500Z"],
    [{ $time: { as: "http" } }, "Tue, 14 Nov 2023 22:13:20 GMT"],
    [{ $base64: "ü?" }, "w7w/"],
    [{ $base64url: { $bytes: "++//" } }, "--__"],
    [{ $hex: "ü" }, "c3bc"],
    [{ $hash: { of: "" } }, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
    [{ $hmac: { of: "a", key: "k", as: "base64" } }, createHmac("sha256", "k").update("a").digest("base64")],
    [
      { two: 1, $value: "a" },
      { two: 1, $value: "a" },
    ],
  ])("%j is computed", (template, expected) => {
    expect(value(template)).toEqual(expected)
  })

  test.each([
    [{ $value: "none" }, /nothing is called "none"/],
    [{ $value: "loop" }, /stand for themselves/],
    [{ $time: "tomorrow" }, /"tomorrow" is no time/],
    [{ $hash: { of: "", alg: "md5" } }, /"md5" is not known/],
    [{ $hmac: { of: "", kee: "" } }, /unknown key "kee"/],
    [{ $repeat: { text: "a", times: 1e12 } }, /"times" must be/],
    [{ $nope: 1 }, /\$nope is not known/],
  ])("%j is refused", (template, message) => {
    expect(() => value(template)).toThrow(TemplateError)
    expect(() => value(template)).toThrow(message)
  })

  test("for a token makes one that verifies", () => {
    const parts = String(value({ $jwt: { key: "hs", claims: { exp: { $time: "+1m" } }, header: { typ: "at+jwt" } } })).split(".")
    expect(JSON.parse(Buffer.from(parts[0], "base64url").toString())).toEqual({ alg: "HS256", typ: "at+jwt", kid: "hs" })
    expect(JSON.parse(Buffer.from(parts[1], "base64url").toString())).toEqual({ exp: 1_700_000_060 })
    expect(parts[2]).toBe(createHmac("sha256", "s3cret").update(`${parts[0]}.${parts[1]}`).digest("base64url"))
    expect(String(value({ $jwt: { key: "none", claims: {} } }))).toMatch(/^[\w-]+\.[\w-]+\.$/)
    const [head, claims, signature] = String(value({ $jwt: { key: "es", claims: { sub: "a" } } })).split(".")
    const { keys: published } = value({ $jwks: ["es"] }) as { keys: Record<string, string>[] }
    expect(published[0]).toMatchObject({ kid: "k-1", kty: "EC", crv: "P-256", alg: "ES256" })
    expect(published[0].d).toBeUndefined()
    for (const key of [createPublicKey(value({ $pem: "es" }) as string), createPublicKey({ key: published[0], format: "jwk" })]) {
      expect(
        verify("sha256", Buffer.from(`${head}.${claims}`), { key, dsaEncoding: "ieee-p1363" }, Buffer.from(signature, "base64url")),
      ).toBe(true)
    }
  })

  test.each(keyAlgorithms.filter((alg) => !alg.startsWith("HS")))("signs with %s", (alg) => {
    const key = new TestKeys({ k: { alg } }).get("k")
    const signature = key.sign("data")
    const publicKey = createPublicKey(key.pem())
    const hash = alg === "EdDSA" ? null : `sha${alg.slice(2)}`
    const options = alg.startsWith("PS")
      ? { key: publicKey, padding: 6, saltLength: -1 }
      : alg.startsWith("ES")
        ? { key: publicKey, dsaEncoding: "ieee-p1363" as const }
        : publicKey
    expect(verify(hash, Buffer.from("data"), options, signature)).toBe(true)
    expect(verify(hash, Buffer.from("dat4"), options, signature)).toBe(false)
  })

  test("is documented", () => {
    expect(new Set(templateNames).size).toBe(templateNames.length)
    for (const name of templateNames) expect(JSON.stringify(testsJsonSchema())).toContain(JSON.stringify(name))
  })
})

describe("a manifest", () => {
  const read = (document: object): string[] => {
    const parsed = parseManifest(JSON.stringify(document), "filter.json")
    return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`)
  }

  test("grants what stands in it and nothing else", () => {
    const parsed = parseManifest(
      JSON.stringify({ name: "a", permissions: { services: ["idp"], headers: { read: "*", write: ["X-User"] } } }),
      "filter.json",
    )
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems))
    expect(parsed.manifest).toMatchObject({ version: "0.0.0", description: "", module: "filter.ts" })
    expect(grantsOf(parsed.manifest)).toEqual({
      services: ["idp"],
      readHeaders: null,
      writeHeaders: ["x-user"],
      shared: [],
      hostCalls: null,
    })
  })

  test.each([
    [{}, /^name: is missing/],
    [{ name: "A b" }, /^name: "A b" can't name a filter/],
    [{ name: "a", version: "1" }, /^version: "1" is no version/],
    [{ name: "a", permissions: { servces: [] } }, /^permissions\.servces: unknown key; did you mean "services"\?/],
    [{ name: "a", permissions: { services: "idp" } }, /^permissions\.services: .*"\*"/],
    [{ name: "a", permissions: { headers: { read: ["a b"] } } }, /read\[0\]: "a b" can't name a header/],
    [{ name: "a", permissions: { hostCalls: ["http_call"] } }, /hostCalls\[0\]: "http_call" is no host call/],
  ])("%j is refused", (document, message) => {
    expect(read(document)).toEqual([expect.stringMatching(message)])
  })
})

describe("a report", () => {
  const failed = {
    name: 'says "<hello>"',
    passed: false,
    error: "",
    ms: 12,
    logs: [{ level: "info", message: "line\x1b[31m", filter: "a" }],
    differences: [{ step: "steps[1]", path: "response.body", expected: "a\nb\nc", actual: "a\nx\nc" }],
  } as const
  const passed = { name: "passes", passed: true, error: "", ms: 1, logs: [], differences: [] }
  const result: FileResult = { filter: "a", file: "a/tests.json", cases: [passed, failed], error: "", ms: 13 }
  const broken: FileResult = { filter: "b", file: "b/tests.json", cases: [], error: "b/filter.ts:1:2: oh & no", ms: 1 }

  test("for people shows what differs, and no control characters", () => {
    const text = formatResult(result, { colours: paint(false), verbose: false })
    expect(text).toContain("✗ a  1 of 2 cases failed")
    expect(text).toContain("steps[1]: response.body\n            a\n          - b\n          + x\n            c\n")
    expect(text).toContain("info: line\ufffd[31m")
    expect(text).not.toContain("passes")
    expect(formatResult(result, { colours: paint(false), verbose: true })).toContain("✓ passes")
    expect(formatResult(broken, { colours: paint(true), verbose: false })).toContain("\x1b[31m✗\x1b[0m b")
  })

  test("for build servers is JUnit's XML", () => {
    const xml = junitXml([result, broken])
    expect(xml).toContain('<testsuites name="sluice filter test" tests="3" failures="1" errors="1" time="0.014">')
    expect(xml).toContain('<testcase classname="a" name="passes" file="a/tests.json" time="0.001"/>')
    expect(xml).toContain('name="says &quot;&lt;hello&gt;&quot;"')
    expect(xml).toContain('<failure message="steps[1]: response.body">')
    expect(xml).toContain("oh &amp; no")
    expect(xml).not.toContain("\x1b")
  })

  test("finds the lines two texts have in common", () => {
    expect(diffLines(["a", "b", "c", "d"], ["b", "c", "x", "d", "e"]).map(([sign, line]) => sign + line)).toEqual([
      "-a",
      " b",
      " c",
      "+x",
      " d",
      "+e",
    ])
    expect(diffLines([], ["a"])).toEqual([["+", "a"]])
  })

  test("compares JSON without regard to the order of keys", () => {
    expect(equal({ a: 1, b: [1, { c: null }] }, { b: [1, { c: null }], a: 1 })).toBe(true)
    expect([equal([1, 2], [2, 1]), equal({ a: 1 }, { a: 1, b: 2 }), equal([], {}), equal(null, {}), equal("1", 1)]).toEqual(
      new Array(5).fill(false),
    )
  })
})

test("tests are found in a folder, in the folders below it, and beside a filter", () => {
  const home = join(folder, "find")
  for (const name of ["filters/b", "filters/a", "filters/none", "own"]) mkdirSync(join(home, name), { recursive: true })
  for (const name of ["filters/b", "filters/a", "own"]) writeFileSync(join(home, name, "tests.json"), "{}")
  writeFileSync(join(home, "own", "filter.ts"), "")
  const names = (...paths: string[]): string[] => findTests(paths, home).map((path) => path.slice(home.length + 1))
  expect(names("filters")).toEqual(["filters/a/tests.json", "filters/b/tests.json"])
  expect(names("own/filter.ts", "own", "own/tests.json")).toEqual(["own/tests.json"])
  expect(names()).toEqual(["own/tests.json", "filters/a/tests.json", "filters/b/tests.json"])
  expect(() => names("filters/none")).toThrow("filters/none: there is no tests.json")
  expect(() => findTests([], join(home, "filters/none"))).toThrow("name a filter's folder")
})

test("a compiled filter is kept until one of its sources changes", async () => {
  const home = join(folder, "compiled")
  mkdirSync(home)
  const write = (greeting: string): void => {
    writeFileSync(join(home, "greeting.ts"), `export const greeting = "${greeting}"\n`)
  }
  writeFileSync(
    join(home, "filter.ts"),
    'import { greeting } from "./greeting"\nimport { Reply, Request } from "sluice/sdk"\nexport function onRequest(request: Request): Reply | null {\n  return new Reply(200, greeting)\n}\n',
  )
  write("one")
  const cache = ModuleCache.open(join(home, "cache"))
  const load = async (): Promise<{ digest: string; compiled: boolean; files: readonly string[] }> => {
    const loader = new FilterLoader(cache)
    const { module, files } = await loader.load(findFilter(home))
    const { compiled } = loader
    loader.close()
    return { digest: module.digest, compiled, files }
  }
  // What is compiled in the moment after it was written is not kept: which content it had isn't certain.
  await until(async () => !(await load()).compiled, "a compilation that is kept", 50_000)
  const first = await load()
  expect(first.files).toEqual([join(home, "filter.ts"), join(home, "greeting.ts")])
  write("two")
  const second = await load()
  expect([second.compiled, second.digest === first.digest]).toEqual([true, false])
}, 60_000)

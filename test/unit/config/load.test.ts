import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { afterAll, describe, expect, test } from "vitest"
import { loadConfig, maxFileSize, parseConfig, validateConfig } from "../../../gateway/config/load.ts"
import { formatProblem, formatProblems } from "../../../gateway/config/problem.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-load-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function file(name: string, content: string | Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** The workers of the loaded configuration, or its errors without the folder. */
async function outcome(path: string): Promise<unknown> {
  const result = await loadConfig(path)
  return result.ok ? result.config.workers : formatProblems(result.problems).replaceAll(folder, "")
}

const small = "listeners: [{ address: 127.0.0.1:8080 }]\nworkers: 2\n"

describe("loadConfig", () => {
  test("reads YAML and JSON", async () => {
    expect(await outcome(file("a.yaml", small))).toBe(2)
    expect(await outcome(file("a.yml", small))).toBe(2)
    expect(await outcome(file("a.json", '{ "listeners": [{ "address": "127.0.0.1:8080" }], "workers": 3 }'))).toBe(3)
  })

  test("finds filter modules beside the file", async () => {
    file("f.wasm", "")
    const result = await loadConfig(file("filters.yaml", `${small}filters: { f: { module: f.wasm } }\n`))
    expect(result.ok && result.config.filters.f.versions[0].module).toBe(join(folder, "f.wasm"))
  })

  test("reads modules of every kind, and reads them anew", async () => {
    const define = pathToFileURL(join(import.meta.dirname, "../../../gateway/config/define.ts")).href
    const typed = (workers: number) => `import { defineConfig } from ${JSON.stringify(define)}
      const workers: number = ${workers}
      export default defineConfig({ listeners: [{ address: "127.0.0.1:8080" }], workers })`
    const path = file("m.ts", typed(4))
    expect(await outcome(path)).toBe(4)
    file("m.ts", typed(5))
    expect(await outcome(path)).toBe(5)
    expect(await outcome(file("m.mts", typed(6)))).toBe(6)
    expect(await outcome(file("m.mjs", 'export default { listeners: [{ address: "127.0.0.1:8080" }], workers: 7 }'))).toBe(7)
    expect(await outcome(file("m.js", 'export default { listeners: [{ address: "127.0.0.1:8080" }], workers: 8 }'))).toBe(8)
  })

  test("says what is wrong in a module, without a position", async () => {
    expect(await outcome(file("wrong.mjs", "export default { listeners: [{ address: 8080 }] }"))).toBe(
      "/wrong.mjs: listeners[0].address: 8080 names no host; write 127.0.0.1:8080 (this machine only) or 0.0.0.0:8080 (all interfaces)",
    )
    expect(await outcome(file("none.mjs", "export const config = {}"))).toBe(
      "/none.mjs: has no default export; write export default defineConfig({ ... })",
    )
    expect(await outcome(file("throws.mjs", 'throw new Error("no luck")'))).toBe("/throws.mjs: fails when it is loaded: Error: no luck")
    expect(await outcome(file("syntax.mjs", "export default {"))).toMatch(/^\/syntax\.mjs: fails when it is loaded: /)
  })

  test("says why a file can't be read", async () => {
    expect(await outcome(join(folder, "missing.yaml"))).toBe("/missing.yaml: there is no such file; write the path of one")
    expect(await outcome(join(folder, "missing.ts"))).toBe("/missing.ts: there is no such file; write the path of one")
    mkdirSync(join(folder, "dir.yaml"))
    expect(await outcome(join(folder, "dir.yaml"))).toBe("/dir.yaml: is not a file; write the path of one")
    expect(await outcome(file("config.toml", ""))).toBe(
      "/config.toml: is not a kind of file that is read; write a .yaml, .yml, .json, .ts, .mts, .js or .mjs file",
    )
    expect(await outcome(file("latin1.yaml", Uint8Array.of(0x61, 0x3a, 0xe4, 0x0a)))).toBe(
      "/latin1.yaml: is not valid UTF-8; save it in that encoding",
    )
    expect(await outcome(file("large.yaml", new Uint8Array(maxFileSize + 1)))).toBe(
      "/large.yaml: is larger than 16 MiB; split what it configures",
    )
    const secret = file("secret.yaml", small)
    chmodSync(secret, 0)
    // The superuser reads it all the same.
    expect(await outcome(secret)).toBe(process.getuid?.() === 0 ? 2 : "/secret.yaml: may not be read; change its permissions")
  })
})

describe("parseConfig", () => {
  test("refuses aliases that multiply", () => {
    let text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    for (let i = 1; i < 12; i++)
      text += `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(", ")}]\n`
    const result = parseConfig(text, { file: "bomb.yaml" })
    expect(result.ok ? "" : formatProblems(result.problems)).toBe(
      "bomb.yaml:1:1: uses aliases for more than 1000 values; write some of them out",
    )
  })

  test("refuses an alias inside its own anchor", () => {
    const result = parseConfig("a: &a { b: *a }\n", { file: "loop.yaml" })
    expect(result.ok).toBe(false)
  })

  test.each(["[", "{ a: ", '{"a":', "- "])("refuses endless nesting of %j", (open) => {
    const result = parseConfig(open.repeat(100_000), { file: "deep.yaml" })
    expect(result.ok).toBe(false)
  })

  test("refuses keys written twice in JSON, escaped or not", () => {
    const result = parseConfig('{ "workers": 1,\n  "w\\u006frkers": 2 }', { file: "a.json" })
    expect(result.ok ? "" : formatProblems(result.problems)).toBe('a.json:2:3: the key "workers" is written twice; leave one of them out')
  })

  test("positions what is wrong in JSON", () => {
    const result = parseConfig('{\n\t"listeners": [\n\t\t{ "address": 1 }\n\t],\n  "x": "\\": {"\n}', { file: "a.json" })
    expect(result.ok ? "" : result.problems.map((problem) => `${problem.line}:${problem.column} ${problem.path}`)).toEqual([
      "3:16 listeners[0].address",
      "5:3 x",
    ])
  })

  test("shows 200 problems and the number of the others", () => {
    const result = parseConfig(`${small}routes:\n${"  - backend: a\n".repeat(500)}`, { file: "a.yaml" })
    if (result.ok) throw new Error("was accepted")
    expect(result.problems.length).toBe(201)
    expect(result.problems[200].message).toBe("and 300 more; these are shown when the first are mended")
  })
})

describe("validateConfig", () => {
  test("refuses what only a module can hold", () => {
    const loop: Record<string, unknown> = {}
    loop.again = loop
    const listeners = [{ address: "127.0.0.1:1" }]
    for (const config of [loop, new Map(), new Date(), () => 1, Symbol("s"), 10n]) {
      const result = validateConfig({ listeners, filters: { f: { module: "x.wasm", config } } }, { file: "a.ts", baseDir: folder })
      expect(result.ok ? "" : result.problems.map((problem) => problem.path)).toContain("filters.f.config")
    }
  })
})

describe("formatProblem", () => {
  const problem = { file: "a.yaml", line: 7, column: 5, path: "routes[0].backend", message: "unknown key", source: "\t-  backend: hello" }

  test("puts a caret below the place", () => {
    expect(formatProblem(problem, { excerpt: true })).toBe(
      "a.yaml:7:5: routes[0].backend: unknown key\n    7 |  -  backend: hello\n      |     ^",
    )
  })

  test("cuts long lines around the place", () => {
    const text = formatProblem({ ...problem, column: 5001, source: `${"x".repeat(5000)}y${"z".repeat(5000)}` }, { excerpt: true })
    const [, line, caret] = text.split("\n")
    expect(line.length).toBeLessThan(140)
    expect(line[caret.indexOf("^")]).toBe("y")
  })

  test("lets nothing through that drives a terminal", () => {
    expect(formatProblem({ ...problem, message: "\u001b[2J\u202e", source: "\u001b]0;x\u0007" }, { excerpt: true })).not.toMatch(
      /[\u001b\u0007\u202e]/,
    )
  })
})

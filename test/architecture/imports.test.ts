import { describe, expect, test } from "vitest"
import { danglingImports, importCycles, importViolations, rows, runtimeMentions, type Sources } from "./import-table.ts"
import { readRepositoryFile, repositoryFiles } from "./repository.ts"
import { scanSource } from "./source-scan.ts"

const files = repositoryFiles()
const gateway: Sources = new Map(
  files.filter((path) => path.startsWith("gateway/") && path.endsWith(".ts")).map((path) => [path, readRepositoryFile(path)]),
)

describe("imports of gateway/", () => {
  test("keep to the table", () => {
    expect(gateway.size).toBeGreaterThan(5)
    expect(importViolations(gateway)).toEqual([])
  })

  test("are told of in README.md as the table has them", () => {
    const told = [...readRepositoryFile("gateway/README.md").matchAll(/^\| \d \| (.*) \|$/gm)].map(([, cells]) =>
      [...cells.replace(/\([^)]*\)/g, "").matchAll(/`([^`]+)`/g)].map(([, part]) => part.replace(/\/$/, "")).sort(),
    )
    expect(told).toEqual(rows.map((row) => [...row].sort()))
    const missing = rows.flat().filter((part) => !files.some((file) => file.startsWith(`gateway/${part}`)))
    expect(missing).toEqual([])
  })

  test("name files that exist", () => {
    expect(danglingImports(gateway, new Set(files))).toEqual([])
  })

  test("have no circle among folders", () => {
    expect(importCycles(gateway)).toEqual([])
  })

  test("mention Bun and Deno in runtime/ only", () => {
    expect(runtimeMentions(gateway)).toEqual([])
  })
})

function fake(...entries: [path: string, source: string][]): Sources {
  return new Map(entries)
}

describe("the import table", () => {
  test("refuses a lower row, however it is imported", () => {
    const forms = [
      'import { a } from "../proxy/exchange.ts"',
      "import type { A } from '../proxy/exchange.ts'",
      'export { a } from "../proxy/exchange.ts"',
      'export * from "../proxy/exchange.ts"',
      'import "../proxy/exchange.ts"',
      'const a = await import("../proxy/exchange.ts")',
      'let a: import("../proxy/exchange.ts").A',
      'import {\n  a,\n  b,\n} from "../proxy/exchange.ts"',
      'new Worker(new URL("../proxy/exchange.ts", import.meta.url))',
      "new Worker(new URL(`../proxy/exchange${extension}`, import.meta.url))",
    ]
    for (const form of forms) {
      expect(importViolations(fake(["gateway/http1/a.ts", form])), form).toHaveLength(1)
      expect(importViolations(fake(["gateway/admin/a.ts", form])), form).toHaveLength(1)
      expect(importViolations(fake(["gateway/cli/a.ts", form])), form).toEqual([])
    }
  })

  test("refuses a neighbour in the same row and allows a part's own files", () => {
    expect(importViolations(fake(["gateway/http1/a.ts", 'import { b } from "../tls/b.ts"']))).toEqual([
      "gateway/http1/a.ts:1: gateway/http1 (row 2) may not import gateway/tls (row 2)",
    ])
    expect(importViolations(fake(["gateway/http1/a.ts", 'import { b } from "./b.ts"']))).toEqual([])
    expect(importViolations(fake(["gateway/worker/worker.ts", 'import { b } from "../snapshot.ts"']))).toEqual([])
    expect(importViolations(fake(["gateway/snapshot.ts", 'import { b } from "./worker/worker.ts"']))).toHaveLength(1)
  })

  test("lets the main thread start a worker, and import nothing of it", () => {
    expect(importViolations(fake(["gateway/supervisor/a.ts", 'new Worker(new URL("../worker/worker.ts", import.meta.url))']))).toEqual([])
    expect(importViolations(fake(["gateway/supervisor/a.ts", 'import { b } from "../worker/answers.ts"']))).toHaveLength(1)
  })

  test("refuses sdk/ and filters/, and folders it does not know", () => {
    expect(importViolations(fake(["gateway/wasm/a.ts", 'import { b } from "../../sdk/build/b.ts"']))).toEqual([
      "gateway/wasm/a.ts:1: imports sdk/build/b.ts, outside gateway/",
    ])
    expect(importViolations(fake(["gateway/wasm/a.ts", 'export * from "../../filters/x/filter.ts"']))).toHaveLength(1)
    expect(importViolations(fake(["gateway/misc/a.ts", ""]))).toHaveLength(1)
  })

  test("is not fooled by comments, strings, templates and regular expressions", () => {
    const source = [
      '// import { a } from "../proxy/a.ts"',
      '/* from "../proxy/a.ts" */',
      "const a = 'import \"../proxy/a.ts\"'",
      'const b = `from "../proxy/a.ts" ${`import("../proxy/a.ts")`}`',
      'const c = /from "..\\/proxy[/]a.ts"/',
      "const d = 4 / 2 // Bun",
      "const e = 'Deno.serve'",
      "const f = `Bun ${d / 2} Deno`",
    ].join("\n")
    expect(scanSource(source).references).toEqual([])
    expect(runtimeMentions(fake(["gateway/http/a.ts", source]))).toEqual([])
    // And what follows such a literal is code again.
    const after = 'const a = /[/"]/\nconst b = `${"}"}`\nimport { x } from "../proxy/x.ts"\nBun.serve()'
    expect(importViolations(fake(["gateway/http/a.ts", after]))).toHaveLength(1)
    expect(runtimeMentions(fake(["gateway/http/a.ts", after]))).toEqual([
      "gateway/http/a.ts:4: only gateway/runtime/ knows which runtime it is on",
    ])
  })

  test("finds globals of a runtime in placeholders and property accesses", () => {
    for (const source of ["`${Deno.version}`", "globalThis.Bun", "process.versions.bun"]) {
      expect(runtimeMentions(fake(["gateway/http/a.ts", source])), source).toHaveLength(1)
      expect(runtimeMentions(fake(["gateway/runtime/a.ts", source])), source).toEqual([])
    }
  })

  test("finds circles and dangling imports", () => {
    const sources = fake(
      ["gateway/http/a.ts", 'import { b } from "../config/b.ts"'],
      ["gateway/config/b.ts", 'import { c } from "../resilience/c.ts"'],
      ["gateway/resilience/c.ts", 'import { a } from "../http/a.ts"'],
    )
    expect(importCycles(sources)).toEqual(["http → config → resilience → http"])
    expect(danglingImports(sources, new Set())).toEqual([])
    expect(danglingImports(fake(["gateway/http/a.ts", 'import { b } from "./b.ts"']), new Set())).toEqual([
      "gateway/http/a.ts:1: ./b.ts does not exist",
    ])
  })
})

// What is written about the SDK: every export has a comment with an example, and the README's programs compile.

import { readdirSync, readFileSync } from "node:fs"
import { afterAll, expect, it } from "vitest"
import { Workbench } from "./workbench.ts"

const folder = new URL("../../../sdk/", import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, folder), "utf8")

const index = read("assembly/index.ts")
const exported = [...index.matchAll(/export \{([^}]*)\} from "\.\/([a-z0-9-]+)"/g)].flatMap(([, names, file]) =>
  names.split(",").flatMap((name) => (name.trim() === "" ? [] : [[name.trim(), file]])),
)
const readme = read("README.md")
const programs = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text)

const workbench = new Workbench()
afterAll(() => workbench.close())

it("there are exports and programs", () => {
  expect(exported.length).toBeGreaterThan(50)
  expect(programs.length).toBeGreaterThan(3)
})

it.each(exported)("%s has a comment with an example", (name, file) => {
  const source = read(`assembly/${file}.ts`)
  const declaration = new RegExp(
    `/\\*\\*((?:(?!\\*/)[\\s\\S])*)\\*/\\n(?:@final\\n)?export (?:abstract )?(?:class|function|namespace) ${name}\\b`,
  ).exec(source)
  expect(declaration?.[1]).toContain("```ts")
})

it.each(exported)("%s is in the README", (name) => {
  expect(readme).toMatch(new RegExp(`\\b${name}\\b`))
})

it.each(programs.map((text, index) => [index + 1, text]))("program %i of the README compiles", async (_, text) => {
  const names = exported.map(([name]) => name).join(", ")
  const source = String(text).includes("import {") ? String(text) : `import { ${names} } from "sluice/sdk"\n${text}`
  const result = await workbench.compile(source)
  expect(result.ok ? [] : result.diagnostics.map((d) => `${d.line}:${d.column} ${d.message}`)).toEqual([])
})

it("no file of the library is left out of the build", () => {
  // The build finds library files by this form of name only.
  for (const name of readdirSync(new URL("assembly/", folder))) {
    if (name.endsWith(".ts")) expect(name).toMatch(/^[a-z0-9-]+\.ts$/)
  }
})

// `sluice filter new`: a folder with a small filter that works, its tests, its manifest and a README, to begin from.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, relative, resolve, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { newFilter } from "../testing/new-filter.ts"
import { type Command, command, text, UsageError } from "./command.ts"

const NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/

export const filterNew: Command = command({
  name: "new",
  description: "Make a folder with a filter that works, its tests, its manifest and a README",
  args: {
    name: { type: "positional", description: "The filter's name, such as rate-limit", valueHint: "NAME", required: true },
    dir: { type: "string", alias: "d", description: "Folder to make it in; default: filters if there is one, else here", valueHint: "DIR" },
  },
  examples: ["sluice filter new rate-limit", "sluice filter new hello --dir src/filters"],
  run: (args) => {
    const name = text(args, "name")
    if (!NAME.test(name))
      throw new UsageError(`${JSON.stringify(name)} can't name a filter; use lower-case letters, digits and "-", such as rate-limit`)
    const folder = resolve(typeof args.dir === "string" ? args.dir : defaultFolder(), name)
    if (existsSync(folder) && readdirSync(folder).length > 0) {
      process.stderr.write(`${folder} exists and is not empty; choose another name or --dir\n`)
      return Promise.resolve(1)
    }
    const shown = relative(process.cwd(), folder) || "."
    const path = shown.startsWith("..") ? folder : shown
    const module = path.startsWith("/") ? path : `./${path}`
    const tsconfig = sourceSettings(folder)
    const files = newFilter(name, { path: module, ...(tsconfig === null ? {} : { tsconfig }) })
    try {
      mkdirSync(folder, { recursive: true })
      for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content, { flag: "wx" })
    } catch (error) {
      process.stderr.write(`${folder} can't be written: ${error instanceof Error ? error.message : String(error)}\n`)
      return Promise.resolve(1)
    }
    const width = `sluice filter test ${path} --watch`.length + 4
    process.stdout.write(
      [
        `made ${path}/ with ${Object.keys(files).join(", ")}`,
        "",
        "next:",
        `  ${`sluice filter test ${path} --watch`.padEnd(width)}runs its tests, again at every save`,
        `  edit ${path}/filter.ts`,
        `  ${`sluice filter bench ${path}`.padEnd(width)}shows what it costs`,
        "",
        "to see it at work, in sluice.yaml:",
        "  listeners:",
        "    - { address: 127.0.0.1:8080 }",
        "  filters:",
        `    ${name}: { module: ${module}/filter.ts, config: { header: x-greeting } }`,
        "  routes:",
        `    - { filters: [${name}], respond: { body: "hi\\n" } }`,
        "and then:",
        `  ${"sluice run".padEnd(width)}what is saved is live a moment later`,
        "  curl -i http://127.0.0.1:8080/",
        "",
      ].join("\n"),
    )
    return Promise.resolve(0)
  },
})

/** Of Sluice itself: a checkout's, or the package's. */
const sdk = fileURLToPath(new URL("../../sdk/", import.meta.url))

// Those that come with Sluice are nobody else's.
function defaultFolder(): string {
  const filters = resolve("filters")
  return existsSync(filters) && filters !== resolve(sdk, "../filters") ? filters : "."
}

/** What a tsconfig.json says in a folder whose project has no Sluice installed, but is worked on with a checkout; else null. */
function sourceSettings(folder: string): object | null {
  const settings = join(sdk, "tsconfig.filter.json")
  if (settings.split(sep).includes("node_modules")) return null
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, "node_modules", "sluice", "package.json"))) return null
    if (at === dirname(at)) break
  }
  const to = (path: string): string => {
    const way = relative(folder, path).split(sep).join("/")
    return way.startsWith(".") ? way : `./${way}`
  }
  const declarations = createRequire(import.meta.url)
    .resolve("assemblyscript/package.json")
    .replace(/package\.json$/, "std/assembly/index.d.ts")
  // What an extended file names is looked for from here.
  return { extends: to(settings), compilerOptions: { types: [to(declarations)] } }
}

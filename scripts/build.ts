// `npm run build`: writes dist/, the publishable form of the package: JavaScript and type declarations from gateway/ and
// sdk/, plus the AssemblyScript sources that users' filters are compiled against. The folders keep their relative places,
// so that code which finds a file beside itself finds it in dist/ too. Argument: another folder than dist/.

import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const dist = resolve(root, process.argv[2] ?? "dist")

/**
 * Copied as it is: sources of AssemblyScript, which users' compilers read, what their editors need, the filters that come with Sluice,
 * and the dashboard's page.
 */
const verbatim = ["sdk/assembly", "sdk/editor.d.ts", "sdk/tsconfig.filter.json", "filters", "gateway/admin/dashboard"]
/** Programs: they start with a `#!` line and get the executable bit. */
const programs = ["gateway/main.js"]

function compile(): void {
  const tsc = join(root, "node_modules/typescript/bin/tsc")
  const result = spawnSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json"), "--outDir", dist], { stdio: "inherit" })
  if (result.status !== 0) throw new Error("tsc found errors")
}

function* files(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* files(path)
    else yield path
  }
}

/** What tsc does not rewrite: a worker or child script named by a literal `.ts` URL would be missing from the package. */
function refuseSourceUrls(): void {
  for (const path of files(dist)) {
    if (!path.endsWith(".js")) continue
    const found = /new URL\(\s*["'`]\.[^"'`]*\.ts["'`]/.exec(readFileSync(path, "utf8"))
    if (found !== null) throw new Error(`${path}: ${found[0]} names a source file; take the extension from import.meta.url`)
  }
}

rmSync(dist, { recursive: true, force: true })
mkdirSync(dist, { recursive: true })
compile()
refuseSourceUrls()
for (const path of verbatim) cpSync(join(root, path), join(dist, path), { recursive: true })
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }
writeFileSync(join(dist, "package.json"), `${JSON.stringify({ version, type: "module", private: true }, null, 2)}\n`)
for (const program of programs) {
  const path = join(dist, program)
  if (!readFileSync(path, "utf8").startsWith("#!/usr/bin/env node\n")) throw new Error(`${path} does not start with #!/usr/bin/env node`)
  chmodSync(path, 0o755)
}

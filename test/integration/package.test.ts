import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { readRepositoryFile, root } from "../architecture/repository.ts"
import { runtimeCommand } from "../support/gateway.ts"

const manifest = JSON.parse(readRepositoryFile("package.json"))
const folder = mkdtempSync(join(tmpdir(), "sluice-package-"))
const installed = join(folder, "node_modules/sluice")

/** Runs a program of the package on the runtime under test, in an empty folder that has the package installed. */
function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const command = runtimeCommand(join(installed, manifest.bin.sluice), args)
  return spawnSync(command.command, command.args, { cwd: folder, encoding: "utf8", timeout: 20_000 })
}

// What `npm install` of the packed package leaves behind, without a registry.
beforeAll(() => {
  mkdirSync(installed, { recursive: true })
  const built = spawnSync(join(root, "node_modules/.bin/node"), [join(root, "scripts/build.ts"), join(installed, "dist")], {
    encoding: "utf8",
  })
  expect(built.stdout + built.stderr).toBe("")
  cpSync(join(root, "package.json"), join(installed, "package.json"))
  writeFileSync(join(folder, "package.json"), JSON.stringify({ dependencies: { [manifest.name]: manifest.version } }))
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(folder, "node_modules", name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, "node_modules", name), link)
  }
}, 120_000)

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

describe("the built package", () => {
  test("has every file its manifest names", () => {
    const named = [
      ...Object.values(manifest.bin),
      ...Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? entry : Object.values(entry as object))),
    ].map((path) => String(path).replace("*", "api-key/filter.ts"))
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((path) => !existsSync(join(installed, path)))).toEqual([])
    expect(manifest.files).toContain("dist")
  })

  test("starts with a line that runs it on Node", () => {
    expect(readFileSync(join(installed, manifest.bin.sluice), "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  test("tells its version", () => {
    const { status, stdout } = run("version")
    expect(stdout).toContain(manifest.version)
    expect(status).toBe(0)
  })

  test("checks a configuration", () => {
    writeFileSync(
      join(folder, "good.yaml"),
      "listeners: [{ address: 127.0.0.1:8080 }]\nservices: { hello: { endpoints: [127.0.0.1:9001] } }\nroutes: [{ backends: hello }]\n",
    )
    writeFileSync(join(folder, "bad.yaml"), "listeners: [{ adress: 127.0.0.1:8080 }]\n")
    expect(run("check", "-c", "good.yaml").status).toBe(0)
    expect(run("check", "-c", "bad.yaml").status).toBe(1)
  })

  test("compiles a filter with the library it ships", () => {
    writeFileSync(
      join(folder, "filter.ts"),
      'import { Reply, Request } from "sluice/sdk"\n\nexport function onRequest(request: Request): Reply | null {\n  return new Reply(204)\n}\n',
    )
    const { status, stderr } = run("filter", "build", "filter.ts")
    expect(stderr).not.toContain("rror")
    expect(status).toBe(0)
    expect(existsSync(join(folder, "filter.wasm"))).toBe(true)
  })
})

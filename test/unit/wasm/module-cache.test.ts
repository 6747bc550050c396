import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { CompileCache } from "../../../gateway/wasm/compile-cache.ts"
import { FilterCompiler } from "../../../gateway/wasm/compiler.ts"
import { ModuleCache, openModuleCache, sha256 } from "../../../gateway/wasm/module-cache.ts"
import { ModuleLoader } from "../../../gateway/wasm/module-loader.ts"
import { PreparedModules } from "../../../gateway/wasm/prepared-modules.ts"
import { guest } from "./support/wat.ts"

const root = mkdtempSync(join(tmpdir(), "sluice-cache-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
function cache(): { cache: ModuleCache; folder: string } {
  const folder = join(root, `cache-${folders++}`)
  const cache = ModuleCache.open(folder)
  if (cache === null) throw new Error("no cache")
  return { cache, folder }
}

const bytes = new TextEncoder().encode("some module")

describe("the module cache", () => {
  test("gives back what it was given, by digest", () => {
    const { cache: modules } = cache()
    const digest = modules.write(bytes)
    expect(digest).toBe(sha256(bytes))
    expect(new Uint8Array(modules.read(digest) as Uint8Array)).toEqual(bytes)
    expect(modules.read(sha256("another"))).toBeNull()
  })

  test("never gives out what is damaged, and removes it", () => {
    const { cache: modules, folder } = cache()
    const digest = modules.write(bytes)
    writeFileSync(join(folder, `${digest}.wasm`), "some modulE")
    expect(modules.read(digest)).toBeNull()
    expect(existsSync(join(folder, `${digest}.wasm`))).toBe(false)
  })

  test("is bounded; what was not used for longest goes", () => {
    const { cache: modules, folder } = cache()
    const digests = Array.from({ length: 256 }, (_, i) => modules.write(new TextEncoder().encode(`module ${i}`)))
    const past = new Date(Date.now() - 60_000)
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), past, past)
    expect(modules.read(digests[0])).not.toBeNull()
    for (let i = 0; i < 20; i++) modules.write(new TextEncoder().encode(`more ${i}`))
    expect(readdirSync(folder)).toHaveLength(256)
    expect(modules.read(digests[0])).not.toBeNull()
  })

  test("is not used where others may write", () => {
    const folder = join(root, "open-to-all")
    mkdirSync(folder)
    chmodSync(folder, 0o777)
    expect(ModuleCache.open(folder)).toBeNull()
    writeFileSync(join(root, "file"), "")
    expect(ModuleCache.open(join(root, "file"))).toBeNull()
  })

  test("is where the environment says", () => {
    const there = (environment: Record<string, string>, folder: string): void => {
      openModuleCache(environment)?.write(bytes)
      expect(existsSync(join(root, folder, `${sha256(bytes)}.wasm`))).toBe(true)
    }
    there({ SLUICE_CACHE: join(root, "chosen"), HOME: root }, "chosen")
    there({ XDG_CACHE_HOME: join(root, "xdg"), HOME: root }, "xdg/sluice")
    there({ HOME: join(root, "home") }, "home/.cache/sluice")
    expect(openModuleCache({ SLUICE_CACHE: "off", HOME: root })).toBeNull()
  })
})

describe("the compile cache", () => {
  let sources = 0
  function source(): { folder: string; main: string; other: string; started: number } {
    const folder = join(root, `source-${sources++}`)
    mkdirSync(join(folder, "parts"), { recursive: true })
    const main = join(folder, "filter.ts")
    const other = join(folder, "parts", "index.ts")
    writeFileSync(main, "main")
    writeFileSync(other, "other")
    return { folder, main, other, started: Date.now() + 1000 }
  }

  test("finds what the same files compiled to", () => {
    const compilations = new CompileCache(cache().cache)
    const { main, other, started } = source()
    expect(compilations.find(main)).toBeNull()
    compilations.store(main, bytes, [main, other], started)
    const found = compilations.find(main)
    expect([new Uint8Array(found?.wasm ?? []), found?.files]).toEqual([bytes, [main, other]])
  })

  test.each([
    ["the file", ({ main }: ReturnType<typeof source>) => writeFileSync(main, "edited")],
    ["a file it imports", ({ other }: ReturnType<typeof source>) => writeFileSync(other, "edited")],
    ["a file that is gone", ({ other }: ReturnType<typeof source>) => rmSync(other)],
    ["a file that is imported instead", ({ folder }: ReturnType<typeof source>) => writeFileSync(join(folder, "parts.ts"), "instead")],
  ])("finds nothing after a change of %s", (_what, change) => {
    const compilations = new CompileCache(cache().cache)
    const files = source()
    compilations.store(files.main, bytes, [files.main, files.other], files.started)
    change(files)
    expect(compilations.find(files.main)).toBeNull()
  })

  test("keeps nothing of files that changed while they were compiled", () => {
    const compilations = new CompileCache(cache().cache)
    const { main, other } = source()
    compilations.store(main, bytes, [main, other], Date.now() - 1000)
    expect(compilations.find(main)).toBeNull()
  })

  test("survives entries that are damaged, and modules that are", () => {
    const { cache: modules, folder } = cache()
    const compilations = new CompileCache(modules)
    const { main, other, started } = source()
    compilations.store(main, bytes, [main, other], started)
    const [note] = readdirSync(folder).filter((name) => name.endsWith(".json"))
    const good = readFileSync(join(folder, note), "utf8")
    for (const bad of [
      "",
      "null",
      "{",
      "[]",
      `{"wasm":"../../etc/passwd","files":[]}`,
      good.replace(/"wasm":"[^"]*"/, `"wasm":"${"../x".repeat(16)}"`),
    ]) {
      writeFileSync(join(folder, note), bad)
      expect(compilations.find(main)).toBeNull()
    }
    writeFileSync(join(folder, note), good)
    expect(compilations.find(main)).not.toBeNull()
    writeFileSync(join(folder, `${sha256(bytes)}.wasm`), "damaged")
    expect(compilations.find(main)).toBeNull()
  })
})

describe("a loader", () => {
  test("takes from the cache what was compiled or fetched before, without compiling or fetching", async () => {
    const { cache: modules } = cache()
    const folder = mkdtempSync(join(root, "loader-"))
    const main = join(folder, "filter.ts")
    writeFileSync(main, "not even a filter")
    const wasm = guest({})
    new CompileCache(modules).store(main, wasm, [main], Date.now() + 1000)
    const compiler = new FilterCompiler({ childPath: join(folder, "no-compiler.ts") })
    const loader = new ModuleLoader({ compiler, cache: modules })
    const common = { sha256: "", memory: 1 << 20 }
    expect(await loader.load({ ...common, module: main })).toMatchObject({ prepared: { digest: sha256(wasm) }, files: [main] })
    const url = { ...common, module: "http://127.0.0.1:1/nobody-listens.wasm", sha256: sha256(wasm) }
    expect(await loader.load(url)).toMatchObject({ prepared: { digest: sha256(wasm) }, files: [] })
    expect(await loader.load({ ...url, sha256: sha256("another") })).toMatch(/can't be fetched/)
    writeFileSync(main, "edited")
    expect(await loader.load({ ...common, module: main })).toMatch(/compiler/)
    compiler.close()
  })
})

describe("prepared modules", () => {
  test("of the same octets and limits are one; other limits are another", () => {
    const modules = new PreparedModules()
    const one = guest({})
    const prepared = modules.prepare(one, { memory: 1 << 20 })
    expect(prepared.ok).toBe(true)
    expect(modules.prepare(one.slice(), { memory: 1 << 20 })).toBe(prepared)
    expect(modules.prepare(one, { memory: 1 << 21 })).not.toBe(prepared)
  })

  test("are bounded; those used lately stay", () => {
    const modules = new PreparedModules()
    const variant = (i: number): Uint8Array => guest({ data: { 256: `variant ${i}` } })
    const first = modules.prepare(variant(0), { memory: 1 << 20 })
    const second = modules.prepare(variant(1), { memory: 1 << 20 })
    for (let i = 2; i <= 16; i++) {
      modules.prepare(variant(0), { memory: 1 << 20 })
      modules.prepare(variant(i), { memory: 1 << 20 })
    }
    expect(modules.prepare(variant(0), { memory: 1 << 20 })).toBe(first)
    expect(modules.prepare(variant(1), { memory: 1 << 20 })).not.toBe(second)
  })
})

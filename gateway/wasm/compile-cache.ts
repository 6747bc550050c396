// Remembers what AssemblyScript sources were compiled to. An entry holds as long as every file that went into it has the
// content it had then, and the compiler and the SDK are the same.

import { readdirSync, readFileSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { type ModuleCache, sha256 } from "./module-cache.ts"

interface Entry {
  /** SHA-256 of the module. */
  readonly wasm: string
  /** Path and SHA-256 of each of the author's files. */
  readonly files: readonly (readonly [path: string, digest: string])[]
}

export interface CachedModule {
  readonly wasm: Uint8Array
  /** The author's files it was made of. */
  readonly files: readonly string[]
}

const MAX_FILES = 1000
/** ms by which a file's times may be off. */
const CLOCK_STEP = 10

export class CompileCache {
  readonly #modules: ModuleCache

  constructor(modules: ModuleCache) {
    this.#modules = modules
  }

  /** What `file` compiles to, in release mode, as things are; null when that isn't known. */
  find(file: string): CachedModule | null {
    const key = keyOf(file)
    const note = key === null ? null : this.#modules.readNote(key)
    const entry = note === null ? null : parseEntry(note)
    if (entry === null) return null
    for (const [path, digest] of entry.files) if (digestOf(path) !== digest || hidden(path)) return null
    const wasm = this.#modules.read(entry.wasm)
    return wasm === null ? null : { wasm, files: entry.files.map(([path]) => path) }
  }

  /** Remembers that `file` compiled to `wasm`. `started`: when that began, ms since the epoch. */
  store(file: string, wasm: Uint8Array, files: readonly string[], started: number): void {
    const key = keyOf(file)
    if (key === null) return
    const pairs: [string, string][] = []
    for (const path of files) {
      const digest = digestOf(path)
      const stats = statSync(path, { throwIfNoEntry: false })
      // Gone or edited since: which content was compiled isn't known.
      if (digest === null || stats === undefined || Math.max(stats.mtimeMs, stats.ctimeMs) > started - CLOCK_STEP) return
      pairs.push([path, digest])
    }
    this.#modules.writeNote(key, JSON.stringify({ wasm: this.#modules.write(wasm), files: pairs } satisfies Entry))
  }
}

function digestOf(path: string): string | null {
  try {
    return sha256(readFileSync(path))
  } catch {
    return null
  }
}

/** A file that came since would be imported in its place: `a.ts` before `a/index.ts`. */
function hidden(path: string): boolean {
  return path.endsWith("/index.ts") && digestOf(`${dirname(path)}.ts`) !== null
}

function parseEntry(text: string): Entry | null {
  try {
    const { wasm, files } = JSON.parse(text) as Partial<Entry>
    if (typeof wasm !== "string" || !/^[0-9a-f]{64}$/.test(wasm) || !Array.isArray(files)) return null
    if (files.length === 0 || files.length > MAX_FILES) return null
    for (const pair of files) if (typeof pair[0] !== "string" || typeof pair[1] !== "string") return null
    return { wasm, files }
  } catch {
    return null
  }
}

/** Of the file's place and of everything that turns it into a module; null when that can't be told. */
function keyOf(file: string): string | null {
  const toolchain = toolchainDigest()
  return toolchain === null ? null : sha256(`${resolve(file)}\n${toolchain}`)
}

/** Of the SDK, the build steps and the compiler's version. Read anew: the SDK's own authors edit it while a gateway runs. */
function toolchainDigest(): string | null {
  try {
    const sdk = fileURLToPath(new URL("../../sdk/", import.meta.url))
    const parts: string[] = []
    for (const folder of ["assembly", "build"]) {
      const names = readdirSync(join(sdk, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => /\.(?:ts|js)$/.test(name))
        .sort()
      for (const name of names) parts.push(`${folder}/${name} ${digestOf(join(sdk, folder, name))}`)
    }
    const { version } = createRequire(import.meta.url)("assemblyscript/package.json") as { version: string }
    return sha256(`assemblyscript ${version}\n${parts.join("\n")}`)
  } catch {
    return null
  }
}

// Gets a module from wherever the configuration says: a file, a source to be compiled, a URL. Main thread only.

import { readFile, stat } from "node:fs/promises"
import { extname } from "node:path"
import { formatProblems } from "../config/problem.ts"
import { isUrl } from "../config/units.ts"
import { CompileCache } from "./compile-cache.ts"
import type { FilterCompiler } from "./compiler.ts"
import { fetchModule } from "./fetch-module.ts"
import { grantsOf, isAbout, manifestBeside, readManifest } from "./manifest.ts"
import { type ModuleCache, sha256 } from "./module-cache.ts"
import { PreparedModules, type UsableModule } from "./prepared-modules.ts"
import type { Grants } from "./proxy-wasm/host.ts"

/** Octets of a module; a larger one is refused. */
export const MAX_MODULE: number = 64 * 1024 * 1024

/** Where a module comes from, and what it must be. */
export interface ModuleSource {
  /** Absolute path of a `.ts` or `.wasm` file, or a URL. */
  readonly module: string
  /** SHA-256 it must have; "" = any. */
  readonly sha256: string
  /** Octets of memory it may use. */
  readonly memory: number
}

/** A module, ready for use. */
export interface LoadedModule {
  readonly prepared: UsableModule
  /** Files it depends on: what is watched. */
  readonly files: readonly string[]
}

/** What the manifest beside a module allows it; null: there is none, and everything is. A text: what is wrong with it. */
export function manifestGrants({ module }: ModuleSource): Grants | null | string {
  if (isUrl(module)) return null
  const file = manifestBeside(module)
  const read = readManifest(file)
  if (read === undefined) return null
  if (!read.ok) return formatProblems(read.problems, { excerpt: true })
  return isAbout(read.manifest, file, module) ? grantsOf(read.manifest) : null
}

export interface ModuleLoaderOptions {
  readonly compiler: FilterCompiler
  /** Keeps modules over restarts; null: nothing is kept. */
  readonly cache: ModuleCache | null
}

export class ModuleLoader {
  readonly #compiler: FilterCompiler
  readonly #cache: ModuleCache | null
  readonly #compilations: CompileCache | null
  readonly #modules = new PreparedModules()

  constructor({ compiler, cache }: ModuleLoaderOptions) {
    this.#compiler = compiler
    this.#cache = cache
    this.#compilations = cache === null ? null : new CompileCache(cache)
  }

  /** The version a source holds now, or why there is none. `before`: what it held, which stays when it holds the same. */
  async load(source: ModuleSource, before: LoadedModule | null = null): Promise<LoadedModule | string> {
    const { module } = source
    if (isUrl(module)) {
      const bytes = this.#cache?.read(source.sha256) ?? (await fetchModule(module, MAX_MODULE))
      return typeof bytes === "string" ? bytes : this.#finish(source, bytes, [], before, true)
    }
    if (extname(module) === ".ts") return this.#compile(source, before)
    try {
      if ((await stat(module)).size > MAX_MODULE) return `${module} is larger than ${MAX_MODULE / 1024 / 1024} MiB`
      return this.#finish(source, await readFile(module), [module], before)
    } catch (error) {
      return `${module} can't be read: ${error instanceof Error ? error.message : String(error)}`
    }
  }

  /** Takes a module that was handed in. `name` stands in what is said about it. */
  accept(name: string, bytes: Uint8Array, memory: number): LoadedModule | string {
    if (bytes.length > MAX_MODULE) return `${name} is larger than ${MAX_MODULE / 1024 / 1024} MiB`
    return this.#finish({ module: name, sha256: "", memory }, bytes, [], null)
  }

  async #compile(source: ModuleSource, before: LoadedModule | null): Promise<LoadedModule | string> {
    const { module } = source
    const known = this.#compilations?.find(module) ?? null
    if (known !== null) return this.#finish(source, known.wasm, known.files, before)
    const started = Date.now()
    const compiled = await this.#compiler.compile(module)
    if (!compiled.ok) {
      return compiled.diagnostics
        .map((each) => `${each.file}:${each.line}:${each.column}: ${each.message}${each.excerpt === "" ? "" : `\n${each.excerpt}`}`)
        .join("\n")
    }
    this.#compilations?.store(module, compiled.wasm, compiled.files, started)
    return this.#finish(source, compiled.wasm, compiled.files, before)
  }

  #finish(
    source: ModuleSource,
    bytes: Uint8Array,
    files: readonly string[],
    before: LoadedModule | null,
    keep = false,
  ): LoadedModule | string {
    const digest = sha256(bytes)
    if (source.sha256 !== "") {
      if (digest !== source.sha256) return `${source.module} has the SHA-256 ${digest}, but the configuration says ${source.sha256}`
      if (keep) this.#cache?.write(bytes)
    }
    if (before?.prepared.digest === digest) return { prepared: before.prepared, files }
    const prepared = this.#modules.prepare(bytes, source)
    return prepared.ok ? { prepared, files } : `${source.module}: ${prepared.reason}`
  }
}

// From a path to a filter that can be run: finds its module and its manifest, compiles what is AssemblyScript, and prepares the
// module as the gateway would.

import { readFileSync, statSync } from "node:fs"
import { basename, dirname, extname, join, resolve } from "node:path"
import { formatProblems } from "../config/problem.ts"
import { CompileCache } from "../wasm/compile-cache.ts"
import { type CompileDiagnostic, FilterCompiler } from "../wasm/compiler.ts"
import { isAbout, MANIFEST_FILE, type Manifest, readManifest } from "../wasm/manifest.ts"
import { type PreparedModule, prepareModule } from "../wasm/module.ts"
import { type ModuleCache, openModuleCache } from "../wasm/module-cache.ts"

/** Octets of memory a filter gets when nothing else is said: the configuration's default. */
export const DEFAULT_MEMORY: number = 16 * 1024 * 1024

/** Where a filter is: found, but not compiled. */
export interface FilterPlace {
  /** Absolute path of its source (.ts) or module (.wasm). */
  readonly module: string
  /** The manifest's name, or the folder's. */
  readonly name: string
  /** Null: it has none, and may do everything. */
  readonly manifest: Manifest | null
  /** Absolute path of the manifest; null without one. */
  readonly manifestFile: string | null
}

/** What can't be loaded; `message` says why, with places in the source. */
export class FilterLoadError extends Error {}

/** A module, ready to be started. */
export type LoadedModule = PreparedModule & { readonly ok: true }

/**
 * Finds the filter that `path` names: a folder with a manifest or a `filter.ts`, a source, or a module.
 * @throws FilterLoadError
 */
export function findFilter(path: string): FilterPlace {
  const absolute = resolve(path)
  let folder = absolute
  let module: string | null = null
  if (!isFolder(absolute)) {
    const kind = extname(absolute)
    if (kind !== ".ts" && kind !== ".wasm") {
      throw new FilterLoadError(`${path} is no filter: it is neither a folder nor a .ts or .wasm file that exists`)
    }
    if (!isFile(absolute)) throw new FilterLoadError(`${path} does not exist`)
    folder = dirname(absolute)
    module = absolute
  }
  const manifestFile = join(folder, MANIFEST_FILE)
  const read = readManifest(manifestFile)
  if (read !== undefined && !read.ok) throw new FilterLoadError(formatProblems(read.problems, { excerpt: true }))
  const manifest = read?.manifest ?? null
  const named = join(folder, manifest?.module ?? "filter.ts")
  if (module === null) {
    const found = [named, join(folder, "filter.wasm")].find(isFile)
    if (found === undefined) throw new FilterLoadError(`${path} holds no filter: there is no ${basename(named)} in it`)
    module = found
  }
  // Another module in the same folder is not what the manifest is about.
  if (manifest === null || !isAbout(manifest, manifestFile, module))
    return { module, name: basename(module).replace(/\.(?:ts|wasm)$/, ""), manifest: null, manifestFile: null }
  return { module, name: manifest.name, manifest, manifestFile }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/** Compiler messages with their places, one after the other. */
export function formatDiagnostics(diagnostics: readonly CompileDiagnostic[]): string {
  return diagnostics
    .map(({ file, line, column, message, excerpt }) => `${file}:${line}:${column}: ${message}${excerpt === "" ? "" : `\n${excerpt}`}`)
    .join("\n")
}

/** Loads modules; keeps one compiler warm, and what it has compiled for the next run. */
export class FilterLoader {
  readonly #compilations: CompileCache | null
  #compiler: FilterCompiler | null = null

  /** `cache` default: the one the gateway uses; null: nothing is kept. */
  constructor(cache: ModuleCache | null = openModuleCache()) {
    this.#compilations = cache === null ? null : new CompileCache(cache)
  }

  /** Whether anything had to be compiled. */
  get compiled(): boolean {
    return this.#compiler !== null
  }

  /**
   * The filter's module, with at most `memory` octets, and the files it was made from.
   * @throws FilterLoadError
   */
  async load(
    place: FilterPlace,
    memory: number = DEFAULT_MEMORY,
  ): Promise<{ module: LoadedModule; files: readonly string[]; bytes: Uint8Array }> {
    const { bytes, files } = await this.#read(place.module)
    const module = prepareModule(bytes, { memory })
    if (!module.ok) throw new FilterLoadError(`${place.module}: ${module.reason}`)
    return { module, files, bytes }
  }

  async #read(path: string): Promise<{ bytes: Uint8Array; files: readonly string[] }> {
    if (extname(path) !== ".ts") {
      try {
        return { bytes: readFileSync(path), files: [path] }
      } catch (error) {
        throw new FilterLoadError(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    const known = this.#compilations?.find(path) ?? null
    if (known !== null) return { bytes: known.wasm, files: known.files }
    this.#compiler ??= new FilterCompiler()
    const started = Date.now()
    const built = await this.#compiler.compile(path)
    if (!built.ok) throw new FilterLoadError(formatDiagnostics(built.diagnostics))
    this.#compilations?.store(path, built.wasm, built.files, started)
    return { bytes: built.wasm, files: built.files }
  }

  /** Ends the compiler. */
  close(): void {
    this.#compiler?.close()
    this.#compiler = null
  }
}

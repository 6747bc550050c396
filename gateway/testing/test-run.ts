// Finds the tests that paths name, and runs them with one compiler for all.

import { readdirSync, statSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { formatProblems } from "../config/problem.ts"
import { type CaseResult, CaseRunner } from "./case-runner.ts"
import { readTests, TESTS_FILE, type TestsFile } from "./case-schema.ts"
import { FilterLoadError, type FilterLoader, type FilterPlace, findFilter, type LoadedModule } from "./loader.ts"
import type { FileResult } from "./report.ts"

/** Folders of filters looked through when no path is given. */
const DEFAULT_FOLDER = "filters"

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

/**
 * The tests that `path` names: a file, a filter's folder, or a folder of such folders. Without a path: the working directory
 * and the folders in `filters/`.
 * @throws FilterLoadError when there are none.
 */
export function findTests(paths: readonly string[], from: string = process.cwd()): string[] {
  const found: string[] = []
  if (paths.length === 0) {
    found.push(...inFolder(from), ...inFolder(join(from, DEFAULT_FOLDER)))
    if (found.length === 0) throw new FilterLoadError(`no ${TESTS_FILE} here or in ${DEFAULT_FOLDER}/*; name a filter's folder`)
  }
  for (const path of paths) {
    const absolute = resolve(from, path)
    const inside = isFolder(absolute) ? inFolder(absolute) : isCases(absolute) ? [absolute] : beside(absolute)
    // A shell's `filters/*` names the README and tsconfig.json beside them too.
    if (inside.length === 0 && paths.length > 1 && isFile(absolute)) continue
    if (inside.length === 0) throw new FilterLoadError(`${path}: there is no ${TESTS_FILE}`)
    found.push(...inside)
  }
  return [...new Set(found)]
}

function isCases(file: string): boolean {
  return file.endsWith(".json") && basename(file) !== "tsconfig.json" && isFile(file)
}

function beside(file: string): string[] {
  const tests = join(dirname(file), TESTS_FILE)
  return isFile(file) && isFile(tests) ? [tests] : []
}

function inFolder(folder: string): string[] {
  if (!isFolder(folder)) return []
  const own = join(folder, TESTS_FILE)
  if (isFile(own)) return [own]
  return readdirSync(folder)
    .sort()
    .filter((name) => name !== "node_modules" && !name.startsWith(".") && isFolder(join(folder, name)))
    .map((name) => join(folder, name, TESTS_FILE))
    .filter(isFile)
}

/** A filter and its tests, loaded as far as they could be. */
export interface LoadedTests {
  readonly file: string
  readonly name: string
  /** Everything a change of which changes the result. */
  readonly files: readonly string[]
  /** Null when there is an error. */
  readonly tests: TestsFile | null
  readonly runner: CaseRunner | null
  readonly place: FilterPlace | null
  readonly error: string
}

/** Reads tests and loads their filter; what is wrong with either is in the result. Never rejects. */
export async function loadTests(file: string, loader: FilterLoader): Promise<LoadedTests> {
  const folder = dirname(file)
  const read = readTests(file)
  let place: FilterPlace | null = null
  const files = [file]
  try {
    place = findFilter(folder)
    files.push(place.module, join(folder, "filter.json"))
    const found = place
    const loaded = await loader.load(found)
    files.push(...loaded.files)
    if (!read.ok) throw new FilterLoadError(formatProblems(read.problems, { excerpt: true }))
    const modules = new Map<number | undefined, Promise<LoadedModule>>([[undefined, Promise.resolve(loaded.module)]])
    const module = (memory: number | undefined): Promise<LoadedModule> => {
      let made = modules.get(memory)
      if (made === undefined) {
        made = loader.load(found, memory).then((again) => again.module)
        modules.set(memory, made)
      }
      return made
    }
    const runner = new CaseRunner(read.tests, found, module)
    return { file, name: found.name, files: [...new Set(files)], tests: read.tests, runner, place, error: "" }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { file, name: place?.name ?? basename(folder), files: [...new Set(files)], tests: null, runner: null, place, error: message }
  }
}

export interface RunOptions {
  /** Only cases whose name holds this, whatever its case; "" = all. */
  readonly filter: string
  /** Called with each file's result, in order. */
  onResult(result: FileResult): void
}

/** Runs the tests in these files, and says which files they depend on. */
export async function runTests(
  files: readonly string[],
  loader: FilterLoader,
  options: RunOptions,
): Promise<{ readonly results: readonly FileResult[]; readonly files: readonly string[] }> {
  const wanted = options.filter.toLowerCase()
  // All at once: while one is run, the compiler works on the next.
  const loading = files.map((file) => loadTests(file, loader))
  const results: FileResult[] = []
  const depends: string[] = []
  for (const each of loading) {
    const loaded = await each
    depends.push(...loaded.files)
    const from = performance.now()
    const cases: CaseResult[] = []
    if (loaded.tests !== null && loaded.runner !== null) {
      for (const test of loaded.tests.cases) {
        if (test.name.toLowerCase().includes(wanted)) cases.push(await loaded.runner.run(test))
      }
    }
    const shown = relative(process.cwd(), loaded.file)
    const file = shown.startsWith("..") ? loaded.file : shown
    const result = { filter: loaded.name, file, cases, error: loaded.error, ms: performance.now() - from }
    results.push(result)
    if (cases.length > 0 || result.error !== "") options.onResult(result)
  }
  return { results, files: [...new Set(depends)] }
}

// Reads a configuration file and answers with the validated configuration or with everything that is wrong with it.

import { open, stat } from "node:fs/promises"
import { dirname, extname, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { build } from "./build.ts"
import { check } from "./check.ts"
import { salvage, toFindings } from "./issues.ts"
import type { Config, EndpointConfig } from "./model.ts"
import { formatPath, type Problem } from "./problem.ts"
import { configSchema, endpoints, type Written } from "./schema.ts"
import { type Finding, type Source, textSource, valueSource } from "./source.ts"

export type LoadResult =
  | {
      readonly ok: true
      readonly config: Config
      readonly warnings: readonly Problem[]
      /** The values as they are written, without defaults. */
      readonly document: unknown
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

export type EndpointsResult =
  | { readonly ok: true; readonly endpoints: readonly EndpointConfig[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Largest YAML or JSON file, in octets. */
export const maxFileSize = 16 * 1024 * 1024
/** Problems shown at once; of more, only their number. */
const MAX_PROBLEMS = 200
const MODULES = new Set([".ts", ".mts", ".js", ".mjs"])
const TEXTS = new Set([".yaml", ".yml", ".json"])

/**
 * Loads a `.yaml`, `.yml` or `.json` file, or a `.ts`, `.mts`, `.js` or `.mjs` module with a default export. A module is
 * evaluated anew by every call; what it imports is not. Never throws: a file that can't be read is a problem.
 */
export async function loadConfig(file: string): Promise<LoadResult> {
  const path = resolve(file)
  const extension = extname(path).toLowerCase()
  const options = { file, baseDir: dirname(path) }
  if (!MODULES.has(extension) && !TEXTS.has(extension)) {
    return failed(file, "is not a kind of file that is read; write a .yaml, .yml, .json, .ts, .mts, .js or .mjs file")
  }
  const content = await readText(path)
  if (!content.ok) return failed(file, content.message)
  return TEXTS.has(extension) ? parseConfig(content.text, options) : loadModule(path, options)
}

/** Loads a list of endpoints from a YAML or JSON file, whatever its name. Never throws. */
export async function loadEndpoints(file: string): Promise<EndpointsResult> {
  const content = await readText(resolve(file))
  return content.ok ? parseEndpoints(content.text, file) : { ok: false, problems: [problem(file, content.message)] }
}

export function parseEndpoints(text: string, file: string): EndpointsResult {
  const source = textSource(text)
  if (source.findings.length > 0) return { ok: false, problems: toProblems(source.findings, source, file) }
  // A file of comments alone may be one that was emptied by mistake.
  const result = endpoints.safeParse(source.value ?? undefined)
  if (!result.success) return { ok: false, problems: toProblems(toFindings(result.error.issues), source, file) }
  return { ok: true, endpoints: result.data }
}

/** Validates the text of a YAML or JSON document. `baseDir`: filter modules are relative to it; default: the file's folder. */
export function parseConfig(text: string, options: { file: string; baseDir?: string }): LoadResult {
  const { file, baseDir = dirname(resolve(file)) } = options
  if (text.length > maxFileSize) return failed(file, "is larger than 16 MiB; split what it configures")
  return validate(textSource(text), file, baseDir)
}

/** Validates a value as a TypeScript module exports it. */
export function validateConfig(value: unknown, options: { file: string; baseDir: string }): LoadResult {
  return validate(valueSource(value), options.file, options.baseDir)
}

function validate(source: Source, file: string, baseDir: string): LoadResult {
  if (source.findings.length > 0) return { ok: false, problems: toProblems(source.findings, source, file) }
  if (source.value === null || source.value === undefined) {
    return failed(file, "is empty; write at least listeners, such as listeners: [{ address: 127.0.0.1:8080 }]")
  }
  const result = configSchema.safeParse(source.value)
  const errors = result.success ? [] : toFindings(result.error.issues)
  const written = result.success ? result.data : salvage(configSchema, source.value)
  let warnings: readonly Finding[] = []
  if (typeof written === "object" && written !== null) {
    const checked = check(written as Written, baseDir)
    for (const error of checked.errors) errors.push(error)
    warnings = checked.warnings
  }
  if (!result.success || errors.length > 0) return { ok: false, problems: toProblems(errors, source, file) }
  return { ok: true, config: build(result.data, baseDir), warnings: toProblems(warnings, source, file), document: source.value }
}

function toProblems(findings: readonly Finding[], source: Source, file: string): Problem[] {
  const problems = findings.slice(0, MAX_PROBLEMS).map((finding): Problem => {
    const position = source.locate(finding)
    const { line, column, source: text } = position ?? { line: 0, column: 0, source: undefined }
    const message = typeof finding.message === "string" ? finding.message : finding.message()
    return { file, line, column, path: formatPath(finding.path), message, ...(text === undefined ? {} : { source: text }) }
  })
  problems.sort((a, b) => a.line - b.line || a.column - b.column)
  if (findings.length > MAX_PROBLEMS)
    problems.push(problem(file, `and ${findings.length - MAX_PROBLEMS} more; these are shown when the first are mended`))
  return problems
}

function problem(file: string, message: string): Problem {
  return { file, line: 0, column: 0, path: "", message }
}

function failed(file: string, message: string): LoadResult {
  return { ok: false, problems: [problem(file, message)] }
}

type Text = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly message: string }

async function readText(path: string): Promise<Text> {
  try {
    // Opening a pipe would wait for its writer.
    if (!(await stat(path)).isFile()) return { ok: false, message: "is not a file; write the path of one" }
    const handle = await open(path, "r")
    try {
      const stats = await handle.stat()
      if (stats.size > maxFileSize) return { ok: false, message: "is larger than 16 MiB; split what it configures" }
      const bytes = await handle.readFile()
      try {
        return { ok: true, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) }
      } catch {
        return { ok: false, message: "is not valid UTF-8; save it in that encoding" }
      }
    } finally {
      await handle.close()
    }
  } catch (error) {
    const code = (error as { code?: unknown }).code
    if (code === "ENOENT" || code === "ENOTDIR") return { ok: false, message: "there is no such file; write the path of one" }
    if (code === "EACCES" || code === "EPERM") return { ok: false, message: "may not be read; change its permissions" }
    if (code === "EISDIR") return { ok: false, message: "is not a file; write the path of one" }
    return { ok: false, message: `can't be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

async function loadModule(path: string, options: { file: string; baseDir: string }): Promise<LoadResult> {
  let exported: { default?: unknown }
  try {
    // The runtimes keep a module for good by its URL: a new query makes a new one.
    const url = pathToFileURL(path)
    url.searchParams.set("load", `${Date.now()}-${process.hrtime.bigint()}`)
    exported = await import(url.href)
  } catch (error) {
    return failed(options.file, `fails when it is loaded: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`)
  }
  if (exported.default === undefined) return failed(options.file, "has no default export; write export default defineConfig({ ... })")
  return validateConfig(exported.default, options)
}

// `filter.json`, the manifest beside a filter: what it is, and what it may do. A filter without one may do everything; one
// that has a manifest may do what stands in it and nothing else.

import { readFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import * as z from "zod"
import { toFindings } from "../config/issues.ts"
import type { PermissionsConfig } from "../config/model.ts"
import { permissionsSchema } from "../config/permissions.ts"
import { formatPath, type Problem } from "../config/problem.ts"
import { checked, json, object, string } from "../config/schema-kit.ts"
import { type Finding, textSource } from "../config/source.ts"
import { quote, Wrong } from "../config/units.ts"
import { toGrants } from "./grants.ts"
import type { Grants } from "./proxy-wasm/host.ts"

/** Name of a filter's manifest in its folder. */
export const MANIFEST_FILE = "filter.json"

const MAX_MANIFEST = 1024 * 1024
const NAME = /^[a-z0-9][a-z0-9-]{0,63}$/
const VERSION = /^\d{1,9}\.\d{1,9}\.\d{1,9}(?:[-+][0-9A-Za-z.+-]{1,64})?$/

const manifestSchema = object(
  {
    $schema: string("a URL", "a URL").optional().describe("For editors."),
    name: checked("a name", 'a name, such as "api-key"', (text) =>
      NAME.test(text) ? undefined : new Wrong(`${quote(text)} can't name a filter; use up to 64 lower-case letters, digits and "-"`),
    ).describe("The filter's name."),
    version: checked("a version", 'a version, such as "1.0.0"', (text) =>
      VERSION.test(text) ? undefined : new Wrong(`${quote(text)} is no version; write three numbers, such as "1.0.0"`),
    )
      .default("0.0.0")
      .describe("Version of the filter, major.minor.patch."),
    description: string("a text", "what the filter does, in a sentence").default("").describe("What it does, in a sentence."),
    module: string("a file's name", 'a file\'s name, such as "filter.ts"')
      .default("filter.ts")
      .describe("Its source (.ts) or module (.wasm), relative to the manifest. Default filter.ts."),
    permissions: permissionsSchema([]).prefault({}).describe("What it may do. What is not named, it may not."),
    configSchema: json().optional().describe("JSON Schema of its `config`, for editors and people."),
  },
  'a manifest, such as { "name": "api-key" }',
)

/** A manifest, every default filled in. "*" = everything of that kind. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  /** Relative to the manifest's folder. */
  readonly module: string
  readonly permissions: PermissionsConfig
  readonly configSchema?: unknown
}

export type ManifestResult =
  | { readonly ok: true; readonly manifest: Manifest }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Reads a manifest's text; `file` is for the problems. Never throws. */
export function parseManifest(text: string, file: string): ManifestResult {
  if (text.length > MAX_MANIFEST) return refused(file, `is larger than ${MAX_MANIFEST} octets`)
  const source = textSource(text)
  let findings: readonly Finding[] = source.findings
  if (findings.length === 0) {
    const result = z.safeParse(manifestSchema, source.value)
    if (result.success) return { ok: true, manifest: result.data }
    findings = toFindings(result.error.issues)
  }
  const problems = findings.map((finding) => {
    const message = typeof finding.message === "string" ? finding.message : finding.message()
    const { line = 0, column = 0, source: excerpt } = source.locate(finding) ?? {}
    return { file, line, column, path: formatPath(finding.path), message, source: excerpt }
  })
  return { ok: false, problems }
}

/** The manifest in a file; undefined when there is no such file. Never throws. */
export function readManifest(file: string): ManifestResult | undefined {
  let text: string
  try {
    text = readFileSync(file, "utf8")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined
    return refused(file, `can't be read: ${error instanceof Error ? error.message : String(error)}`)
  }
  return parseManifest(text, file)
}

/**
 * Path of the manifest that would be about the module in a file: beside it. Another module in the same folder is not what a
 * manifest is about, so whether it is, {@link isAbout} tells.
 */
export function manifestBeside(module: string): string {
  return join(dirname(module), MANIFEST_FILE)
}

/** Whether a manifest in `file` is about `module`: it names that, or what that was built from. */
export function isAbout(manifest: Manifest, file: string, module: string): boolean {
  const bare = (path: string): string => path.replace(/\.(?:ts|wasm)$/, "")
  return bare(resolve(dirname(file), manifest.module)) === bare(resolve(module))
}

function refused(file: string, message: string): ManifestResult {
  return { ok: false, problems: [{ file, line: 0, column: 0, path: "", message }] }
}

/** What a filter with this manifest may do. */
export function grantsOf({ permissions }: Manifest): Grants {
  return toGrants(permissions)
}

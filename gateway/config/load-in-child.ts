// Loads a configuration, or files of endpoints, in a short-lived child process. A gateway that runs for months needs the
// validator for milliseconds, and it is a third of its memory.

import { extname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import type { EndpointsResult, LoadResult } from "./load.ts"
import type { Config } from "./model.ts"
import type { PackedConfig } from "./packed-config.ts"
import type { Problem } from "./problem.ts"
import { runChild } from "./run-child.ts"

/** ms after which a configuration module that doesn't come to an end is given up. */
const TIMEOUT = 30_000

/** A configuration, and the same packed, for those who keep it. */
export interface LoadedConfig {
  readonly ok: true
  readonly config: Config
  readonly warnings: readonly Problem[]
  readonly packed: PackedConfig
}

type LoadFailure = Extract<LoadResult, { ok: false }>

/** What the child prints: octets are base64. */
export type PrintedConfig =
  | LoadFailure
  | (Omit<LoadedConfig, "packed"> & { readonly packed: { readonly [Part in keyof PackedConfig]: string } })

/** As `loadConfig`. Never rejects: a child that fails is a problem of the file. */
export async function loadConfigInChild(file: string): Promise<LoadedConfig | LoadFailure> {
  return unpacked(file, await loadInChild<PrintedConfig>("load-child", [resolve(file)], null))
}

/** As `loadConfigInChild`, of what `file` held when it was loaded before: a {@link PackedConfig}'s document. */
export async function loadDocumentInChild(document: Uint8Array, file: string): Promise<LoadedConfig | LoadFailure> {
  return unpacked(file, await loadInChild<PrintedConfig>("load-child", [resolve(file), "document"], document))
}

function unpacked(file: string, loaded: Run<PrintedConfig>): LoadedConfig | LoadFailure {
  if (!loaded.ok) return { ok: false, problems: [{ file, line: 0, column: 0, path: "", message: loaded.failure }] }
  const { value } = loaded
  if (!value.ok) return value
  const { digest, config, document } = value.packed
  return { ...value, packed: { digest, config: Buffer.from(config, "base64"), document: Buffer.from(document, "base64") } }
}

/** As `loadEndpoints`, of several files, in their order. Never rejects: a child that fails is a problem of every file. */
export async function loadEndpointsInChild(files: readonly string[]): Promise<readonly EndpointsResult[]> {
  const loaded = await loadInChild<readonly EndpointsResult[]>("endpoints-child", files, null)
  if (loaded.ok) return loaded.value
  return files.map((file) => ({ ok: false, problems: [{ file, line: 0, column: 0, path: "", message: loaded.failure }] }))
}

type Run<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: string }

/** The JSON that `name`, a script beside this one, prints last; or why there is none. */
async function loadInChild<T>(name: string, args: readonly string[], input: Uint8Array | null): Promise<Run<T>> {
  const script = fileURLToPath(new URL(`./${name}${extname(new URL(import.meta.url).pathname)}`, import.meta.url))
  const tooLong = `takes longer than ${TIMEOUT / 1000} s to load; a module's top level must come to an end`
  const run = await runChild({ script, args, input, timeout: TIMEOUT, tooLong })
  if (!run.ok) return { ok: false, failure: run.failure === tooLong ? tooLong : `can't be loaded: ${run.failure}` }
  // A module may have printed before: the result is the last line.
  const lines = run.output.toString("utf8").trimEnd()
  const line = lines.slice(lines.lastIndexOf("\n") + 1)
  try {
    return { ok: true, value: JSON.parse(line) as T }
  } catch {
    return { ok: false, failure: `can't be loaded: ${run.errors === "" ? "the process that reads it ended early" : run.errors}` }
  }
}

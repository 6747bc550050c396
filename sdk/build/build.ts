// Builds a filter written in AssemblyScript into a Proxy-Wasm module.

import { writeFile } from "node:fs/promises"
import { type BuildMode, type CompileDiagnostic, FilterCompiler } from "../../gateway/wasm/compiler.ts"

export interface BuildOptions {
  /** `release` (default) is optimised and without names; `debug` keeps function names for stack traces. */
  readonly mode?: BuildMode
  /** Where to write the module; it is returned in any case. */
  readonly outFile?: string
}

export type BuildResult =
  | { readonly ok: true; readonly wasm: Uint8Array; readonly ms: number; readonly warnings: readonly CompileDiagnostic[] }
  | { readonly ok: false; readonly diagnostics: readonly CompileDiagnostic[] }

/**
 * Compiles `file` in a child process. What is wrong in the source comes back as diagnostics with file, line and column.
 * @throws if `outFile` can't be written.
 */
export async function buildFilter(file: string, options: BuildOptions = {}): Promise<BuildResult> {
  const compiler = new FilterCompiler()
  try {
    const result = await compiler.compile(file, options.mode)
    if (!result.ok) return { ok: false, diagnostics: result.diagnostics }
    if (options.outFile !== undefined) await writeFile(options.outFile, result.wasm)
    return { ok: true, wasm: result.wasm, ms: result.ms, warnings: result.warnings }
  } finally {
    compiler.close()
  }
}

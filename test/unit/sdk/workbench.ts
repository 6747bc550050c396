// Compiles filters written inline in a test, with one warm compiler for the file of tests.

import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type CompileResult, FilterCompiler } from "../../../gateway/wasm/compiler.ts"
import { FakeHost } from "./fake-host.ts"

export class Workbench {
  readonly compiler = new FilterCompiler({ jobTimeout: 120_000 })
  readonly #folders: string[] = []

  /** Writes the files into a new folder and compiles `filter.ts`. */
  async compile(source: string, others: Record<string, string> = {}): Promise<CompileResult> {
    const folder = await mkdtemp(join(tmpdir(), "sluice-sdk-"))
    this.#folders.push(folder)
    await writeFile(join(folder, "filter.ts"), source)
    for (const name in others) await writeFile(join(folder, name), others[name])
    return await this.compiler.compile(join(folder, "filter.ts"))
  }

  /** The compiled module; fails the test with the compiler's words otherwise. */
  async module(source: string, others: Record<string, string> = {}): Promise<WebAssembly.Module> {
    return toModule(await this.compile(source, others))
  }

  async host(source: string, configuration: unknown = {}): Promise<FakeHost> {
    const host = new FakeHost(await this.module(source))
    if (!host.configure(configuration)) throw new Error(host.logs.join("\n"))
    return host
  }

  async close(): Promise<void> {
    this.compiler.close()
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true })
  }
}

export function toModule(result: CompileResult): WebAssembly.Module {
  if (!result.ok) throw new Error(result.diagnostics.map((d) => `${d.file}:${d.line}:${d.column} ${d.message}`).join("\n"))
  return new WebAssembly.Module(result.wasm as Uint8Array<ArrayBuffer>)
}

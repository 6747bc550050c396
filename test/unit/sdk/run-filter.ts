// Filters written inline in a test, in the gateway's own host.

import { writeFile } from "node:fs/promises"
import { type FilterSettings, loadFilter, type TestFilter, type TestSettings } from "../../../gateway/testing/testing.ts"
import { Workbench } from "./workbench.ts"

export class FilterBench {
  readonly workbench = new Workbench()
  readonly #modules = new Map<string, string>()
  readonly #filters: TestFilter[] = []

  /** Compiles `source` once, and starts it with these settings. */
  async load(source: string, settings: FilterSettings & TestSettings = {}): Promise<TestFilter> {
    const filter = await loadFilter(await this.#compile(source), { name: "f", ...settings })
    this.#filters.push(filter)
    return filter
  }

  /** The module of a source that was loaded. */
  path(source: string): string {
    return this.#modules.get(source) ?? ""
  }

  async #compile(source: string): Promise<string> {
    const known = this.#modules.get(source)
    if (known !== undefined) return known
    const result = await this.workbench.compile(source)
    if (!result.ok) throw new Error(result.diagnostics.map((d) => `${d.file}:${d.line}:${d.column} ${d.message}`).join("\n"))
    const path = result.files[0].replace(/\.ts$/, ".wasm")
    await writeFile(path, result.wasm)
    this.#modules.set(source, path)
    return path
  }

  async close(): Promise<void> {
    for (const filter of this.#filters) filter.close()
    await this.workbench.close()
  }
}

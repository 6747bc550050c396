// Validates a configuration, filters included, without starting anything that serves.

import { loadConfig } from "../config/load.ts"
import { formatProblems } from "../config/problem.ts"
import { FilterCompiler } from "../wasm/compiler.ts"
import { FilterStore } from "../wasm/filter-store.ts"
import { calibrate } from "../wasm/meter/calibrate.ts"
import { openModuleCache } from "../wasm/module-cache.ts"
import { systemClock } from "../wasm/system-clock.ts"

/** Says what is wrong with a configuration; the exit code. `filters`: they are compiled and tried too. */
export async function checkFile(file: string, filters: boolean): Promise<number> {
  const loaded = await loadConfig(file)
  if (!loaded.ok) {
    process.stderr.write(`${formatProblems(loaded.problems, { excerpt: true })}\n`)
    return 1
  }
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${formatProblems([warning])}\n`)
  const { config } = loaded
  if (filters && Object.keys(config.filters).length > 0) {
    const compiler = new FilterCompiler()
    const prepared = await new FilterStore({ compiler, unitsPerMs: calibrate(), clock: systemClock, cache: openModuleCache() }).prepare(
      config,
    )
    compiler.close()
    if (!prepared.ok) {
      process.stderr.write(`${prepared.problems.join("\n")}\n`)
      return 1
    }
  }
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`
  process.stdout.write(
    `${file}: ok (${[
      count(config.listeners.length, "listener"),
      count(config.routes.length, "route"),
      count(Object.keys(config.services).length, "service"),
      count(Object.keys(config.filters).length, "filter"),
    ].join(", ")})\n`,
  )
  return 0
}

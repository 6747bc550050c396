// `sluice check`: validates a configuration, filters included, without starting anything that serves.

import { loadConfig } from "../config/load.ts"
import { formatProblems } from "../config/problem.ts"
import { FilterCompiler } from "../wasm/compiler.ts"
import { FilterStore } from "../wasm/filter-store.ts"
import { calibrate } from "../wasm/meter/calibrate.ts"
import { openModuleCache } from "../wasm/module-cache.ts"
import { systemClock } from "../wasm/system-clock.ts"
import { adminArgument, answering } from "./admin-client.ts"
import { checkRunning } from "./check-running.ts"
import { type Command, command, text } from "./command.ts"
import { configArgument } from "./config-argument.ts"

export const check: Command = command({
  name: "check",
  description:
    "Validate a configuration and its filters; shows everything that is wrong at once. With --admin: look over a running gateway",
  args: {
    ...configArgument,
    filters: {
      type: "boolean",
      description: "Compile the filters too and try out their settings",
      negativeDescription: "Look at the configuration alone",
      default: true,
    },
    ...adminArgument,
    json: { type: "boolean", description: "With --admin: as JSON", default: false },
  },
  optionalValue: ["admin"],
  examples: [
    "sluice check -c sluice.yaml",
    "sluice check -c sluice.yaml --no-filters",
    "sluice check --admin",
    "sluice check --admin https://10.0.0.7:9901",
  ],
  run: async (args) => {
    if (args.admin !== undefined) return answering(() => checkRunning(args))
    const file = text(args, "config")
    const loaded = await loadConfig(file)
    if (!loaded.ok) {
      process.stderr.write(`${formatProblems(loaded.problems, { excerpt: true })}\n`)
      return 1
    }
    for (const warning of loaded.warnings) process.stderr.write(`warning: ${formatProblems([warning])}\n`)
    const { config } = loaded
    if (args.filters !== false && Object.keys(config.filters).length > 0) {
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
  },
})

// `sluice check`: validates a configuration, filters included, without starting anything that serves; or looks a running gateway over.

import { adminArgument, answering } from "./admin-client.ts"
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
  // Each side has much to load that the other has no use for.
  run: async (args) => {
    if (args.admin === undefined) return (await import("./check-file.ts")).checkFile(text(args, "config"), args.filters !== false)
    const { checkRunning } = await import("./check-running.ts")
    return answering(() => checkRunning(args))
  },
})

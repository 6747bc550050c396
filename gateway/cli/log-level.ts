// `sluice log level`: from which level on a running gateway logs, and the order to change it.

import { adminArgument, answering, jsonOrder, orderAdmin, questionAdmin } from "./admin-client.ts"
import { type Command, command } from "./command.ts"

export const logLevel: Command = command({
  name: "level",
  description: "Show from which level on a running gateway logs, or change it until its next configuration",
  args: {
    level: { type: "positional", description: "trace, debug, info, warn, error or critical", valueHint: "LEVEL", required: false },
    ...adminArgument,
  },
  examples: ["sluice log level", "sluice log level debug"],
  run: (args) =>
    args.level === undefined
      ? answering(async () => {
          const { level, configured } = await questionAdmin(args, "/log")
          process.stdout.write(level === configured ? `${level}\n` : `${level} (the configuration says ${configured})\n`)
          return 0
        })
      : orderAdmin(args, "/log", jsonOrder("PUT", { level: args.level })),
})

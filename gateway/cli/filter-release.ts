// `sluice filter release`: lets a filter of a running gateway start again that is in quarantine, and take part again where a
// version of it was rolled back.

import { adminArgument, filterPath, orderAdmin } from "./admin-client.ts"
import { type Command, command, text } from "./command.ts"

export const filterRelease: Command = command({
  name: "release",
  description: "Let a filter of a running gateway take part again that is in quarantine, or of which a version was rolled back",
  args: {
    name: { type: "positional", description: "The filter's name in the gateway's configuration", valueHint: "NAME", required: true },
    ...adminArgument,
  },
  examples: ["sluice filter release auth", "sluice filter release auth --admin 127.0.0.1:9901"],
  run: (args) => orderAdmin(args, `${filterPath(text(args, "name"))}/release`, { method: "POST" }),
})

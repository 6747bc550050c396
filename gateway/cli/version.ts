// `sluice version`.

import { runtimeName } from "../runtime/child.ts"
import { packageVersion } from "../version.ts"
import { type Command, command } from "./command.ts"

export const version: Command = command({
  name: "version",
  description: "Print the version of Sluice and of the runtime",
  args: {},
  run: () => {
    process.stdout.write(`sluice ${packageVersion()} (${runtimeName()})\n`)
    return Promise.resolve(0)
  },
})

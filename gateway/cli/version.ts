// `sluice version`.

import { packageVersion } from "../version.ts"
import { type Command, command } from "./command.ts"

export const version: Command = command({
  name: "version",
  description: "Print the version of Sluice and of the runtime",
  args: {},
  run: () => {
    const { bun, deno, node } = process.versions as Record<string, string | undefined>
    const runtime = bun !== undefined ? `bun ${bun}` : deno !== undefined ? `deno ${deno}` : `node ${node}`
    process.stdout.write(`sluice ${packageVersion()} (${runtime})\n`)
    return Promise.resolve(0)
  },
})

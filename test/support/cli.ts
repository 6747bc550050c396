// Runs commands of the CLI in the process of the tests, one after the other: a process for each costs a second of CPU. What depends on
// a process of its own (its folder, signals, its start) is a matter of `runCli` in gateway.ts.

import { main } from "../../gateway/cli/main.ts"

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

let turn: Promise<unknown> = Promise.resolve()

/** Resolves at the end of the command; nothing of what it prints is shown. */
export function runCommand(args: readonly string[]): Promise<CommandResult> {
  const result = turn.then(() => printing(args))
  turn = result.catch(() => {})
  return result
}

async function printing(args: readonly string[]): Promise<CommandResult> {
  const said = { stdout: "", stderr: "" }
  const restore = (["stdout", "stderr"] as const).map((name) => {
    const stream = process[name]
    const own = stream.write
    stream.write = ((text: string | Uint8Array, ...rest: unknown[]) => {
      said[name] += typeof text === "string" ? text : Buffer.from(text).toString()
      const done = rest.at(-1)
      if (typeof done === "function") done()
      return true
    }) as typeof own
    return () => {
      stream.write = own
    }
  })
  try {
    return { code: await main(args), ...said }
  } finally {
    for (const back of restore) back()
  }
}

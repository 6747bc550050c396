// `sluice completion`: what shells need to complete command lines of ours; and, for them, what a running gateway names.

import { adminArgument, askAdmin } from "./admin-client.ts"
import { type Command, command, text, UsageError, type Values } from "./command.ts"
import { describeCommands, type NameKind, nameKinds } from "./command-tree.ts"
import { completionScript, type Shell } from "./completion-scripts.ts"
import { printable } from "./table.ts"

const shells: readonly Shell[] = ["bash", "zsh", "fish"]
/** Names told. */
const MAX_NAMES = 1000

/** `root`: the program, with all its commands. */
export function completion(root: () => Command): Command {
  return command({
    name: "completion",
    description: "Print a script that completes command lines in a shell: bash, zsh or fish",
    args: {},
    subCommands: {
      ...Object.fromEntries(shells.map((shell) => [shell, async () => script(shell, root)])),
      names: async () => names,
    },
    examples: ["source <(sluice completion bash)", "sluice completion fish > ~/.config/fish/completions/sluice.fish"],
  })
}

function script(shell: Shell, root: () => Command): Command {
  return command({
    name: shell,
    description: `Print the script for ${shell}`,
    args: {},
    run: async () => {
      process.stdout.write(completionScript(shell, await describeCommands(root())))
      return 0
    },
  })
}

const names: Command = command({
  name: "names",
  description: "List what a running gateway's configuration names, for the scripts",
  args: {
    kind: { type: "positional", description: nameKinds.join(", "), valueHint: "KIND", required: true },
    ...adminArgument,
  },
  run: async (args) => {
    const kind = nameKinds.find((each) => each === text(args, "kind"))
    if (kind === undefined) throw new UsageError(`KIND is one of ${nameKinds.join(", ")}`)
    let found: readonly string[]
    try {
      found = await namesOf(args, kind)
    } catch (error) {
      if (error instanceof UsageError) throw error
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
      return 1
    }
    process.stdout.write(found.map((name) => `${name}\n`).join(""))
    return 0
  },
})

async function namesOf(args: Values, kind: NameKind): Promise<readonly string[]> {
  const { status, body } = await askAdmin(args, "/config")
  const part = body[kind]
  if (status !== 200 || typeof part !== "object" || part === null) throw new Error(`/config: status ${status}`)
  const found = Array.isArray(part) ? part.map(({ name }: { name?: unknown }) => String(name)) : Object.keys(part)
  // What doesn't fit a line can't be told.
  return found.filter((name) => printable(name) === name).slice(0, MAX_NAMES)
}

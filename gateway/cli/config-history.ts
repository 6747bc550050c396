// `sluice config history`, `diff` and `rollback`: the configurations that were in force in a running gateway, and the way back.

import type { ConfigEntry } from "../config/config-history.ts"
import { adminArgument, answering, jsonOrder, orderAdmin, questionAdmin } from "./admin-client.ts"
import { type Colour, type Paint, paintFor } from "./colour.ts"
import { type Command, command, text, UsageError, type Values } from "./command.ts"
import { printable, table } from "./table.ts"

const json = { type: "boolean", description: "As JSON", default: false } as const

type Entry = ConfigEntry & { readonly inForce: boolean }

export const configHistory: Command = command({
  name: "history",
  description: "List the configurations that were in force in a running gateway: generation, when, by whom, why",
  args: { ...adminArgument, json },
  examples: ["sluice config history", "sluice config history --json"],
  run: (args) =>
    answering(async () => {
      const body = await questionAdmin(args, "/config/history")
      process.stdout.write(
        args.json === true ? `${JSON.stringify(body, null, 2)}\n` : historyText(body.history as Entry[], body.departure as string | null),
      )
      return 0
    }),
})

/** Lines for a person, the newest first. */
function historyText(history: readonly Entry[], departure: string | null): string {
  const rows = history.map(({ generation, at, who, why, inForce }) => [inForce ? `${generation} *` : String(generation), at, who, why])
  const notes = departure === null ? [] : ["", departure]
  return `${[...table([["GENERATION", "SINCE", "BY", "WHY"], ...rows]), ...notes].map(printable).join("\n")}\n`
}

export const configDiff: Command = command({
  name: "diff",
  description:
    "Show what changed in what is written between two generations of a running gateway's configuration; exit code 0 whether or not something did",
  args: {
    from: {
      type: "positional",
      description: "Generation; default: that before the configuration in force",
      valueHint: "FROM",
      required: false,
    },
    to: { type: "positional", description: "Generation; default: that in force", valueHint: "TO", required: false },
    ...adminArgument,
    json,
  },
  examples: ["sluice config diff", "sluice config diff 3", "sluice config diff 3 7"],
  run: (args) =>
    answering(async () => {
      const query = [part(args, "from"), part(args, "to")].filter((each) => each !== "").join("&")
      const body = await questionAdmin(args, `/config/diff${query === "" ? "" : `?${query}`}`)
      if (args.json === true) process.stdout.write(`${JSON.stringify(body, null, 2)}\n`)
      else process.stdout.write(diffLines(String(body.diff), paintFor(process.stdout)))
      return 0
    }),
})

export const configRollback: Command = command({
  name: "rollback",
  description: "Have a running gateway take the configuration of a generation once more; its file stays as it is, and its next change wins",
  args: { generation: { type: "positional", description: "Generation", valueHint: "GENERATION", required: true }, ...adminArgument },
  examples: ["sluice config rollback 3"],
  run: async (args) => orderAdmin(args, "/config/rollback", jsonOrder("POST", { generation: generation(text(args, "generation")) })),
})

function part(args: Values, name: "from" | "to"): string {
  const value = args[name]
  return typeof value === "string" ? `${name}=${generation(value)}` : ""
}

function generation(word: string): number {
  if (!/^[1-9]\d{0,8}$/.test(word)) throw new UsageError(`${JSON.stringify(word)} is no generation; sluice config history lists them`)
  return Number(word)
}

const MARKS: Readonly<Record<string, Colour>> = { "@": "cyan", "-": "red", "+": "green" }

/** A comparison for a person; `diff` as the gateway tells it. */
export function diffLines(diff: string, paint: Paint): string {
  if (diff === "") return "nothing differs\n"
  const lines = diff
    .trimEnd()
    .split("\n")
    .map((line) => {
      const colour = MARKS[line[0]]
      const shown = printable(line.replace(/\t/g, "  "))
      return colour === undefined ? shown : paint(shown, colour)
    })
  return `${lines.join("\n")}\n`
}

// All commands with their options and arguments, for those who have to know them all.

import { logLevels } from "../telemetry/log.ts"
import type { Command } from "./command.ts"

/** What stands in the place of an option's value, or of an argument. `names`: of something in a running gateway's configuration. */
export type ValueKind = "none" | "any" | "file" | NameKind | readonly string[]
export type NameKind = "routes" | "services" | "listeners" | "filters"
export const nameKinds: readonly NameKind[] = ["routes", "services", "listeners", "filters"]

export interface DescribedOption {
  /** Without dashes; longer ones first. */
  readonly names: readonly string[]
  readonly description: string
  /** `none`: it takes none. */
  readonly value: ValueKind
}

export interface DescribedCommand {
  /** `["filter", "push"]`; empty for the program itself. */
  readonly path: readonly string[]
  readonly description: string
  readonly options: readonly DescribedOption[]
  /** Of its arguments, in order; the last one may be repeated. */
  readonly arguments: readonly ValueKind[]
  /** Names and descriptions of the commands below it. */
  readonly commands: readonly { readonly name: string; readonly description: string }[]
}

interface Argument {
  readonly type?: string
  readonly alias?: string | readonly string[]
  readonly description?: string
  readonly valueHint?: string
  readonly options?: readonly string[]
}

/** `command` and all below it, each before those below it. */
export async function describeCommands(command: Command, path: readonly string[] = []): Promise<DescribedCommand[]> {
  const below: DescribedCommand[] = []
  const commands: { name: string; description: string }[] = []
  for (const [name, load] of Object.entries(command.subCommands ?? {})) {
    const loaded = await load()
    commands.push({ name, description: loaded.description })
    below.push(...(await describeCommands(loaded, [...path, name])))
  }
  const options: DescribedOption[] = []
  const positionals: ValueKind[] = []
  for (const [name, argument] of Object.entries(command.args) as [string, Argument][]) {
    if (argument.type === "positional") {
      positionals.push(kindOf(argument, path))
      continue
    }
    const names = [name, ...(typeof argument.alias === "string" ? [argument.alias] : (argument.alias ?? []))]
    const description = argument.description ?? ""
    options.push({
      names: names.sort((a, b) => b.length - a.length),
      description,
      value: argument.type === "boolean" ? "none" : kindOf(argument, path),
    })
  }
  options.push({ names: ["help", "h"], description: "Show help", value: "none" })
  return [{ path, description: command.description, options, arguments: positionals, commands }, ...below]
}

// By what help shows in the place of the value.
function kindOf({ valueHint = "", options }: Argument, path: readonly string[]): ValueKind {
  if (options !== undefined) return options
  if (/^(?:FILE|DIR|PATH)(?:\.\.\.)?$/.test(valueHint) && path[0] !== "tap") return "file"
  if (valueHint === "LEVEL") return logLevels
  if (valueHint === "ROUTE") return "routes"
  if (valueHint === "SERVICE") return "services"
  if (valueHint === "LISTENER") return "listeners"
  // A new filter has a name that isn't there yet.
  if (valueHint === "FILTER" || (valueHint === "NAME" && path[0] === "filter" && path[1] !== "new")) return "filters"
  return "any"
}

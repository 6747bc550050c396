// The shape of a command.

import type { ArgsDef } from "citty"

export type Values = Readonly<Record<string, string | boolean | undefined>>
export type Commands = Readonly<Record<string, () => Promise<Command>>>

export interface Command {
  readonly name: string
  readonly description: string
  readonly args: ArgsDef
  /** Its last positional may be given several times; {@link rest} has them all. */
  readonly many?: boolean
  /** Options that may be given several times; {@link every} has their values. */
  readonly repeated?: readonly string[]
  /** Options whose value may be left out: it is "default" then. */
  readonly optionalValue?: readonly string[]
  /** Command lines worth showing under --help. */
  readonly examples?: readonly string[]
  readonly subCommands?: Commands
  /** Resolves to the exit code: 0 done, 1 it found something wrong, 2 it was called wrongly. */
  run?(args: Values): Promise<number>
}

/** A command was called wrongly. */
export class UsageError extends Error {}

/** Identity; gives a command its type. */
export function command(definition: Command): Command {
  return definition
}

/** Value of a string argument that has a default or is required. */
export function text(args: Values, name: string): string {
  const value = args[name]
  if (typeof value !== "string") throw new UsageError(`--${name} is missing`)
  return value
}

/** Every value of an option that may be given several times, in their order. */
export function every(args: Values, name: string): readonly string[] {
  const values: unknown = args[`${name}…`]
  return Array.isArray(values) ? values.map(String) : []
}

/** Every positional argument of a command that takes many. */
export function rest(args: Values): readonly string[] {
  const words: unknown = args._
  return Array.isArray(words) ? words.map(String) : []
}

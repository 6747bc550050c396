// Whether what someone wants to see is there at all: a name that is misspelt would be waited for in silence.

import { didYouMean } from "../config/problem.ts"
import { quote } from "../config/units.ts"
import { Pattern } from "./pattern.ts"
import type { TapQuery } from "./query.ts"

/** What a configuration names. */
export interface TapNames {
  readonly routes: readonly string[]
  readonly services: readonly string[]
  readonly listeners: readonly string[]
}

/** Names that are listed where none is near. */
const MAX_LISTED = 5

/** Null: all of it is there; else what isn't, and what is. */
export function missingName({ routes, services, listeners }: TapQuery, names: TapNames): string | null {
  return (
    missing("route", routes, names.routes) ??
    missing("service", services, names.services) ??
    missing("listener", listeners, names.listeners)
  )
}

function missing(kind: string, wanted: readonly string[], names: readonly string[]): string | null {
  for (const text of wanted) {
    const pattern = new Pattern(text)
    if (names.some((name) => pattern.matches(name))) continue
    const starred = text.includes("*")
    const near = starred ? "" : didYouMean(text, names)
    return `there is no ${kind} ${starred ? "whose name matches " : ""}${quote(text)}${near === "" ? `; ${listed(names)}` : near}`
  }
  return null
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "there are none"
  const left = names.length - MAX_LISTED
  return `there are ${names.slice(0, MAX_LISTED).join(", ")}${left > 0 ? ` and ${left} more` : ""}`
}

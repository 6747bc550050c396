// Takes a strftime pattern apart, with Envoy's digits of a second beside it (`%3f`, `%E3S`). Times are UTC.

import { type TimePiece, type TimeUnit, timeUnits } from "./template-model.ts"
import { quote, Wrong } from "./units.ts"

const UNITS: ReadonlySet<string> = new Set(timeUnits)
/** Specifiers that stand for several. */
const SHORT: Readonly<Record<string, string>> = { F: "%Y-%m-%d", T: "%H:%M:%S", R: "%H:%M", D: "%m/%d/%y", z: "+0000", Z: "UTC" }
const SPECIFIER = /%(?:(%)|E([1-9])S|([1-9])f|(f)|([A-Za-z]))/y

/** The pieces of `pattern`, or what is wrong with it. */
export function parseTimePattern(pattern: string): readonly TimePiece[] | Wrong {
  const pieces: TimePiece[] = []
  let text = ""
  const add = (piece: TimePiece): void => {
    if (text !== "") pieces.push({ text })
    text = ""
    pieces.push(piece)
  }
  for (let at = 0; at < pattern.length; ) {
    if (pattern[at] !== "%") {
      text += pattern[at++]
      continue
    }
    SPECIFIER.lastIndex = at
    const match = SPECIFIER.exec(pattern)
    if (match === null) return unknown(pattern.slice(at, at + 2))
    at += match[0].length
    const [, percent, ofSeconds, digits, all, letter] = match
    if (percent !== undefined) text += "%"
    else if (ofSeconds !== undefined) {
      add({ unit: "S" })
      text = "."
      add({ fraction: Number(ofSeconds) })
    } else if (digits !== undefined || all !== undefined) add({ fraction: digits === undefined ? 9 : Number(digits) })
    else if (Object.hasOwn(SHORT, letter)) {
      const more = parseTimePattern(SHORT[letter]) as readonly TimePiece[]
      for (const piece of more) add(piece)
    } else if (UNITS.has(letter)) add({ unit: letter as TimeUnit })
    else return unknown(match[0])
  }
  if (text !== "") pieces.push({ text })
  return pieces
}

function unknown(specifier: string): Wrong {
  return new Wrong(
    `${quote(specifier)} in %START_TIME(…)% is no part of a time; use %${timeUnits.join(" %")} %F %T %R %D %z %Z, %f, %1f to %9f, %E1S to %E9S and %%`,
  )
}

/** ISO 8601 in milliseconds. */
export const ISO_TIME: readonly TimePiece[] = parseTimePattern("%Y-%m-%dT%H:%M:%E3SZ") as readonly TimePiece[]

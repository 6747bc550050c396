// Regular expressions in expressions: those that a backtracking engine gets through in bounded time, and a bound on that time.

import { wrongRegex } from "../../config/regex.ts"
import { RecentCache } from "./recent-cache.ts"

/** Characters a search may look at in one evaluation, those it comes back to counted again. */
const MAX_WORK = 16_000_000

/** What RE2 calls a partial match. Patterns and texts have one character an octet. */
export class Regexes {
  readonly #known = new RecentCache<{ readonly regex: RegExp | null; readonly repeats: boolean }>(64, 64 * 1024)
  #work = 0

  /** Before each evaluation. */
  restart(): void {
    this.#work = 0
  }

  /** Throws when the pattern isn't taken, or the text is too long for it. */
  matches(text: string, pattern: string): boolean {
    let known = this.#known.get(pattern)
    if (known === undefined) {
      known = { regex: compiled(pattern), repeats: /[*+{]/.test(pattern) }
      this.#known.set(pattern, known)
    }
    if (known.regex === null) throw new Error("this regular expression is not supported")
    this.#work += known.repeats ? text.length * text.length : text.length
    if (this.#work > MAX_WORK) throw new Error("the text is too long for this regular expression")
    return known.regex.test(text)
  }
}

function compiled(pattern: string): RegExp | null {
  // A search finds the same without them, and has less to come back to.
  const source = /^(?:\.\*\??)?((?:[^\\]|\\[\s\S])*?)(?:\.\*\??)?$/.exec(pattern)?.[1] ?? pattern
  if (source === "") return /(?:)/
  // A search that isn't tied to the beginning is a match behind anything.
  const whole = source.startsWith("^") && !source.includes("|") ? source : `[\\s\\S]*(?:${source})`
  return wrongRegex(whole) === undefined ? new RegExp(source) : null
}

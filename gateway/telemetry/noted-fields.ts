// Fields of a message's head that the access log shows: taken when it comes by, since filters and edits make another of it. Made
// only for exchanges of a configuration that names some.

import type { Fields } from "../http/fields.ts"

export class NotedFields {
  /** Name, value, name, value. */
  readonly #pairs: string[] = []

  /** `names`: those that are wanted, lower case. */
  constructor(names: readonly string[], fields: Fields) {
    for (const name of names) {
      const value = fields.getCombined(name, name === "cookie" ? "; " : ", ")
      if (value !== undefined) this.#pairs.push(name, value)
    }
  }

  /** All its values, joined; undefined when there was none. */
  get(name: string): string | undefined {
    const pairs = this.#pairs
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) return pairs[i + 1]
    return undefined
  }
}

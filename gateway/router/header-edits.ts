// Header edits of a route or backend, prepared once and applied to a request's or response's fields.

import type { HeaderEdits } from "../config/model.ts"
import type { Fields } from "../http/fields.ts"
import { octets } from "./conditions.ts"

/** The edits of one place in the configuration: remove, then set, then add. */
export class HeaderEditor {
  /** There is nothing to do: callers skip it. */
  readonly empty: boolean
  readonly #remove: readonly string[]
  /** Name, value, name, value … */
  readonly #set: readonly string[]
  readonly #add: readonly string[]

  constructor(edits: HeaderEdits) {
    this.#remove = edits.remove.map((name) => name.toLowerCase())
    this.#set = edits.set.flatMap(([name, value]) => [name.toLowerCase(), octets(value)])
    this.#add = edits.add.flatMap(([name, value]) => [name.toLowerCase(), octets(value)])
    this.empty = this.#remove.length === 0 && this.#set.length === 0 && this.#add.length === 0
  }

  apply(fields: Fields): void {
    for (let i = 0; i < this.#remove.length; i++) fields.remove(this.#remove[i])
    for (let i = 0; i < this.#set.length; i += 2) fields.set(this.#set[i], this.#set[i + 1])
    for (let i = 0; i < this.#add.length; i += 2) fields.add(this.#add[i], this.#add[i + 1])
  }
}

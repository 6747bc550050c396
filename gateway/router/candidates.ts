// The matches that share one host and one path, in order of precedence. Many that differ by the value of a header, cookie or
// query parameter (one route a tenant, say) are found by that value, not tried in turn.

import type { Fields } from "../http/fields.ts"
import { ACCEPTED, bySpecificity, type Candidate, headerValue } from "./conditions.ts"
import type { RequestReader } from "./request-reader.ts"

/** Fewer than this are tried in turn. */
const MANY = 8

type ExactKind = "header" | "cookie" | "query"

interface ValueIndex<T> {
  readonly kind: ExactKind
  readonly name: string
  readonly byValue: Map<string, Candidate<T>[]>
}

interface ExactCondition {
  readonly kind: ExactKind
  readonly name: string
  readonly value: string
}

/** Filled with {@link add}, closed with {@link seal}, then only asked. */
export class Candidates<T> {
  /** Those tried in turn. */
  #list: Candidate<T>[] = []
  readonly #indexes: ValueIndex<T>[] = []

  add(candidate: Candidate<T>): void {
    this.#list.push(candidate)
  }

  seal(): void {
    const list = this.#list.sort(bySpecificity)
    const end = list.findIndex((candidate) => candidate.unconditional)
    // Nothing gets past a candidate without conditions.
    if (end !== -1) list.length = end + 1
    if (list.length >= MANY) this.#index(list)
  }

  #index(list: readonly Candidate<T>[]): void {
    const values = new Map<string, Set<string>>()
    for (const candidate of list) {
      for (const { kind, name, value } of exactConditions(candidate)) {
        const key = `${kind} ${name}`
        values.set(key, (values.get(key) ?? new Set()).add(value))
      }
    }
    const variety = ({ kind, name }: ExactCondition) => values.get(`${kind} ${name}`)?.size ?? 0
    const indexes = new Map<string, ValueIndex<T>>()
    this.#list = []
    for (const candidate of list) {
      // Of its conditions the one that tells most candidates apart.
      const [best] = exactConditions(candidate).sort((a, b) => variety(b) - variety(a))
      if (best === undefined) {
        this.#list.push(candidate)
        continue
      }
      const key = `${best.kind} ${best.name}`
      const index = indexes.get(key) ?? { kind: best.kind, name: best.name, byValue: new Map() }
      indexes.set(key, index)
      const same = index.byValue.get(best.value)
      if (same === undefined) index.byValue.set(best.value, [candidate])
      else same.push(candidate)
    }
    this.#indexes.push(...indexes.values())
  }

  /** The most specific candidate that accepts the request. */
  first(method: string, fields: Fields, reader: RequestReader): Candidate<T> | null {
    let best = firstOf(this.#list, method, fields, reader)
    const indexes = this.#indexes
    for (let i = 0; i < indexes.length; i++) {
      const { kind, name, byValue } = indexes[i]
      const value = kind === "header" ? headerValue(fields, name) : kind === "cookie" ? reader.cookies.get(name) : reader.query.get(name)
      const same = value === undefined ? undefined : byValue.get(value)
      if (same === undefined) continue
      const found = firstOf(same, method, fields, reader)
      if (found !== null && (best === null || bySpecificity(found, best) < 0)) best = found
    }
    return best
  }
}

function firstOf<T>(list: readonly Candidate<T>[], method: string, fields: Fields, reader: RequestReader): Candidate<T> | null {
  for (let i = 0; i < list.length; i++) {
    const candidate = list[i]
    if (candidate.unconditional || candidate.refusal(method, fields, reader) === ACCEPTED) return candidate
  }
  return null
}

function exactConditions(candidate: Candidate<unknown>): ExactCondition[] {
  const conditions: ExactCondition[] = []
  for (const { name, exact, regex } of candidate.headers) if (regex === null) conditions.push({ kind: "header", name, value: exact })
  for (const { name, exact, regex } of candidate.cookies) if (regex === null) conditions.push({ kind: "cookie", name, value: exact })
  for (const { name, exact, regex } of candidate.query) if (regex === null) conditions.push({ kind: "query", name, value: exact })
  return conditions
}

// The parameters behind the `?` of a path.

import { decodeComponent, encodeComponent } from "./percent"

/**
 * One parameter, decoded.
 *
 * ```ts
 * const all = request.query.entries()
 * for (let i = 0; i < all.length; i++) log.info(all[i].name + "=" + all[i].value)
 * ```
 */
@final
export class QueryParameter {
  constructor(
    public readonly name: string,
    public readonly value: string,
  ) {}
}

/**
 * The query of a request, decoded as a browser's `URLSearchParams` does: `%41` is `A`, `+` is a space. Names are
 * case-sensitive. A copy of the moment it was asked for; it doesn't change the request.
 *
 * ```ts
 * const page = request.query.get("page")
 * ```
 */
@final
export class Query {
  private readonly list: QueryParameter[] = []

  /** @param text the query without its `?`. */
  constructor(text: string) {
    let start = 0
    while (start < text.length) {
      let end = text.indexOf("&", start)
      if (end < 0) end = text.length
      if (end > start) {
        let split = text.indexOf("=", start)
        if (split < 0 || split > end) split = end
        this.list.push(new QueryParameter(decodeComponent(text, start, split, true), decodeComponent(text, split + 1, end, true)))
      }
      start = end + 1
    }
  }

  /** The first value of a parameter; null if it is absent, "" if it has no value. */
  get(name: string): string | null {
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name == name) return this.list[i].value
    }
    return null
  }

  /** Every value of a parameter, in order. */
  getAll(name: string): string[] {
    const values: string[] = []
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name == name) values.push(this.list[i].value)
    }
    return values
  }

  /** Whether the parameter occurs at all. */
  has(name: string): boolean {
    return this.get(name) !== null
  }

  /** All parameters in order. */
  entries(): QueryParameter[] {
    return this.list
  }
}

/** The target with a parameter set, or with it removed where `value` is null; what else is in it stays as it is. */
export function editQuery(target: string, name: string, value: string | null): string {
  const mark = target.indexOf("?")
  let result = ""
  let done = value === null
  let start = mark < 0 ? target.length : mark + 1
  while (start < target.length) {
    let end = target.indexOf("&", start)
    if (end < 0) end = target.length
    let split = target.indexOf("=", start)
    if (split < 0 || split > end) split = end
    if (end > start) {
      let part = target.substring(start, end)
      if (decodeComponent(target, start, split, true) == name) {
        part = done ? "" : parameter(name, value!)
        done = true
      }
      if (part.length > 0) result += (result.length > 0 ? "&" : "?") + part
    }
    start = end + 1
  }
  if (!done) result += (result.length > 0 ? "&" : "?") + parameter(name, value!)
  return (mark < 0 ? target : target.substring(0, mark)) + result
}

function parameter(name: string, value: string): string {
  return encodeComponent(name) + "=" + encodeComponent(value)
}

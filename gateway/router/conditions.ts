// One match of one route, compiled: what a request must have beside its host and path. Everything a hit returns is
// prepared here, so that matching allocates nothing.

import { Buffer } from "node:buffer"
import type { MatchConfig, RouteConfig, ValueMatch } from "../config/model.ts"
import type { Fields } from "../http/fields.ts"

/** What a request was matched to. */
export interface Match<T> {
  readonly target: T
  readonly route: RouteConfig
  /**
   * The part of the path a prefix rewrite or redirect replaces, without final slash: the prefix (the root is ""), the
   * whole path of an exact match, "" for a regex.
   */
  readonly matchedPrefix: string
}

/** Text of the configuration as the octets it has on the wire (UTF-8), one character an octet. */
export function octets(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1")
}

/** A regex over a whole value. `source` was checked by the configuration. */
export function anchored(source: string): RegExp {
  return new RegExp(`^(?:${source})$`)
}

interface ValueCondition {
  readonly name: string
  readonly exact: string
  readonly regex: RegExp | null
}

function compileValues(conditions: readonly { readonly name: string; readonly value: ValueMatch }[], lowerCase: boolean): ValueCondition[] {
  const compiled: ValueCondition[] = []
  for (const { name, value } of conditions) {
    const key = octets(lowerCase ? name.toLowerCase() : name)
    // A name given twice: its first entry counts (Gateway API, HTTPHeaderMatch and HTTPQueryParamMatch).
    if (compiled.some((condition) => condition.name === key)) continue
    if ("exact" in value) compiled.push({ name: key, exact: octets(value.exact), regex: null })
    else compiled.push({ name: key, exact: "", regex: anchored(value.regex) })
  }
  return compiled
}

function holds(condition: ValueCondition, value: string): boolean {
  if (condition.regex === null) return condition.exact === value
  return condition.regex.test(hasObsText(value) ? Buffer.from(value, "latin1").toString("utf8") : value)
}

function hasObsText(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return true
  return false
}

/** All values of a header, joined by a comma without space; undefined when there is none. */
export function headerValue(fields: Fields, name: string): string | undefined {
  const values = fields.getAll(name)
  return values.length < 2 ? values[0] : values.join(",")
}

/** One match of one route. */
export class Candidate<T> implements Match<T> {
  readonly target: T
  readonly route: RouteConfig
  readonly matchedPrefix: string
  /** Position among all matches of the listener, in the order of the configuration. */
  readonly order: number
  /** Host and path are all it asks for. */
  readonly unconditional: boolean
  readonly methods: readonly string[]
  readonly headers: readonly ValueCondition[]
  readonly query: readonly ValueCondition[]

  constructor(target: T, route: RouteConfig, match: MatchConfig, matchedPrefix: string, order: number) {
    this.target = target
    this.route = route
    this.matchedPrefix = matchedPrefix
    this.order = order
    this.methods = match.methods
    this.headers = compileValues(match.headers, true)
    this.query = compileValues(match.query, false)
    this.unconditional = this.methods.length === 0 && this.headers.length === 0 && this.query.length === 0
  }

  /** Whether a request that has the host and path has the rest too. */
  accepts(method: string, fields: Fields, query: QueryReader): boolean {
    if (this.methods.length !== 0 && !this.methods.includes(method)) return false
    const headers = this.headers
    for (let i = 0; i < headers.length; i++) {
      const value = headerValue(fields, headers[i].name)
      if (value === undefined || !holds(headers[i], value)) return false
    }
    const conditions = this.query
    for (let i = 0; i < conditions.length; i++) {
      const value = query.get(conditions[i].name)
      if (value === undefined || !holds(conditions[i], value)) return false
    }
    return true
  }
}

/** Order of matches that share host and path: with a method first, then more headers, more query parameters, the older one. */
export function bySpecificity(a: Candidate<unknown>, b: Candidate<unknown>): number {
  return (
    Number(b.methods.length !== 0) - Number(a.methods.length !== 0) ||
    b.headers.length - a.headers.length ||
    b.query.length - a.query.length ||
    a.order - b.order
  )
}

/** Longest query that is searched as it stands; a longer one is taken apart once. */
const SHORT_QUERY = 256

const UNREAD = 0
/** Short and without escapes. */
const PLAIN = 1
const PARSED = 2

/** Parameters of one query, looked at when the first one is asked for. Reused from request to request. */
export class QueryReader {
  #query: string | undefined = undefined
  #state: typeof UNREAD | typeof PLAIN | typeof PARSED = UNREAD
  readonly #values = new Map<string, string>()

  /** Starts over with another request's query. */
  reset(query: string | undefined): void {
    this.#query = query
    this.#state = UNREAD
  }

  /** Decoded value of the first parameter called `name`, as octets; "" when it has no `=`. */
  get(name: string): string | undefined {
    const query = this.#query
    if (query === undefined) return undefined
    if (this.#state === UNREAD) {
      if (query.length <= SHORT_QUERY && !query.includes("%") && !query.includes("+")) this.#state = PLAIN
      else this.#parse(query)
    }
    return this.#state === PLAIN ? plainParameter(query, name) : this.#values.get(name)
  }

  #parse(query: string): void {
    this.#state = PARSED
    this.#values.clear()
    let start = 0
    while (start <= query.length) {
      let end = query.indexOf("&", start)
      if (end === -1) end = query.length
      if (end > start) {
        const equals = query.indexOf("=", start)
        const nameEnd = equals === -1 || equals > end ? end : equals
        const name = decodeParameter(query.slice(start, nameEnd))
        if (!this.#values.has(name)) this.#values.set(name, nameEnd === end ? "" : decodeParameter(query.slice(nameEnd + 1, end)))
      }
      start = end + 1
    }
  }
}

function plainParameter(query: string, name: string): string | undefined {
  for (let start = 0; start < query.length; ) {
    let end = query.indexOf("&", start)
    if (end === -1) end = query.length
    const after = start + name.length
    // An empty piece between two `&` is no parameter.
    if (end > start && after <= end && query.startsWith(name, start)) {
      if (after === end) return ""
      if (query.charCodeAt(after) === 0x3d) return query.slice(after + 1, end)
    }
    start = end + 1
  }
  return undefined
}

/** `+` and escapes decoded into octets; a malformed escape stays as it is, as in application/x-www-form-urlencoded. */
function decodeParameter(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text
  return text.replaceAll("+", " ").replace(/%[0-9a-f]{2}/gi, (octet) => String.fromCharCode(Number.parseInt(octet.slice(1), 16)))
}

// One match of one route, compiled: what a request must have beside its host and path. Everything a hit returns is
// prepared here, so that matching allocates nothing.

import { Buffer } from "node:buffer"
import type { MatchConfig, RouteConfig, ValueMatch } from "../config/model.ts"
import type { Fields } from "../http/fields.ts"
import { mixBits } from "../http/text-hash.ts"
import type { RequestReader } from "./request-reader.ts"

/** Shares are counted in parts of this. */
const ALL = 2 ** 32
/** The request has all that is asked for. */
export const ACCEPTED = -1

/** Something a match asks for, and what a request has instead; `actual` null: it has none, or it wasn't drawn. */
export interface Condition {
  readonly kind: "method" | "header" | "cookie" | "query" | "percentage"
  /** "" = it needs none. */
  readonly name: string
  readonly expected: string
  /** {@link expected} is a regex. */
  readonly regex: boolean
  readonly actual: string | null
}

/** What a request was matched to. */
export interface Match<T> {
  readonly target: T
  readonly route: RouteConfig
  /**
   * The part of the path a prefix rewrite or redirect replaces, without final slash: the prefix (the root is ""), the
   * whole path of an exact match, "" for a regex.
   */
  readonly matchedPrefix: string
  /** Position of the match among all of the listener, in the order of the configuration. */
  readonly order: number
}

/** Text of the configuration as the octets it has on the wire (UTF-8), one character an octet. */
export function octets(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1")
}

function textOf(wire: string): string {
  return Buffer.from(wire, "latin1").toString("utf8")
}

/** A regex over a whole value. `source` was checked by the configuration. */
export function anchored(source: string): RegExp {
  return new RegExp(`^(?:${source})$`)
}

interface ValueCondition {
  readonly name: string
  /** What the value has to be, or the regex as it is written. */
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
    else compiled.push({ name: key, exact: value.regex, regex: anchored(value.regex) })
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
  readonly order: number
  /** Host and path are all it asks for. */
  readonly unconditional: boolean
  readonly methods: readonly string[]
  readonly headers: readonly ValueCondition[]
  readonly cookies: readonly ValueCondition[]
  readonly query: readonly ValueCondition[]
  /** Of the requests that have the rest, how many of 2³² it takes; 2³² = all. */
  readonly #share: number
  /** Makes its draw another than that of other candidates for the same request. */
  readonly #salt: number

  constructor(target: T, route: RouteConfig, match: MatchConfig, matchedPrefix: string, order: number) {
    this.target = target
    this.route = route
    this.matchedPrefix = matchedPrefix
    this.order = order
    this.methods = match.methods
    this.headers = compileValues(match.headers, true)
    this.cookies = compileValues(match.cookies ?? [], false)
    this.query = compileValues(match.query, false)
    this.#share = Math.round((match.percentage ?? 1) * ALL)
    this.#salt = Math.imul(order + 1, 0x9e3779b9)
    const conditions = this.methods.length + this.headers.length + this.cookies.length + this.query.length
    this.unconditional = conditions === 0 && this.#share === ALL
  }

  /** Whether a request that has the host and path has the rest too: {@link ACCEPTED}, or the first condition it doesn't meet. */
  refusal(method: string, fields: Fields, reader: RequestReader): number {
    let at = 0
    if (this.methods.length !== 0 && !this.methods.includes(method)) return at
    at++
    const headers = this.headers
    for (let i = 0; i < headers.length; i++, at++) {
      const value = headerValue(fields, headers[i].name)
      if (value === undefined || !holds(headers[i], value)) return at
    }
    const cookies = this.cookies
    for (let i = 0; i < cookies.length; i++, at++) {
      const value = reader.cookies.get(cookies[i].name)
      if (value === undefined || !holds(cookies[i], value)) return at
    }
    const conditions = this.query
    for (let i = 0; i < conditions.length; i++, at++) {
      const value = reader.query.get(conditions[i].name)
      if (value === undefined || !holds(conditions[i], value)) return at
    }
    return this.#share === ALL || mixBits(reader.draw ^ this.#salt) < this.#share ? ACCEPTED : at
  }

  /** The condition that {@link refusal} names, and what the request has instead. Not for the path of requests. */
  condition(at: number, method: string, fields: Fields, reader: RequestReader): Condition {
    if (at === 0) return { kind: "method", name: "", expected: this.methods.join(", "), regex: false, actual: method }
    const parts = [
      { kind: "header", conditions: this.headers, value: (name: string) => headerValue(fields, name) },
      { kind: "cookie", conditions: this.cookies, value: (name: string) => reader.cookies.get(name) },
      { kind: "query", conditions: this.query, value: (name: string) => reader.query.get(name) },
    ] as const
    let first = 1
    for (const { kind, conditions, value } of parts) {
      const found = conditions[at - first]
      first += conditions.length
      if (found === undefined || at >= first) continue
      const { name, exact, regex } = found
      return { kind, name, expected: regex === null ? textOf(exact) : exact, regex: regex !== null, actual: value(name) ?? null }
    }
    const expected = `${Math.round((this.#share / ALL) * 1e6) / 1e4}%`
    return { kind: "percentage", name: "", expected, regex: false, actual: null }
  }

  /** Of the requests that have the rest, the share (0–1) it takes. */
  get share(): number {
    return this.#share / ALL
  }
}

/** Order of matches that share host and path: with a method first, then more headers, more cookies, more query parameters, the older one. */
export function bySpecificity(a: Candidate<unknown>, b: Candidate<unknown>): number {
  return (
    Number(b.methods.length !== 0) - Number(a.methods.length !== 0) ||
    b.headers.length - a.headers.length ||
    b.cookies.length - a.cookies.length ||
    b.query.length - a.query.length ||
    a.order - b.order
  )
}

// Whether an exchange is one that somebody wants to see. What its client sent is asked when it begins, before filters can change it, so
// that those that don't match cost no more than that; the rest is asked at its end.

import type { Fields } from "../http/fields.ts"
import { IpRanges } from "../tcp/ip-ranges.ts"
import { fieldPairs } from "./field-pairs.ts"
import { Pattern } from "./pattern.ts"
import type { TapQuery } from "./query.ts"

/** The request, as its client sent it. */
export interface TappedRequest {
  readonly method: string
  /** Normalised, without a query; "" when it had none that is valid. */
  readonly path: string
  /** Null: they were never read. */
  readonly fields: Fields | null
  /** The client's address, without its port. */
  readonly sourceAddress: string
  readonly listener: string
}

/** What became of it. */
export interface TappedEnd {
  /** Names; "" = none. */
  readonly route: string
  readonly service: string
  /** 0: no response. */
  readonly status: number
  readonly flag: string
  /** Milliseconds. */
  readonly duration: number
}

interface Wish {
  readonly name: string
  readonly value: Pattern | null
}

export class Predicate {
  readonly #query: TapQuery
  readonly #routes: readonly Pattern[]
  readonly #services: readonly Pattern[]
  readonly #listeners: readonly Pattern[]
  readonly #paths: readonly ((path: string) => boolean)[]
  readonly #request: readonly Wish[]
  readonly #response: readonly Wish[]
  readonly #sources: IpRanges | null

  constructor(query: TapQuery) {
    this.#query = query
    const wishes = (side: "request" | "response"): Wish[] =>
      query.headers
        .filter((wish) => wish.side === side)
        .map(({ name, value }) => ({ name, value: value === null ? null : new Pattern(value) }))
    this.#routes = query.routes.map((text) => new Pattern(text))
    this.#services = query.services.map((text) => new Pattern(text))
    this.#listeners = query.listeners.map((text) => new Pattern(text))
    this.#paths = query.paths.map(pathMatcher)
    this.#request = wishes("request")
    this.#response = wishes("response")
    this.#sources = query.sources.length === 0 ? null : new IpRanges(query.sources)
  }

  /** Whether it depends on what becomes of the exchange, and not on its request alone. */
  get asksEnd(): boolean {
    const { statuses, flags, slowerThan, routes, services } = this.#query
    return this.#response.length + statuses.length + flags.length + routes.length + services.length > 0 || slowerThan > 0
  }

  /** Whether the request is one that is wanted, as far as it goes. */
  matchesRequest(request: TappedRequest): boolean {
    const { methods } = this.#query
    if (methods.length > 0 && !methods.includes(request.method.toUpperCase())) return false
    if (!any(this.#listeners, request.listener)) return false
    if (this.#paths.length > 0 && !this.#paths.some((matches) => matches(request.path))) return false
    if (this.#sources !== null && !this.#sources.has(request.sourceAddress)) return false
    for (const { name, value } of this.#request) if (!fits(value, request.fields?.getCombined(name, ", "))) return false
    return true
  }

  /** Whether what became of it is what is wanted. `fields`: the response's, in lines `name: value CRLF`; null: none is known. */
  matchesEnd(end: TappedEnd, fields: string | null): boolean {
    const { statuses, flags, slowerThan } = this.#query
    if (end.duration < slowerThan) return false
    if (statuses.length > 0 && !statuses.some(([from, to]) => end.status >= from && end.status <= to)) return false
    if (flags.length > 0 && !hasFlag(flags, end.flag)) return false
    if (!any(this.#routes, end.route) || !any(this.#services, end.service)) return false
    if (this.#response.length === 0) return true
    const pairs = fields === null ? [] : fieldPairs(fields)
    return this.#response.every(({ name, value }) => fits(value, combined(pairs, name)))
  }
}

function any(patterns: readonly Pattern[], text: string): boolean {
  if (patterns.length === 0) return true
  for (const pattern of patterns) if (pattern.matches(text)) return true
  return false
}

function fits(value: Pattern | null, found: string | undefined): boolean {
  return found !== undefined && (value === null || value.matches(found))
}

function combined(pairs: readonly string[], name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === name) found = found === undefined ? pairs[i + 1] : `${found}, ${pairs[i + 1]}`
  return found
}

function hasFlag(flags: readonly string[], text: string): boolean {
  if (text === "") return false
  return flags.includes("any") || text.split(",").some((flag) => flags.includes(flag))
}

/** `/api` is `/api` and what is below it, as in a route; with a `*` it is a pattern of the whole path. */
function pathMatcher(text: string): (path: string) => boolean {
  if (text.includes("*")) {
    const pattern = new Pattern(text)
    return (path) => pattern.matches(path)
  }
  const whole = text.endsWith("/") ? text.slice(0, -1) : text
  return (path) => path.startsWith(whole) && (path.length === whole.length || path[whole.length] === "/")
}

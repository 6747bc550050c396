// What someone wants to see of the live traffic, as it is written in a query string or on a command line. Each parameter may be given
// several times; what is wrong with one is said with what to write instead.

import { formatIpRange, parseIpRange } from "../config/ip-address.ts"
import { parseDuration, parsePercent, quote, Wrong } from "../config/units.ts"
import { isToken } from "../http/fields.ts"
import { isSecretField } from "./redact.ts"

/** A header field that has to be there, and what its value has to match; null: any. */
export interface HeaderWish {
  readonly side: "request" | "response"
  /** Lower case. */
  readonly name: string
  readonly value: string | null
}

/** What a subscription wants. An empty list: any. Of one list any may match, of the headers all have to. */
export interface TapQuery {
  /** Patterns of names; `*` in them stands for any characters. */
  readonly routes: readonly string[]
  readonly services: readonly string[]
  readonly listeners: readonly string[]
  /** Upper case. */
  readonly methods: readonly string[]
  /** Prefixes of whole segments; with a `*`, patterns of the whole path. */
  readonly paths: readonly string[]
  /** From, to. 0 is an exchange that ended without a response. */
  readonly statuses: readonly (readonly [number, number])[]
  readonly headers: readonly HeaderWish[]
  /** Addresses and ranges, as {@link parseIpRange} reads them. */
  readonly sources: readonly string[]
  /** Single flags, such as `UF` of `UF,CT`; `any`: the exchange has one. */
  readonly flags: readonly string[]
  /** Milliseconds; 0: however fast. */
  readonly slowerThan: number
  /** Share of the exchanges that are looked at, above 0. */
  readonly sample: number
  /** Events it is over after; 0: no end. */
  readonly max: number
}

/** Parameters, in the order of the documentation. */
export const tapParameters = {
  route: "name of the route; * stands for any characters",
  service: "name of the service, with * likewise",
  listener: "name of the listener, with * likewise",
  method: "method",
  path: "path: a prefix of whole segments, or a pattern when there is a * in it",
  status: "status (404), class (5xx), range (500-503) or none (no response)",
  header: "name or name=value of a request's header, with * in the value; response:name of a response's. All have to match",
  source: "the client's address or a range (10.0.0.0/8)",
  flag: "response flag, or any",
  slower: "exchanges that took longer than a duration (250ms)",
  sample: "share of the exchanges that are looked at (10%)",
  max: "end after so many events",
} as const

export type TapParameter = keyof typeof tapParameters

/** Values of one parameter, characters of one value, and `*` in it. */
const MAX_VALUES = 16
const MAX_VALUE = 512
const MAX_STARS = 8
const MAX_EVENTS = 1_000_000

// Where a comma separates; paths and headers may hold one.
const LISTS: ReadonlySet<string> = new Set(["route", "service", "listener", "method", "status", "source", "flag"])

/** Reads what is wanted; `values`: those given of a parameter, in order. */
export function parseTapQuery(values: (name: TapParameter) => readonly string[]): TapQuery | Wrong {
  const lists: Record<string, string[]> = {}
  for (const name of Object.keys(tapParameters) as TapParameter[]) {
    const given = LISTS.has(name) ? values(name).flatMap((value) => value.split(",").map((each) => each.trim())) : [...values(name)]
    const wrong = refusal(name, given)
    if (wrong !== null) return new Wrong(`${name}: ${wrong}`)
    lists[name] = given
  }
  const statuses: (readonly [number, number])[] = []
  for (const value of lists.status) {
    const range = parseStatus(value)
    if (range instanceof Wrong) return new Wrong(`status: ${range.message}`)
    statuses.push(range)
  }
  const headers: HeaderWish[] = []
  for (const value of lists.header) {
    const wish = parseHeader(value)
    if (wish instanceof Wrong) return new Wrong(`header: ${wish.message}`)
    headers.push(wish)
  }
  const sources: string[] = []
  for (const value of lists.source) {
    const range = parseIpRange(value)
    if (range instanceof Wrong) return new Wrong(`source: ${range.message}`)
    sources.push(formatIpRange(range))
  }
  for (const value of lists.method) if (!isToken(value)) return new Wrong(`method: ${quote(value)} is not a method; write one such as GET`)
  for (const value of lists.path) {
    if (!value.startsWith("/") && !value.startsWith("*"))
      return new Wrong(`path: ${quote(value)} is not a path; write one that begins with / or *`)
  }
  for (const value of lists.flag) {
    if (!/^(?:[A-Z]{2,5}|any)$/.test(value)) return new Wrong(`flag: ${quote(value)} is not a response flag; write one such as UF, or any`)
  }
  const slowerThan = lists.slower.length === 0 ? 0 : parseDuration(lists.slower[0], true, true)
  if (slowerThan instanceof Wrong) return new Wrong(`slower: ${slowerThan.message}`)
  const sample = lists.sample.length === 0 ? 1 : parsePercent(lists.sample[0])
  if (sample instanceof Wrong) return new Wrong(`sample: ${sample.message}`)
  if (sample === 0) return new Wrong("sample: 0% shows nothing; write a share above it, such as 1%")
  const max = lists.max.length === 0 ? 0 : Number(/^\d{1,7}$/.exec(lists.max[0])?.[0] ?? -1)
  if (max < 0 || max > MAX_EVENTS || (max === 0 && lists.max.length > 0))
    return new Wrong(`max: ${quote(lists.max[0])} is not a number of events; write one from 1 to ${MAX_EVENTS}`)
  return {
    routes: lists.route,
    services: lists.service,
    listeners: lists.listener,
    methods: lists.method.map((method) => method.toUpperCase()),
    paths: lists.path.map(latin1),
    statuses,
    headers,
    sources,
    flags: lists.flag,
    slowerThan,
    sample,
    max,
  }
}

// What no value of any parameter may be; null: nothing is wrong.
function refusal(name: string, given: readonly string[]): string | null {
  const single = name === "slower" || name === "sample" || name === "max"
  if (given.length > (single ? 1 : MAX_VALUES)) return single ? "is given more than once" : `more than ${MAX_VALUES} values`
  for (const value of given) {
    if (value === "") return "is empty; leave it out, or write a value"
    if (value.length > MAX_VALUE) return `${quote(value)} is too long; the most is ${MAX_VALUE} characters`
    if (value.split("*").length - 1 > MAX_STARS) return `${quote(value)} has too many *; the most is ${MAX_STARS}`
  }
  return null
}

function parseStatus(text: string): readonly [number, number] | Wrong {
  if (text === "none") return [0, 0]
  const lower = text.toLowerCase()
  if (/^[1-5]xx$/.test(lower)) return [Number(lower[0]) * 100, Number(lower[0]) * 100 + 99]
  const match = /^([1-9]\d\d)(?:-([1-9]\d\d))?$/.exec(text)
  const from = Number(match?.[1])
  const to = Number(match?.[2] ?? match?.[1])
  if (match === null || to < from)
    return new Wrong(`${quote(text)} is not a status; write one (404), a class (5xx), a range (500-503) or none`)
  return [from, to]
}

function parseHeader(text: string): HeaderWish | Wrong {
  const response = text.startsWith("response:")
  const rest = response ? text.slice("response:".length) : text.startsWith("request:") ? text.slice("request:".length) : text
  const equals = rest.indexOf("=")
  const name = (equals < 0 ? rest : rest.slice(0, equals)).trim().toLowerCase()
  if (!isToken(name)) return new Wrong(`${quote(text)} names no header; write name or name=value, such as x-user=42`)
  // Whoever could ask for values would find a secret out, a character at a time.
  if (equals >= 0 && isSecretField(name)) return new Wrong(`the value of ${name} is a secret; only its presence can be asked for: ${name}`)
  return { side: response ? "response" : "request", name, value: equals < 0 ? null : latin1(rest.slice(equals + 1).trim()) }
}

/** As the wire has it: a character an octet. */
function latin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1")
}

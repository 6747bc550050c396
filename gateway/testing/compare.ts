// What a case expects against what happened. Every difference is told, with the place in `expect` it is about.

import type { LogLine } from "./host.ts"
import type { ObservedBody, ObservedHeaders } from "./messages.ts"
import type { ObservedCallout } from "./services.ts"
import type { MetricValue } from "./shared-state.ts"
import type { Exchange } from "./testing.ts"

/** Something that is not as it was expected to be. */
export interface Difference {
  /** Such as `response.headers.x-user`. */
  readonly path: string
  /** In words or as a value, for people. */
  readonly expected: string
  readonly actual: string
}

/** A condition on a text: the text itself, or what it has to hold. */
export type TextCondition = string | Uint8Array | { readonly contains: string | readonly string[] } | { readonly matches: string }
export type HeaderCondition = TextCondition | readonly string[] | null

export interface MessageExpectation {
  readonly headers?: Readonly<Record<string, HeaderCondition>>
  readonly body?: TextCondition
  readonly json?: unknown
  readonly chunks?: number
  readonly trailers?: Readonly<Record<string, HeaderCondition>>
}

export interface UpstreamExpectation extends MessageExpectation {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
  readonly service?: string
}

export interface CalloutExpectation extends MessageExpectation {
  readonly method?: string
  readonly path?: TextCondition
  readonly authority?: string
  readonly timeout?: number
}

export interface ExchangeExpectation {
  readonly upstream?: UpstreamExpectation | null
  readonly response?: (MessageExpectation & { readonly status?: number }) | null
  readonly reply?: boolean
  readonly pending?: boolean
  readonly aborted?: boolean
  readonly rerouted?: boolean
  readonly flag?: string
}

export interface LogExpectation {
  readonly level?: string
  readonly contains?: string
  readonly matches?: string
}

/** Flags of a filter that failed. */
const FAILURES = /^F[A-Z]$/

export class Comparison {
  readonly differences: Difference[] = []

  add(path: string, expected: string, actual: string): void {
    this.differences.push({ path, expected, actual })
  }

  value(path: string, expected: unknown, actual: unknown): void {
    // Computed texts may be numbers.
    if (typeof expected === "number" && String(expected) === actual) return
    if (expected !== undefined && !equal(expected, actual)) this.add(path, show(expected), show(actual))
  }

  text(path: string, expected: TextCondition | undefined, actual: string, bytes?: Uint8Array): void {
    if (expected === undefined) return
    if (expected instanceof Uint8Array) {
      if (bytes === undefined || Buffer.compare(expected, bytes) !== 0)
        this.add(path, showBytes(expected), showBytes(bytes ?? Buffer.from(actual)))
    } else if (typeof expected !== "object") {
      if (String(expected) !== actual) this.add(path, show(String(expected)), show(actual))
    } else if ("contains" in expected) {
      const parts = Array.isArray(expected.contains) ? expected.contains : [expected.contains]
      for (const part of parts) if (!actual.includes(String(part))) this.add(path, `a text with ${show(part)}`, show(actual))
    } else if (!new RegExp(expected.matches, "su").test(actual)) {
      this.add(path, `a match of /${expected.matches}/`, show(actual))
    }
  }

  headers(path: string, expected: Readonly<Record<string, HeaderCondition>> | undefined, actual: ObservedHeaders): void {
    for (const [name, condition] of Object.entries(expected ?? {})) {
      const place = `${path}.${name}`
      const values = actual.all(name)
      if (condition === null) {
        if (values.length > 0) this.add(place, "absent", show(values.join(", ")))
      } else if (Array.isArray(condition)) {
        this.value(place, condition, values)
      } else if (values.length === 0) {
        this.add(place, typeof condition === "string" ? show(condition) : describe(condition as TextCondition), "absent")
      } else {
        this.text(place, condition as TextCondition, values.join(", "))
      }
    }
  }

  message(path: string, expected: MessageExpectation, headers: ObservedHeaders, body: ObservedBody, trailers: ObservedHeaders): void {
    this.headers(`${path}.headers`, expected.headers, headers)
    this.text(`${path}.body`, expected.body, body.text, body.bytes)
    if (expected.json !== undefined) {
      let value: unknown
      try {
        value = body.json
      } catch {
        this.add(`${path}.json`, show(expected.json), `no JSON: ${show(body.text)}`)
        value = expected.json
      }
      this.value(`${path}.json`, expected.json, value)
    }
    this.value(`${path}.chunks`, expected.chunks, body.chunks.length)
    this.headers(`${path}.trailers`, expected.trailers, trailers)
  }

  exchange(expected: ExchangeExpectation, exchange: Exchange): void {
    const { upstream, response } = exchange
    if (exchange.pending !== (expected.pending ?? false)) {
      this.add(
        "pending",
        String(!exchange.pending),
        exchange.pending ? "the filter holds the exchange back, and nothing is under way that could resume it" : "it is over",
      )
    }
    if (expected.flag !== undefined) this.value("flag", expected.flag, exchange.flag)
    else if (FAILURES.test(exchange.flag)) this.add("flag", "a filter that works", `${exchange.flag}: ${exchange.details}`)
    if (expected.upstream === null) {
      if (upstream !== null) this.add("upstream", "nothing goes upstream", `${upstream.method} ${upstream.path}`)
    } else if (expected.upstream !== undefined) {
      if (upstream === null) this.add("upstream", "a request", `nothing went upstream${answered(exchange)}`)
      else {
        for (const part of ["method", "path", "authority", "service"] as const)
          this.value(`upstream.${part}`, expected.upstream[part], upstream[part])
        this.message("upstream", expected.upstream, upstream.headers, upstream.body, upstream.trailers)
      }
    }
    if (expected.response === null) {
      if (response !== null) this.add("response", "the client gets nothing", `status ${response.status}`)
    } else if (expected.response !== undefined) {
      if (response === null) this.add("response", "a response", "the client got nothing")
      else {
        this.value("response.status", expected.response.status, response.status)
        this.message("response", expected.response, response.headers, response.body, response.trailers)
      }
    }
    this.value("reply", expected.reply, exchange.reply)
    this.value("aborted", expected.aborted, exchange.aborted)
    this.value("rerouted", expected.rerouted, exchange.rerouted)
  }

  callout(path: string, expected: CalloutExpectation, actual: ObservedCallout): void {
    this.value(`${path}.method`, expected.method, actual.method)
    this.text(`${path}.path`, expected.path, actual.path)
    this.value(`${path}.authority`, expected.authority, actual.authority)
    this.value(`${path}.timeout`, expected.timeout, actual.timeout)
    this.message(path, expected, actual.headers, actual.body, actual.trailers)
  }

  logs(expected: readonly LogExpectation[] | undefined, actual: readonly LogLine[]): void {
    if (expected === undefined) return
    const shown = actual.map(({ level, message }) => `${level}: ${message}`).join("\n")
    if (expected.length === 0) {
      if (actual.length > 0) this.add("logs", "no line", shown)
      return
    }
    let from = 0
    for (const [i, line] of expected.entries()) {
      const found = actual.findIndex((each, at) => at >= from && fits(line, each))
      if (found === -1) this.add(`logs[${i}]`, describeLine(line), shown === "" ? "no line was logged" : shown)
      else from = found + 1
    }
  }

  metrics(
    expected: Readonly<Record<string, number | { count?: number; sum?: number }>> | undefined,
    actual: Readonly<Record<string, MetricValue>>,
  ): void {
    for (const [name, value] of Object.entries(expected ?? {})) {
      const found = actual[name]
      const place = `metrics.${name}`
      if (found === undefined) {
        const known = Object.keys(actual).join(", ")
        this.add(place, show(value), `no such metric${known === "" ? "; the filter has defined none" : `; there are ${known}`}`)
      } else if (typeof value === "number" || typeof found === "number") this.value(place, value, found)
      else {
        this.value(`${place}.count`, value.count, found.count)
        this.value(`${place}.sum`, value.sum, found.sum)
      }
    }
  }

  calls(expected: number | Readonly<Record<string, number>> | undefined, actual: readonly ObservedCallout[]): void {
    if (expected === undefined) return
    const shown = actual.map(({ service, method, path }) => `${service}: ${method} ${path}`).join("\n")
    const told = (count: number): string => (count === 0 ? "0" : `${count}\n${shown}`)
    if (typeof expected === "number") {
      if (actual.length !== expected) this.add("calls", String(expected), told(actual.length))
      return
    }
    for (const [service, count] of Object.entries(expected)) {
      const made = actual.filter((call) => call.service === service).length
      if (made !== count) this.add(`calls.${service}`, String(count), told(made))
    }
  }
}

function answered({ response, details }: Exchange): string {
  if (response === null) return ""
  return `: the client was answered ${response.status}${details === "" ? "" : ` (${details})`}`
}

function fits(expected: LogExpectation, { level, message }: LogLine): boolean {
  if (expected.level !== undefined && expected.level !== level) return false
  if (expected.contains !== undefined && !message.includes(expected.contains)) return false
  return expected.matches === undefined || new RegExp(expected.matches, "su").test(message)
}

function describeLine({ level, contains, matches }: LogExpectation): string {
  const about = contains !== undefined ? ` with ${show(contains)}` : matches !== undefined ? ` that matches /${matches}/` : ""
  return `a line${level === undefined ? "" : ` of level ${level}`}${about}`
}

function describe(condition: TextCondition): string {
  if (condition instanceof Uint8Array) return showBytes(condition)
  if (typeof condition !== "object") return show(condition)
  return "contains" in condition ? `a text with ${[condition.contains].flat().map(show).join(", ")}` : `a match of /${condition.matches}/`
}

const MAX_SHOWN = 4000

/** A value for people: texts of several lines as they are, everything else as JSON. */
export function show(value: unknown): string {
  let text: string
  if (typeof value === "string") text = /\n./.test(value) && /^[^\x00-\x08\x0b-\x1f\x7f]*$/.test(value) ? value : JSON.stringify(value)
  else
    text =
      JSON.stringify(value, null, typeof value === "object" && value !== null && !Array.isArray(value) ? 2 : undefined) ?? String(value)
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}… (${text.length} characters)`
}

function showBytes(bytes: Uint8Array): string {
  return `${bytes.length} octets ${Buffer.from(bytes.slice(0, 64)).toString("hex")}${bytes.length > 64 ? "…" : ""}`
}

/** Deep equality of JSON values; the order of keys means nothing. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false
  const keys = Object.keys(a)
  if (keys.length !== Object.keys(b).length) return false
  return keys.every((key) => Object.hasOwn(b, key) && equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
}

// A template of the access log as workers run it: a flat list of objects that each read one value of what has ended. Made when a
// snapshot comes into force; for a line they only read.

import { isSecretKey, REDACTED } from "../config/secrets.ts"
import type { TemplatePart } from "../config/template-model.ts"
import type { AccessEntry } from "./access-entry.ts"
import { MAX_PATH, MAX_TEXT } from "./access-text.ts"
import { type AccessValue, accessValues } from "./access-values.ts"
import type { NotedFields } from "./noted-fields.ts"
import { TimeFormat } from "./time-format.ts"

export interface Writer {
  /** It stands in the template itself. */
  readonly literal: boolean
  /** What it reads needs no escape. */
  readonly clean: boolean
  /** Its text is a number of JSON when it begins with a digit. */
  readonly number: boolean
  /** Characters that are kept of it. */
  readonly limit: number
  /** "" = there is none. */
  read(entry: AccessEntry): string
}

/** Names of fields that have to be noted while they come by. */
export interface WantedFields {
  readonly request: Set<string>
  readonly response: Set<string>
  readonly trailer: Set<string>
}

class TextWriter implements Writer {
  readonly literal = true
  readonly clean = false
  readonly number = false
  readonly limit: number = Number.POSITIVE_INFINITY
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  read(): string {
    return this.#text
  }
}

class TimeWriter implements Writer {
  readonly literal = false
  // Text between its parts is the template's own.
  readonly clean = false
  readonly number = false
  readonly limit: number = MAX_TEXT
  readonly #format: TimeFormat

  constructor(format: TimeFormat) {
    this.#format = format
  }

  read(entry: AccessEntry): string {
    return this.#format.text(entry.startTime)
  }
}

class ValueWriter implements Writer {
  readonly literal = false
  readonly clean: boolean
  readonly number: boolean
  readonly limit: number
  readonly #value: AccessValue

  constructor(value: AccessValue, limit: number) {
    this.#value = value
    this.number = value.number
    // A number is cut, if at all, like anything else.
    this.clean = value.number && limit === 0
    this.limit = limit > 0 ? limit : value === accessValues.path ? MAX_PATH : MAX_TEXT
  }

  read(entry: AccessEntry): string {
    return this.#value.read(entry)
  }
}

/** The value of a field, of the first of its names that has one. */
class FieldWriter implements Writer {
  readonly literal = false
  readonly clean = false
  readonly number = false
  readonly limit: number
  readonly #of: "request" | "response" | "trailer"
  readonly #names: readonly string[]
  readonly #secret: readonly boolean[]

  constructor(of: "request" | "response" | "trailer", names: readonly string[], limit: number, secret: readonly boolean[]) {
    this.#of = of
    this.#names = names
    this.#secret = secret
    this.limit = limit > 0 ? limit : names.includes(":path") ? MAX_PATH : MAX_TEXT
  }

  read(entry: AccessEntry): string {
    const noted = this.#of === "request" ? entry.requestFields : this.#of === "response" ? entry.responseFields : entry.trailerFields
    for (let i = 0; i < this.#names.length; i++) {
      const value = fieldValue(this.#names[i], this.#of, entry, noted)
      if (value !== "") return this.#secret[i] ? REDACTED : value
    }
    return ""
  }
}

function fieldValue(name: string, of: string, entry: AccessEntry, noted: NotedFields | null): string {
  switch (name) {
    case ":method":
      return entry.method
    case ":path":
      return entry.path
    case ":authority":
      return entry.authority
    case ":scheme":
      return entry.security === null ? "http" : "https"
    case ":status":
      return entry.status === 0 ? "" : String(entry.status)
    case "x-request-id":
      // The one in use, wherever it is from.
      if (of === "request") return entry.requestId
  }
  return noted?.get(name) ?? ""
}

/** Whether a field's value is shown to nobody. `redact`: names of such fields; null = those that sound like it. */
export function isRedacted(name: string, redact: readonly string[] | null): boolean {
  return redact === null ? isSecretKey(name) : redact.includes(name)
}

/** `wanted` is told of the fields that have to be noted. */
export function writersOf(parts: readonly TemplatePart[], redact: readonly string[] | null, wanted: WantedFields): Writer[] {
  const writers: Writer[] = []
  for (const part of parts) {
    if (part.kind === "text") writers.push(new TextWriter(part.text))
    else if (part.kind === "time") writers.push(new TimeWriter(new TimeFormat(part.pieces)))
    else if (part.kind === "value") writers.push(new ValueWriter(accessValues[part.name], part.limit))
    else {
      for (const name of part.names) if (!name.startsWith(":")) wanted[part.of].add(name)
      const secret = part.names.map((name) => isRedacted(name, redact))
      writers.push(new FieldWriter(part.of, part.names, part.limit, secret))
    }
  }
  return writers
}

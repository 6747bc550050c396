// Turns log events into lines. Whatever a field holds, an event is one bounded line that can't be taken for two: control
// characters are escaped, long values cut, objects followed only so deep.

import type { LogEvent, LogFields, LogLevel } from "./log.ts"

/** Characters of one string value, and of all values of an event together. */
const MAX_VALUE = 2048
const MAX_EVENT = 16384
const MAX_MESSAGE = 8192
const MAX_ENTRIES = 64
const MAX_DEPTH = 4

// Everything that moves a terminal's cursor or reorders its text: C0, DEL, C1, line separators, bidirectional controls.
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
const CONTROL_BUT_NEWLINE = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
// The ones JSON.stringify leaves.
const CONTROL_IN_JSON = /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g
const BARE_WORD = /^[\w.:/@%+,*[\]()~-]+$/

function escapeControl(c: string): string {
  return c === "\n" ? "\\n" : c === "\r" ? "\\r" : c === "\t" ? "\\t" : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length - limit} more)`
}

/**
 * A bounded copy of an event's fields that survives JSON and structured cloning. Errors become `{message, code, stack}`.
 * @param stacks whether errors keep their stack
 * @param room characters of all values together
 */
export function plainFields(fields: LogFields, stacks: boolean, room: number = MAX_EVENT): LogFields {
  const plain = new Plain(stacks, room)
  return plain.object(fields, 0) as LogFields
}

class Plain {
  readonly #stacks: boolean
  #left: number

  constructor(stacks: boolean, room: number) {
    this.#stacks = stacks
    this.#left = room
  }

  #text(text: string, limit: number): string {
    const kept = cut(text, Math.max(0, Math.min(limit, this.#left)))
    this.#left -= kept.length
    return kept
  }

  value(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        return this.#text(value, MAX_VALUE)
      case "number":
        return Number.isFinite(value) ? value : String(value)
      case "boolean":
      case "undefined":
        return value
      case "object":
        return value === null ? null : this.object(value, depth)
      case "bigint":
      case "symbol":
        return this.#text(String(value), MAX_VALUE)
      default:
        return "[function]"
    }
  }

  object(value: object, depth: number): unknown {
    if (depth >= MAX_DEPTH || this.#left <= 0) return "…"
    try {
      if (value instanceof Error) return this.#error(value, depth)
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? "invalid date" : value.toISOString()
      if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
      if (Array.isArray(value)) {
        const items: unknown[] = []
        while (items.length < value.length && items.length < MAX_ENTRIES && this.#left > 0)
          items.push(this.value(value[items.length], depth + 1))
        if (items.length < value.length) items.push(`… (${value.length - items.length} more)`)
        return items
      }
      const copy: Record<string, unknown> = {}
      let entries = 0
      for (const key in value) {
        if (++entries > MAX_ENTRIES || this.#left <= 0) {
          copy["…"] = "more"
          break
        }
        const plain = this.value((value as Record<string, unknown>)[key], depth + 1)
        // Defined, not assigned: a key `__proto__` stays a key.
        if (plain !== undefined)
          Object.defineProperty(copy, cut(key, 128), { value: plain, enumerable: true, configurable: true, writable: true })
      }
      return copy
    } catch {
      // A getter or proxy that throws must not make logging throw.
      return "[unreadable]"
    }
  }

  #error(error: Error, depth: number): unknown {
    const copy: Record<string, unknown> = { message: this.#text(error.message === "" ? error.name : error.message, MAX_VALUE) }
    const code = (error as { code?: unknown }).code
    if (code !== undefined) copy.code = this.value(code, depth + 1)
    if (error.cause !== undefined) copy.cause = this.value(error.cause, depth + 1)
    if (this.#stacks && typeof error.stack === "string") copy.stack = this.#text(error.stack, MAX_VALUE * 2)
    return copy
  }
}

function json(value: unknown): string {
  return JSON.stringify(value).replace(CONTROL_IN_JSON, escapeControl)
}

/** One JSON object and a newline: time, level, message, then the fields; fields of those three names get a `_` in front. */
export function formatJson(event: LogEvent): string {
  let line = `{"time":"${isoTime(event.time)}","level":"${event.level}","message":${json(cut(event.message, MAX_MESSAGE))}`
  for (const key in event.fields) {
    const reserved = key === "time" || key === "level" || key === "message"
    line += `,${json(reserved ? `_${key}` : key)}:${json(event.fields[key])}`
  }
  return `${line}}\n`
}

const COLOURS: Readonly<Record<LogLevel, string>> = { trace: "90", debug: "36", info: "32", warn: "33", error: "31", critical: "1;31" }

/** `time LEVEL message key=value …` and a newline. Lines of a message after its first are indented. */
export function formatHuman(event: LogEvent, colour: boolean): string {
  const level = event.level === "critical" ? "CRIT " : event.level.toUpperCase().padEnd(5)
  const time = isoTime(event.time).slice(11, 23)
  const message = cut(event.message, MAX_MESSAGE).replace(CONTROL_BUT_NEWLINE, escapeControl).trimEnd().replaceAll("\n", "\n    ")
  let line = colour ? `\x1b[90m${time}\x1b[0m \x1b[${COLOURS[event.level]}m${level}\x1b[0m ${message}` : `${time} ${level} ${message}`
  let stack = ""
  for (const key in event.fields) {
    let value = event.fields[key]
    if (isPlainError(value)) {
      if (value.stack !== undefined) stack += `\n    ${value.stack.replace(CONTROL_BUT_NEWLINE, escapeControl).replaceAll("\n", "\n    ")}`
      value =
        value.cause === undefined
          ? value.code === undefined
            ? value.message
            : `${value.message} (${value.code})`
          : { ...value, stack: undefined }
    }
    const name = key.replace(CONTROL, escapeControl)
    line += colour ? ` \x1b[90m${name}=\x1b[0m${humanValue(value)}` : ` ${name}=${humanValue(value)}`
  }
  return `${line}${stack}\n`
}

function humanValue(value: unknown): string {
  if (typeof value === "string") return BARE_WORD.test(value) ? value : json(value)
  return json(value)
}

// What plainFields makes of an Error.
function isPlainError(value: unknown): value is { message: string; code?: unknown; cause?: unknown; stack?: string } {
  if (typeof value !== "object" || value === null || typeof (value as { message?: unknown }).message !== "string") return false
  for (const key in value) if (key !== "message" && key !== "code" && key !== "cause" && key !== "stack") return false
  return true
}

function isoTime(time: number): string {
  return Number.isFinite(time) && Math.abs(time) < 8.64e15 ? new Date(time).toISOString() : "1970-01-01T00:00:00.000Z"
}

// The structured log: one line an event, for people on a terminal and as JSON otherwise. Never called per request by the
// data plane; the access log is another thing.

import { formatHuman, formatJson, plainFields } from "./log-format.ts"
import { LogTail } from "./log-tail.ts"

export const logLevels = ["trace", "debug", "info", "warn", "error", "critical"] as const
export type LogLevel = (typeof logLevels)[number]

/** Fields of an event beside its message; values must survive JSON. */
export type LogFields = Readonly<Record<string, unknown>>

/** Where a part of the program reports events. Implementations never throw and never block. */
export interface Logger {
  /** Whether events of this level are wanted: ask before building costly fields. */
  enabled(level: LogLevel): boolean
  log(level: LogLevel, message: string, fields?: LogFields): void
}

/** One event on its way to the log; can be posted between threads. */
export interface LogEvent {
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly level: LogLevel
  readonly message: string
  /** Bounded and plain: made by {@link plainFields}. */
  readonly fields: LogFields
}

const NO_FIELDS: LogFields = Object.freeze({})

/** Place of a level in {@link logLevels}. */
export function severity(level: LogLevel): number {
  return logLevels.indexOf(level)
}

export interface LoggerOptions {
  readonly level: LogLevel
  /** `auto`: human on a terminal, JSON otherwise. */
  readonly format: "auto" | "human" | "json"
  /** Takes one line with its newline. */
  readonly write: (line: string) => void
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number
  /** Whether `write` ends on a terminal; default: whether standard error is one. */
  readonly terminal?: boolean
  /** Default: on a terminal, unless the environment has a non-empty NO_COLOR (no-color.org). */
  readonly colour?: boolean
}

/** The main thread's log. */
export class StructuredLogger implements Logger {
  /** The last events. */
  readonly tail = new LogTail()
  readonly #write: (line: string) => void
  readonly #clock: () => number
  readonly #terminal: boolean
  #human = false
  readonly #colour: boolean
  #level: LogLevel
  #severity: number

  constructor(options: LoggerOptions) {
    const terminal = options.terminal ?? process.stderr.isTTY === true
    this.#terminal = terminal
    this.#write = options.write
    this.#clock = options.clock ?? Date.now
    this.format = options.format
    this.#colour = options.colour ?? (terminal && (process.env.NO_COLOR ?? "") === "")
    this.#level = options.level
    this.#severity = severity(options.level)
  }

  /** Can be changed while running. */
  set format(format: LoggerOptions["format"]) {
    this.#human = format === "human" || (format === "auto" && this.#terminal)
  }

  /** Whether people read it. */
  get human(): boolean {
    return this.#human
  }

  /** Least level that is written; can be changed while running. */
  get level(): LogLevel {
    return this.#level
  }

  set level(level: LogLevel) {
    this.#level = level
    this.#severity = severity(level)
  }

  enabled(level: LogLevel): boolean {
    return severity(level) >= this.#severity
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    if (!this.enabled(level)) return
    this.#emit({
      time: this.#clock(),
      level,
      message: String(message),
      fields: fields === undefined ? NO_FIELDS : plainFields(fields, this.enabled("debug")),
    })
  }

  /** Writes an event that another thread made and bounded. */
  forward(event: LogEvent): void {
    if (this.enabled(event.level)) this.#emit(event)
  }

  #emit(event: LogEvent): void {
    try {
      this.#write(this.#human ? formatHuman(event, this.#colour) : formatJson(event))
      this.tail.add(event)
    } catch {
      // A log that can't be written must not stop what it reports on.
    }
  }
}

/** Makes the main thread's log. */
export function createLogger(options: LoggerOptions): StructuredLogger {
  return new StructuredLogger(options)
}

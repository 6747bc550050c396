// The structured log: one line an event, for people on a terminal and as JSON otherwise. Never called per request by the
// data plane; the access log is another thing.

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

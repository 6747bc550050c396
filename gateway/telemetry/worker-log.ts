// The log as workers have it: events go to the main thread, which writes them. However many there are, only so many a
// second are sent; the rest are counted and the count is told.

import { type LogEvent, type LogFields, type Logger, type LogLevel, severity } from "./log.ts"
import { plainFields } from "./log-format.ts"

export interface WorkerLoggerOptions {
  readonly level: LogLevel
  /** Hands an event to the main thread. */
  readonly post: (event: LogEvent) => void
  /** Milliseconds since the epoch; default `Date.now`. */
  readonly clock?: () => number
  /** Events a second in the long run; default 50. */
  readonly rate?: number
  /** Events at once; default 200. */
  readonly burst?: number
  /** Told of every event that is lost. */
  readonly onDrop?: () => void
}

/** Forwards events of a worker to the main thread, within limits. */
export class WorkerLogger implements Logger {
  readonly #post: (event: LogEvent) => void
  readonly #clock: () => number
  readonly #rate: number
  readonly #burst: number
  readonly #onDrop: (() => void) | undefined
  #severity: number
  #tokens: number
  #refilled: number
  #dropped = 0

  constructor(options: WorkerLoggerOptions) {
    this.#post = options.post
    this.#clock = options.clock ?? Date.now
    this.#rate = options.rate ?? 50
    this.#burst = options.burst ?? 200
    this.#onDrop = options.onDrop
    this.#severity = severity(options.level)
    this.#tokens = this.#burst
    this.#refilled = this.#clock()
  }

  set level(level: LogLevel) {
    this.#severity = severity(level)
  }

  enabled(level: LogLevel): boolean {
    return severity(level) >= this.#severity
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    if (!this.enabled(level)) return
    const now = this.#clock()
    // A clock set back refills nothing and must not stop refilling either.
    this.#tokens = Math.min(this.#burst, this.#tokens + (Math.max(0, now - this.#refilled) / 1000) * this.#rate)
    this.#refilled = now
    if (this.#tokens < 1) {
      this.#dropped++
      this.#onDrop?.()
      return
    }
    this.#tokens--
    try {
      if (this.#dropped > 0) {
        this.#post({
          time: now,
          level: "warn",
          message: "log events of a worker were dropped: too many at once",
          fields: { dropped: this.#dropped },
        })
        this.#dropped = 0
      }
      this.#post({
        time: now,
        level,
        message: String(message).slice(0, 8192),
        fields: fields === undefined ? {} : plainFields(fields, this.enabled("debug")),
      })
    } catch {
      // The channel to the main thread is gone: the worker is ending.
    }
  }
}

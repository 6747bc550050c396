// From which level on the process logs: as the configuration says, or as somebody has ordered since, until the next configuration.

import type { LogLevel } from "./log.ts"
import type { LogTail } from "./log-tail.ts"

export interface LogLevelsMeans {
  /** The main thread's log. */
  readonly logger: { level: LogLevel; readonly tail: LogTail }
  /** Tells the workers, those to come too; null: as their configuration says. */
  tellWorkers(level: LogLevel | null): void
}

export class LogLevels {
  readonly #means: LogLevelsMeans
  #configured: LogLevel = "info"
  #ordered: LogLevel | null = null

  constructor(means: LogLevelsMeans) {
    this.#means = means
  }

  /** A configuration is in force: what was ordered before is over. */
  configured(level: LogLevel): void {
    this.#configured = level
    this.#means.logger.level = level
    if (this.#ordered === null) return
    this.#ordered = null
    this.#means.tellWorkers(null)
  }

  order(level: LogLevel): void {
    this.#ordered = level
    this.#means.logger.level = level
    this.#means.tellWorkers(level)
  }

  /** The last lines, oldest first. */
  get recent(): string[] {
    return this.#means.logger.tail.lines
  }

  get status(): { readonly level: LogLevel; readonly configured: LogLevel } {
    return { level: this.#ordered ?? this.#configured, configured: this.#configured }
  }
}

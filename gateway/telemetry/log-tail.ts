// The last events of the log, for whoever looks at a running gateway from elsewhere.

import type { LogEvent } from "./log.ts"
import { formatJson } from "./log-format.ts"

/** Events kept, and characters of a line. */
const LINES = 300
const MAX_LINE = 2000

export class LogTail {
  readonly #events: LogEvent[] = []
  #next = 0

  add(event: LogEvent): void {
    if (this.#events.length < LINES) this.#events.push(event)
    else this.#events[this.#next] = event
    this.#next = (this.#next + 1) % LINES
  }

  /** As JSON, oldest first. */
  get lines(): string[] {
    const start = this.#events.length < LINES ? 0 : this.#next
    return [...this.#events.slice(start), ...this.#events.slice(0, start)].map((event) => formatJson(event).trimEnd().slice(0, MAX_LINE))
  }
}

// What filters have logged, and what the log says of them: the newest lines of each, in the main thread's memory, for an operator who
// asks for one filter. It only sees what the log's level lets through.

import { type LogEvent, type Logger, type LogLevel, severity } from "../telemetry/log.ts"
import { plainFields } from "../telemetry/log-format.ts"

/** Lines of one filter, and characters of all of them; of a line's message and its fields; filters that have any. */
const MAX_LINES = 200
const MAX_KEPT = 65_536
const MAX_LENGTH = 2048
const MAX_FILTERS = 256
/** Followers at a time, and lines that may wait for one of them. */
export const MAX_FOLLOWERS = 16
const MAX_WAITING = 500
/** ms between two signs of life. */
const ALIVE = 5000
/** Of those, in a row, in which a follower reads nothing of what waits for it: then it is ended, and makes room for others. */
const MAX_UNREAD = 12

export interface FilterLogLine {
  /** ISO 8601. */
  readonly at: string
  readonly level: LogLevel
  readonly message: string
  /** The other fields of the event. */
  readonly fields: Readonly<Record<string, unknown>>
}

/** What is kept of a filter. */
interface Kept {
  /** Oldest first, and how many characters each is as JSON. */
  readonly lines: FilterLogLine[]
  readonly lengths: number[]
  length: number
}

export class FilterLogs {
  /** By filter; the one that has logged nothing for longest comes first. */
  readonly #kept = new Map<string, Kept>()
  readonly #followers = new Set<LogFollower>()

  /** An event of the log, of a worker or of the main thread. */
  hear({ time, level, message, fields }: LogEvent): void {
    const { filter, filters } = fields
    const names = typeof filter === "string" ? [filter] : Array.isArray(filters) ? filters.filter((name) => typeof name === "string") : []
    if (names.length === 0) return
    const { filter: _, ...rest } = fields
    // Events of the main thread come as they were made; a refusal's reason may hold a compiler's whole output.
    const bounded = plainFields(rest, false, MAX_LENGTH)
    const line = { at: new Date(time).toISOString(), level, message: message.slice(0, MAX_LENGTH), fields: bounded }
    const { length } = text(line)
    for (const name of names) this.#add(name, line, length)
  }

  #add(name: string, line: FilterLogLine, length: number): void {
    const kept = this.#kept.get(name) ?? { lines: [], lengths: [], length: 0 }
    this.#kept.delete(name)
    kept.lines.push(line)
    kept.lengths.push(length)
    kept.length += length
    while (kept.lines.length > MAX_LINES || kept.length > MAX_KEPT) {
      kept.lines.shift()
      kept.length -= kept.lengths.shift() as number
    }
    this.#kept.set(name, kept)
    if (this.#kept.size > MAX_FILTERS) this.#kept.delete(this.#kept.keys().next().value as string)
    for (const follower of this.#followers) follower.hear(name, line)
  }

  /** A logger whose events are heard here as well. */
  beside(logger: Logger): Logger {
    return {
      enabled: (level) => logger.enabled(level),
      log: (level, message, fields = {}) => {
        logger.log(level, message, fields)
        if (logger.enabled(level)) this.hear({ time: Date.now(), level, message, fields })
      },
    }
  }

  /** Oldest first; those of `level` and above. */
  lines(filter: string, level: LogLevel): FilterLogLine[] {
    const least = severity(level)
    return (this.#kept.get(filter)?.lines ?? []).filter((line) => severity(line.level) >= least)
  }

  /** What there is, and then what comes; null: too many follow already. */
  follow(filter: string, level: LogLevel): LogFollower | null {
    if (this.#followers.size >= MAX_FOLLOWERS) return null
    const follower = new LogFollower(filter, severity(level), this.lines(filter, level), () => this.#followers.delete(follower))
    this.#followers.add(follower)
    return follower
  }

  /** Ends all that follow. */
  close(): void {
    for (const follower of this.#followers) follower.cancel()
  }
}

/** One that reads a filter's log as it comes: a bounded queue of lines, as NDJSON. What doesn't fit is counted, and told. */
export class LogFollower {
  readonly #filter: string
  readonly #least: number
  readonly #onEnd: () => void
  readonly #timer: ReturnType<typeof setInterval>
  #waiting: string[]
  #dropped = 0
  #unread = 0
  #ended = false
  #wake: ((piece: string | null) => void) | null = null

  constructor(filter: string, least: number, lines: readonly FilterLogLine[], onEnd: () => void) {
    this.#filter = filter
    this.#least = least
    this.#onEnd = onEnd
    this.#waiting = [...lines.map(text), alive(0)]
    this.#timer = setInterval(() => {
      if (this.#waiting.length === 0) this.#push(this.#alive())
      else if (++this.#unread >= MAX_UNREAD) this.cancel()
    }, ALIVE)
    this.#timer.unref()
  }

  hear(filter: string, line: FilterLogLine): void {
    if (filter !== this.#filter || severity(line.level) < this.#least || this.#ended) return
    if (this.#waiting.length >= MAX_WAITING) this.#dropped++
    else this.#push(text(line))
  }

  #alive(): string {
    const dropped = this.#dropped
    this.#dropped = 0
    return alive(dropped)
  }

  #push(line: string): void {
    this.#waiting.push(line)
    const wake = this.#wake
    if (wake === null) return
    this.#wake = null
    wake(this.#take())
  }

  #take(): string {
    this.#unread = 0
    const piece = this.#waiting.join("")
    this.#waiting = this.#dropped > 0 ? [this.#alive()] : []
    return piece
  }

  /** What there is to read, now or later; null: nothing comes any more. One is asked for at a time. */
  next(): Promise<string | null> {
    if (this.#waiting.length > 0) return Promise.resolve(this.#take())
    if (this.#ended) return Promise.resolve(null)
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Its reader is gone, or the gateway ends. */
  cancel(): void {
    if (this.#ended) return
    this.#ended = true
    clearInterval(this.#timer)
    this.#waiting = []
    this.#wake?.(null)
    this.#wake = null
    this.#onEnd()
  }
}

function text(line: FilterLogLine): string {
  return `${JSON.stringify(line)}\n`
}

/** `dropped`: lines lost since the last, since they weren't read as fast as they came. */
function alive(dropped: number): string {
  return `${JSON.stringify({ alive: new Date().toISOString(), dropped })}\n`
}

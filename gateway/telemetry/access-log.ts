// The access log's side in a worker: one line an exchange, gathered and handed on in batches. It never waits: when lines come faster
// than they can be written, they are dropped and counted.

import { type AccessLogConfig, destinationKey } from "../config/access-log-model.ts"
import type { Fields } from "../http/fields.ts"
import type { AccessEntry, TcpAccessEntry } from "./access-entry.ts"
import type { LineFormat } from "./access-format.ts"
import type { AccessBatch } from "./access-output.ts"
import { AccessSelection } from "./access-selection.ts"
import { compileFormat } from "./compile-format.ts"
import { NotedFields } from "./noted-fields.ts"
import { recordHead } from "./otlp-record.ts"

export type { AccessEntry, TcpAccessEntry } from "./access-entry.ts"

export interface AccessLogOptions {
  /** Hands on a batch of lines, which is answered with their length to {@link AccessLog.acknowledge}. */
  readonly post: (batch: AccessBatch) => void
  /** [0, 1). */
  readonly random: () => number
  /** Characters that may wait to be written; default 4 Mi. */
  readonly capacity?: number
  /** Milliseconds a line may wait for others; default 100. */
  readonly interval?: number
  /** Told of every line that is lost. */
  readonly onDrop?: () => void
  /** Told how many lines a batch has. */
  readonly onLines?: (count: number) => void
}

// A batch is handed over when it has this many characters.
const BATCH = 65536

/** Before anything is known of what is wanted. */
const OFF: AccessLogConfig = {
  when: "off",
  only: null,
  to: { kind: "stdout" },
  format: { kind: "json" },
  headers: { request: [], response: [] },
  redact: null,
}
const NO_NAMES: readonly string[] = []

/** Gathers the lines of one worker. Has none to gather until it is told by {@link use} which. */
export class AccessLog {
  readonly #post: (batch: AccessBatch) => void
  readonly #random: () => number
  readonly #capacity: number
  readonly #interval: number
  readonly #onDrop: (() => void) | undefined
  readonly #onLines: ((count: number) => void) | undefined
  #selection: AccessSelection
  #format: LineFormat
  #to = ""
  /** Lines are records of OTLP: each has a head. */
  #records = false
  #requestNames = NO_NAMES
  #responseNames = NO_NAMES
  #trailerNames = NO_NAMES
  #lines = ""
  #count = 0
  // Characters posted and not acknowledged.
  #unwritten = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  readonly #onTimer = (): void => {
    this.#timer = null
    this.flush()
  }

  constructor(options: AccessLogOptions) {
    this.#post = options.post
    this.#random = options.random
    this.#capacity = options.capacity ?? 4 * 1024 * 1024
    this.#interval = options.interval ?? 100
    this.#onDrop = options.onDrop
    this.#onLines = options.onLines
    this.#selection = new AccessSelection(OFF, this.#random)
    this.#format = compileFormat(OFF).format
  }

  /** From now on, this. Lines of before leave as they are, for where they were to go. */
  use(config: AccessLogConfig): void {
    this.flush()
    const { format, request, response, trailer } = compileFormat(config)
    const off = config.when === "off"
    this.#format = format
    this.#selection = new AccessSelection(config, this.#random)
    this.#to = destinationKey(config.to)
    this.#records = config.to.kind === "otlp"
    this.#requestNames = off ? NO_NAMES : request
    this.#responseNames = off ? NO_NAMES : response
    this.#trailerNames = off ? NO_NAMES : trailer
  }

  /** Fields of a request's head that lines will show; null = none. To be asked before anything edits them. */
  noteRequest(fields: Fields): NotedFields | null {
    return this.#requestNames.length === 0 ? null : new NotedFields(this.#requestNames, fields)
  }

  /** Those of a response's head, when it is sent. */
  noteResponse(fields: Fields): NotedFields | null {
    return this.#responseNames.length === 0 ? null : new NotedFields(this.#responseNames, fields)
  }

  /** Those of a response's trailers. */
  noteTrailers(fields: Fields): NotedFields | null {
    return this.#trailerNames.length === 0 ? null : new NotedFields(this.#trailerNames, fields)
  }

  /**
   * Whether an exchange that ended so gets a line. To be asked once for each: it may draw a lot.
   *
   * @param flag "" where all went well, or as it was meant to.
   * @param status 0 = there is none
   * @param duration ms
   */
  wants(flag: string, status: number, duration: number): boolean {
    return this.#selection.takes(flag, status, duration)
  }

  /** Adds the line of an exchange that is wanted. */
  record(entry: AccessEntry): void {
    if (this.#hasRoom()) this.#add(this.#format.line(entry), entry)
  }

  /** Adds the line of a TCP connection that is wanted. */
  recordConnection(entry: TcpAccessEntry): void {
    if (this.#hasRoom()) this.#add(this.#format.connection(entry), entry)
  }

  #hasRoom(): boolean {
    if (this.#unwritten + this.#lines.length < this.#capacity) return true
    this.#onDrop?.()
    return false
  }

  #add(line: string, entry: AccessEntry): void {
    if (this.#records) this.#lines += recordHead(entry)
    this.#lines += line
    this.#count++
    if (this.#lines.length >= BATCH) this.flush()
    else if (this.#timer === null) {
      this.#timer = setTimeout(this.#onTimer, this.#interval)
      this.#timer.unref()
    }
  }

  /** Hands over what waits. To be called when the worker ends. */
  flush(): void {
    if (this.#timer !== null) {
      clearTimeout(this.#timer)
      this.#timer = null
    }
    const lines = this.#lines
    if (lines === "") return
    this.#lines = ""
    const count = this.#count
    this.#count = 0
    this.#onLines?.(count)
    this.#unwritten += lines.length
    this.#post({ lines, count, to: this.#to })
  }

  /** A batch of this length was written, or given up on. */
  acknowledge(length: number): void {
    this.#unwritten = Math.max(0, this.#unwritten - length)
  }
}

// The access log's side in a worker: one JSON line an exchange, gathered and handed to the main thread in batches. It
// never waits: when the main thread can't write as fast as lines come, lines are dropped and counted.

import type { ConnectionSecurity } from "../http/connection-security.ts"
import { AccessFormat } from "./access-format.ts"

/** One finished exchange. The exchange itself may have this shape: nothing is kept of it. */
export interface AccessEntry {
  /** Start, milliseconds since the epoch. */
  readonly startTime: number
  readonly method: string
  readonly path: string
  readonly authority: string
  /** `HTTP/1.0`, `HTTP/1.1`. */
  readonly protocol: string
  /** 0 when the exchange ended without a response head. */
  readonly status: number
  /** Code of a gRPC call, over 16 when it ended without one that is known; −1 when it is none. */
  readonly grpcStatus: number
  /** Response flag; "" when all went well. */
  readonly flag: string
  /** More about the flag; may be "". */
  readonly flagDetails: string
  /** Milliseconds. */
  readonly duration: number
  /** Milliseconds to the response head from upstream; −1 when there was none. */
  readonly timeToFirstByte: number
  readonly requestBytes: number
  readonly responseBytes: number
  /** Names; "" when none. */
  readonly listener: string
  readonly route: string
  readonly service: string
  /** `ip:port` of the endpoint; "" when none was reached. */
  readonly upstream: string
  /** `ip:port` of the client. */
  readonly source: string
  readonly requestId: string
  readonly userAgent: string
  /** TLS of the client's connection; null = it has none. */
  readonly security: ConnectionSecurity | null
}

/** One finished TCP connection. */
export interface TcpAccessEntry {
  /** Start, milliseconds since the epoch. */
  readonly startTime: number
  readonly flag: string
  readonly flagDetails: string
  /** Milliseconds. */
  readonly duration: number
  /** Milliseconds until the service was connected to; −1 when it never was. */
  readonly connectTime: number
  /** Octets from the client and to it. */
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly listener: string
  /** Name of the server the client asked for, and what a proxy in front calls the connection; "" = none. */
  readonly serverName: string
  readonly requestId: string
  readonly service: string
  readonly upstream: string
  readonly source: string
  readonly security: ConnectionSecurity | null
}

export interface AccessLogOptions {
  readonly mode: "off" | "errors" | "all"
  /** Hands a batch of lines to the main thread, which answers with their length to {@link AccessLog.acknowledge}. */
  readonly post: (lines: string) => void
  /** Characters that may wait to be written; default 1 MiB. */
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

/** Gathers the lines of one worker. */
export class AccessLog {
  readonly #post: (lines: string) => void
  readonly #capacity: number
  readonly #interval: number
  readonly #onDrop: (() => void) | undefined
  readonly #onLines: ((count: number) => void) | undefined
  readonly #format = new AccessFormat()
  #errors = false
  #all = false
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
    this.#capacity = options.capacity ?? 1024 * 1024
    this.#interval = options.interval ?? 100
    this.#onDrop = options.onDrop
    this.#onLines = options.onLines
    this.mode = options.mode
  }

  /** Can change with the snapshot. */
  set mode(mode: "off" | "errors" | "all") {
    this.#all = mode === "all"
    this.#errors = mode !== "off"
  }

  /** Whether an exchange with this flag gets a line: ask before gathering what only the line needs. */
  wants(flag: string): boolean {
    return this.#all || (this.#errors && flag !== "")
  }

  /** Adds the line of an exchange, if the mode asks for one. */
  record(entry: AccessEntry): void {
    if (this.#takes(entry.flag)) this.#add(this.#format.line(entry))
  }

  /** Adds the line of a TCP connection, if the mode asks for one. */
  recordConnection(entry: TcpAccessEntry): void {
    if (this.#takes(entry.flag)) this.#add(this.#format.connection(entry))
  }

  #takes(flag: string): boolean {
    if (!this.wants(flag)) return false
    if (this.#unwritten + this.#lines.length < this.#capacity) return true
    this.#onDrop?.()
    return false
  }

  #add(line: string): void {
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
    this.#onLines?.(this.#count)
    this.#count = 0
    this.#unwritten += lines.length
    this.#post(lines)
  }

  /** The main thread has written, or given up on, a batch of this length. */
  acknowledge(length: number): void {
    this.#unwritten = Math.max(0, this.#unwritten - length)
  }
}

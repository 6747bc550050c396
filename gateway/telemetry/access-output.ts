// The access log's side on the main thread: takes lines of the workers to where the configuration wants them, but for files on a
// disc, which workers write themselves. What can't be taken there is counted, and lets nobody wait.

import { closeSync } from "node:fs"
import { type AccessDestination, destinationKey } from "../config/access-log-model.ts"
import type { Logger } from "./log.ts"
import { LogFile, openLog, takesManyWriters } from "./log-file.ts"
import { OtlpLog } from "./otlp-log.ts"

/** Takes lines, each with its newline. Never throws, never blocks. */
export interface AccessSink {
  /** `count`: of lines. `done` is called once they are written, or lost and counted. */
  write(lines: string, count: number, done: () => void): void
  /** Resolves when all is written, or when the time (ms) is over. */
  flush(timeout: number): Promise<void>
  /** Ends it, after what it has. */
  close(): void
}

export interface AccessOutputOptions {
  /** Writes to standard output, or what takes its place. */
  readonly stdout: (lines: string, done: (written: boolean) => void) => void
  /** Resolves when that is done, or when the time (ms) is over. */
  readonly flush: (timeout: number) => Promise<void>
  readonly log: Logger["log"]
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Lines that a worker has gathered. */
export interface AccessBatch {
  readonly lines: string
  readonly count: number
  /** Key of where they go. */
  readonly to: string
}

export class AccessOutput {
  readonly #options: AccessOutputOptions
  readonly #sinks = new Map<string, AccessSink>()
  /** Key of the one in use. */
  #inUse = ""
  /** Told of lines that are lost here. */
  onLost: (lines: number) => void = () => {}

  constructor(options: AccessOutputOptions) {
    this.#options = options
  }

  /** Opens a destination beside those in use, or looks whether workers can. Throws with why it can't be. */
  prepare(to: AccessDestination): void {
    const key = destinationKey(to)
    // Workers have that: what has become of it since is no reason to refuse a change of something else.
    if (key === this.#inUse || this.#sinks.has(key)) return
    if (to.kind === "file" && takesManyWriters(to.path)) return closeSync(openLog(to.path))
    this.#sinks.set(key, this.#open(to))
  }

  #open(to: AccessDestination): AccessSink {
    const means = { log: this.#options.log, onLost: (lines: number) => this.onLost(lines) }
    switch (to.kind) {
      case "stdout":
        return {
          write: (lines, count, done) =>
            this.#options.stdout(lines, (written) => {
              if (!written) this.onLost(count)
              done()
            }),
          flush: this.#options.flush,
          close: () => {},
        }
      case "file":
        return new LogFile(to.path, means)
      case "otlp":
        return new OtlpLog(to, this.#options.environment, means)
    }
  }

  /** Only this one is in use from now on; what others still have is written. */
  keepOnly(to: AccessDestination): void {
    const key = destinationKey(to)
    this.#inUse = key
    for (const [each, sink] of this.#sinks) {
      if (each === key) continue
      this.#sinks.delete(each)
      sink.close()
    }
  }

  /** Lines of a worker for the destination with that key. */
  write({ lines, count, to }: AccessBatch, done: () => void): void {
    const sink = this.#sinks.get(to)
    if (sink !== undefined) return sink.write(lines, count, done)
    this.onLost(count)
    done()
  }

  /** Resolves when all is written, or when the time (ms) is over. */
  async flush(timeout: number): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => sink.flush(timeout)))
  }
}

// The files of the access log, as a worker has them: it writes its lines itself, beside traffic, since handing them to the main thread
// would cost more than writing them. All workers append to the same file; a write is of whole lines, and Linux lets no other in between.

import { type AccessDestination, destinationKey } from "../config/access-log-model.ts"
import type { AccessBatch } from "./access-output.ts"
import { FailureNotice, type LossMeans } from "./failure-notice.ts"
import { LogFile, takesManyWriters } from "./log-file.ts"

interface OwnFile {
  readonly path: string
  /** Null until there is something to write, and as long as it can't be opened. */
  file: LogFile | null
}

export class OwnFiles {
  readonly #means: LossMeans
  readonly #notice: FailureNotice
  /** By the keys of their destinations. */
  readonly #files = new Map<string, OwnFile>()
  /** No longer in use, with lines to write yet. */
  readonly #leaving = new Set<LogFile>()

  constructor(means: LossMeans) {
    this.#means = means
    this.#notice = new FailureNotice("the access log can't be opened", means)
  }

  /** Takes lines for it from now on, if it is a file, beside those in use. */
  prepare(to: AccessDestination): void {
    if (to.kind !== "file") return
    const key = destinationKey(to)
    // What is no file on a disc is the main thread's.
    if (!this.#files.has(key) && takesManyWriters(to.path)) this.#files.set(key, { path: to.path, file: null })
  }

  /** Only this one is in use from now on; what others still have is written. */
  keepOnly(to: AccessDestination): void {
    const key = destinationKey(to)
    for (const [each, { file }] of this.#files) {
      if (each === key) continue
      this.#files.delete(each)
      if (file === null) continue
      this.#leaving.add(file)
      void file.close().then(() => this.#leaving.delete(file))
    }
  }

  /** Whether the batch is for a file. `done` is called once it is written, or lost and counted, and only then. */
  write({ lines, count, to }: AccessBatch, done: () => void): boolean {
    const own = this.#files.get(to)
    if (own === undefined) return false
    own.file ??= this.#open(own.path, count)
    if (own.file === null) done()
    else own.file.write(lines, count, done)
    return true
  }

  #open(path: string, lines: number): LogFile | null {
    try {
      return new LogFile(path, this.#means)
    } catch (error) {
      this.#notice.failed(lines, { file: path, reason: error instanceof Error ? error.message : String(error) })
      return null
    }
  }

  /** Files are opened anew, for those who have moved them away. */
  reopen(): void {
    for (const { file } of this.#files.values()) file?.reopen()
  }

  /** Resolves when all is written, or when the time (ms) is over. */
  async flush(timeout: number): Promise<void> {
    const files = [...[...this.#files.values()].map(({ file }) => file), ...this.#leaving]
    await Promise.all(files.map((file) => file?.flush(timeout)))
  }
}

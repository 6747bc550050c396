// Writes lines to standard output or error for the main thread without ever waiting for whoever reads them: what a slow
// reader leaves is kept up to a limit, and a reader that is gone costs the lines, not the process.

import { descriptorWriter, type WriteBytes } from "./descriptor.ts"

export interface OutputOptions {
  /** 1 standard output, 2 standard error. */
  readonly descriptor: number
  /** Octets that may wait; default 8 MiB. */
  readonly capacity?: number
  /** Default: {@link descriptorWriter} of the descriptor. */
  readonly writeBytes?: WriteBytes
  /** Told of every piece that is lost. */
  readonly onDrop?: (octets: number) => void
}

interface Piece {
  readonly bytes: Buffer
  readonly done: ((written: boolean) => void) | undefined
}

// ms between tries while the pipe is full: doubled from the first to the last.
const FIRST_WAIT = 1
const LAST_WAIT = 32

/** A bounded queue in front of a descriptor. */
export class Output {
  readonly #capacity: number
  readonly #writeBytes: WriteBytes
  readonly #onDrop: ((octets: number) => void) | undefined
  #queue: Piece[] = []
  #waiting = 0
  // What is being written: pieces joined, and how far it got.
  #batch: Buffer | null = null
  #pieces: Piece[] = []
  #offset = 0
  #wait = FIRST_WAIT
  #broken = false
  #idle: (() => void)[] = []

  constructor(options: OutputOptions) {
    this.#capacity = options.capacity ?? 8 * 1024 * 1024
    this.#onDrop = options.onDrop
    this.#writeBytes = options.writeBytes ?? descriptorWriter(options.descriptor)
  }

  /** False once the reader is gone. */
  get open(): boolean {
    return !this.#broken
  }

  /** Queues text; `done` is called when it was written or dropped, and told which. */
  write(text: string, done?: (written: boolean) => void): void {
    const bytes = Buffer.from(text, "utf8")
    if (this.#broken || this.#waiting + bytes.length > this.#capacity) {
      this.#onDrop?.(bytes.length)
      done?.(false)
      return
    }
    this.#waiting += bytes.length
    this.#queue.push({ bytes, done })
    if (this.#batch === null) this.#next()
  }

  /** Resolves when all was written, or when the time (ms) is over. */
  flush(timeout: number): Promise<void> {
    if (this.#batch === null) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout)
      this.#idle.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #next(): void {
    if (this.#queue.length === 0) {
      this.#batch = null
      const idle = this.#idle
      this.#idle = []
      for (const resolve of idle) resolve()
      return
    }
    this.#pieces = this.#queue
    this.#queue = []
    this.#offset = 0
    this.#batch = this.#pieces.length === 1 ? this.#pieces[0].bytes : Buffer.concat(this.#pieces.map((piece) => piece.bytes))
    this.#continue()
  }

  #continue(): void {
    const batch = this.#batch
    if (batch === null) return
    this.#writeBytes(this.#offset === 0 ? batch : batch.subarray(this.#offset), (error, written) => {
      if (error !== null && error !== undefined) {
        if (error.code === "EAGAIN" || error.code === "EINTR") {
          setTimeout(() => this.#continue(), this.#wait)
          this.#wait = Math.min(LAST_WAIT, this.#wait * 2)
          return
        }
        // EPIPE and the like: nobody will ever read this.
        this.#broken = true
        this.#onDrop?.(this.#waiting)
        this.#queue.unshift(...this.#pieces)
        const lost = this.#queue
        this.#queue = []
        this.#waiting = 0
        for (const piece of lost) piece.done?.(false)
        this.#next()
        return
      }
      this.#wait = FIRST_WAIT
      this.#offset += written
      if (this.#offset < batch.length) {
        this.#continue()
        return
      }
      this.#waiting -= batch.length
      const pieces = this.#pieces
      this.#pieces = []
      for (const piece of pieces) piece.done?.(true)
      this.#next()
    })
  }
}

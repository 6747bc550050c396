// Writes lines to standard output or error for the main thread without ever waiting for whoever reads them: what a slow
// reader leaves is kept up to a limit, and a reader that is gone costs the lines, not the process.

import { descriptorWriter, type WriteBytes } from "./descriptor.ts"

export interface OutputOptions {
  /** 1 standard output, 2 standard error. */
  readonly descriptor: number
  /** Characters that may wait; default 8 Mi. */
  readonly capacity?: number
  /** Default: {@link descriptorWriter} of the descriptor. */
  readonly writeBytes?: WriteBytes
  /** Told of every piece that is lost. */
  readonly onDrop?: (characters: number) => void
}

interface Piece {
  readonly text: string
  readonly done: ((written: boolean) => void) | undefined
}

// ms between tries while the pipe is full: doubled from the first to the last.
const FIRST_WAIT = 1
const LAST_WAIT = 32
// Octets written at once, in a place that is used again and again: on Node a new one for each batch of 64 KiB costs more than writing it.
const SPACE = 262_144
// A character takes at most that many octets.
const WIDEST = 3

function fits(text: string, room: number): boolean {
  return text.length * WIDEST <= room || (text.length <= room && Buffer.byteLength(text) <= room)
}

/** A bounded queue in front of a descriptor. */
export class Output {
  readonly #capacity: number
  readonly #writeBytes: WriteBytes
  readonly #onDrop: ((characters: number) => void) | undefined
  #queue: Piece[] = []
  #waiting = 0
  #space: Buffer | null = null
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
    if (this.#broken || this.#waiting + text.length > this.#capacity) {
      this.#onDrop?.(text.length)
      done?.(false)
      return
    }
    this.#waiting += text.length
    this.#queue.push({ text, done })
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
    this.#offset = 0
    this.#batch = this.#take()
    this.#continue()
  }

  // As many pieces as there is room for, and one at least.
  #take(): Buffer {
    const queue = this.#queue
    if (queue[0].text.length * WIDEST > SPACE) {
      this.#pieces = queue.splice(0, 1)
      return Buffer.from(this.#pieces[0].text, "utf8")
    }
    this.#space ??= Buffer.allocUnsafeSlow(SPACE)
    let length = 0
    let count = 0
    while (count < queue.length && fits(queue[count].text, SPACE - length)) {
      const { text } = queue[count++]
      length += this.#space.write(text, length, "utf8")
    }
    this.#pieces = queue.splice(0, count)
    return this.#space.subarray(0, length)
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
      const pieces = this.#pieces
      this.#pieces = []
      for (const { text, done } of pieces) {
        this.#waiting -= text.length
        done?.(true)
      }
      this.#next()
    })
  }
}

// A file that lines of the access log are appended to, by this thread and others. It is opened anew when it is asked for, and when the file under its name is
// another one, or none, any more, as after a rotation. A disc that is full costs lines, and nothing else.

import { close, fstatSync, open, openSync, stat, statSync, write } from "node:fs"
import type { AccessSink } from "./access-output.ts"
import { FailureNotice, type LossMeans } from "./failure-notice.ts"
import { Output } from "./output.ts"

/** Of a file that is made: its owner writes, its group reads. */
const MODE = 0o640
/** ms between two looks at the file's name. */
const LOOK = 1000
/** ms that a file that is no longer used gets for what it has. */
const LAST_LINES = 10_000
const NEWLINE = 0x0a

type Done = (error: null, written: number) => void

export class LogFile implements AccessSink {
  readonly #path: string
  readonly #output: Output
  readonly #notice: FailureNotice
  readonly #now: () => number
  #descriptor: number
  #inode = 0
  #device = 0
  #looked: number
  #stale = false
  #busy = false
  #closed = false
  /** Its descriptor may be another file's, or a connection's, from now on: nothing more is written. */
  #released = false
  /** What was written last stopped within a line, and goes on there; or was given up there. */
  #midLine = false
  #torn = false
  /** A write that waits for the file to be opened. */
  #waiting: (() => void) | null = null

  /** Throws with why it can't be opened. Folders are not made. */
  constructor(path: string, means: LossMeans) {
    this.#path = path
    this.#now = means.now ?? (() => performance.now())
    this.#notice = new FailureNotice("the access log can't be written", means)
    this.#descriptor = openLog(path)
    this.#take(this.#descriptor)
    this.#looked = this.#now()
    this.#output = new Output({
      descriptor: this.#descriptor,
      writeBytes: (bytes, done) => this.#begin(bytes, done),
    })
  }

  #take(descriptor: number): void {
    const { ino, dev } = fstatSync(descriptor)
    this.#inode = ino
    this.#device = dev
    this.#descriptor = descriptor
  }

  write(lines: string, count: number, done: () => void): void {
    this.#output.write(lines, (written) => {
      if (!written) this.#notice.failed(count, { file: this.#path, reason: "it takes lines too slowly" })
      done()
    })
  }

  reopen(): void {
    this.#stale = true
    if (this.#busy || this.#closed) return
    this.#busy = true
    this.#open(() => this.#free())
  }

  flush(timeout: number): Promise<void> {
    return this.#output.flush(timeout)
  }

  /** Resolves when what it has is written, or given up. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#output.flush(LAST_LINES)
    this.#released = true
    if (!this.#busy) close(this.#descriptor, () => {})
  }

  // One at a time: the queue waits for `done`, and for a file that is being opened.
  #begin(bytes: Uint8Array, done: Done): void {
    if (this.#busy) {
      this.#waiting = () => this.#begin(bytes, done)
      return
    }
    if (this.#released) {
      this.#notice.failed(linesIn(bytes), { file: this.#path, reason: "it was closed before all was written" })
      return done(null, bytes.byteLength)
    }
    this.#busy = true
    const write = (): void => this.#write(bytes, done)
    // The rest of a line goes where it began.
    if (this.#midLine) return write()
    if (this.#stale) return this.#open(write)
    const now = this.#now()
    if (now - this.#looked < LOOK) return write()
    this.#looked = now
    stat(this.#path, (error, found) => {
      if (error === null && found.ino === this.#inode && found.dev === this.#device) write()
      else this.#open(write)
    })
  }

  #free(): void {
    this.#busy = false
    // What was under way when its time was over has ended.
    if (this.#released) close(this.#descriptor, () => {})
    const waiting = this.#waiting
    this.#waiting = null
    waiting?.()
  }

  /** Opens it anew. Where that fails, what was open goes on. */
  #open(then: () => void): void {
    this.#stale = false
    this.#looked = this.#now()
    open(this.#path, "a", MODE, (error, descriptor) => {
      if (error === null) {
        close(this.#descriptor, () => {})
        this.#take(descriptor)
        this.#torn = false
      } else this.#notice.failed(0, { file: this.#path, reason: reason(error) })
      then()
    })
  }

  #write(bytes: Uint8Array, done: Done): void {
    const ahead = this.#torn ? 1 : 0
    const whole = this.#torn ? Buffer.concat([Buffer.of(NEWLINE), bytes]) : bytes
    write(this.#descriptor, whole, 0, whole.byteLength, null, (error, written) => {
      if (error === null) {
        if (written > 0) {
          this.#torn = false
          this.#midLine = whole[written - 1] !== NEWLINE
        }
      } else {
        this.#torn ||= this.#midLine
        this.#midLine = false
        this.#notice.failed(linesIn(bytes), { file: this.#path, reason: reason(error) })
      }
      this.#free()
      // What fails is given up, so that what comes after it has a chance.
      done(null, error === null ? Math.max(0, written - ahead) : bytes.byteLength)
    })
  }
}

/** Descriptor to append to a file. Throws with why it can't be opened. */
export function openLog(path: string): number {
  try {
    return openSync(path, "a", MODE)
  } catch (error) {
    throw new Error(`the access log ${JSON.stringify(path)} can't be opened: ${reason(error)}; its folder has to be there and writable`)
  }
}

/**
 * Whether several threads may append to what is under that path, or will be. In a pipe or a device their lines would be mixed once it
 * is full, and each would wait for its reader.
 */
export function takesManyWriters(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return true
  }
}

function linesIn(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count++
  return count
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

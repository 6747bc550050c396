// What one reader of a tap has yet to read: a bounded queue of lines. What doesn't fit is lost, counted, and told.

/** Lines, and characters, that may wait. */
const MAX_LINES = 1000
const MAX_LENGTH = 524_288
/** Characters handed over at once. */
const PIECE = 65_536

/** Why a stream ends. `unread`: nothing was taken for too long. */
export type TapEnd = "max" | "time" | "unread" | "stopping"

/** What has been seen since it began. */
export interface TapCounts {
  /** Exchanges that were wanted. */
  readonly matched: number
  /** Those that were told. */
  readonly sent: number
  /** Lost since there were too many a second, and since they weren't read as fast as they came. */
  readonly dropped: { readonly rate: number; readonly reader: number }
}

/** A line that is no event: a sign of life, and at the end the last line. */
export interface TapAlive extends TapCounts {
  /** ISO 8601. */
  readonly alive: string
  readonly end?: TapEnd
}

export interface TapReaderOptions {
  /** ms, monotonic. */
  now(): number
  /** It is over, whoever ended it; once. */
  onEnd(): void
}

export class TapReader {
  /** When something was read last, or could have been. */
  readAt: number
  sent = 0
  readonly #options: TapReaderOptions
  #lines: string[] = []
  #length = 0
  #matched = 0
  #byRate = 0
  #byReader = 0
  /** Drops that it knows of. */
  #told = 0
  #ended = false
  #wake: ((piece: string | null) => void) | null = null

  constructor(options: TapReaderOptions) {
    this.#options = options
    this.readAt = options.now()
  }

  get counts(): TapCounts {
    return { matched: this.#matched, sent: this.sent, dropped: { rate: this.#byRate, reader: this.#byReader } }
  }

  /** Something was lost that it hasn't been told of. */
  get hasNews(): boolean {
    return this.#byRate + this.#byReader > this.#told
  }

  count(matched: number, dropped: number): void {
    this.#matched += matched
    this.#byRate += dropped
  }

  /** False: it is lost. */
  add(line: string): boolean {
    if (this.#ended) return false
    if (this.#lines.length >= MAX_LINES || this.#length + line.length > MAX_LENGTH) {
      this.#byReader++
      return false
    }
    this.sent++
    this.#push(line)
    return true
  }

  /** Says that all is well, unless the reader has more to read than that. */
  alive(): boolean {
    if (this.#ended || this.#lines.length > 0) return false
    this.#push(this.#sign())
    return true
  }

  /** The next piece, now or later; null: there is none. One is asked for at a time. */
  next(): Promise<string | null> {
    this.readAt = this.#options.now()
    if (this.#lines.length > 0) return Promise.resolve(this.#take())
    if (this.#ended) return Promise.resolve(null)
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Ends it: what waits can still be read, and why. */
  finish(end: TapEnd): void {
    if (this.#ended) return
    this.#push(this.#sign(end))
    this.#over()
    this.#wake?.(null)
    this.#wake = null
  }

  /** Its reader is gone. */
  cancel(): void {
    this.#lines = []
    this.#length = 0
    this.#wake?.(null)
    this.#wake = null
    this.#over()
  }

  #over(): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.onEnd()
  }

  #sign(end?: TapEnd): string {
    this.#told = this.#byRate + this.#byReader
    const sign: TapAlive = { alive: new Date().toISOString(), ...this.counts, ...(end === undefined ? {} : { end }) }
    return `${JSON.stringify(sign)}\n`
  }

  #push(line: string): void {
    this.#lines.push(line)
    this.#length += line.length
    const wake = this.#wake
    if (wake === null) return
    this.#wake = null
    this.readAt = this.#options.now()
    wake(this.#take())
  }

  #take(): string {
    let piece = ""
    let taken = 0
    while (taken < this.#lines.length && (taken === 0 || piece.length + this.#lines[taken].length <= PIECE)) piece += this.#lines[taken++]
    this.#lines.splice(0, taken)
    this.#length -= piece.length
    return piece
  }
}

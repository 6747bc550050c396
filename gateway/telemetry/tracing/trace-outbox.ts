// A worker's finished traces on their way to the main thread, in batches. It never waits: when the main thread doesn't keep up, traces
// are dropped, and counted.

import { type FinishedTrace, sizeOf } from "./finished-trace.ts"

/** Characters of one message, about. */
const BATCH = 65_536
/** Characters that may wait, or be on their way: a trace has 1000 of them or so, and 75 000 if all goes wrong. */
const CAPACITY = 2_097_152
/** ms a trace may wait for others. */
const INTERVAL = 200

export interface TraceOutboxOptions {
  /**
   * Hands a batch over, as a list in JSON, which costs a worker a tenth of what a clone of the objects does, and how many traces are
   * in it; the main thread answers with its length to {@link TraceOutbox.taken}.
   */
  post(traces: string, count: number): void
  /** Told of every trace, before anything else becomes of it; and of every one that is lost here. */
  onRecorded(): void
  onDrop(): void
}

export class TraceOutbox {
  readonly #options: TraceOutboxOptions
  #waiting: FinishedTrace[] = []
  /** Of those that wait, about. */
  #size = 0
  /** Characters posted, and not yet taken. */
  #underWay = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  readonly #onTimer = (): void => this.flush()

  constructor(options: TraceOutboxOptions) {
    this.#options = options
  }

  /** Whether a trace that was recorded finds room; otherwise it is lost. To be asked once for each, before it is gathered. */
  admit(): boolean {
    this.#options.onRecorded()
    if (this.#underWay + this.#size < CAPACITY) return true
    this.#options.onDrop()
    return false
  }

  /** One that was admitted. */
  add(trace: FinishedTrace): void {
    this.#waiting.push(trace)
    this.#size += sizeOf(trace)
    if (this.#size >= BATCH) return this.flush()
    if (this.#timer !== null) return
    this.#timer = setTimeout(this.#onTimer, INTERVAL)
    this.#timer.unref()
  }

  /** Hands over what waits. To be called when the worker ends. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const count = this.#waiting.length
    if (count === 0) return
    // One text for all of them costs a third less than one each.
    const traces = JSON.stringify(this.#waiting)
    this.#waiting = []
    this.#size = 0
    this.#underWay += traces.length
    this.#options.post(traces, count)
  }

  /** The main thread has taken a message of that many characters. */
  taken(length: number): void {
    this.#underWay = Math.max(0, this.#underWay - length)
  }
}

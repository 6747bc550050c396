// A worker's finished traces on their way to the main thread, in batches. It never waits: when the main thread doesn't keep up, traces
// are dropped, and counted.

import type { FinishedTrace } from "./finished-trace.ts"

/** Traces of one message. */
const BATCH = 128
/** Traces that may be on their way. Each has a few KiB at most, mostly less than one. */
const CAPACITY = 2048
/** ms a trace may wait for others. */
const INTERVAL = 200

export class TraceOutbox {
  readonly #post: (traces: string, count: number) => void
  readonly #onDrop: () => void
  #waiting: FinishedTrace[] = []
  /** Posted, and not yet taken. */
  #underWay = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  readonly #onTimer = (): void => this.flush()

  /**
   * `post` hands a batch over, as JSON, which costs a worker a tenth of what a clone of the objects does, and how many traces there are
   * in it; the main thread answers with that to {@link taken}. `onDrop`: told of every trace that is lost.
   */
  constructor(post: (traces: string, count: number) => void, onDrop: () => void) {
    this.#post = post
    this.#onDrop = onDrop
  }

  /** Ask before gathering what only the trace needs. */
  get full(): boolean {
    return this.#underWay + this.#waiting.length >= CAPACITY
  }

  add(trace: FinishedTrace): void {
    if (this.full) return this.drop()
    this.#waiting.push(trace)
    if (this.#waiting.length >= BATCH) return this.flush()
    if (this.#timer !== null) return
    this.#timer = setTimeout(this.#onTimer, INTERVAL)
    this.#timer.unref()
  }

  drop(): void {
    this.#onDrop()
  }

  /** Hands over what waits. To be called when the worker ends. */
  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const traces = this.#waiting
    if (traces.length === 0) return
    this.#waiting = []
    this.#underWay += traces.length
    this.#post(JSON.stringify(traces), traces.length)
  }

  taken(count: number): void {
    this.#underWay = Math.max(0, this.#underWay - count)
  }
}

// Streams that wait for their connection or a window to take more of them: a queue, so that a slow one holds up no other and
// none is forgotten.

import type { Stream } from "./stream.ts"

/** What they wait for. */
export interface Outlet {
  /** False while the connection takes nothing more. */
  readonly writable: boolean
}

export class WaitingStreams {
  readonly #outlet: Outlet
  #queue: Stream[] = []

  constructor(outlet: Outlet) {
    this.#outlet = outlet
  }

  /** `open`: streams there are. */
  add(stream: Stream, open: number): void {
    if (stream.waiting) return
    stream.waiting = true
    // Windows that are never opened are no reason to remember streams that are over.
    if (this.#queue.length > 2 * open + 64) this.#queue = this.#queue.filter(({ closed }) => !closed)
    this.#queue.push(stream)
  }

  /**
   * Gives each its turn, a frame, as long as the windows and the connection take them; whoever has had one stands behind the
   * others. Then those with nothing left may give more.
   */
  pump(): void {
    if (this.#queue.length === 0 || !this.#outlet.writable) return
    const queue = this.#queue
    const free: Stream[] = []
    let stuck = 0
    this.#queue = []
    while (stuck < queue.length && this.#outlet.writable) {
      const stream = queue.shift() as Stream
      if (!stream.closed && stream.unsent > 0) {
        stuck = stream.pump() ? 0 : stuck + 1
        if (stream.unsent > 0) {
          queue.push(stream)
          continue
        }
      }
      stream.waiting = false
      free.push(stream)
    }
    this.#queue = [...queue, ...this.#queue]
    this.#notify(free)
  }

  #notify(free: readonly Stream[]): void {
    for (let i = 0; i < free.length; i++) {
      if (!this.#outlet.writable) {
        // The others have filled it: these are the first next time.
        const rest = free.slice(i).filter(({ closed, waiting }) => !closed && !waiting)
        for (const stream of rest) stream.waiting = true
        this.#queue = [...rest, ...this.#queue]
        return
      }
      free[i].notifyWritable()
    }
  }
}

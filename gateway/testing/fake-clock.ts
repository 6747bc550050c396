// Time in a test: it stands still until it is told to go on, and what is due on the way runs in its order.

import type { Clock } from "../wasm/proxy-wasm/host.ts"

/** Timers one step of time may run: what arms itself again and again must come to an end. */
const MAX_RUNS = 1_000_000

interface Timer {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export class FakeClock implements Clock {
  readonly #start: number
  #elapsed = 0
  #order = 0
  readonly #timers = new Set<Timer>()

  /** `start`: milliseconds since the epoch. */
  constructor(start: number) {
    this.#start = start
  }

  now(): number {
    return this.#start + this.#elapsed
  }

  monotonic(): number {
    return this.#elapsed
  }

  schedule(ms: number, run: () => void): () => void {
    const timer = { at: this.#elapsed + Math.max(ms, 0), order: this.#order++, run }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  /** Milliseconds until the next timer is due; Infinity when there is none. */
  get untilNext(): number {
    const next = this.#next()
    return next === null ? Number.POSITIVE_INFINITY : Math.max(next.at - this.#elapsed, 0)
  }

  /** Lets `ms` pass. `settle` runs after each timer, for what that has set off. */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const end = this.#elapsed + ms
    for (let runs = 0; ; runs++) {
      const next = this.#next()
      if (next === null || next.at > end) break
      if (runs === MAX_RUNS) throw new Error(`more than ${MAX_RUNS} timers were due within ${ms} ms`)
      this.#elapsed = Math.max(this.#elapsed, next.at)
      this.#timers.delete(next)
      next.run()
      await settle()
    }
    this.#elapsed = end
  }

  #next(): Timer | null {
    let next: Timer | null = null
    for (const timer of this.#timers) {
      if (next === null || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }
}

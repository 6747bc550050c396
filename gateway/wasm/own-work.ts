// What an instance does by itself (ticks, answers to callouts, queues), one thing after the other and never more than a
// share of the thread's time: a guest that keeps itself busy must not take it from the exchanges of others.

import type { Clock } from "./proxy-wasm/host.ts"

/** ms of pause that pay for one of work, once the burst is used up: a quarter of the thread. */
const PAUSE = 3
/** {@link Task.weight} of what the guest set off itself. */
export const OWN = 1
/** Of what an exchange set off, which bounds it too: up to half of the thread. */
export const CAUSED = 1 / 3
/** ms of work that nobody has to wait for. */
const BURST = 5

/** Something to be done outside exchanges; it does nothing when it is no longer wanted. */
export interface Task {
  /** How much of its time counts. */
  readonly weight: number
  run(): void
}

export class OwnWork {
  readonly #clock: Clock
  readonly #waiting: Task[] = []
  /** ms of work not paid for by pauses yet, at {@link #at}. */
  #owed = 0
  #at: number
  #cancel: (() => void) | null = null
  #running = false
  #ended = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#at = clock.monotonic()
  }

  /** Runs `task`, now if it may be. */
  take(task: Task): void {
    if (this.#ended) return
    this.#waiting.push(task)
    if (!this.#running && this.#cancel === null) this.#goOn()
  }

  /** Whether what runs now is a task. */
  get running(): boolean {
    return this.#running
  }

  /** Adds `ms` that a task has others work for it. */
  charge(ms: number): void {
    this.#owed += ms
  }

  /** Nothing runs any more. */
  end(): void {
    this.#ended = true
    this.#waiting.length = 0
    this.#cancel?.()
    this.#cancel = null
  }

  #debt(): number {
    const now = this.#clock.monotonic()
    this.#owed = Math.max(0, this.#owed - (now - this.#at) / PAUSE)
    this.#at = now
    return this.#owed
  }

  #run(task: Task): void {
    const start = this.#clock.monotonic()
    this.#running = true
    try {
      task.run()
    } finally {
      this.#running = false
    }
    const end = this.#clock.monotonic()
    // The work itself is no pause.
    this.#owed += (end - start) * task.weight
    this.#at = end
  }

  #goOn(): void {
    while (this.#waiting.length > 0 && this.#debt() < BURST) this.#run(this.#waiting.shift() as Task)
    if (this.#waiting.length === 0) return
    const ms = Math.max(1, Math.ceil((this.#debt() - BURST) * PAUSE) + 1)
    this.#cancel = this.#clock.schedule(ms, () => {
      this.#cancel = null
      this.#goOn()
    })
  }
}

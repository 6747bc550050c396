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

/** For all instances of a worker together: half of the thread. */
const TOTAL_PAUSE = 1
const TOTAL_BURST = 10

/** Work that is done, less the pauses that pay for it. */
export class WorkAccount {
  readonly #clock: Clock
  readonly #pause: number
  readonly #burst: number
  /** ms of work not paid for by pauses yet, at {@link #at}. */
  #owed = 0
  #at: number

  /** `pause`: ms that pay for one of work, once `burst` ms are used up. */
  constructor(clock: Clock, pause: number, burst: number) {
    this.#clock = clock
    this.#pause = pause
    this.#burst = burst
    this.#at = clock.monotonic()
  }

  charge(ms: number): void {
    this.#owed += ms
  }

  /** Work of `ms` has just ended: that time was no pause. */
  worked(ms: number): void {
    this.#owed += ms
    this.#at = this.#clock.monotonic()
  }

  /** ms until there may be more work; 0 = none. */
  wait(): number {
    const now = this.#clock.monotonic()
    this.#owed = Math.max(0, this.#owed - (now - this.#at) / this.#pause)
    this.#at = now
    return this.#owed < this.#burst ? 0 : Math.ceil((this.#owed - this.#burst) * this.#pause) + 1
  }
}

/** The account that all instances of a worker share. */
export function workOfAll(clock: Clock): WorkAccount {
  return new WorkAccount(clock, TOTAL_PAUSE, TOTAL_BURST)
}

/** Something to be done outside exchanges; it does nothing when it is no longer wanted. */
export interface Task {
  /** How much of its time counts. */
  readonly weight: number
  run(): void
}

export class OwnWork {
  readonly #clock: Clock
  readonly #waiting: Task[] = []
  readonly #own: WorkAccount
  readonly #all: WorkAccount | null
  #cancel: (() => void) | null = null
  #running = false
  #ended = false

  /** `all`: what it shares with others; null = it is alone. */
  constructor(clock: Clock, all: WorkAccount | null) {
    this.#clock = clock
    this.#own = new WorkAccount(clock, PAUSE, BURST)
    this.#all = all
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
    this.#own.charge(ms)
    this.#all?.charge(ms)
  }

  /** Nothing runs any more. */
  end(): void {
    this.#ended = true
    this.#waiting.length = 0
    this.#cancel?.()
    this.#cancel = null
  }

  /** ms until a task may run; 0 = now. */
  #wait(): number {
    return Math.max(this.#own.wait(), this.#all === null ? 0 : this.#all.wait())
  }

  #run(task: Task): void {
    const start = this.#clock.monotonic()
    this.#running = true
    try {
      task.run()
    } finally {
      this.#running = false
    }
    const ms = (this.#clock.monotonic() - start) * task.weight
    this.#own.worked(ms)
    this.#all?.worked(ms)
  }

  #goOn(): void {
    while (this.#waiting.length > 0 && this.#wait() === 0) this.#run(this.#waiting.shift() as Task)
    if (this.#waiting.length === 0) return
    this.#cancel = this.#clock.schedule(Math.max(1, this.#wait()), () => {
      this.#cancel = null
      this.#goOn()
    })
  }
}

// Refuses exchanges while this worker, or the process, has too much to do: it looks ten times a second how late its thread is and
// what the main thread says of the memory (`telemetry/memory-watch.ts`). Connections are always accepted, and those it has stay open: who
// is to come back later has to be told so.

import type { OverloadConfig } from "../config/limits-model.ts"
import { isShed, OverloadController, type Priority } from "../resilience/overload.ts"

/** ms between two looks. */
const LOOK = 100

export interface OverloadGuardMeans {
  /** Level by memory in thousandths, which the main thread writes. */
  readonly memory: SharedArrayBuffer
  /** [0, 1). */
  readonly random: () => number
  /** ms. */
  now(): number
  /** An exchange of this priority was refused. */
  onShed(priority: Priority): void
  /** How it stands; `delay`: ms the last look was late. */
  onLook(level: number, delay: number): void
}

export class OverloadGuard {
  readonly #means: OverloadGuardMeans
  readonly #memory: Int32Array
  readonly #controller = new OverloadController(0)
  #level = 0
  #lookedAt: number
  #on = false

  constructor(means: OverloadGuardMeans) {
    this.#means = means
    this.#memory = new Int32Array(means.memory)
    this.#lookedAt = means.now()
  }

  /** Looks from now on, for as long as the thread lives. */
  start(): void {
    this.#lookedAt = this.#means.now()
    this.#wait()
  }

  #wait(): void {
    setTimeout(() => {
      this.look()
      this.#wait()
    }, LOOK).unref()
  }

  /** The configuration that is in force; null = nothing is refused. */
  use(config: OverloadConfig | null): void {
    this.#on = config !== null
    this.#controller.threshold = config?.eventLoopLag ?? 0
  }

  /** Called by its own timer; by tests with a clock of their own. */
  look(): void {
    const now = this.#means.now()
    const elapsed = now - this.#lookedAt
    this.#lookedAt = now
    const delay = Math.max(0, elapsed - LOOK)
    const level = this.#controller.look(elapsed, delay, Atomics.load(this.#memory, 0) / 1000)
    this.#level = this.#on ? level : 0
    this.#means.onLook(this.#level, delay)
  }

  /** Whether an exchange of this priority is refused. */
  sheds(priority: Priority): boolean {
    if (this.#level <= priority || !isShed(this.#level, priority, this.#means.random())) return false
    this.#means.onShed(priority)
    return true
  }
}

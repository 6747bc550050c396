// The timer behind `proxy_on_tick` of one root context: re-armed when the handler has returned, so that ticks never overlap.

import { OWN, type Task } from "./own-work.ts"
import type { RootContext } from "./root-context.ts"

/** Pause after a tick, for each ms that it took: ticks alone never use more than a tenth of the thread. */
const PAUSE = 9
/** Longest period, ms: what the runtimes' timers can count. */
const MAX_PERIOD = 0x7fffffff

export class RootTicker implements Task {
  readonly weight = OWN
  readonly #root: RootContext
  #period = 0
  #cancel: (() => void) | null = null
  /** A tick is due or runs. */
  #ticking = false
  /** Monotonic ms before which there is no other tick. */
  #restUntil = 0

  constructor(root: RootContext) {
    this.#root = root
  }

  /** Replaces the period, from now on; ms, 0 = no ticks. */
  set(ms: number): void {
    this.#period = Math.min(ms, MAX_PERIOD)
    this.#cancel?.()
    this.#cancel = null
    if (!this.#ticking) this.#arm()
  }

  run(): void {
    const root = this.#root
    const { clock, exports } = root.vm
    if (this.#period > 0 && exports.tick !== null) {
      const start = clock.monotonic()
      root.run("proxy_on_tick", () => {
        exports.tick?.(root.id)
      })
      const end = clock.monotonic()
      this.#restUntil = end + (end - start) * PAUSE
    }
    this.#ticking = false
    this.#arm()
  }

  #arm(): void {
    const { vm } = this.#root
    if (this.#period === 0 || vm.dead || vm.exports.tick === null) return
    const rest = this.#restUntil - vm.clock.monotonic()
    this.#cancel = vm.clock.schedule(Math.max(this.#period, Math.ceil(rest)), () => {
      this.#cancel = null
      this.#ticking = true
      vm.work.take(this)
    })
  }
}

// Those who wait for a connection of one pool, in turn; bounded in number by their service's limits, and in time. Whoever has waited
// too long while no connection is being made for him is told so.

import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import type { ConnectionLimits, ConnectionWaiter, UpstreamCounters } from "./pool.ts"

/** ms until another look at those who are overdue, but have a connection on its way. */
const LOOK_AGAIN = 100

export class WaitingQueue implements DeadlineOwner {
  readonly #wheel: TimerWheel
  readonly #limits: ConnectionLimits
  readonly #counters: UpstreamCounters
  /** How many connections that are being made will serve: the first in the queue. */
  readonly #expected: () => number
  readonly #waiters: ConnectionWaiter[] = []
  /** Since when each waits, ms of the wheel's clock. */
  readonly #since: number[] = []
  readonly #deadline: Deadline

  constructor(wheel: TimerWheel, limits: ConnectionLimits, counters: UpstreamCounters, expected: () => number) {
    this.#wheel = wheel
    this.#limits = limits
    this.#counters = counters
    this.#expected = expected
    this.#deadline = new Deadline(wheel, this)
  }

  get length(): number {
    return this.#waiters.length
  }

  /** One more, before all others when `first`. False: too many wait already. */
  push(waiter: ConnectionWaiter, first: boolean): boolean {
    if (!this.#limits.admitPending()) return false
    const { now } = this.#wheel
    if (first) {
      this.#waiters.unshift(waiter)
      this.#since.unshift(now)
    } else {
      this.#waiters.push(waiter)
      this.#since.push(now)
    }
    this.#counters.pending(1)
    const { queueTimeout } = this.#limits
    if (this.#deadline.at > now + queueTimeout) this.#deadline.set(now + queueTimeout)
    return true
  }

  shift(): ConnectionWaiter | undefined {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) return undefined
    this.#left(this.#since.shift() as number)
    return waiter
  }

  /** Whether it was there. */
  remove(waiter: ConnectionWaiter): boolean {
    const i = this.#waiters.indexOf(waiter)
    if (i < 0) return false
    this.#removeAt(i)
    return true
  }

  #removeAt(i: number): void {
    this.#waiters.splice(i, 1)
    this.#left(this.#since.splice(i, 1)[0])
  }

  #left(since: number): void {
    this.#counters.pending(-1)
    this.#counters.waited(this.#wheel.refresh() - since)
    this.#limits.releasePending()
    if (this.#waiters.length === 0) this.#deadline.clear()
  }

  onDeadline(): void {
    const { now } = this.#wheel
    const oldest = now - this.#limits.queueTimeout
    const overdue: ConnectionWaiter[] = []
    for (let i = this.#waiters.length - 1; i >= this.#expected(); i--) {
      if (this.#since[i] > oldest) continue
      overdue.push(this.#waiters[i])
      this.#removeAt(i)
    }
    this.#arm(now)
    // What they do next may come back here.
    for (const waiter of overdue) {
      this.#limits.refused("queueTimeout")
      waiter.onNoConnection("queueTimeout", "pool queue")
    }
  }

  #arm(now: number): void {
    let at = Number.POSITIVE_INFINITY
    for (const since of this.#since) at = Math.min(at, Math.max(since + this.#limits.queueTimeout, now + LOOK_AGAIN))
    if (at !== Number.POSITIVE_INFINITY) this.#deadline.set(at)
  }
}

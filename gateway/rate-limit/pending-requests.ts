// Requests that wait for the store of global limits: in the order they came, each for the same time at most, so many at most.

import type { RateLimitWaiter } from "../filter/native/rate-limit-decider.ts"
import type { CountedKey } from "./counted-key.ts"

/** In one worker. */
export const MAX_PENDING = 1024

export class PendingRequest {
  readonly waiter: RateLimitWaiter
  readonly keys: readonly CountedKey[]
  /** ms: when it has waited long enough. */
  readonly due: number

  constructor(waiter: RateLimitWaiter, keys: readonly CountedKey[], due: number) {
    this.waiter = waiter
    this.keys = keys
    this.due = due
  }
}

export class PendingRequests {
  readonly #timeout: number
  readonly #clock: () => number
  readonly #onDue: (request: PendingRequest) => void
  /** Oldest first. */
  readonly #requests = new Map<RateLimitWaiter, PendingRequest>()
  #timer: ReturnType<typeof setTimeout> | null = null

  /** `timeout`: ms. */
  constructor(timeout: number, clock: () => number, onDue: (request: PendingRequest) => void) {
    this.#timeout = timeout
    this.#clock = clock
    this.#onDue = onDue
  }

  get full(): boolean {
    return this.#requests.size >= MAX_PENDING
  }

  get size(): number {
    return this.#requests.size
  }

  add(waiter: RateLimitWaiter, keys: readonly CountedKey[]): PendingRequest {
    const request = new PendingRequest(waiter, keys, this.#clock() + this.#timeout)
    this.#requests.set(waiter, request)
    for (const key of keys) key.waiting.push(request)
    if (this.#timer === null) this.#wait(this.#timeout)
    return request
  }

  /** It waits no more; null when nothing of this waiter does. */
  remove(waiter: RateLimitWaiter): PendingRequest | null {
    const request = this.#requests.get(waiter)
    if (request === undefined) return null
    this.#requests.delete(waiter)
    for (const { waiting } of request.keys) {
      const at = waiting.indexOf(request)
      if (at !== -1) waiting.splice(at, 1)
    }
    return request
  }

  #wait(time: number): void {
    this.#timer = setTimeout(() => this.#look(), time)
  }

  #look(): void {
    this.#timer = null
    const now = this.#clock()
    for (const request of [...this.#requests.values()]) {
      // Timers may fire a little early.
      if (request.due - now >= 1) {
        this.#wait(request.due - now)
        return
      }
      this.remove(request.waiter)
      this.#onDue(request)
    }
  }

  /** All of them, which wait no more. */
  takeAll(): PendingRequest[] {
    const all = [...this.#requests.values()]
    for (const { waiter } of all) this.remove(waiter)
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    return all
  }
}

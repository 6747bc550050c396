// The rate limits that this process decides on, for one route or one service: a request has to pass all of them, in order, and
// costs nothing at any when one refuses it. Synchronous, and nothing is allocated for a request that passes.

import type { RequestHead } from "../../http/message.ts"
import type { Gcra } from "../../resilience/gcra.ts"
import type { RateTable } from "../../resilience/rate-table.ts"
import type { MetricsWriter } from "../../telemetry/metrics-writer.ts"
import { RATE_ALLOWED, RATE_LIMITED, RATE_SHADOW } from "../../telemetry/rate-limit-instruments.ts"
import type { LocalReply, StreamInfo } from "../filter.ts"
import type { StoredProperty } from "./rate-limit-keys.ts"
import { missingReply, refusal } from "./rate-limit-reply.ts"
import { RATE_MISSING, RATE_SKIP, type RateLimiter } from "./rate-limiter.ts"

/** A place where a request was counted, to take it back. */
export interface Taken {
  readonly gcra: Gcra
  readonly place: number
}

export class RateLimitChecks {
  readonly #limiters: readonly RateLimiter[]
  readonly #table: RateTable
  readonly #metrics: MetricsWriter
  readonly #policy: string
  // What the last request has taken: from the first `#count` of these, by position. A place of −1: nothing.
  readonly #places: number[]
  readonly #gcras: (Gcra | null)[]
  #count = 0
  /** Of the limit with the fewest requests left that clients are told of; `limit` −1 = there is none. */
  limit = -1
  remaining = 0
  /** ms. */
  reset = 0

  /** @param policy value of RateLimit-Policy in replies */
  constructor(limiters: readonly RateLimiter[], policy: string, table: RateTable, metrics: MetricsWriter) {
    this.#limiters = limiters
    this.#policy = policy
    this.#table = table
    this.#metrics = metrics
    this.#places = limiters.map(() => -1)
    this.#gcras = limiters.map(() => null)
  }

  /** Counts a request; null = it passes, or else what it is answered. */
  take(info: StreamInfo, head: RequestHead, stored: StoredProperty | null): LocalReply | null {
    const limiters = this.#limiters
    this.limit = -1
    for (let i = 0; i < limiters.length; i++) {
      const limiter = limiters[i]
      this.#count = i
      this.#places[i] = -1
      const read = limiter.read(info, head, stored)
      if (read === RATE_SKIP) continue
      const { shadow } = limiter.config
      if (read === RATE_MISSING || !limiter.take()) {
        this.#metrics.add(limiter.slots + (shadow ? RATE_SHADOW : RATE_LIMITED), 1)
        if (shadow) continue
        const reply = read === RATE_MISSING ? missingReply(limiter.config) : refusal(limiter, this.#policy)
        this.giveBack()
        return reply
      }
      this.#places[i] = limiter.place
      this.#gcras[i] = limiter.gcra
      if (limiter.config.headers && !shadow) this.#tell(limiter)
    }
    this.#count = limiters.length
    for (let i = 0; i < limiters.length; i++) if (this.#places[i] >= 0) this.#metrics.add(limiters[i].slots + RATE_ALLOWED, 1)
    return null
  }

  #tell(limiter: RateLimiter): void {
    const { left } = limiter
    if (this.limit >= 0 && left >= this.remaining) return
    this.limit = limiter.requests
    this.remaining = left
    this.reset = limiter.reset
  }

  /** The last request goes no further: what it took is there again. */
  giveBack(): void {
    for (let i = 0; i < this.#count; i++) {
      const gcra = this.#gcras[i]
      if (this.#places[i] >= 0 && gcra !== null) this.#table.giveBack(gcra, this.#places[i])
    }
    this.#count = 0
  }

  /** What the last request took, for when that may have to be given back later. */
  taken(): Taken[] {
    const taken: Taken[] = []
    for (let i = 0; i < this.#count; i++) {
      const gcra = this.#gcras[i]
      if (this.#places[i] >= 0 && gcra !== null) taken.push({ gcra, place: this.#places[i] })
    }
    return taken
  }

  /** Gives back what {@link taken} said. */
  giveBackLater(taken: readonly Taken[]): void {
    for (const { gcra, place } of taken) this.#table.giveBack(gcra, place)
  }
}

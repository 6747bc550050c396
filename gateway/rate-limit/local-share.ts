// Decides on requests of limits that gateways share while nobody can be asked: by this gateway's own share of each, counted where its
// local limits are, so that all workers share it. What was granted before is not known here: a gateway that loses the store
// begins with a full share.

import type { RateLimitAsk, RateLimitVerdict } from "../filter/native/rate-limit-decider.ts"
import { Gcra } from "../resilience/gcra.ts"
import type { KeyHash } from "../resilience/key-hash.ts"
import type { RateTable } from "../resilience/rate-table.ts"
import { Verdict } from "./verdict.ts"

export interface LocalShareOptions {
  readonly table: RateTable
  readonly hash: KeyHash
  /** ms of the clock that all workers share. */
  readonly now: () => number
  /** Gateways among which a limit is divided. */
  readonly replicas: number
}

export class LocalShare {
  readonly #options: LocalShareOptions
  /** Of keys: as long as somebody knows of them. */
  readonly #shares = new WeakMap<RateLimitAsk, Gcra>()
  readonly #verdict = new Verdict()

  constructor(options: LocalShareOptions) {
    this.#options = options
  }

  /** The same objects are to be given for the same keys. */
  decide(asks: readonly RateLimitAsk[]): RateLimitVerdict {
    const { table, now } = this.#options
    const time = now()
    const verdict = this.#verdict
    verdict.allowed = true
    verdict.index = 0
    verdict.retryAfter = 0
    verdict.remaining = Infinity
    const taken: { gcra: Gcra; place: number }[] = []
    for (let i = 0; i < asks.length; i++) {
      const gcra = this.#share(asks[i])
      const passed = this.#take(asks[i], gcra, time)
      const { state, place } = table
      const at = gcra.at(time)
      const left = gcra.left(state, at)
      if (!passed || left < verdict.remaining) {
        verdict.index = i
        verdict.limit = Math.max(1, Math.floor(gcra.requests))
        verdict.remaining = left
        verdict.reset = gcra.reset(state, at)
      }
      if (passed) {
        taken.push({ gcra, place })
        continue
      }
      verdict.allowed = false
      verdict.retryAfter = gcra.wait(state, at)
      for (const each of taken) table.giveBack(each.gcra, each.place)
      return verdict
    }
    return verdict
  }

  #take({ rule, values }: RateLimitAsk, gcra: Gcra, time: number): boolean {
    const { table, hash } = this.#options
    hash.begin()
    hash.add("share")
    hash.add(rule.name)
    hash.add(`${gcra.requests} ${gcra.per} ${gcra.burst}`)
    for (const value of values) hash.add(value)
    hash.end()
    return table.takeKey(gcra, hash.low, hash.high, time)
  }

  #share(ask: RateLimitAsk): Gcra {
    let gcra = this.#shares.get(ask)
    if (gcra === undefined) {
      const { replicas } = this.#options
      gcra = new Gcra(ask.requests / replicas, ask.per, Math.max(1, Math.floor(ask.burst / replicas)))
      this.#shares.set(ask, gcra)
    }
    return gcra
  }
}

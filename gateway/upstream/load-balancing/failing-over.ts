// The load balancer of a service that has another to fall back on: asked whenever none of its own endpoints should be picked.

import type { Endpoint } from "../endpoint.ts"
import type { BalancerCounters, StagedBalancer } from "./load-balancer.ts"

export class FailingOver implements StagedBalancer {
  readonly #own: StagedBalancer
  readonly #other: StagedBalancer
  readonly #counters: BalancerCounters

  constructor(own: StagedBalancer, other: StagedBalancer, counters: BalancerCounters) {
    this.#own = own
    this.#other = other
    this.#counters = counters
  }

  next(tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    return this.pick(tried, key) ?? this.lastResort(tried, key)
  }

  hasOthers(tried: readonly Endpoint[] | null): boolean {
    return this.#own.hasOthers(tried) || this.#other.hasOthers(tried)
  }

  pick(tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    const own = this.#own.pick(tried, key)
    if (own !== null) return own
    const other = this.#other.pick(tried, key)
    if (other !== null) this.#counters.failovers(1)
    return other
  }

  lastResort(tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    return this.#own.lastResort(tried, key) ?? this.#other.lastResort(tried, key)
  }
}

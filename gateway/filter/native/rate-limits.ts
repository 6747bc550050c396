// Makes the rate limits of one snapshot in one worker out of what the main thread has handed over.

import type { RateLimitConfig } from "../../config/rate-limit-model.ts"
import { KeyHash } from "../../resilience/key-hash.ts"
import { RateTable } from "../../resilience/rate-table.ts"
import type { MetricsWriter } from "../../telemetry/metrics-writer.ts"
import type { HttpFilter } from "../filter.ts"
import { RateLimitFilter, type RemoteGroup } from "./rate-limit.ts"
import { RateLimitChecks } from "./rate-limit-checks.ts"
import type { RateLimitDecider } from "./rate-limit-decider.ts"
import { policyOf } from "./rate-limit-reply.ts"
import type { RateLimitSpec } from "./rate-limit-state.ts"
import { RateLimiter, type RateLimitMeans } from "./rate-limiter.ts"

type Limits = readonly RateLimitConfig[] | undefined

export interface RateLimitParts {
  readonly metrics: MetricsWriter
  /** Who decides on a limit; null: this process. */
  decider(config: RateLimitConfig): RateLimitDecider | null
}

/** The limits of a listener and a route: those asked before the route's filters, and those asked behind them. */
export function limitsAround(listener: Limits, route: Limits): { early: RateLimitConfig[]; late: RateLimitConfig[] } {
  const limits = [...(listener ?? []), ...(route ?? [])]
  const late = limits.filter(({ by }) => by.some(({ kind }) => kind === "claim"))
  return { early: limits.filter((limit) => !late.includes(limit)), late }
}

export class RateLimits {
  readonly #spec: RateLimitSpec
  readonly #parts: RateLimitParts
  readonly #means: RateLimitMeans | null
  /** One for each limit, since a listener's is in the chains of all its routes. */
  readonly #limiters = new Map<RateLimitConfig, RateLimiter>()

  constructor(spec: RateLimitSpec, parts: RateLimitParts) {
    this.#spec = spec
    this.#parts = parts
    // Threads began at different times; the sum is the same in all of them.
    const offset = performance.timeOrigin - spec.epoch
    this.#means =
      spec.memory === null
        ? null
        : { table: new RateTable(spec.memory), hash: new KeyHash(spec.seed), now: () => offset + performance.now() }
  }

  /**
   * A route's filters with its limits and its listener's around them: in front, so that what is refused costs no filter; those
   * that count by what filters find out, behind them.
   */
  around(listener: Limits, route: Limits, filters: readonly HttpFilter[]): readonly HttpFilter[] {
    const { early, late } = limitsAround(listener, route)
    return [...this.#filter(early), ...filters, ...this.#filter(late)]
  }

  #filter(limits: readonly RateLimitConfig[]): RateLimitFilter[] {
    if (limits.length === 0) return []
    const limiters = limits.map((config) => this.#limiter(config))
    const remote: (RemoteGroup & { limiters: RateLimiter[] })[] = []
    for (const limiter of limiters) {
      const { decider } = limiter
      if (decider === null) continue
      const { shadow } = limiter.config
      const group = remote.find((each) => each.decider === decider && each.shadow === shadow)
      if (group === undefined) remote.push({ decider, shadow, limiters: [limiter] })
      else group.limiters.push(limiter)
    }
    const local = limiters.filter(({ decider }) => decider === null)
    const policy = policyOf(limits)
    return [new RateLimitFilter(this.#checks(local, policy), remote, policy, this.#parts.metrics)]
  }

  /** Those of a service, asked before a request is sent to it; null = it has none. */
  service(limits: Limits): RateLimitChecks | null {
    if (limits === undefined || limits.length === 0) return null
    return this.#checks(
      limits.map((config) => this.#limiter(config)),
      policyOf(limits),
    )
  }

  #checks(limiters: readonly RateLimiter[], policy: string): RateLimitChecks {
    return new RateLimitChecks(limiters, policy, (this.#means as RateLimitMeans).table, this.#parts.metrics)
  }

  #limiter(config: RateLimitConfig): RateLimiter {
    const known = this.#limiters.get(config)
    if (known !== undefined) return known
    const { buckets, slots } = this.#spec
    const decider = this.#parts.decider(config)
    const bucket = buckets[config.name] ?? -1
    const limiter = new RateLimiter(config, bucket, slots[config.name], decider, this.#means as RateLimitMeans)
    this.#limiters.set(config, limiter)
    return limiter
  }
}

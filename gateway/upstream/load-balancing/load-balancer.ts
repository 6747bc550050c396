// Load balancers by their configuration. A balancer yields candidates in order, so that a failed attempt goes on with the next.

import type { LoadBalancingConfig } from "../../config/balancing-model.ts"
import type { Endpoint } from "../endpoint.ts"
import { HashedChoice } from "./hashed.ts"
import { LeastRequest } from "./least-request.ts"
import type { Member } from "./level.ts"
import { MaglevTable } from "./maglev.ts"
import { PeakEwmaChoice } from "./peak-ewma.ts"
import type { Candidates, Policy } from "./policy.ts"
import { RandomChoice } from "./random.ts"
import { Ring } from "./ring-hash.ts"
import { RoundRobin } from "./round-robin.ts"
import type { TableCache } from "./table-cache.ts"
import { Tiers, type TiersMeans } from "./tiers.ts"

export interface LoadBalancer {
  /**
   * The endpoint for an attempt, other than those in `tried` while there are others; null when there is none. `key`: an unsigned
   * 32-bit hash of what the service balances by, −1 = none.
   */
  next(tried: readonly Endpoint[] | null, key: number): Endpoint | null
  /** Whether there is an endpoint that isn't in `tried`. */
  hasOthers(tried: readonly Endpoint[] | null): boolean
}

/** A balancer that says whether an endpoint is a good choice, so that another balancer may be asked for a better. */
export interface StagedBalancer extends LoadBalancer {
  /** The first part of {@link next}: one that should be picked, or null. */
  pick(tried: readonly Endpoint[] | null, key: number): Endpoint | null
  /** The second part: one that has to do. */
  lastResort(tried: readonly Endpoint[] | null, key: number): Endpoint | null
}

/** What a balancer counts beside what it does. */
export interface BalancerCounters {
  /** Requests for which endpoints that are unwell were candidates too. */
  panics(n: number): void
  /** Requests sent outside the zone, for there is too little in it. */
  spills(n: number): void
  /** Requests given to the other service. */
  failovers(n: number): void
}

export interface BalancerMeans extends TiersMeans {
  readonly tables: TableCache
}

/** `zone`: the gateway's; "" = none. `failsOver`: another service takes over, so that there is no panic. Members of weight 0 take no part. */
export function createLoadBalancer(
  config: LoadBalancingConfig,
  members: readonly Member[],
  means: BalancerMeans,
  zone = "",
  failsOver = false,
): StagedBalancer {
  const taking = members.filter(({ weight }) => weight > 0)
  const settings = {
    zone: config.zoneAware ? zone : "",
    slowStart: config.slowStart,
    panicThreshold: failsOver ? 0 : config.panicThreshold,
  }
  return new Tiers(taking, settings, means, (candidates) => createPolicy(config, candidates, means))
}

function createPolicy({ policy }: LoadBalancingConfig, candidates: Candidates, { random, clock, tables }: BalancerMeans): Policy {
  switch (policy) {
    case "roundRobin":
      return new RoundRobin(candidates)
    case "random":
      return new RandomChoice(candidates, random)
    case "leastRequest":
      return new LeastRequest(candidates, random)
    case "peakEwma":
      return new PeakEwmaChoice(candidates, random, clock)
    case "ringHash":
      return new HashedChoice(candidates, policy, (...from) => new Ring(...from), random, tables)
    case "maglev":
      return new HashedChoice(candidates, policy, (...from) => new MaglevTable(...from), random, tables)
  }
}

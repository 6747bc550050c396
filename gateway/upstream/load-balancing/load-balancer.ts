// What load-balancing policies share. A policy yields candidates in order, so that a failed attempt goes on with the next.

import type { Endpoint } from "../endpoint.ts"
import { LeastRequest } from "./least-request.ts"
import { RandomChoice } from "./random.ts"
import { RoundRobin } from "./round-robin.ts"

export interface LoadBalancer {
  /** The endpoint for an attempt, other than those in `tried` while there are others; null when there is none. */
  next(tried: readonly Endpoint[] | null): Endpoint | null
}

export type LoadBalancing = "roundRobin" | "random" | "leastRequest"

/** `random` yields [0, 1). Endpoints of weight 0 take no part. */
export function createLoadBalancer(policy: LoadBalancing, endpoints: readonly Endpoint[], random: () => number): LoadBalancer {
  const taking = endpoints.filter((endpoint) => endpoint.weight > 0)
  switch (policy) {
    case "roundRobin":
      return new RoundRobin(taking)
    case "random":
      return new RandomChoice(taking, random)
    case "leastRequest":
      return new LeastRequest(taking, random)
  }
}

// Limits of services as tests of other things want them: the defaults, counted for nobody else.

import type { CircuitBreakerConfig } from "../../gateway/config/limits-model.ts"
import { TimerWheel } from "../../gateway/http/timer-wheel.ts"
import { LimitsMemory, NO_CELL } from "../../gateway/upstream/limits-memory.ts"
import { type LimitMeans, type LimitSettings, ServiceLimits } from "../../gateway/upstream/service-limits.ts"

export const circuitBreaker: CircuitBreakerConfig = {
  maxConnections: 1024,
  maxPending: 1024,
  maxRequests: 1024,
  maxRetries: 1024,
  retryBudget: { share: 0.2, perSecond: 10 },
  queueTimeout: 5000,
  endpoint: { maxConnections: 0, maxRequests: 0 },
}

/** What was refused, by the limit's name, and the last limit that was found out. */
export class LimitCounts {
  readonly refusals: string[] = []
  limit = 0

  refused(limit: string): void {
    this.refusals.push(limit)
  }
  concurrencyLimit(limit: number): void {
    this.limit = limit
  }
}

export function limitsOf(
  settings: Partial<LimitSettings> = {},
  means: Partial<LimitMeans> = {},
  counts: LimitCounts = new LimitCounts(),
): ServiceLimits {
  const memory = new LimitsMemory(new SharedArrayBuffer(0), 1, 0)
  const all = { wheel: new TimerWheel(), random: () => 0, workers: 1, epoch: 0, ...means }
  return new ServiceLimits({ circuitBreaker, ...settings }, memory, NO_CELL, all, counts)
}

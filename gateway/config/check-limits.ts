// Checks of limits that no single value shows: bounds the wrong way round, and settings that do nothing.

import type { Reporter } from "./check-tls.ts"
import { isKnown } from "./issues.ts"
import type { Path } from "./problem.ts"
import type { WrittenRoute, WrittenService } from "./schema.ts"

/** What nobody wrote needs no warning. */
const POOL_DEFAULT = 1024

export function checkServiceLimits(service: WrittenService, path: Path, reporter: Reporter): void {
  const { adaptiveConcurrency, circuitBreaker } = service
  if (isKnown(adaptiveConcurrency)) {
    const { minConcurrency, maxConcurrency } = adaptiveConcurrency
    if (isKnown(minConcurrency) && isKnown(maxConcurrency) && minConcurrency > maxConcurrency) {
      reporter.error(
        [...path, "adaptiveConcurrency", "minConcurrency"],
        "is more than maxConcurrency, so that there is nothing between them; write a smaller one",
      )
    }
  }
  if (!isKnown(circuitBreaker)) return
  const { pool } = service
  const most = circuitBreaker.maxConnections
  if (
    isKnown(pool) &&
    isKnown(pool.maxConnections) &&
    isKnown(most) &&
    pool.maxConnections > most &&
    pool.maxConnections !== POOL_DEFAULT
  ) {
    reporter.warn(
      [...path, "pool", "maxConnections"],
      `is for each endpoint, but all of them together get ${most}; write a larger circuitBreaker.maxConnections`,
    )
  }
  if (!isKnown(circuitBreaker.endpoint)) return
  for (const key of ["maxConnections", "maxRequests"] as const) {
    const most = circuitBreaker[key]
    const ofEach = circuitBreaker.endpoint[key]
    if (!isKnown(most) || !isKnown(ofEach) || ofEach <= most) continue
    reporter.error(
      [...path, "circuitBreaker", "endpoint", key],
      `is more than the service's own ${key}, so that no endpoint would ever have as many; write a smaller one, or a larger circuitBreaker.${key}`,
    )
  }
}

/** `sheds`: the gateway refuses exchanges when it has too much to do. */
export function checkPriority(route: WrittenRoute, path: Path, sheds: boolean, reporter: Reporter): void {
  if (sheds || !isKnown(route.priority) || route.priority === "normal") return
  reporter.warn([...path, "priority"], "means nothing with overload: false, for nothing is refused then; leave one of them out", "key")
}

// Time from the host, so that tests can set it.

import { proxy_get_current_time_nanoseconds } from "./env"
import { OUT_LONG } from "./memory"

/**
 * Milliseconds since 1970, UTC.
 *
 * ```ts
 * request.headers.set("x-seen-at", now().toString())
 * ```
 */
export function now(): i64 {
  store<i64>(OUT_LONG, 0)
  proxy_get_current_time_nanoseconds(OUT_LONG)
  return load<i64>(OUT_LONG) / 1_000_000
}

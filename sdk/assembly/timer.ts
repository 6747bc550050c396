// Periodic work.

import { Status } from "./abi"
import { proxy_set_tick_period_milliseconds } from "./env"
import { report } from "./log"

/**
 * Has `onTick` called at this interval from now on, in every worker; a second call replaces the first.
 *
 * ```ts
 * export function configure(config: Config): void {
 *   every(config.duration("refresh", 60_000))
 * }
 *
 * export function onTick(): void {
 *   new Call("keys", "GET", "/keys.json").fire(loaded)
 * }
 * ```
 *
 * @param milliseconds 0 stops it.
 */
export function every(milliseconds: i64): void {
  const status = proxy_set_tick_period_milliseconds(<i32>max<i64>(0, min<i64>(milliseconds, i32.MAX_VALUE)))
  if (status != Status.OK) report("every", status)
}

// Messages to the gateway's log, and this library's own reports of what the host refused.

import { LogLevel, Status } from "./abi"
import { proxy_get_log_level, proxy_log } from "./env"
import { OUT_WORD } from "./memory"
import { decimal, encodeValue, releaseValue, valueSize } from "./text"

/** Refusals reported in the life of a VM. A filter that gets every header wrong must not flood the log. */
const MAX_REPORTS: i32 = 100
let reports: i32 = 0

export function write(level: i32, message: string): void {
  const text = encodeValue(message)
  proxy_log(level, text, valueSize)
  releaseValue(text)
}

function wanted(level: i32): boolean {
  return proxy_get_log_level(OUT_WORD) != Status.OK || load<i32>(OUT_WORD) <= level
}

/** Logs that the host refused a call. */
export function report(what: string, status: i32): void {
  if (reports >= MAX_REPORTS) return
  reports++
  write(LogLevel.WARN, what + ": " + describe(status) + (reports == MAX_REPORTS ? " (further refusals are not logged)" : ""))
}

function describe(status: i32): string {
  if (status == Status.NOT_FOUND) return "not available here"
  if (status == Status.BAD_ARGUMENT) return "refused as invalid, or not allowed in this phase"
  if (status == Status.PARSE_FAILURE) return "there is no such service"
  if (status == Status.UNIMPLEMENTED) return "not supported by this host"
  return "failed with status " + decimal(status)
}

/**
 * Writes to the gateway's log, under the filter's name. `trace` and `debug` cost next to nothing while the log's level is
 * higher.
 *
 * ```ts
 * log.info("loaded " + keys.length.toString() + " keys")
 * ```
 */
export namespace log {
  export function trace(message: string): void {
    if (wanted(LogLevel.TRACE)) write(LogLevel.TRACE, message)
  }
  export function debug(message: string): void {
    if (wanted(LogLevel.DEBUG)) write(LogLevel.DEBUG, message)
  }
  export function info(message: string): void {
    write(LogLevel.INFO, message)
  }
  export function warn(message: string): void {
    write(LogLevel.WARN, message)
  }
  export function error(message: string): void {
    write(LogLevel.ERROR, message)
  }
}

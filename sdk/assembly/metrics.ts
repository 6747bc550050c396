// Metrics of the filter's own, which the gateway exposes beside its own.

import { MetricType, Status } from "./abi"
import { proxy_define_metric, proxy_get_metric, proxy_increment_metric, proxy_record_metric } from "./env"
import { report } from "./log"
import { OUT_LONG, OUT_WORD } from "./memory"
import { encodeKey, keySize, releaseKey } from "./text"

const UNDEFINED: i32 = 0
const REFUSED: i32 = -1

/** Id of a series, defined when it is first used: at a module's start no host call is allowed. */
function define(type: i32, name: string): i32 {
  store<u32>(OUT_WORD, 0)
  const key = encodeKey(name)
  const status = proxy_define_metric(type, key, keySize, OUT_WORD)
  releaseKey(key)
  if (status == Status.OK) return load<i32>(OUT_WORD)
  report('metric "' + name + '"', status)
  return REFUSED
}

function read(id: i32): i64 {
  store<i64>(OUT_LONG, 0)
  return id != REFUSED && proxy_get_metric(id, OUT_LONG) == Status.OK ? load<i64>(OUT_LONG) : 0
}

function check(name: string, status: i32): void {
  if (status != Status.OK) report('metric "' + name + '"', status)
}

/**
 * A number that only grows; one series for the whole process, whichever worker counts.
 *
 * ```ts
 * const denied = new Counter("requests_denied")
 *
 * denied.increment()
 * ```
 */
@final
export class Counter {
  private id: i32 = UNDEFINED

  constructor(private readonly name: string) {}

  /** @param by at least 1; less changes nothing. */
  increment(by: i64 = 1): void {
    if (by > 0 && this.series != REFUSED) check(this.name, proxy_increment_metric(this.id, by))
  }

  /** Its value now. */
  get value(): i64 {
    return read(this.series)
  }

  private get series(): i32 {
    if (this.id == UNDEFINED) this.id = define(MetricType.COUNTER, this.name)
    return this.id
  }
}

/**
 * A number that goes up and down; one series for the whole process.
 *
 * ```ts
 * const keys = new Gauge("keys_known")
 *
 * keys.set(list.length)
 * ```
 */
@final
export class Gauge {
  private id: i32 = UNDEFINED

  constructor(private readonly name: string) {}

  set(value: i64): void {
    if (this.series != REFUSED) check(this.name, proxy_record_metric(this.id, value))
  }

  /** @param delta may be negative. */
  add(delta: i64): void {
    if (this.series != REFUSED) check(this.name, proxy_increment_metric(this.id, delta))
  }

  /** Its value now. */
  get value(): i64 {
    return read(this.series)
  }

  private get series(): i32 {
    if (this.id == UNDEFINED) this.id = define(MetricType.GAUGE, this.name)
    return this.id
  }
}

/**
 * The distribution of a number.
 *
 * ```ts
 * const sizes = new Histogram("upload_bytes")
 *
 * sizes.record(body.length)
 * ```
 */
@final
export class Histogram {
  private id: i32 = UNDEFINED

  constructor(private readonly name: string) {}

  record(value: i64): void {
    if (this.series != REFUSED) check(this.name, proxy_record_metric(this.id, value))
  }

  private get series(): i32 {
    if (this.id == UNDEFINED) this.id = define(MetricType.HISTOGRAM, this.name)
    return this.id
  }
}

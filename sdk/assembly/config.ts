// A filter's settings: the `config:` of the gateway's configuration, read by key with the type that is expected.

import { Json, JsonKind, JsonReader } from "./json"
import { log } from "./log"
import { decimal } from "./text"

/** As a default: the key must be there. */
const REQUIRED_INT: i32 = i32.MIN_VALUE
const REQUIRED_LONG: i64 = i64.MIN_VALUE

/** Errors that are reported of one configuration. */
const MAX_ERRORS: i32 = 20

@final
class Problems {
  count: i32 = 0

  add(message: string): void {
    if (++this.count <= MAX_ERRORS) log.error("config: " + message)
  }
}

/**
 * The settings of this use of the filter. A reader without a default demands its key. A missing key, a value of the wrong
 * type, or a call of `fail` is logged, all of them at once, and the gateway refuses the configuration (and goes on with
 * the one it had); the reader itself answers an empty value so that `configure` can run to its end.
 *
 * ```ts
 * export function configure(config: Config): void {
 *   header = config.string("header", "x-api-key")   // optional
 *   limit = config.int("limit")                     // required
 * }
 * ```
 */
@final
export class Config {
  /** @internal */
  constructor(
    private readonly root: Json,
    private readonly path: string,
    private readonly problems: Problems,
  ) {}

  /** Whether the key is there (`null` counts as absent). */
  has(key: string): bool {
    return this.json(key) !== null
  }

  /** The keys, in the order they were written. */
  keys(): string[] {
    return this.root.keys()
  }

  /** A text. */
  string(key: string, fallback: string | null = null): string {
    const value = this.find(key, "string", JsonKind.STRING, fallback === null)
    if (value !== null) return value.text
    return fallback === null ? "" : fallback
  }

  /** A whole number. */
  int(key: string, fallback: i32 = i32.MIN_VALUE): i32 {
    const value = this.find(key, "whole number", JsonKind.NUMBER, fallback == REQUIRED_INT)
    if (value !== null) {
      if (value.num == Math.floor(value.num) && value.num > -2147483648.0 && value.num <= 2147483647.0) return <i32>value.num
      this.wrong(key, "must be a whole number")
    }
    return fallback == REQUIRED_INT ? 0 : fallback
  }

  /** A number. */
  number(key: string, fallback: f64 = NaN): f64 {
    const value = this.find(key, "number", JsonKind.NUMBER, isNaN(fallback))
    if (value !== null) return value.num
    return isNaN(fallback) ? 0 : fallback
  }

  /** Yes or no; `false` unless it is said. */
  bool(key: string, fallback: boolean = false): boolean {
    const value = this.find(key, "boolean", JsonKind.BOOL, false)
    return value !== null ? value.truth : fallback
  }

  /** A duration as the gateway writes them (`250ms`, `5s`, `10m`, `1h`), in milliseconds. */
  duration(key: string, fallback: i64 = i64.MIN_VALUE): i64 {
    const value = this.find(key, "duration such as 5s", JsonKind.STRING, fallback == REQUIRED_LONG)
    if (value !== null) {
      const duration = parseDuration(value.text)
      if (duration >= 0) return duration
      this.wrong(key, "must be a duration such as 250ms, 5s, 10m or 1h")
    }
    return fallback == REQUIRED_LONG ? 0 : fallback
  }

  /** A list of texts. */
  strings(key: string, fallback: string[] | null = null): string[] {
    const value = this.find(key, "list of strings", JsonKind.ARRAY, fallback === null)
    if (value === null) return fallback === null ? [] : fallback
    const list: string[] = []
    for (let i = 0; i < value.length; i++) {
      const item = value.at(i)!
      if (item.kind == JsonKind.STRING) list.push(item.text)
      else this.wrong(key, "must be a list of strings, but item " + decimal(i) + " is of type " + item.type)
    }
    return list
  }

  /**
   * A group of settings with readers of its own. An absent group reads as an empty one, so its required keys are missed by
   * their full name.
   *
   * ```ts
   * const limits = config.group("limits")
   * perMinute = limits.int("perMinute")             // config: missing key "limits.perMinute" (whole number)
   * ```
   */
  group(key: string): Config {
    const value = this.find(key, "object", JsonKind.OBJECT, false)
    return new Config(value === null ? new Json(JsonKind.OBJECT) : value, this.path + key + ".", this.problems)
  }

  /** The value of a key as it was written; null if it is absent. */
  json(key: string): Json | null {
    const value = this.root.get(key)
    return value === null || value.kind == JsonKind.NULL ? null : value
  }

  /** Refuses the configuration: for rules that a type can't express. */
  fail(message: string): void {
    this.problems.add(message)
  }

  /** @internal Whether the filter may start. */
  get accepted(): bool {
    return this.problems.count == 0
  }

  private find(key: string, what: string, kind: JsonKind, required: bool): Json | null {
    const value = this.json(key)
    if (value === null) {
      if (required) this.problems.add('missing key "' + this.path + key + '" (' + what + ")")
      return null
    }
    if (value.kind == kind) return value
    this.wrong(key, "must be a " + what + ", but it is of type " + value.type)
    return null
  }

  private wrong(key: string, what: string): void {
    this.problems.add('"' + this.path + key + '" ' + what)
  }
}

/** Milliseconds, or −1. */
function parseDuration(text: string): i64 {
  let split = 0
  while (split < text.length && text.charCodeAt(split) >= 0x30 && text.charCodeAt(split) <= 0x39) split++
  if (split == 0 || split > 12) return -1
  let value: i64 = 0
  for (let i = 0; i < split; i++) value = value * 10 + (text.charCodeAt(i) - 0x30)
  const unit = text.substring(split)
  if (unit == "ms") return value
  if (unit == "s") return value * 1000
  if (unit == "m") return value * 60_000
  if (unit == "h") return value * 3_600_000
  return -1
}

/** Reads a configuration; an empty one has no keys. */
export function readConfig(text: string): Config {
  const problems = new Problems()
  let root: Json | null = null
  const reader = new JsonReader(text)
  if (!reader.empty) {
    root = reader.read()
    if (root === null) problems.add("not JSON: " + reader.error)
    else if (root.kind != JsonKind.OBJECT) problems.add("must be an object with keys, but it is of type " + root.type)
  }
  return new Config(root === null ? new Json(JsonKind.OBJECT) : root, "", problems)
}

// A filter's settings: the `config:` of the gateway's configuration, read by key with the type that is expected.

import { CidrSet } from "./cidr"
import { Json, JsonKind } from "./json"
import { JsonReader } from "./json-reader"
import { log } from "./log"
import { PatternSet } from "./pattern"
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
    private readonly prefix: string,
    private readonly problems: Problems,
  ) {}

  /** Whether the key is there (`null` counts as absent). */
  has(key: string): boolean {
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

  /**
   * A whole number.
   *
   * ```ts
   * limit = config.int("requests", 100, 1)            // at least 1
   * ```
   */
  int(key: string, fallback: i32 = i32.MIN_VALUE, least: i32 = i32.MIN_VALUE, most: i32 = i32.MAX_VALUE): i32 {
    const value = this.find(key, "whole number", JsonKind.NUMBER, fallback == REQUIRED_INT)
    if (value !== null) {
      const num = value.num
      if (num != Math.floor(num) || num <= -2147483648.0 || num > 2147483647.0) this.wrong(key, "must be a whole number")
      else if (num < <f64>least) this.wrong(key, "must be at least " + decimal(least))
      else if (num > <f64>most) this.wrong(key, "must be at most " + decimal(most))
      else return <i32>num
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

  /**
   * A size as the gateway writes them (`500B`, `64KiB`, `1MiB`, `2GiB`, or a whole number of octets), in octets.
   *
   * ```ts
   * most = config.size("maxBody", 1 << 20)
   * ```
   */
  size(key: string, fallback: i64 = i64.MIN_VALUE): i64 {
    const given = this.json(key)
    if (given !== null && given.kind == JsonKind.NUMBER && given.num >= 0 && given.num == Math.floor(given.num)) {
      return <i64>min(given.num, 9007199254740991.0)
    }
    const value = this.find(key, "size such as 64KiB", JsonKind.STRING, fallback == REQUIRED_LONG)
    if (value !== null) {
      const size = parseSize(value.text)
      if (size >= 0) return size
      this.wrong(key, "must be a size such as 500B, 64KiB or 1MiB")
    }
    return fallback == REQUIRED_LONG ? 0 : fallback
  }

  /**
   * One of a few texts.
   *
   * ```ts
   * mode = config.oneOf("mode", ["block", "mark"], "block")
   * ```
   */
  oneOf(key: string, choices: string[], fallback: string | null = null): string {
    const value = this.find(key, "string", JsonKind.STRING, fallback === null)
    if (value !== null) {
      if (choices.includes(value.text)) return value.text
      this.wrong(key, "must be one of " + choices.join(", "))
    }
    return fallback === null ? "" : fallback
  }

  /**
   * A group whose keys are the author's own and whose values are texts. An absent one is empty.
   *
   * ```ts
   * const users = config.map("users")
   * const names = users.keys()
   * for (let i = 0; i < names.length; i++) log.info(names[i] + " is " + users.get(names[i]))
   * ```
   */
  map(key: string): Map<string, string> {
    const map = new Map<string, string>()
    const value = this.find(key, "object", JsonKind.OBJECT, false)
    if (value === null) return map
    const names = value.keys()
    for (let i = 0; i < names.length; i++) {
      const item = value.get(names[i])!
      if (item.kind == JsonKind.STRING) map.set(names[i], item.text)
      else this.wrong(key + "." + names[i], "must be a string, but it is of type " + item.type)
    }
    return map
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
    return new Config(value === null ? new Json(JsonKind.OBJECT) : value, this.prefix + key + ".", this.problems)
  }

  /**
   * A list of groups. An absent one is empty.
   *
   * ```ts
   * const rules = config.groups("rules")
   * for (let i = 0; i < rules.length; i++) add(rules[i].string("path"), rules[i].int("limit"))
   * // config: missing key "rules[0].limit" (whole number)
   * ```
   */
  groups(key: string): Config[] {
    const groups: Config[] = []
    const value = this.find(key, "list of objects", JsonKind.ARRAY, false)
    if (value === null) return groups
    for (let i = 0; i < value.length; i++) {
      const item = value.at(i)!
      const name = key + "[" + decimal(i) + "]"
      if (item.kind == JsonKind.OBJECT) groups.push(new Config(item, this.prefix + name + ".", this.problems))
      else this.wrong(name, "must be an object, but it is of type " + item.type)
    }
    return groups
  }

  /** A list of address ranges, `["10.0.0.0/8", "::1"]`. An absent one is empty. */
  cidrs(key: string): CidrSet {
    const set = new CidrSet()
    const list = this.strings(key, [])
    for (let i = 0; i < list.length; i++) {
      if (set.add(list[i])) continue
      this.wrong(key + "[" + decimal(i) + "]", 'must be an address or range such as 10.0.0.0/8, not "' + list[i] + '"')
    }
    return set
  }

  /** A list of patterns with `*`, `["/admin/*"]`. An absent one is empty. */
  patterns(key: string, ignoreCase: boolean = false): PatternSet {
    return new PatternSet(this.strings(key, []), ignoreCase)
  }

  /**
   * Refuses keys that aren't in the list: mistyped ones, most likely.
   *
   * ```ts
   * config.allowOnly(["header", "keys"])
   * ```
   */
  allowOnly(keys: string[]): void {
    const there = this.root.keys()
    for (let i = 0; i < there.length; i++) {
      if (!keys.includes(there[i])) this.problems.add('unknown key "' + this.path(there[i]) + '"; there are ' + keys.join(", "))
    }
  }

  /** The full name of a key of this group, for messages of one's own: `limits.perMinute`. */
  path(key: string): string {
    return this.prefix + key
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
  get accepted(): boolean {
    return this.problems.count == 0
  }

  private find(key: string, what: string, kind: JsonKind, required: bool): Json | null {
    const value = this.json(key)
    if (value === null) {
      if (required) this.problems.add('missing key "' + this.prefix + key + '" (' + what + ")")
      return null
    }
    if (value.kind == kind) return value
    this.wrong(key, "must be a " + what + ", but it is of type " + value.type)
    return null
  }

  private wrong(key: string, what: string): void {
    this.problems.add('"' + this.prefix + key + '" ' + what)
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

/** Octets, or −1. */
function parseSize(text: string): i64 {
  let split = 0
  while (split < text.length && text.charCodeAt(split) >= 0x30 && text.charCodeAt(split) <= 0x39) split++
  if (split == 0 || split > 9) return -1
  let value: i64 = 0
  for (let i = 0; i < split; i++) value = value * 10 + (text.charCodeAt(i) - 0x30)
  const unit = text.substring(split)
  if (unit == "B") return value
  if (unit == "KiB") return value << 10
  if (unit == "MiB") return value << 20
  if (unit == "GiB") return value << 30
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

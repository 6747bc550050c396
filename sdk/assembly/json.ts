// JSON values: read, built, edited and written. Nothing here traps, whatever the text was.

import { editPath, EditKind } from "./json-edit"
import { JsonReader } from "./json-reader"
import { stringifyJson } from "./json-writer"
import { ascii, decimal } from "./text"

export const enum JsonKind {
  NULL = 0,
  BOOL = 1,
  NUMBER = 2,
  STRING = 3,
  ARRAY = 4,
  OBJECT = 5,
  /** Nothing is there: what `find` answers for a path that leads nowhere, and `parse` for what isn't JSON. */
  MISSING = 6,
}

/** Deepest nesting that is copied, compared and written; what the reader accepts is less. */
export const MAX_NESTING: i32 = 128

/**
 * A JSON value. Asking one for what it isn't answers null, an empty list or the fallback.
 *
 * ```ts
 * const order = Json.parse('{ "id": 7, "items": [{ "sku": "a" }] }')
 * order.number("id")                              // 7
 * order.find("items.0.sku").asString()            // "a"
 * order.set("paid", true).remove("items.*.sku")
 * order.stringify()                               // {"id":7,"items":[{}],"paid":true}
 * ```
 *
 * A path names fields and items (from 0) from the outside in, separated by dots; `*` stands for all of them. Where names
 * contain dots, write it as a JSON Pointer (RFC 6901): `/a.b/0`.
 */
@final
export class Json {
  /** @internal */ truth: boolean = false
  /** @internal */ num: f64 = 0
  /** @internal The string; of a number that was read, its text if that says more than `num`; of what is missing, why. */
  text: string = ""
  /** @internal */ items: Json[] | null = null
  /** @internal */ fields: Map<string, Json> | null = null

  /** @internal */
  constructor(
    /** @internal */
    public readonly kind: JsonKind,
  ) {}

  /**
   * Reads a JSON text of at most a million characters, nested at most 64 deep. Never null: what isn't JSON has `valid` false
   * and an `error`, and reads as empty.
   */
  static parse(text: string): Json {
    const reader = new JsonReader(text)
    const value = reader.read()
    if (value !== null) return value
    const missing = new Json(JsonKind.MISSING)
    missing.text = reader.error
    return missing
  }

  /** A string, number or boolean as JSON; what is JSON already stays as it is. */
  static of<T>(value: T): Json {
    if (isBoolean<T>()) {
      const json = new Json(JsonKind.BOOL)
      json.truth = <boolean>value
      return json
    } else if (isInteger<T>() || isFloat<T>()) {
      const json = new Json(JsonKind.NUMBER)
      json.num = <f64>value
      if (isInteger<T>() && (isSigned<T>() || sizeof<T>() < 8)) {
        // Beyond what a double holds exactly.
        const whole = <i64>value
        if (whole > 9007199254740991 || whole < -9007199254740991) json.text = decimal(whole)
      }
      return json
    } else if (isString<T>()) {
      if (changetype<usize>(value) == 0) return new Json(JsonKind.NULL)
      const json = new Json(JsonKind.STRING)
      json.text = changetype<string>(value)
      return json
    } else if (isNullable<T>()) {
      return changetype<usize>(value) == 0 ? new Json(JsonKind.NULL) : changetype<Json>(value)
    } else if (value instanceof Json) {
      return value
    } else {
      ERROR("a string, a number, a boolean or a Json is expected")
      return new Json(JsonKind.NULL)
    }
  }

  /** `{}`. */
  static object(): Json {
    const json = new Json(JsonKind.OBJECT)
    json.fields = new Map<string, Json>()
    return json
  }

  /** `[]`. */
  static array(): Json {
    const json = new Json(JsonKind.ARRAY)
    json.items = []
    return json
  }

  /** `null`. */
  static none(): Json {
    return new Json(JsonKind.NULL)
  }

  /** It was read without an error. */
  get valid(): boolean {
    return this.kind != JsonKind.MISSING
  }

  /** Why it isn't valid, with line and column; "" if it is. */
  get error(): string {
    return this.kind == JsonKind.MISSING ? this.text : ""
  }

  /** Something is there, `null` included. */
  get exists(): boolean {
    return this.kind != JsonKind.MISSING
  }

  /** `null`, `boolean`, `number`, `string`, `array`, `object`, or `missing`. */
  get type(): string {
    switch (this.kind) {
      case JsonKind.BOOL:
        return "boolean"
      case JsonKind.NUMBER:
        return "number"
      case JsonKind.STRING:
        return "string"
      case JsonKind.ARRAY:
        return "array"
      case JsonKind.OBJECT:
        return "object"
      case JsonKind.NULL:
        return "null"
      default:
        return "missing"
    }
  }

  get isNull(): boolean {
    return this.kind == JsonKind.NULL
  }

  get isBool(): boolean {
    return this.kind == JsonKind.BOOL
  }

  get isNumber(): boolean {
    return this.kind == JsonKind.NUMBER
  }

  get isString(): boolean {
    return this.kind == JsonKind.STRING
  }

  get isArray(): boolean {
    return this.kind == JsonKind.ARRAY
  }

  get isObject(): boolean {
    return this.kind == JsonKind.OBJECT
  }

  /** Number of items of an array or fields of an object. */
  get length(): i32 {
    const items = this.items
    if (items !== null) return items.length
    const fields = this.fields
    return fields !== null ? fields.size : 0
  }

  /** An item of an array. */
  at(index: i32): Json | null {
    const items = this.items
    return items !== null && index >= 0 && index < items.length ? items[index] : null
  }

  /** A field of an object. */
  get(key: string): Json | null {
    const fields = this.fields
    return fields !== null && fields.has(key) ? fields.get(key) : null
  }

  /** What the path leads to (the first, where it has a `*`). Never null: see `exists`. */
  find(path: string): Json {
    const found = editPath(this, path, EditKind.FIND, null, "")
    return found.length > 0 ? found[0] : new Json(JsonKind.MISSING)
  }

  /**
   * Everything the path leads to.
   *
   * ```ts
   * const prices = order.findAll("items.*.price")
   * ```
   */
  findAll(path: string): Json[] {
    return editPath(this, path, EditKind.FIND, null, "")
  }

  /** The field names of an object, in order. */
  keys(): string[] {
    const fields = this.fields
    return fields !== null ? fields.keys() : []
  }

  /** The items of an array or the values of an object's fields, in order. */
  values(): Json[] {
    const items = this.items
    if (items !== null) return items.slice()
    const fields = this.fields
    return fields !== null ? fields.values() : []
  }

  /** This value as text, if it is a string. */
  asString(fallback: string = ""): string {
    return this.kind == JsonKind.STRING ? this.text : fallback
  }

  /** This value as a number, if it is one. */
  asNumber(fallback: f64 = 0): f64 {
    return this.kind == JsonKind.NUMBER ? this.num : fallback
  }

  /** This value as a whole number, if it is one that fits. */
  asInt(fallback: i64 = 0): i64 {
    if (this.kind != JsonKind.NUMBER) return fallback
    if (this.text.length > 0) {
      const exact = ascii.int(this.text, i64.MIN_VALUE)
      if (exact != i64.MIN_VALUE) return exact
    }
    return this.num == Math.floor(this.num) && Math.abs(this.num) <= 9007199254740991.0 ? <i64>this.num : fallback
  }

  /** This value as yes or no, if it is that. */
  asBool(fallback: boolean = false): boolean {
    return this.kind == JsonKind.BOOL ? this.truth : fallback
  }

  /** A string field of an object. */
  string(key: string, fallback: string = ""): string {
    const field = this.get(key)
    return field !== null ? field.asString(fallback) : fallback
  }

  /** A number field of an object. */
  number(key: string, fallback: f64 = 0): f64 {
    const field = this.get(key)
    return field !== null ? field.asNumber(fallback) : fallback
  }

  /** A whole-number field of an object. */
  int(key: string, fallback: i64 = 0): i64 {
    const field = this.get(key)
    return field !== null ? field.asInt(fallback) : fallback
  }

  /** A yes-or-no field of an object. */
  bool(key: string, fallback: boolean = false): boolean {
    const field = this.get(key)
    return field !== null ? field.asBool(fallback) : fallback
  }

  /**
   * Sets a field of an object to a string, number, boolean or other JSON, and returns the object. Nothing happens if this
   * isn't an object.
   *
   * ```ts
   * Json.object().set("error", "forbidden").set("status", 403)
   * ```
   */
  set<T>(key: string, value: T): Json {
    const fields = this.fields
    if (fields !== null) fields.set(key, Json.of<T>(value))
    return this
  }

  /** Adds an item to an array and returns the array. Nothing happens if this isn't one. */
  push<T>(value: T): Json {
    const items = this.items
    if (items !== null) items.push(Json.of<T>(value))
    return this
  }

  /** Removes a field of an object; whether it was there. */
  delete(key: string): boolean {
    const fields = this.fields
    return fields !== null && fields.delete(key) == true
  }

  /**
   * Sets what a path leads to. Objects that are missing on the way are made; items of an array must exist, or be the next
   * one. Answers in how many places it was set.
   *
   * ```ts
   * order.put("customer.address.country", "DE")
   * ```
   */
  put<T>(path: string, value: T): i32 {
    return editPath(this, path, EditKind.PUT, Json.of<T>(value), "").length
  }

  /** Removes what a path leads to. Answers in how many places it was removed. */
  remove(path: string): i32 {
    return editPath(this, path, EditKind.REMOVE, null, "").length
  }

  /**
   * Gives the field that a path leads to another name, at its place. A field that has the name already is replaced. Answers
   * in how many places it was renamed.
   *
   * ```ts
   * order.rename("customer.mail", "email")
   * ```
   */
  rename(path: string, name: string): i32 {
    return editPath(this, path, EditKind.RENAME, null, name).length
  }

  /** A copy that shares nothing with this value. */
  clone(): Json {
    return copy(this, 0)
  }

  /** Whether both say the same; the order of fields doesn't count. */
  equals(other: Json): boolean {
    return same(this, other, 0)
  }

  /** As JSON text, without white space. Numbers that were read keep their digits. */
  stringify(): string {
    return stringifyJson(this)
  }

  /** As {@link stringify}. */
  toString(): string {
    return stringifyJson(this)
  }
}

function copy(json: Json, depth: i32): Json {
  const result = new Json(json.kind)
  result.truth = json.truth
  result.num = json.num
  result.text = json.text
  const items = json.items
  if (items !== null) {
    const copies: Json[] = []
    for (let i = 0; i < items.length && depth < MAX_NESTING; i++) copies.push(copy(items[i], depth + 1))
    result.items = copies
  }
  const fields = json.fields
  if (fields !== null) {
    const copies = new Map<string, Json>()
    const keys = fields.keys()
    for (let i = 0; i < keys.length && depth < MAX_NESTING; i++) copies.set(keys[i], copy(fields.get(keys[i]), depth + 1))
    result.fields = copies
  }
  return result
}

function same(a: Json, b: Json, depth: i32): boolean {
  if (a.kind != b.kind || a.length != b.length || depth > MAX_NESTING) return false
  if (a.kind == JsonKind.STRING) return a.text == b.text
  if (a.kind == JsonKind.NUMBER) return a.num == b.num
  if (a.kind == JsonKind.BOOL) return a.truth == b.truth
  const items = a.items
  if (items !== null) {
    for (let i = 0; i < items.length; i++) {
      if (!same(items[i], b.at(i)!, depth + 1)) return false
    }
  }
  const fields = a.fields
  if (fields !== null) {
    const keys = fields.keys()
    for (let i = 0; i < keys.length; i++) {
      const other = b.get(keys[i])
      if (other === null || !same(fields.get(keys[i]), other, depth + 1)) return false
    }
  }
  return true
}

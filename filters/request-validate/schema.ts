// The part of JSON Schema (2020-12) that is known here. A keyword that isn't is refused when the filter is configured: a rule
// that nobody checks would be worse than none.
import { Config, Json } from "sluice/sdk"
import { FORMATS, hasFormat, length } from "./formats"

const TYPES = ["string", "number", "integer", "boolean", "object", "array", "null"]
/** They explain, and demand nothing. */
const NOTES = ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"]
const MAX_DEPTH = 32

export class Schema {
  /** Empty = all. */
  types: string[] = []
  /** Nothing fits: the schema `false`. */
  never: bool = false
  required: string[] = []
  properties: Map<string, Schema> = new Map<string, Schema>()
  /** Of properties not named; null = they may be anything. */
  additional: Schema | null = null
  items: Schema | null = null
  choices: Json[] = []
  format: string = ""
  minimum: f64 = -Infinity
  maximum: f64 = Infinity
  above: f64 = -Infinity
  below: f64 = Infinity
  minLength: i32 = 0
  maxLength: i32 = i32.MAX_VALUE
  minItems: i32 = 0
  maxItems: i32 = i32.MAX_VALUE
  minProperties: i32 = 0
  maxProperties: i32 = i32.MAX_VALUE
}

/** Reads a schema; mistakes are told with the place they are at. */
export function readSchema(config: Config, json: Json, place: string, depth: i32): Schema {
  const schema = new Schema()
  if (depth > MAX_DEPTH) {
    config.fail('"' + place + '" is nested too deeply')
  } else if (json.isBool) {
    schema.never = !json.asBool()
  } else if (!json.isObject) {
    config.fail('"' + place + '" must be a schema, an object')
  } else {
    const keys = json.keys()
    for (let i = 0; i < keys.length; i++) readKeyword(config, schema, keys[i], json.get(keys[i])!, place + "." + keys[i], depth)
  }
  return schema
}

function readKeyword(config: Config, schema: Schema, key: string, value: Json, place: string, depth: i32): void {
  if (key == "type") {
    schema.types = value.isString ? [value.asString()] : texts(config, value, place)
    for (let i = 0; i < schema.types.length; i++) {
      if (!TYPES.includes(schema.types[i])) config.fail('"' + place + '" must be one of ' + TYPES.join(", "))
    }
  } else if (key == "required") {
    schema.required = texts(config, value, place)
  } else if (key == "properties") {
    if (!value.isObject) config.fail('"' + place + '" must be an object of schemas')
    const names = value.keys()
    for (let i = 0; i < names.length; i++) {
      schema.properties.set(names[i], readSchema(config, value.get(names[i])!, place + "." + names[i], depth + 1))
    }
  } else if (key == "additionalProperties") {
    schema.additional = readSchema(config, value, place, depth + 1)
  } else if (key == "items") {
    schema.items = readSchema(config, value, place, depth + 1)
  } else if (key == "enum") {
    if (!value.isArray || value.length == 0) config.fail('"' + place + '" must be a list of values')
    schema.choices = value.values()
  } else if (key == "const") {
    schema.choices = [value]
  } else if (key == "format") {
    schema.format = value.asString()
    if (!FORMATS.includes(schema.format)) config.fail('"' + place + '" must be one of ' + FORMATS.join(", "))
  } else if (key == "minimum") schema.minimum = bound(config, value, place)
  else if (key == "maximum") schema.maximum = bound(config, value, place)
  else if (key == "exclusiveMinimum") schema.above = bound(config, value, place)
  else if (key == "exclusiveMaximum") schema.below = bound(config, value, place)
  else if (key == "minLength") schema.minLength = size(config, value, place)
  else if (key == "maxLength") schema.maxLength = size(config, value, place)
  else if (key == "minItems") schema.minItems = size(config, value, place)
  else if (key == "maxItems") schema.maxItems = size(config, value, place)
  else if (key == "minProperties") schema.minProperties = size(config, value, place)
  else if (key == "maxProperties") schema.maxProperties = size(config, value, place)
  else if (!NOTES.includes(key)) config.fail('"' + place + '": this keyword is not known here, so it would not be checked')
}

function texts(config: Config, value: Json, place: string): string[] {
  const list: string[] = []
  if (!value.isArray) config.fail('"' + place + '" must be a list of texts')
  for (let i = 0; i < value.length; i++) {
    if (!value.at(i)!.isString) config.fail('"' + place + '" must be a list of texts')
    list.push(value.at(i)!.asString())
  }
  return list
}

function bound(config: Config, value: Json, place: string): f64 {
  if (!value.isNumber) config.fail('"' + place + '" must be a number')
  return value.asNumber()
}

function size(config: Config, value: Json, place: string): i32 {
  const given = value.asInt(-1)
  if (given < 0 || given > i32.MAX_VALUE) config.fail('"' + place + '" must be a whole number from 0 on')
  return <i32>max(given, 0)
}

/** Compares a value with a schema, and keeps the first mistakes with their places (JSON Pointers). */
export class Checker {
  readonly errors: Json = Json.array()

  constructor(private readonly most: i32) {}

  private fail(path: string, message: string): void {
    if (this.errors.length < this.most) this.errors.push(Json.object().set("path", path).set("message", message))
  }

  check(schema: Schema, value: Json, path: string): void {
    if (this.errors.length >= this.most) return
    if (schema.never) return this.fail(path, "is not allowed")
    if (schema.types.length > 0 && !hasType(schema.types, value)) return this.fail(path, "must be of type " + schema.types.join(" or "))
    if (schema.choices.length > 0 && !isChoice(schema.choices, value)) {
      const list: string[] = []
      for (let i = 0; i < schema.choices.length && i < 20; i++) list.push(schema.choices[i].stringify())
      this.fail(path, schema.choices.length == 1 ? "must be " + list[0] : "must be one of " + list.join(", "))
    }
    if (value.isString) this.text(schema, value.asString(), path)
    else if (value.isNumber) this.number(schema, value.asNumber(), path)
    else if (value.isArray) this.array(schema, value, path)
    else if (value.isObject) this.object(schema, value, path)
  }

  private text(schema: Schema, value: string, path: string): void {
    if (schema.minLength > 0 || schema.maxLength < i32.MAX_VALUE) {
      const size = length(value)
      if (size < schema.minLength) this.fail(path, "must have at least " + schema.minLength.toString() + " characters")
      if (size > schema.maxLength) this.fail(path, "must have at most " + schema.maxLength.toString() + " characters")
    }
    if (schema.format.length > 0 && !hasFormat(schema.format, value)) this.fail(path, "must be of the format " + schema.format)
  }

  private number(schema: Schema, value: f64, path: string): void {
    if (value < schema.minimum) this.fail(path, "must be at least " + Json.of(schema.minimum).stringify())
    if (value > schema.maximum) this.fail(path, "must be at most " + Json.of(schema.maximum).stringify())
    if (value <= schema.above) this.fail(path, "must be more than " + Json.of(schema.above).stringify())
    if (value >= schema.below) this.fail(path, "must be less than " + Json.of(schema.below).stringify())
  }

  private array(schema: Schema, value: Json, path: string): void {
    if (value.length < schema.minItems) this.fail(path, "must have at least " + schema.minItems.toString() + " items")
    if (value.length > schema.maxItems) return this.fail(path, "must have at most " + schema.maxItems.toString() + " items")
    const items = schema.items
    if (items === null) return
    for (let i = 0; i < value.length; i++) this.check(items, value.at(i)!, path + "/" + i.toString())
  }

  private object(schema: Schema, value: Json, path: string): void {
    if (value.length < schema.minProperties) this.fail(path, "must have at least " + schema.minProperties.toString() + " properties")
    if (value.length > schema.maxProperties) return this.fail(path, "must have at most " + schema.maxProperties.toString() + " properties")
    for (let i = 0; i < schema.required.length; i++) {
      if (value.get(schema.required[i]) === null) this.fail(path + pointer(schema.required[i]), "is required")
    }
    const keys = value.keys()
    for (let i = 0; i < keys.length; i++) {
      const known = schema.properties.has(keys[i])
      const additional = schema.additional
      if (known) this.check(schema.properties.get(keys[i]), value.get(keys[i])!, path + pointer(keys[i]))
      else if (additional !== null) this.check(additional, value.get(keys[i])!, path + pointer(keys[i]))
    }
  }
}

/** A step of a JSON Pointer (RFC 6901). A name of the client's is cut off when it is long. */
function pointer(name: string): string {
  const short = name.length > 100 ? name.substring(0, 100) + "…" : name
  return "/" + short.replaceAll("~", "~0").replaceAll("/", "~1")
}

function hasType(types: string[], value: Json): bool {
  if (types.includes(value.type)) return true
  if (!value.isNumber || !types.includes("integer")) return false
  const num = value.asNumber()
  return isFinite(num) && num == Math.floor(num)
}

function isChoice(choices: Json[], value: Json): bool {
  for (let i = 0; i < choices.length; i++) {
    if (choices[i].equals(value)) return true
  }
  return false
}

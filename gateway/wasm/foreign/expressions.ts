// `expr_create`, `expr_evaluate`, `expr_delete`: expressions in CEL over the same attributes as properties. Texts in them have
// one character an octet, so that values of header fields stay what they are. The library is loaded with the first of them.

import { Buffer } from "node:buffer"
import { createRequire } from "node:module"
import type { Environment, ParseResult } from "@marcbachmann/cel-js"
import type { Duration, UnsignedInt } from "@marcbachmann/cel-js/evaluator"
import { Status } from "../proxy-wasm/enums.ts"
import type { HostRoot } from "../proxy-wasm/host.ts"
import { encodedLength, encodePairs } from "../proxy-wasm/pairs.ts"
import { BOOL, BYTES, DURATION, INT, MAP, NONE, PropertyValue, TEXT, TIME, UINT } from "../proxy-wasm/properties.ts"
import { attributeNames, type PropertyPath, propertyPath, STORED } from "../proxy-wasm/property-paths.ts"
import { checkExpression, MATCHES, MAX_ENTRIES, type Node, type Reads } from "./expression-check.ts"
import { Regexes } from "./expression-regex.ts"
import { chargeTime, type ForeignCaller, type ForeignFunction, NOTHING } from "./function.ts"

const { BAD_ARGUMENT, NOT_FOUND, SERIALIZATION_FAILURE, INTERNAL_FAILURE } = Status

/** Octets of an expression's text; expressions of one plugin. */
const MAX_TEXT = 8192
const MAX_EXPRESSIONS = 256
/** Expressions made in one of the library's environments, which keeps every type it has met. */
const MAX_MADE = 1000
/** Octets of a result. */
const MAX_RESULT = 1024 * 1024
// µs of a parse at all and for each octet, of an evaluation, and of a step of it on short texts.
const PARSE = 100
const PARSE_OCTET = 1
const EVALUATE = 5
const STEP = 0.2
/** Octets of text that a step gets through in a microsecond. */
const SCANNED = 16_384

interface Library {
  readonly Environment: typeof Environment
  readonly Duration: typeof Duration
  readonly UnsignedInt: typeof UnsignedInt
}

/** A variable of an expression: a plain value, or fields. */
interface Variable {
  readonly name: string
  readonly path: PropertyPath
  /** Null: it has none. */
  readonly fields: readonly { readonly name: string; readonly path: PropertyPath }[] | null
}

interface Expression {
  readonly run: ParseResult
  readonly variables: readonly Variable[]
  readonly steps: number
}

/** The expressions of one VM's plugins. They end with their root. */
export class Expressions {
  readonly #roots = new WeakMap<HostRoot, Map<number, Expression>>()
  readonly #value = new PropertyValue()
  readonly #regexes = new Regexes()
  #library: Library | null = null
  #environment: Environment | null = null
  #made = 0
  #lastToken = 0
  #longest = 0

  /** The expression's text → a u32 that stands for it. BAD_ARGUMENT: it is wrong, or would take too long. */
  readonly create: ForeignFunction = ({ vm, root }, argument) => {
    if (argument.length > MAX_TEXT) return BAD_ARGUMENT
    chargeTime(vm, PARSE + argument.length * PARSE_OCTET)
    let expressions = this.#roots.get(root)
    if (expressions === undefined) this.#roots.set(root, (expressions = new Map()))
    if (expressions.size >= MAX_EXPRESSIONS) return INTERNAL_FAILURE
    const expression = this.#parse(argument.toString("latin1"))
    if (typeof expression === "string") {
      if (vm.logs("info")) vm.log("info", `expr_create: ${expression}`)
      return BAD_ARGUMENT
    }
    do this.#lastToken = (this.#lastToken + 1) >>> 0
    while (expressions.has(this.#lastToken))
    expressions.set(this.#lastToken, expression)
    const token = Buffer.alloc(4)
    token.writeUInt32LE(this.#lastToken)
    return token
  }

  /** The u32 → the value, in the form properties have. INTERNAL_FAILURE: it has none for this exchange. */
  readonly evaluate: ForeignFunction = (caller, argument) => {
    if (argument.length !== 4) return BAD_ARGUMENT
    const expression = this.#roots.get(caller.root)?.get(argument.readUInt32LE(0))
    if (expression === undefined) return NOT_FOUND
    this.#regexes.restart()
    this.#longest = 0
    let value: unknown
    try {
      value = expression.run(this.#context(caller, expression.variables))
    } catch (error) {
      if (caller.vm.logs("debug")) caller.vm.log("debug", `expr_evaluate: ${firstLine(error)}`)
      value = undefined
    }
    chargeTime(caller.vm, EVALUATE + expression.steps * STEP * (1 + this.#longest / SCANNED))
    return value === undefined || value instanceof Promise ? INTERNAL_FAILURE : this.#serialized(value)
  }

  /** The u32 → nothing, whether there was one or not. */
  readonly delete: ForeignFunction = ({ root }, argument) => {
    if (argument.length !== 4) return BAD_ARGUMENT
    this.#roots.get(root)?.delete(argument.readUInt32LE(0))
    return NOTHING
  }

  #load(): Library {
    if (this.#library === null) {
      const require = createRequire(import.meta.url)
      this.#library = { ...require("@marcbachmann/cel-js"), ...require("@marcbachmann/cel-js/evaluator") } as Library
    }
    return this.#library
  }

  #environmentNow(): Environment {
    if (this.#environment === null || this.#made >= MAX_MADE) {
      const environment = new (this.#load().Environment)({
        unlistedVariablesAreDyn: true,
        homogeneousAggregateLiterals: false,
        limits: { maxAstNodes: MAX_ENTRIES, maxDepth: 32, maxListElements: 128, maxMapEntries: 128, maxCallArguments: 8 },
      })
      const matches = (text: string, pattern: string): boolean => this.#regexes.matches(text, pattern)
      environment.registerFunction({ ...signature(MATCHES), receiverType: "string", params: [text("pattern")], handler: matches })
      environment.registerFunction({ ...signature(MATCHES), params: [text("text"), text("pattern")], handler: matches })
      environment.registerFunction({ ...signature("matches"), params: [text("text"), text("pattern")], handler: matches })
      this.#environment = environment
      this.#made = 0
    }
    this.#made++
    return this.#environment
  }

  // What is wrong with the text, if anything is.
  #parse(source: string): Expression | string {
    try {
      const run = this.#environmentNow().parse(source)
      const checked = checkExpression(run.ast as Node)
      if (checked === null) return "uses what is not part of CEL, or would take too long"
      const { valid, error } = run.check()
      if (!valid) return firstLine(error)
      return { run, variables: variablesOf(checked.reads), steps: checked.steps }
    } catch (error) {
      return firstLine(error)
    }
  }

  #context(caller: ForeignCaller, variables: readonly Variable[]): Record<string, unknown> {
    const context: Record<string, unknown> = Object.create(null)
    for (const { name, path, fields } of variables) {
      if (fields === null) {
        const value = this.#attribute(caller, path)
        if (value !== undefined) context[name] = value
      } else {
        const section = new Map<string, unknown>()
        for (const field of fields) {
          const value = this.#attribute(caller, field.path)
          if (value !== undefined) section.set(field.name, value)
        }
        context[name] = section
      }
    }
    return context
  }

  #attribute({ vm, root, declared }: ForeignCaller, path: PropertyPath): unknown {
    const { Duration, UnsignedInt } = this.#load()
    const value = this.#value
    value.read(vm, root, vm.stream, path)
    const { kind, number } = value
    switch (kind) {
      case NONE:
        return undefined
      case BYTES:
        // Names of the plugin are text as well; what filters store is when they have said so.
        if (path.attribute === STORED && declared.get(root, path.key)?.text !== true) return new Uint8Array(value.bytes)
        return this.#text(Buffer.from(value.bytes).toString("latin1"))
      case INT:
        return BigInt(number)
      case UINT:
        return new UnsignedInt(BigInt(number))
      case BOOL:
        return number !== 0
      case TIME:
        return new Date(number)
      case DURATION:
        return Duration.fromMilliseconds(number)
      case MAP:
        return this.#map(value.pairs)
      default:
        return this.#text(kind === TEXT ? Buffer.from(value.text, "utf8").toString("latin1") : value.text)
    }
  }

  #text(text: string): string {
    this.#longest = Math.max(this.#longest, text.length)
    return text
  }

  // Repeated fields are joined, so that none can hide behind another (RFC 9110 §5.3).
  #map(pairs: readonly string[]): Map<string, string> {
    const map = new Map<string, string>()
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i]
      const before = map.get(name)
      map.set(name, this.#text(before === undefined ? pairs[i + 1] : `${before}${name === "cookie" ? "; " : ", "}${pairs[i + 1]}`))
    }
    if (map.size > MAX_ENTRIES) throw new Error("too many fields")
    return map
  }

  #serialized(value: unknown): Uint8Array | number {
    const { Duration, UnsignedInt } = this.#load()
    const text = (each: unknown): string | null => {
      if (typeof each === "string") return isOctets(each) ? each : Buffer.from(each, "utf8").toString("latin1")
      if (typeof each === "boolean") return each ? "\x01" : "\0"
      if (each instanceof Uint8Array) return Buffer.from(each).toString("latin1")
      if (each instanceof Map) return pairsText([...each].flatMap(([key, content]) => [text(key), text(content)]))
      if (Array.isArray(each)) return pairsText(each.flatMap((content) => [text(content), ""]))
      const number = Buffer.alloc(8)
      if (typeof each === "number") number.writeDoubleLE(each)
      else if (typeof each === "bigint") number.writeBigInt64LE(BigInt.asIntN(64, each))
      else if (each instanceof UnsignedInt) number.writeBigUInt64LE(BigInt.asUintN(64, each.value))
      else if (each instanceof Date) number.writeBigInt64LE(BigInt.asIntN(64, BigInt(each.getTime()) * 1_000_000n))
      else if (each instanceof Duration) number.writeBigInt64LE(BigInt.asIntN(64, each.seconds * 1_000_000_000n + BigInt(each.nanos)))
      else if (isPlain(each)) return pairsText(Object.entries(each).flatMap(([key, content]) => [text(key), text(content)]))
      else return null
      return number.toString("latin1")
    }
    const octets = text(value)
    return octets === null || octets.length > MAX_RESULT ? SERIALIZATION_FAILURE : Buffer.from(octets, "latin1")
  }
}

const text = (name: string): { name: string; type: string } => ({ name, type: "string" })
const signature = (name: string): { name: string; returnType: string; async: boolean } => ({ name, returnType: "bool", async: false })

/** What has to be read for an expression, decided once. */
function variablesOf(reads: Reads): Variable[] {
  return [...reads].map(([name, fields]) => {
    const path = propertyPath(name)
    const known = [...attributeNames.keys()].filter((each) => each.startsWith(`${name}.`) && !each.slice(name.length + 1).includes("."))
    const names = fields ?? known.map((each) => each.slice(name.length + 1))
    const plain = path.attribute === STORED && name !== "filter_state" ? fields === null : attributeNames.has(name) && known.length === 0
    if (plain) return { name, path, fields: null }
    return { name, path, fields: [...names].map((field) => ({ name: field, path: propertyPath(`${name}\0${field}`) })) }
  })
}

function pairsText(flat: readonly (string | null)[]): string | null {
  if (flat.includes(null)) return null
  const strings = flat as readonly string[]
  const length = encodedLength(strings)
  if (length > MAX_RESULT) return null
  const out = Buffer.alloc(length)
  encodePairs(strings, out, 0)
  return out.toString("latin1")
}

function isOctets(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0xff) return false
  return true
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === "object" &&
    value !== null &&
    (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null)
  )
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split("\n", 1)[0].slice(0, 200)
}

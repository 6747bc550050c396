// What an expression may be: the language CEL defines, without the library's extras, and no more work than a thread that
// serves can spare. All of it is decided from the expression's tree, before it is ever evaluated.

import { attributeNames } from "../proxy-wasm/property-paths.ts"

/** Elements of a map or list that an expression is given, and nodes of its tree: so no list can be longer. */
export const MAX_ENTRIES = 512
/** Nodes that may be evaluated, loops run to their ends. */
const MAX_STEPS = 20_000
/** Text as a time zone has it takes the runtime long to make. */
const TIME_STEPS = 200

/** A node of the library's tree. */
export interface Node {
  readonly op: string
  args: unknown
}

/** What an expression reads: by the name of a variable its fields, or null for all of them (or none: it is a plain value). */
export type Reads = ReadonlyMap<string, ReadonlySet<string> | null>

export interface CheckedExpression {
  /** Nodes evaluated at most. */
  readonly steps: number
  readonly reads: Reads
}

/** How many elements a value has at most, and what these have. */
interface Shape {
  readonly size: number
  readonly element: Shape | null
}

const SCALAR: Shape = { size: 0, element: null }
const FLAT: Shape = { size: MAX_ENTRIES, element: null }

const functions: ReadonlySet<string> = new Set([
  "has",
  "size",
  "int",
  "uint",
  "double",
  "string",
  "bool",
  "bytes",
  "dyn",
  "type",
  "timestamp",
  "duration",
  "matches",
])
const methods: ReadonlySet<string> = new Set(["startsWith", "endsWith", "contains", "matches", "size"])
const macros: ReadonlySet<string> = new Set(["all", "exists", "exists_one", "map", "filter"])
const getters: ReadonlySet<string> = new Set([
  "getFullYear",
  "getMonth",
  "getDate",
  "getDayOfMonth",
  "getDayOfWeek",
  "getDayOfYear",
  "getHours",
  "getMinutes",
  "getSeconds",
  "getMilliseconds",
])
const operators: ReadonlySet<string> = new Set(["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%", "||", "&&"])

/** Our own regular expressions: see {@link checkExpression}. */
export const MATCHES = "sluiceMatches"

class Refused extends Error {}

/**
 * Checks a tree, and has `matches` mean ours: the library's own takes expressions that run for ever. Null: it may not be
 * evaluated.
 */
export function checkExpression(root: Node): CheckedExpression | null {
  const checker = new Checker()
  try {
    checker.visit(root, new Map())
  } catch (error) {
    if (error instanceof Refused) return null
    throw error
  }
  return { steps: checker.steps, reads: checker.reads }
}

type Scope = ReadonlyMap<string, Shape>

class Checker {
  steps = 0
  readonly reads = new Map<string, Set<string> | null>()
  /** How often what is visited is evaluated. */
  #times = 1

  #step(count = 1): void {
    this.steps += count * this.#times
    if (this.steps > MAX_STEPS) throw new Refused()
  }

  visit(node: Node, scope: Scope): Shape {
    this.#step()
    const { op } = node
    switch (op) {
      case "value":
        return SCALAR
      case "id":
        return this.#variable(node.args as string, scope)
      case ".":
      case "[]":
        return this.#access(node, scope)
      case "list":
        return this.#elements(node.args as Node[], scope)
      case "map":
        return this.#elements((node.args as Node[][]).flat(), scope)
      case "?:": {
        const [condition, yes, no] = node.args as Node[]
        this.visit(condition, scope)
        return larger(this.visit(yes, scope), this.visit(no, scope))
      }
      case "!_":
      case "-_":
        this.visit(node.args as Node, scope)
        return SCALAR
      case "call":
        return this.#call(node, scope)
      case "rcall":
        return this.#method(node, scope)
      default:
        return this.#operator(node, scope)
    }
  }

  #variable(name: string, scope: Scope): Shape {
    const local = scope.get(name)
    if (local !== undefined) return local
    this.reads.set(name, null)
    return { size: MAX_ENTRIES, element: FLAT }
  }

  // `variable.field`, `variable["field"]` need only that field of the variable.
  #access(node: Node, scope: Scope): Shape {
    const [base, key] = node.args as [Node, Node | string]
    const name = base.op === "id" ? (base.args as string) : ""
    const field = typeof key === "string" ? key : key.op === "value" && typeof key.args === "string" ? key.args : ""
    if (typeof key !== "string") this.visit(key, scope)
    if (name === "" || field === "" || scope.has(name)) {
      const { element } = this.visit(base, scope)
      return element ?? SCALAR
    }
    const fields = this.reads.get(name)
    if (fields === undefined) this.reads.set(name, new Set([field]))
    else fields?.add(field)
    const path = `${name}.${field}`
    return attributeNames.has(path) && !path.endsWith("headers") && !path.endsWith("trailers") ? SCALAR : FLAT
  }

  #elements(nodes: readonly Node[], scope: Scope): Shape {
    let element = SCALAR
    for (const each of nodes) element = larger(element, this.visit(each, scope))
    return { size: nodes.length, element }
  }

  #call(node: Node, scope: Scope): Shape {
    const [name, given] = node.args as [string, Node[]]
    if (!functions.has(name)) throw new Refused()
    let shape = SCALAR
    for (const each of given) shape = this.visit(each, scope)
    if (name === "timestamp") this.#step(TIME_STEPS)
    if (name === "matches" && given.length === 2) renamed(node, MATCHES)
    return name === "dyn" ? shape : SCALAR
  }

  #method(node: Node, scope: Scope): Shape {
    const [name, receiver, given] = node.args as [string, Node, Node[]]
    if (macros.has(name)) return this.#macro(name, receiver, given, scope)
    if (!methods.has(name) && !getters.has(name)) throw new Refused()
    this.visit(receiver, scope)
    for (const each of given) this.visit(each, scope)
    if (getters.has(name)) this.#step(TIME_STEPS)
    if (name === "matches") renamed(node, MATCHES)
    return SCALAR
  }

  #macro(name: string, receiver: Node, given: readonly Node[], scope: Scope): Shape {
    const range = this.visit(receiver, scope)
    const variable = given[0]
    if (given.length < 2 || variable.op !== "id") throw new Refused()
    const inner = new Map(scope).set(variable.args as string, range.element ?? SCALAR)
    const times = this.#times
    this.#times = times * Math.max(1, range.size)
    let last = SCALAR
    for (const each of given.slice(1)) last = this.visit(each, inner)
    this.#times = times
    if (name === "map") return { size: range.size, element: last }
    return name === "filter" ? range : SCALAR
  }

  #operator(node: Node, scope: Scope): Shape {
    const { op } = node
    if (!operators.has(op)) throw new Refused()
    const [left, right] = node.args as [Node, Node]
    const a = this.visit(left, scope)
    const b = this.visit(right, scope)
    if (op === "==" || op === "!=") this.#step(Math.min(weight(a), weight(b)))
    if (op === "in") this.#step(weight(b))
    if (op !== "+") return SCALAR
    this.#step(a.size + b.size)
    return { size: a.size + b.size, element: larger(a.element ?? SCALAR, b.element ?? SCALAR) }
  }
}

function renamed(node: Node, name: string): void {
  const parts = node.args as unknown[]
  parts[0] = name
}

/** Everything in it. */
function weight(shape: Shape): number {
  return shape.element === null ? shape.size : shape.size * (1 + weight(shape.element))
}

function larger(a: Shape, b: Shape): Shape {
  return weight(a) >= weight(b) ? a : b
}

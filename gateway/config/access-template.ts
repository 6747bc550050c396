// Takes a template of the access log apart: text and `%…%` operators, Envoy's and the names of our own JSON. What it refuses it
// names, with the operator that was probably meant. Run when configuration is read, never for a request.

import { didYouMean } from "./problem.ts"
import { type TemplatePart, type TimePiece, type ValueName, valueNames } from "./template-model.ts"
import { ISO_TIME, parseTimePattern } from "./time-pattern.ts"
import { quote, Wrong } from "./units.ts"

/** Characters of a template, and operators in it: together they bound a line. */
const MAX_TEMPLATE = 4096
const MAX_OPERATORS = 64
/** Characters that `:N` can let through. */
const MAX_LIMIT = 8192
/** Names that one operator can fall back on. */
const MAX_NAMES = 2

const VALUES: ReadonlySet<string> = new Set(valueNames)
const FIELDS: ReadonlyMap<string, "request" | "response" | "trailer"> = new Map([
  ["REQ", "request"],
  ["REQUEST_HEADER", "request"],
  ["RESP", "response"],
  ["RESPONSE_HEADER", "response"],
  ["TRAILER", "trailer"],
  ["RESPONSE_TRAILER", "trailer"],
])
/** Their own forms of GRPC_STATUS, by the argument that chooses them. */
const GRPC_FORMS: ReadonlyMap<string, ValueName> = new Map([
  ["CAMEL_STRING", "GRPC_STATUS"],
  ["SNAKE_STRING", "GRPC_STATUS_SNAKE"],
  ["NUMBER", "GRPC_STATUS_NUMBER"],
])
/** Names of the time an exchange began at. */
const TIMES: ReadonlySet<string> = new Set(["START_TIME", "time"])
const OPERATORS = [...FIELDS.keys(), ...TIMES, ...valueNames.filter((name) => name !== "GRPC_STATUS_SNAKE")]
const PSEUDO: Readonly<Record<"request" | "response" | "trailer", readonly string[]>> = {
  request: [":authority", ":method", ":path", ":scheme"],
  response: [":status"],
  trailer: [],
}

const NAME = /[A-Za-z0-9_]*/y
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]{1,256}$/
const TIME: TemplatePart = { kind: "time", pieces: ISO_TIME }

/** The parts of `template`, or what is wrong with it. */
export function parseTemplate(template: string): readonly TemplatePart[] | Wrong {
  if (template.length > MAX_TEMPLATE) return new Wrong(`is longer than ${MAX_TEMPLATE} characters; write a shorter one`)
  const line = /[\x00-\x1f\x7f]/.exec(template)
  if (line !== null)
    return new Wrong(`holds the control character ${quote(line[0])}; take it out, for a template makes one line and its end is added`)
  const parts: TemplatePart[] = []
  let text = ""
  let operators = 0
  for (let at = 0; at < template.length; ) {
    const mark = template.indexOf("%", at)
    if (mark === -1) {
      text += template.slice(at)
      break
    }
    text += template.slice(at, mark)
    if (template[mark + 1] === "%") {
      text += "%"
      at = mark + 2
      continue
    }
    const found = operatorAt(template, mark)
    if (found instanceof Wrong) return found
    if (++operators > MAX_OPERATORS) return new Wrong(`has more than ${MAX_OPERATORS} operators; write fewer`)
    if (text !== "") parts.push({ kind: "text", text })
    text = ""
    parts.push(found.part)
    at = found.end
  }
  if (text !== "") parts.push({ kind: "text", text })
  return parts
}

/** The operator whose `%` is at `mark`, and where what follows begins. */
function operatorAt(template: string, mark: number): { readonly part: TemplatePart; readonly end: number } | Wrong {
  NAME.lastIndex = mark + 1
  const name = NAME.exec(template)?.[0] ?? ""
  let at = mark + 1 + name.length
  let argument: string | null = null
  if (template[at] === "(") {
    const close = template.indexOf(")", at)
    if (close === -1) return new Wrong(`${shown(template, mark)} has no ")"; close the parenthesis`)
    argument = template.slice(at + 1, close)
    at = close + 1
  }
  let limit = 0
  if (template[at] === ":") {
    const digits = /^:(\d{1,5})%/.exec(template.slice(at, at + 8))
    limit = digits === null ? 0 : Number(digits[1])
    if (digits === null || limit < 1 || limit > MAX_LIMIT)
      return new Wrong(`${shown(template, mark)} is cut to no length; write 1 to ${MAX_LIMIT} behind the colon, such as %REQ(x-user):20%`)
    at += digits[1].length + 1
  }
  if (name === "" || template[at] !== "%")
    return new Wrong(`${shown(template, mark)} is no operator; write one such as %REQ(x-user)%, or %% for a percent sign`)
  const part = operator(name, argument, limit)
  return part instanceof Wrong ? part : { part, end: at + 1 }
}

function shown(template: string, mark: number): string {
  return quote(template.slice(mark, mark + 40))
}

function operator(name: string, argument: string | null, limit: number): TemplatePart | Wrong {
  const of = FIELDS.get(name)
  if (of !== undefined) return fieldOperator(name, of, argument, limit)
  if (TIMES.has(name)) {
    if (limit > 0) return new Wrong(`%${name}% can't be cut; write its form in parentheses, such as %${name}(%s)%`)
    return argument === null || argument === "" ? TIME : timeOperator(argument)
  }
  if (name === "GRPC_STATUS" && argument !== null) {
    const form = GRPC_FORMS.get(argument)
    if (form !== undefined) return { kind: "value", name: form, limit }
    return new Wrong(`%GRPC_STATUS(${argument})% is not known; write CAMEL_STRING, SNAKE_STRING or NUMBER`)
  }
  if (!VALUES.has(name) || name === "GRPC_STATUS_SNAKE") {
    const upper = name.toUpperCase()
    const meant = OPERATORS.includes(upper) ? `; did you mean ${quote(upper)}?` : didYouMean(name, OPERATORS)
    return new Wrong(`${quote(`%${name}%`)} is not known${meant === "" ? "; see the access log in OBSERVABILITY.md for what is" : meant}`)
  }
  if (argument !== null) return new Wrong(`%${name}% takes nothing in parentheses; write %${name}%`)
  return { kind: "value", name: name as ValueName, limit }
}

function timeOperator(pattern: string): TemplatePart | Wrong {
  const pieces: readonly TimePiece[] | Wrong = parseTimePattern(pattern)
  return pieces instanceof Wrong ? pieces : { kind: "time", pieces }
}

function fieldOperator(name: string, of: "request" | "response" | "trailer", argument: string | null, limit: number): TemplatePart | Wrong {
  const names = (argument ?? "").toLowerCase().split("?")
  if (argument === null || names.includes("")) return new Wrong(`%${name}% needs the name of a field; write one such as %${name}(x-user)%`)
  if (names.length > MAX_NAMES)
    return new Wrong(`%${name}(${argument})% has more than one name to fall back on; write %${name}(x-first?x-second)%`)
  for (const each of names) {
    if (each.startsWith(":") ? PSEUDO[of].includes(each) : FIELD_NAME.test(each)) continue
    const known = PSEUDO[of].length === 0 ? "" : `, or ${PSEUDO[of].join(", ")}`
    return new Wrong(`${quote(each)} in %${name}(…)% is no name of a field; write one such as x-user${known}`)
  }
  return { kind: "field", of, names, limit }
}

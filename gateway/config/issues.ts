// zod's issues → findings: of the forms a value can have, the errors of the one that was meant; one finding for each unknown
// key, with what was probably meant. And what can be saved of a document that has errors, so that other checks still run.

import * as z from "zod"
import { didYouMean } from "./problem.ts"
import { isSecretName } from "./secrets.ts"
import type { Finding } from "./source.ts"
import { quote } from "./units.ts"

type Issue = z.core.$ZodIssue

export function toFindings(issues: readonly Issue[]): Finding[] {
  const out: Finding[] = []
  collect(issues, [], out)
  return out
}

function collect(issues: readonly Issue[], base: readonly PropertyKey[], out: Finding[]): void {
  for (const issue of issues) {
    const path = [...base, ...issue.path]
    if (issue.code === "unrecognized_keys") {
      const known = issue.message.split(" ")
      for (const key of issue.keys) out.push({ path: [...path, key], at: "key", message: () => unknownKey(key, known) })
    } else if (issue.code === "invalid_key") {
      for (const inner of issue.issues) out.push({ path, at: "key", message: inner.message })
    } else if (issue.code === "invalid_union") {
      const meant = issue.errors.filter((form) => !mismatched(form))
      if (meant.length === 1) collect(meant[0], path, out)
      else push(out, path, issue.message)
    } else {
      push(out, path, issue.message)
    }
  }
}

function push(out: Finding[], path: readonly PropertyKey[], message: string): void {
  // YAML takes a password of digits for a number, and the message would show it.
  const shown = isSecretName(path.at(-1)) ? message.replace(/, got .*?; write(?: it in quotes,.*)?/, "; write") : message
  out.push({ path, at: "value", message: shown.endsWith("; write") ? `${shown} it in quotes` : shown })
}

/** The value is not even of this form's type. */
function mismatched(issues: readonly Issue[]): boolean {
  return issues.some((issue) => {
    if (issue.path.length > 0) return false
    if (issue.code === "invalid_union") return issue.errors.every(mismatched)
    return issue.code === "invalid_type" || issue.code === "invalid_value"
  })
}

/** Habits from other gateways, and the words used here. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ["backendrefs", "backends"],
  ["clusters", "services"],
  ["cluster", "service"],
  ["directresponse", "respond"],
  ["domains", "hosts"],
  ["hostnames", "hosts"],
  ["matches", "match"],
  ["port", "address"],
  ["bind", "address"],
  ["listen", "address"],
  ["to", "backends"],
  ["upstream", "backends"],
  ["upstreams", "services"],
  ["wasm", "module"],
  ["file", "module"],
  ["lb", "loadBalancing"],
  ["middlewares", "filters"],
  ["plugins", "filters"],
])

function unknownKey(key: string, known: readonly string[]): string {
  const word = ELSEWHERE.get(key.toLowerCase())
  if (word !== undefined && known.includes(word)) return `unknown key; did you mean ${quote(word)}?`
  return `unknown key${didYouMean(key, known) || `; known here: ${known.join(", ")}`}`
}

/** Stands in a salvaged document for what was wrong. */
export const FAILED: unique symbol = Symbol("failed")

/** Every part of a salvaged document may be missing or {@link FAILED}. */
export type Salvaged<T> = T | undefined | typeof FAILED

export function isKnown<T>(value: Salvaged<T>): value is T {
  return value !== undefined && (value as unknown) !== FAILED
}

/** The parts of `value` that are valid by themselves, {@link FAILED} where they are not. */
export function salvage(schema: z.core.$ZodType, value: unknown): unknown {
  const result = z.safeParse(schema, value)
  if (result.success) return result.data
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault || schema instanceof z.ZodOptional)
    return salvage(schema.def.innerType, value)
  if (typeof value !== "object" || value === null) return FAILED
  if (schema instanceof z.ZodArray) return Array.isArray(value) ? value.map((item) => salvage(schema.element, item)) : FAILED
  if (Array.isArray(value)) return FAILED
  const given = value as Record<string, unknown>
  const out: Record<string, unknown> = {}
  if (schema instanceof z.ZodRecord) {
    for (const key of Object.keys(given)) if (key !== "__proto__") out[key] = salvage(schema.valueType, given[key])
    return out
  }
  if (schema instanceof z.ZodObject) {
    for (const key of Object.keys(schema.shape)) out[key] = salvage(schema.shape[key], Object.hasOwn(given, key) ? given[key] : undefined)
    return out
  }
  return FAILED
}

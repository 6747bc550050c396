// The kinds of values the schemas are made of. Each carries the text of its own errors, "what is wrong; what to write
// instead", so that a failed validation needs no second look at the schema.

import * as z from "zod"
import type { Address } from "./model.ts"
import { parseAddress, parseDuration, parsePercent, parseSize, quote, Wrong } from "./units.ts"

interface Raw {
  readonly code?: string
  readonly input?: unknown
}

function kindOf(value: unknown): string {
  if (value === null) return "nothing (null)"
  if (Array.isArray(value)) return "a list"
  if (typeof value === "string") return `the text ${quote(value)}`
  if (typeof value === "number" || typeof value === "boolean" || typeof value === "bigint") return `${value}`
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}

/** The text for a value of the wrong kind. */
export function mismatch(input: unknown, want: string, write: string): string {
  if (input === undefined) return `is missing; write ${write}`
  return `expected ${want}, got ${kindOf(input)}; write ${write}`
}

/** The text for a number or boolean where text is wanted: YAML needs quotes there. */
function mismatchedText(input: unknown, want: string, write: string): string {
  if (typeof input === "number" || typeof input === "boolean") return `expected ${want}, got ${input}; write it in quotes, "${input}"`
  return mismatch(input, want, write)
}

/** An object of exactly these keys. The message of an unknown key is the list of the known ones: issues.ts reads it. */
export function object<S extends z.core.$ZodLooseShape>(shape: S, write: string): z.ZodObject<z.core.util.Writeable<S>, z.core.$strict> {
  const known = Object.keys(shape).join(" ")
  return z.strictObject(shape, {
    error: (raw: Raw) => (raw.code === "unrecognized_keys" ? known : mismatch(raw.input, "an object", write)),
  })
}

export function record<T extends z.ZodType>(key: z.ZodString, value: T, write: string): z.ZodRecord<z.ZodString, T> {
  return z.record(key, value, { error: (raw: Raw) => mismatch(raw.input, "an object", write) })
}

export function list<T extends z.ZodType>(item: T, write: string): z.ZodArray<T> {
  return z.array(item, { error: (raw: Raw) => mismatch(raw.input, "a list", write) })
}

/** Several forms of one thing, told apart by their JSON type. */
export function either<const T extends readonly z.ZodType[]>(forms: T, want: string, write: string): z.ZodUnion<T> {
  return z.union(forms, {
    error: (raw: Raw) => (want.startsWith("a text") ? mismatchedText(raw.input, want, write) : mismatch(raw.input, want, write)),
  })
}

/** The text for what is none of these words. */
export function mismatchedChoice(input: unknown, values: readonly string[], later = ""): string {
  const shown = values.length === 1 ? values[0] : `${values.slice(0, -1).join(", ")} or ${values[values.length - 1]}`
  if (input === undefined) return `is missing; write ${shown}`
  if (typeof input === "string") return `${quote(input)} is not known here${later}; write ${shown}`
  // YAML 1.2 leaves `off` a text, but people who learned older YAML write false.
  if (input === false && values.includes("off")) return "expected a text, got false; write off"
  return mismatch(input, "a text", shown)
}

export function choice<const T extends readonly string[]>(values: T, later = ""): z.ZodEnum<z.core.util.ToEnum<T[number]>> {
  return z.enum(values, { error: (raw: Raw) => mismatchedChoice(raw.input, values, later) })
}

export function boolean(): z.ZodBoolean {
  return z.boolean({ error: (raw: Raw) => mismatch(raw.input, "true or false", "true or false") })
}

export function integer(min: number, max: number): z.ZodNumber {
  const range = `a whole number from ${min} to ${max}`
  const error = (raw: Raw): string => (raw.input === undefined ? `is missing; write ${range}` : `is ${kindOf(raw.input)}; write ${range}`)
  return z.number({ error }).int({ abort: true, error }).min(min, { error }).max(max, { error })
}

export function string(want: string, write: string): z.ZodString {
  return z.string({ error: (raw: Raw) => mismatchedText(raw.input, want, write) })
}

/** A text that `parse` turns into a value, or says what is wrong with it. */
export function parsed<T>(
  want: string,
  write: string,
  parse: (text: string) => T | Wrong,
): z.ZodPipe<z.ZodString, z.ZodTransform<T, string>> {
  return string(want, write).transform((text, context) => orIssue(parse(text), text, context))
}

/** A text that must pass, unchanged. */
export function checked(want: string, write: string, wrong: (text: string) => Wrong | undefined): z.ZodString {
  return string(want, write).check((context) => {
    const found = wrong(context.value)
    if (found !== undefined) context.issues.push({ code: "custom", input: context.value, message: found.message })
  })
}

export function orIssue<T, I>(value: T | Wrong, input: I, context: z.RefinementCtx): T {
  if (!(value instanceof Wrong)) return value
  context.issues.push({ code: "custom", input, message: value.message })
  return z.NEVER
}

/** ms. */
export function duration(
  options: { fine?: boolean; zero?: boolean } = {},
): z.ZodPipe<z.ZodUnion<readonly [z.ZodString, z.ZodNumber]>, z.ZodTransform<number, string | number>> {
  const { fine = false, zero = false } = options
  return z
    .union([z.string(), z.number()], {
      error: (raw: Raw) => mismatch(raw.input, "a duration", "a number and a unit, such as 250ms, 5s, 1m or 1h"),
    })
    .transform((text, context) => orIssue(parseDuration(text, fine, zero), text, context))
    .meta({ examples: zero ? ["250ms", "5s", "1m", "1h", 0] : ["250ms", "5s", "1m", "1h"] })
}

/** Octets. */
export function size(
  min: number,
  max: number,
): z.ZodPipe<z.ZodUnion<readonly [z.ZodString, z.ZodNumber]>, z.ZodTransform<number, string | number>> {
  return z
    .union([z.string(), z.number()], {
      error: (raw: Raw) => mismatch(raw.input, "a size", "whole octets or a unit, such as 64KiB or 1MiB"),
    })
    .transform((text, context) => orIssue(parseSize(text, min, max), text, context))
    .meta({ examples: ["64KiB", "1MiB", 65536] })
}

/** A share from 0 to 1. */
export function percent(): z.ZodPipe<z.ZodUnion<readonly [z.ZodString, z.ZodNumber]>, z.ZodTransform<number, string | number>> {
  return z
    .union([z.string(), z.number()], {
      error: (raw: Raw) => mismatch(raw.input, "a share", "a number and a percent sign, such as 1% or 0.5%"),
    })
    .transform((text, context) => orIssue(parsePercent(text), text, context))
    .meta({ examples: ["1%", "0.5%"] })
}

/** `host:port`; a bare port gets as far as the message that says what it lacks. */
export function address(minPort: number): z.ZodPipe<z.ZodString, z.ZodTransform<Address, string>> {
  const write = "host:port, such as 127.0.0.1:8080"
  return z
    .string({
      error: (raw: Raw) => {
        if (typeof raw.input !== "number") return mismatch(raw.input, "an address", write)
        const wrong = parseAddress(raw.input, minPort)
        return wrong instanceof Wrong ? wrong.message : mismatch(raw.input, "an address", write)
      },
    })
    .transform((text, context) => orIssue(parseAddress(text, minPort), text, context))
    .meta({ examples: ["127.0.0.1:8080", "0.0.0.0:8080", "[::1]:8080"] })
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/

/** A name of a listener, service, filter or route: it appears in metrics and logs. */
export function name(what: string): z.ZodString {
  return checked("a name", `a name for the ${what}`, (text) => {
    if (!NAME.test(text))
      return new Wrong(
        `${quote(text)} can't name a ${what}; use up to 128 letters, digits, ".", "-", "_" and "/", beginning with a letter or digit`,
      )
    // Names are keys of plain objects, where these are never absent.
    if (text in Object.prototype) return new Wrong(`${quote(text)} can't name a ${what}; choose another name`)
    return undefined
  })
}

const MAX_DEPTH = 64
const MAX_VALUES = 100_000

/** Any JSON value; comes out as a copy without shared parts. */
export function json(): z.ZodPipe<z.ZodUnknown, z.ZodTransform<unknown, unknown>> {
  return z.unknown().transform((value, context) => {
    let left = MAX_VALUES
    const copy = (input: unknown, depth: number): unknown => {
      if (--left < 0) return new Wrong(`holds more than ${MAX_VALUES} values; write a smaller one`)
      if (depth > MAX_DEPTH) return new Wrong(`is nested deeper than ${MAX_DEPTH} levels; write a flatter one`)
      if (input === null || typeof input === "string" || typeof input === "boolean") return input
      if (typeof input === "number" && Number.isFinite(input)) return input
      if (Array.isArray(input)) {
        const out: unknown[] = []
        for (const item of input) {
          const value = copy(item, depth + 1)
          if (value instanceof Wrong) return value
          out.push(value)
        }
        return out
      }
      if (typeof input === "object" && !(input instanceof Date) && !(input instanceof Map) && !(input instanceof Set)) {
        const out: Record<string, unknown> = {}
        for (const [key, item] of Object.entries(input)) {
          if (item === undefined) continue
          if (key === "__proto__") return new Wrong('has the key "__proto__", which is not allowed; use another name')
          const value = copy(item, depth + 1)
          if (value instanceof Wrong) return value
          out[key] = value
        }
        return out
      }
      return new Wrong(`holds ${kindOf(input)}, which JSON can't carry; write texts, finite numbers, true, false, null, lists and objects`)
    }
    return value === undefined ? undefined : orIssue(copy(value, 0), value, context)
  })
}

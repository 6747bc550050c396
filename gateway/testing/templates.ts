// Values of a test that have to be computed: tokens, signatures, times. In tests.json an object with one key that begins with
// `$` stands for a value; it is computed when its step runs, by the fake clock of its case.
//
//   { "$value": NAME }                      a value of `values`, or one that an earlier step has saved
//   { "$join": [A, B, …] }                  texts, one after the other
//   { "$json": VALUE }                      VALUE as JSON text
//   { "$repeat": { text, times } }          a text so many times
//   { "$time": "+5m" }                      seconds since the epoch, so far from now ("now", "-1h")
//   { "$time": { at, as } }                 as: seconds, milliseconds, iso, http
//   { "$base64": TEXT }, { "$base64url": TEXT }, { "$hex": TEXT }
//   { "$bytes": BASE64 }                    octets: bodies that are no text
//   { "$hash": { of, alg, as } }            alg: sha256 (default), sha1, sha384, sha512; as: hex (default), base64, base64url
//   { "$hmac": { of, key, alg, as } }
//   { "$jwt": { key, claims, header } }     a signed token; key: a name of `keys`, or "none" for an unsigned one
//   { "$jwk": KEY }, { "$jwks": [KEY, …] }  public keys as JSON objects
//   { "$pem": KEY }                         a public key as PEM text

import { Buffer } from "node:buffer"
import { createHash, createHmac } from "node:crypto"
import { parseDuration, Wrong } from "../config/units.ts"
import { signToken, type TestKeys } from "./test-keys.ts"

const MAX_TEXT = 64 * 1024 * 1024

export interface TemplateContext {
  /** Milliseconds since the epoch. */
  now(): number
  readonly keys: TestKeys
  /** Of `values`, as written; computed when asked for. */
  readonly values: Readonly<Record<string, unknown>>
  /** What steps have saved. */
  readonly saved: Map<string, unknown>
}

/** A template that can't be computed; the message says why. */
export class TemplateError extends Error {}

export const templateNames = [
  "$value",
  "$join",
  "$json",
  "$repeat",
  "$time",
  "$base64",
  "$base64url",
  "$hex",
  "$bytes",
  "$hash",
  "$hmac",
  "$jwt",
  "$jwk",
  "$jwks",
  "$pem",
] as const

/** The name of the template that `value` is; undefined when it is an ordinary value. */
function templateName(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined
  const keys = Object.keys(value)
  return keys.length === 1 && keys[0].startsWith("$") && keys[0] !== "$schema" ? keys[0] : undefined
}

/** `value` with every template in it computed. @throws TemplateError */
export function evaluate(value: unknown, context: TemplateContext): unknown {
  return new Evaluation(context).value(value)
}

const MAX_DEPTH = 100

class Evaluation {
  readonly #context: TemplateContext
  #depth = 0

  constructor(context: TemplateContext) {
    this.#context = context
  }

  value(value: unknown): unknown {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value
    if (++this.#depth > MAX_DEPTH) throw new TemplateError("values are nested too deeply, or stand for themselves")
    const out = this.#object(value)
    this.#depth--
    return out
  }

  #object(value: object): unknown {
    if (Array.isArray(value)) return value.map((each) => this.value(each))
    const name = templateName(value)
    if (name !== undefined) return this.#template(name, (value as Record<string, unknown>)[name])
    const out: Record<string, unknown> = {}
    for (const [key, each] of Object.entries(value)) out[key] = this.value(each)
    return out
  }

  #template(name: string, argument: unknown): unknown {
    const value = this.value(argument)
    switch (name) {
      case "$value":
        return this.#named(text(name, value))
      case "$join":
        return list(name, value)
          .map((each) => text(name, each))
          .join("")
      case "$json":
        return JSON.stringify(value)
      case "$repeat":
        return repeat(fields(name, value, ["text", "times"]))
      case "$time":
        return this.#time(value)
      case "$base64":
      case "$base64url":
      case "$hex":
        return bytes(name, value).toString(name.slice(1) as "base64")
      case "$bytes":
        return Uint8Array.from(Buffer.from(text(name, value), "base64"))
      case "$hash": {
        const { of, alg, as } = fields(name, value, ["of", "alg", "as"])
        return createHash(hashName(name, alg)).update(bytes(name, of)).digest(encodingName(name, as))
      }
      case "$hmac": {
        const { of, key, alg, as } = fields(name, value, ["of", "key", "alg", "as"])
        return createHmac(hashName(name, alg), bytes(name, key)).update(bytes(name, of)).digest(encodingName(name, as))
      }
      case "$jwt": {
        const { key, claims, header } = fields(name, value, ["key", "claims", "header"])
        if (key === "none") return signToken(null, object(name, header ?? {}), object(name, claims ?? {}))
        return signToken(this.#context.keys.get(text(name, key)), object(name, header ?? {}), object(name, claims ?? {}))
      }
      case "$jwk":
        return this.#context.keys.get(text(name, value)).jwk()
      case "$jwks":
        return { keys: list(name, value).map((each) => this.#context.keys.get(text(name, each)).jwk()) }
      case "$pem":
        return this.#context.keys.get(text(name, value)).pem()
      default:
        throw new TemplateError(`${name} is not known; there are ${templateNames.join(", ")}`)
    }
  }

  #named(name: string): unknown {
    const { saved, values } = this.#context
    if (saved.has(name)) return saved.get(name)
    if (Object.hasOwn(values, name)) return this.value(values[name])
    throw new TemplateError(`$value: nothing is called ${JSON.stringify(name)}: it is not in "values", and no step has saved it`)
  }

  #time(value: unknown): unknown {
    const { at, as } = typeof value === "string" ? { at: value, as: undefined } : fields("$time", value, ["at", "as"])
    const ms = this.#context.now() + offset(at ?? "now")
    switch (as ?? "seconds") {
      case "seconds":
        return Math.floor(ms / 1000)
      case "milliseconds":
        return Math.floor(ms)
      case "iso":
        return new Date(ms).toISOString()
      case "http":
        return new Date(ms).toUTCString()
      default:
        throw new TemplateError(`$time: ${JSON.stringify(as)} is no form of time; write seconds, milliseconds, iso or http`)
    }
  }
}

function offset(at: unknown): number {
  if (at === "now") return 0
  const match = typeof at === "string" ? /^([+-])(.+)$/.exec(at) : null
  const ms = match === null ? null : parseDuration(match[2], false, true)
  if (match === null || ms === null || ms instanceof Wrong) {
    throw new TemplateError(`$time: ${JSON.stringify(at)} is no time; write "now", "+5m" or "-1h"`)
  }
  return match[1] === "-" ? -ms : ms
}

function repeat({ text: part, times }: Record<string, unknown>): string {
  const each = text("$repeat", part)
  if (typeof times !== "number" || !Number.isInteger(times) || times < 0 || each.length * times > MAX_TEXT) {
    throw new TemplateError(`$repeat: "times" must be a whole number, and the whole at most ${MAX_TEXT} characters`)
  }
  return each.repeat(times)
}

function text(name: string, value: unknown): string {
  if (typeof value === "string") return value
  if (typeof value === "number" || typeof value === "boolean") return String(value)
  throw new TemplateError(`${name}: expected a text, got ${JSON.stringify(value)}`)
}

function bytes(name: string, value: unknown): Buffer {
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(text(name, value), "utf8")
}

function list(name: string, value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new TemplateError(`${name}: expected a list, got ${JSON.stringify(value)}`)
}

function object(name: string, value: unknown): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new TemplateError(`${name}: expected an object, got ${JSON.stringify(value)}`)
}

function fields<const K extends readonly string[]>(name: string, value: unknown, known: K): Record<K[number], unknown> {
  const given = object(name, value)
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) throw new TemplateError(`${name}: unknown key ${JSON.stringify(key)}; known here: ${known.join(", ")}`)
  }
  return given as Record<K[number], unknown>
}

function hashName(name: string, alg: unknown): string {
  const known = ["sha1", "sha256", "sha384", "sha512"]
  if (alg === undefined) return "sha256"
  if (typeof alg === "string" && known.includes(alg)) return alg
  throw new TemplateError(`${name}: ${JSON.stringify(alg)} is not known as "alg"; write ${known.join(", ")}`)
}

function encodingName(name: string, as: unknown): "hex" | "base64" | "base64url" {
  if (as === undefined) return "hex"
  if (as === "hex" || as === "base64" || as === "base64url") return as
  throw new TemplateError(`${name}: ${JSON.stringify(as)} is not known as "as"; write hex, base64 or base64url`)
}

// What a token says (RFC 7519 §4): claims read, compared with what is asked of them, and made into texts.
import { base64url, Json } from "sluice/sdk"

/** A claim that must have one of these values. */
export class Requirement {
  constructor(
    readonly claim: string,
    readonly values: string[],
  ) {}
}

/** What matters of a token that was found good: all but the time stays as it is. */
export class Verified {
  /** Values of the headers in `headerNames`; null = the token doesn't say. */
  values: (string | null)[] = []
  /** All of them, as JSON. */
  claims: string = ""
  constructor(
    /** Seconds since 1970, NaN = it doesn't say. */
    readonly expires: f64,
    readonly notBefore: f64,
    readonly issued: f64,
  ) {}
}

/** A part of a token as JSON. */
export function decoded(part: string): Json {
  const text = base64url.decodeText(part)
  return Json.parse(text === null ? "" : text)
}

/** A time among the claims: NaN = it isn't there, and what is no number is refused by every comparison as −∞ or ∞. */
export function seconds(claims: Json, name: string): f64 {
  const value = claims.get(name)
  if (value === null) return NaN
  return value.asNumber(name == "nbf" ? Infinity : -Infinity)
}

/** Whether a text is one of these, or a list of texts has one of them. */
export function holds(value: Json | null, accepted: string[]): bool {
  if (value === null) return false
  if (!value.isArray) return value.isString ? accepted.includes(value.asString()) : accepted.includes(value.stringify())
  for (let i = 0; i < value.length; i++) {
    const item = value.at(i)!
    if (item.isString && accepted.includes(item.asString())) return true
  }
  return false
}

export function meets(claims: Json, requirement: Requirement): bool {
  const value = claimOf(claims, requirement.claim)
  if (value === null || holds(value, requirement.values)) return value !== null
  if (requirement.claim != "scope" && requirement.claim != "scp") return false
  const scopes = value.asString().split(" ") // RFC 8693 §4.2
  for (let i = 0; i < scopes.length; i++) {
    if (requirement.values.includes(scopes[i])) return true
  }
  return false
}

/** A claim by its name, or else by its path. */
function claimOf(claims: Json, name: string): Json | null {
  const value = claims.get(name)
  if (value !== null) return value
  const found = claims.find(name)
  return found.exists ? found : null
}

/** A claim as the text of a header; null if the token doesn't say. */
export function headerOf(claims: Json, name: string): string | null {
  const value = claimOf(claims, name)
  return value === null || value.isNull ? null : asText(value)
}

/** Texts as they are, lists of texts separated by commas, all else as JSON: also lists whose texts could be taken for several. */
function asText(value: Json): string {
  if (value.isString) return value.asString()
  const items: string[] = []
  for (let i = 0; i < value.length && value.isArray; i++) {
    const item = value.at(i)!
    if (item.isString && !item.asString().includes(",")) items.push(item.asString())
  }
  return value.isArray && items.length == value.length ? items.join(",") : value.stringify()
}

export function breaks(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) < 0x20 || text.charCodeAt(i) == 0x7f) return true
  }
  return false
}

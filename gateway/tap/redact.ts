// Takes secrets out of what is shown of a message: values of fields and query parameters whose names say so, and credentials that stand
// in fields with other names.

import { isSecretKey, REDACTED } from "../config/secrets.ts"

// A scheme of RFC 9110 §11 with something behind it.
const CREDENTIALS = /^(?:basic|bearer|digest|negotiate|ntlm|aws4-hmac-sha256|hmac|apikey|token)[ \t]+\S/i
/** Fields that hold a URL, whose query may tell secrets. */
const URLS: ReadonlySet<string> = new Set(["referer", "location", "content-location", "refresh", "x-original-url", "x-forwarded-uri"])
// A parameter of a query, or of a fragment, where OAuth 2.0 has put tokens (RFC 6749 §4.2.2).
const PARAMETER = /([?&#;])([^=&#?;]+)=([^&#;]*)/g

// What signs somebody in under names that may mean something else in a configuration: codes of OAuth 2.0, assertions, sessions, signed URLs.
const SIGNS_IN = /^(?:code|codeverifier|jwt|t?otp|s?sid|sig|dpop|ticket|samlresponse)$|session|assertion/

/** Whether the value of a field or a parameter of that name is shown to nobody. */
export function isSecretField(name: string): boolean {
  return isSecretKey(name) || SIGNS_IN.test(name.toLowerCase().replace(/[^a-z0-9]/g, ""))
}

/** A field's value, as it may be shown. `name` in lower case. */
export function shownValue(name: string, value: string): string {
  if (isSecretField(name) || CREDENTIALS.test(value)) return REDACTED
  return URLS.has(name) ? shownTarget(value) : value
}

/** A request's target or a URL: user information, and values of parameters with a secret's name, are hidden. */
export function shownTarget(target: string): string {
  const text = target.includes("://") ? target.replace(/:\/\/[^/?#@]*@/, `://${REDACTED}@`) : target
  if (!text.includes("=")) return text
  return text.replace(PARAMETER, (all, mark: string, name: string) => (isSecretField(plain(name)) ? `${mark}${name}=${REDACTED}` : all))
}

// `%74oken` is a token to whoever decodes it.
function plain(name: string): string {
  return name.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

// Takes secrets out of what is shown of a message: values of fields and query parameters whose names say so, and credentials that stand
// in fields with other names.

import { isSecretKey, REDACTED } from "../http/secret-names.ts"

// A scheme of RFC 9110 §11 with something behind it.
const CREDENTIALS = /^(?:basic|bearer|digest|negotiate|ntlm|aws4-hmac-sha256|hmac|apikey|token)[ \t]+\S/i
/** Fields that hold a URL, whose query may tell secrets. */
const URLS: ReadonlySet<string> = new Set(["referer", "location", "content-location", "x-original-url", "x-forwarded-uri"])

/** A field's value, as it may be shown. `name` in lower case. */
export function shownValue(name: string, value: string): string {
  if (isSecretKey(name) || CREDENTIALS.test(value)) return REDACTED
  return URLS.has(name) ? shownTarget(value) : value
}

/** A request's target or a URL: user information, and values of query parameters with a secret's name, are hidden. */
export function shownTarget(target: string): string {
  const text = target.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, `$1${REDACTED}@`)
  const mark = text.indexOf("?")
  if (mark < 0) return text
  const parts = text.slice(mark + 1).split("&")
  for (let i = 0; i < parts.length; i++) {
    const equals = parts[i].indexOf("=")
    if (equals > 0 && isSecretKey(plain(parts[i].slice(0, equals)))) parts[i] = `${parts[i].slice(0, equals)}=${REDACTED}`
  }
  return `${text.slice(0, mark)}?${parts.join("&")}`
}

// `%74oken` is a token to whoever decodes it.
function plain(name: string): string {
  return name.replace(/%([0-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

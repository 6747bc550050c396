// Takes secrets out of a configuration as it is written, before anything of it is shown: a comparison of two of them. The places are
// those of `redact.ts`, in the form in which people write them.

import { isSecretKey } from "../config/secrets.ts"
import { copy, hide, redactSettings, withoutCredentials } from "./redact.ts"

/** A copy that may be shown. It has the shape of what was written, but where something is hidden. */
export function redactDocument(document: unknown): unknown {
  return withoutCredentials(redactWhole(document))
}

/** Parts by names that people give: a filter called `headers` is none. */
const BY_NAME = new Set(["filters", "services"])

/** What filters are configured with: any values. */
const SETTINGS = new Set(["config", "vmConfig", "with", "env"])
/** Values by names that others have made. */
const NAMED = new Set(["headers", "query"])

function redactWhole(document: unknown): unknown {
  if (typeof document !== "object" || document === null || Array.isArray(document)) return redactPart(document)
  return copy(document, (key, part) => {
    const named = BY_NAME.has(key) && typeof part === "object" && part !== null
    return named ? copy(part, (_, item) => redactPart(item)) : redactPart(part)
  })
}

function redactPart(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redactPart)
  if (typeof value !== "object" || value === null) return value
  const secret = "by" in value ? secretsOf(value.by) : []
  return copy(value, (key, item) => {
    if (SETTINGS.has(key)) return redactSettings(item)
    if (key === "otlp") return redactReceiver(item)
    if (NAMED.has(key)) return redactNamed(item, isSecretKey)
    if (key === "cookies") return redactNamed(item, () => true)
    if (key === "password") return hideValue(item)
    // Exceptions of rate limits name clients: by an API key, or a cookie.
    if (key === "overrides" && Array.isArray(item) && secret.includes(true)) return item.map((each) => redactOverride(each, secret))
    return redactPart(item)
  })
}

// A receiver is sent headers: what is written of them is shown only where it names a variable.
function redactReceiver(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value
  return copy(value, (key, item) => (key === "headers" ? redactNamed(item, () => true) : item))
}

function redactNamed(value: unknown, isSecret: (name: string) => boolean): unknown {
  if (Array.isArray(value)) return value.map((item) => redactNamed(item, isSecret))
  if (typeof value !== "object" || value === null) return value
  return copy(value, (key, item) => (isSecret(key) ? hideValue(item) : redactNamed(item, isSecret)))
}

// The name of a variable that a secret is in is none itself.
function hideValue(value: unknown): unknown {
  return typeof value === "object" && value !== null && "env" in value ? value : hide(value)
}

function secretsOf(by: unknown): boolean[] {
  return (Array.isArray(by) ? by : [by]).map((each) => {
    const [kind = "", ...name] = String(each).split(":")
    return kind === "cookie" || isSecretKey(name.join(":"))
  })
}

function redactOverride(override: unknown, secret: readonly boolean[]): unknown {
  if (typeof override !== "object" || override === null) return override
  return copy(override, (key, item) => {
    if (key !== "value") return item
    return Array.isArray(item) ? item.map((each, i) => (secret[i] ? hide(each) : each)) : hide(item)
  })
}

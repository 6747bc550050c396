// Takes secrets out of a configuration before it is shown: values of suspicious keys in what filters are configured with, header
// values that authenticate, and what any text holds that lets somebody in.

import type { Config } from "../config/model.ts"
import type { RateLimitConfig } from "../config/rate-limit-model.ts"
import type { RateLimitStoreConfig } from "../config/rate-limit-store-model.ts"
import { isSecretKey, maskCredentials, maskText, REDACTED } from "../config/secrets.ts"
import type { TracingConfig } from "../config/tracing-model.ts"

/** What is shown in the place of a secret. */
export function hide(value: unknown): unknown {
  // Whether something is set is no secret.
  return value === null || value === undefined || typeof value === "boolean" ? value : REDACTED
}

/** A copy of a filter's settings without its secrets. Texts may hold settings of their own. */
export function redactSettings(value: unknown): unknown {
  if (typeof value === "string") return redactText(value)
  if (Array.isArray(value)) return value.map(redactSettings)
  if (typeof value !== "object" || value === null) return value
  return copy(value, (key, item) => (isSecretKey(key) ? hide(item) : redactSettings(item)))
}

function redactText(text: string): string {
  if (!/^\s*[{[]/.test(text)) return maskText(text)
  try {
    const value: unknown = JSON.parse(text)
    const redacted = redactSettings(value)
    // As it was written, where there is nothing to hide.
    return JSON.stringify(value) === JSON.stringify(redacted) ? text : JSON.stringify(redacted)
  } catch {
    return maskText(text)
  }
}

/** `value` with what `each` makes of its items. */
export function copy(value: object, each: (key: string, item: unknown) => unknown): Record<string, unknown> {
  // From entries, so that a key `__proto__` stays a key.
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, each(key, item)]))
}

/** A copy of the configuration that may be shown. */
export function redactConfig(config: Config): Record<string, unknown> {
  return withoutCredentials(redactParts(config)) as Record<string, unknown>
}

/** Whatever else a text may hold. */
export function withoutCredentials(value: unknown): unknown {
  if (typeof value === "string") return maskCredentials(value)
  if (Array.isArray(value)) return value.map(withoutCredentials)
  return typeof value === "object" && value !== null ? copy(value, (_, item) => withoutCredentials(item)) : value
}

function redactParts(config: Config): Record<string, unknown> {
  return copy(config, (key, part) => {
    if (key === "filters") return copy(part as object, (_, filter) => redactFilter(filter as object))
    if (key === "routes") return (part as readonly object[]).map((route) => redactLimits(redactHeaders(route)))
    if (key === "listeners") return (part as readonly object[]).map(redactListener)
    if (key === "services") return copy(part as object, (_, service) => redactLimits(service))
    if (key === "accessLog") return redactReceiver(part)
    if (key === "rateLimitStore") return redactStore(part as RateLimitStoreConfig)
    if (key === "tracing") return redactCollector(part as TracingConfig)
    return part
  })
}

// Exceptions of rate limits name clients: by an API key, or a cookie.
function redactLimits(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value
  return copy(value, (key, item) => (key === "rateLimits" && Array.isArray(item) ? item.map(redactOverrides) : item))
}

// One with `auto` consists of two others; one for connections has filters with settings of its own.
function redactListener(listener: object): Record<string, unknown> {
  return copy(redactLimits(listener) as object, (key, item) => {
    if (key === "http" || key === "tcp") return redactListener(item as object)
    return key === "filters" ? (item as readonly object[]).map((use) => withSettings(use, "with")) : item
  })
}

function redactOverrides(limit: RateLimitConfig): RateLimitConfig {
  const secret = limit.by.map((each) => each.kind === "cookie" || ("name" in each && isSecretKey(each.name)))
  if (!secret.includes(true)) return limit
  const hidden = (values: readonly string[]): string[] => values.map((value, i) => (secret[i] ? REDACTED : value))
  return { ...limit, overrides: limit.overrides.map((each) => ({ ...each, values: hidden(each.values) })) }
}

// A receiver is sent headers: what is written of them is shown only where it names a variable.
function redactReceiver(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return copy(value, (key, item) => {
    if (key !== "otlp") return redactReceiver(item)
    return copy(item as object, (part, of) =>
      part === "headers" ? copy(of as object, (_, text) => (typeof text === "string" ? hide(text) : text)) : of,
    )
  })
}

// The name of a variable that a password is in is none itself.
function redactStore(store: RateLimitStoreConfig): object {
  const { password } = store.redis
  return { ...store, redis: { ...store.redis, password: typeof password === "string" ? hide(password) : password } }
}

// What a collector is sent with every export lets one in.
function redactCollector(tracing: TracingConfig): object {
  const headers = copy(tracing.otlp.headers, (_, value) => (typeof value === "string" ? hide(value) : value))
  return { ...tracing, otlp: { ...tracing.otlp, headers } }
}

function redactFilter(filter: object): Record<string, unknown> {
  return copy(filter, (key, item) => {
    if (key === "config" || key === "vmConfig" || key === "env") return redactSettings(item)
    return key === "versions" ? (item as readonly object[]).map((version) => withSettings(version, "config")) : item
  })
}

function withSettings(holder: object, settings: string): Record<string, unknown> {
  return copy(holder, (key, item) => (key === settings ? redactSettings(item) : item))
}

// Routes hold headers as `[name, value]` pairs and as `{name, value}`, at several depths; filters by `use` and `with`.
function redactHeaders(value: unknown): unknown {
  if (Array.isArray(value)) {
    if (value.length === 2 && typeof value[0] === "string" && typeof value[1] === "string") {
      return isSecretKey(value[0]) ? [value[0], REDACTED] : value
    }
    return value.map(redactHeaders)
  }
  if (typeof value !== "object" || value === null) return value
  if ("use" in value && "with" in value) return withSettings(value, "with")
  if ("name" in value && "value" in value && typeof value.name === "string" && isSecretKey(value.name)) return { ...value, value: REDACTED }
  return copy(value, (key, item) => (key === "cookies" && Array.isArray(item) ? item.map(redactCookie) : redactHeaders(item)))
}

// By most names a cookie says who somebody is.
function redactCookie(cookie: object): object {
  return { ...cookie, value: REDACTED }
}

// What the access log does: which exchanges get a line, what is in it, where it goes. Plain data, as all of the configuration is.

import type { OtlpConfig } from "./otlp-model.ts"
import type { TemplatePart } from "./template-model.ts"

export interface AccessLogConfig {
  /** Which exchanges get a line: none, those with a response flag, all. */
  readonly when: "off" | "errors" | "all"
  /** What narrows that down; null = nothing. */
  readonly only: AccessLogOnly | null
  readonly to: AccessDestination
  readonly format: AccessFormatConfig
  /** Fields shown beside the usual ones of `json`; lower case. */
  readonly headers: { readonly request: readonly string[]; readonly response: readonly string[] }
  /** Names of fields whose values are never shown, lower case; null = those that sound like secrets. */
  readonly redact: readonly string[] | null
}

/** Conditions that have to hold together. */
export interface AccessLogOnly {
  /** Inclusive ranges, any of which holds the status; empty = every status. */
  readonly status: readonly (readonly [number, number])[]
  /** ms; 0 = any duration. */
  readonly slowerThan: number
  /** Share of what has passed the others, 0 to 1. */
  readonly sample: number
  /** Exchanges with a response flag pass, whatever the conditions say. */
  readonly keepErrors: boolean
}

export type AccessDestination =
  | { readonly kind: "stdout" }
  /** `path` is absolute. */
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "otlp"; readonly otlp: OtlpConfig; readonly serviceName: string }

export type AccessFormatConfig =
  /** The usual fields. */
  | { readonly kind: "json" }
  | { readonly kind: "fields"; readonly fields: readonly (readonly [name: string, parts: readonly TemplatePart[]])[] }
  | { readonly kind: "template"; readonly parts: readonly TemplatePart[] }

/** Tells destinations apart. */
export function destinationKey(to: AccessDestination): string {
  return to.kind === "stdout" ? "stdout" : JSON.stringify(to)
}

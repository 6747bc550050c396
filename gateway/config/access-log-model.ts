// What the access log does: which exchanges get a line, what is in it, where it goes. Plain data, as all of the configuration is.

import type { OtlpConfig } from "./otlp-model.ts"

export interface AccessLogConfig {
  /** Which exchanges get a line: none, those with a response flag, all. */
  readonly when: "off" | "errors" | "all"
  /** What narrows that down; null = nothing. */
  readonly only: AccessLogOnly | null
  /** ms between two lines of an exchange or a connection that isn't over; undefined = they have one at their end alone. */
  readonly openEvery?: number
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
  /** Templates, by the names of their fields. Those that can't be parsed don't get here. */
  | { readonly kind: "fields"; readonly fields: Readonly<Record<string, string>> }
  | { readonly kind: "template"; readonly template: string }

/** Tells destinations apart. */
export function destinationKey(to: AccessDestination): string {
  return to.kind === "stdout" ? "stdout" : JSON.stringify(to)
}

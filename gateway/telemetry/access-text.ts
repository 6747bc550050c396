// Values of the access log as text. What came from the network arrives here as latin1 text and leaves without a control character
// in it, and without a way out of the quotes it stands in.

import { OTHER_STATUS } from "../http/grpc-status.ts"

/** Characters kept of a path, and of any other text. */
export const MAX_PATH = 2048
export const MAX_TEXT = 512

// Printable ASCII and latin1 without `"` and `\`: needs no escape, whatever else a string has goes the long way.
const CLEAN = /^[ !#-[\]-~\xa0-\xff]*$/
// What JSON.stringify leaves and a terminal or a line splitter would act on.
const LEFT_BY_JSON = /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

function unicodeEscape(c: string): string {
  return `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`
}

/** `text` as a JSON string, cut to `limit` characters. */
export function jsonText(text: string, limit: number): string {
  const kept = text.length > limit ? text.slice(0, limit) : text
  return CLEAN.test(kept) ? `"${kept}"` : JSON.stringify(kept).replace(LEFT_BY_JSON, unicodeEscape)
}

/** `text` for a line of text, cut to `limit` characters: escaped as in JSON, without the quotes, which a template may have. */
export function plainText(text: string, limit: number): string {
  const kept = text.length > limit ? text.slice(0, limit) : text
  return CLEAN.test(kept) ? kept : JSON.stringify(kept).replace(LEFT_BY_JSON, unicodeEscape).slice(1, -1)
}

/** Microseconds of milliseconds; finite whatever comes. */
export function thousandths(value: number): number {
  return value >= 0 && value < 1e12 ? Math.round(value * 1000) : 0
}

/** Milliseconds with microseconds; finite whatever comes. */
export function milliseconds(value: number): number {
  return thousandths(value) / 1000
}

/** Its number; as a text what has none. */
export function grpcStatusText(code: number): string {
  if (code < OTHER_STATUS) return String(code)
  return code === OTHER_STATUS ? "other" : "none"
}

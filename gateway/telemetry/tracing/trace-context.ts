// The trace that a request belongs to, as W3C Trace Context puts it into one field: reads `traceparent` strictly and writes it. It
// decides nothing.

/** 32 digits, not all 0 (§3.2.2.3). */
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/
/** 16 digits, not all 0 (§3.2.2.4). */
const SPAN_ID = /^(?!0{16})[0-9a-f]{16}$/
/** Version, trace id, parent id, flags, and what a later version may have put behind them (§4.3). */
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[\x21-\x7e]*)?$/
/** Longer ones are taken for nobody's: 55 is what version 00 has. */
const MAX_PARENT = 256

const SAMPLED = 1
/** The trace's id is random (Level 2): stays as it is for as long as the id does. */
const RANDOM = 2

/** Whom a request was sent by, in its trace. */
export interface RemoteParent {
  /** 32 lower-case hex digits. */
  readonly traceId: string
  /** 16 of them. */
  readonly spanId: string
  /** Null: whoever is asked next decides (B3 alone). */
  readonly sampled: boolean | null
  /** It is to be recorded whatever anyone thinks of it (B3 alone). */
  readonly debug: boolean
  /** Its id is said to be random (W3C alone). */
  readonly random: boolean
}

export function isTraceId(text: string): boolean {
  return TRACE_ID.test(text)
}

export function isSpanId(text: string): boolean {
  return SPAN_ID.test(text)
}

/** Null when it isn't exactly what §3.2 says: then it counts as if it weren't there. */
export function parseTraceparent(text: string): RemoteParent | null {
  if (text.length > MAX_PARENT) return null
  const match = PARENT.exec(text)
  if (match === null) return null
  const [, version, traceId, spanId, flags, rest] = match
  if (version === "ff" || (version === "00" && rest !== undefined)) return null
  if (!isTraceId(traceId) || !isSpanId(spanId)) return null
  const bits = Number.parseInt(flags, 16)
  return { traceId, spanId, sampled: (bits & SAMPLED) !== 0, debug: false, random: (bits & RANDOM) !== 0 }
}

/** Always of version 00; no flags but these are set (§3.2.2.5). */
export function formatTraceparent(traceId: string, spanId: string, sampled: boolean, random = false): string {
  return `00-${traceId}-${spanId}-0${(sampled ? SAMPLED : 0) + (random ? RANDOM : 0)}`
}

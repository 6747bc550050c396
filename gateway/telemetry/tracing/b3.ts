// The trace that a request belongs to, as B3 has it: in one field, or in several. What is not exactly that counts as if it weren't there.

import { isSpanId, isTraceId } from "./trace-context.ts"

/** What B3 says: ids, or no more than whether to record. */
export interface B3Context {
  /** "" = it has none, and the trace begins here. A short one is filled up with zeros. */
  readonly traceId: string
  readonly spanId: string
  /** Null: it is left to whoever reads it. */
  readonly sampled: boolean | null
  readonly debug: boolean
}

/** The longest there is: two ids, a decision and a parent's id. */
const MAX_SINGLE = 32 + 1 + 16 + 1 + 1 + 1 + 16

function sampling(text: string | undefined): Pick<B3Context, "sampled" | "debug"> | null {
  switch (text) {
    case undefined:
      return { sampled: null, debug: false }
    case "0":
    case "false":
      return { sampled: false, debug: false }
    case "1":
    case "true":
      return { sampled: true, debug: false }
    case "d":
      return { sampled: true, debug: true }
    default:
      return null
  }
}

function identified(traceId: string, spanId: string): Pick<B3Context, "traceId" | "spanId"> | null {
  const full = traceId.length === 16 ? "0".repeat(16) + traceId : traceId
  return isTraceId(full) && isSpanId(spanId) ? { traceId: full, spanId } : null
}

/** Of `b3`: `{trace}-{span}`, `{trace}-{span}-{0|1|d}`, the same with `-{parent}`, or the decision alone. */
export function parseB3(text: string): B3Context | null {
  if (text.length > MAX_SINGLE) return null
  const parts = text.split("-")
  if (parts.length === 1) {
    const decided = text.length === 1 ? sampling(text) : null
    return decided === null ? null : { traceId: "", spanId: "", ...decided }
  }
  const [traceId, spanId, decision, parent] = parts
  if (parts.length > 4 || (decision !== undefined && decision.length !== 1) || (parent !== undefined && !isSpanId(parent))) return null
  const ids = identified(traceId, spanId)
  const decided = sampling(decision)
  return ids === null || decided === null ? null : { ...ids, ...decided }
}

/** Of `x-b3-traceid`, `x-b3-spanid`, `x-b3-sampled` and `x-b3-flags`; undefined = it isn't there. */
export function parseB3Multi(
  traceId: string | undefined,
  spanId: string | undefined,
  sampled: string | undefined,
  flags: string | undefined,
): B3Context | null {
  if (sampled === "d" || (flags !== undefined && flags !== "0" && flags !== "1")) return null
  const decided = sampling(flags === "1" ? "d" : sampled)
  if (decided === null) return null
  if (traceId === undefined && spanId === undefined) {
    return decided.sampled === null ? null : { traceId: "", spanId: "", ...decided }
  }
  const ids = traceId === undefined || spanId === undefined ? null : identified(traceId, spanId)
  return ids === null ? null : { ...ids, ...decided }
}

/** `sampled`: null = it is left to whoever reads it. */
export function formatB3(traceId: string, spanId: string, sampled: boolean | null, debug: boolean): string {
  const ids = `${traceId}-${spanId}`
  if (debug) return `${ids}-d`
  return sampled === null ? ids : `${ids}-${sampled ? "1" : "0"}`
}

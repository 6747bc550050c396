// Ties what a filter asks of services to the trace of the exchange it works for. A filter that does so itself is left alone, and its
// guest sees nothing of it.

import type { HostStream } from "./host.ts"

const OWN: ReadonlySet<string> = new Set(["traceparent", "b3", "x-b3-traceid"])

/** `flat` (name, value, name, value …), and behind it what belongs to the trace. `stream`: null = no exchange is meant. */
export function withTrace(flat: readonly string[], stream: HostStream | null): readonly string[] {
  const fields = stream === null ? undefined : stream.stream.info.traceFields
  if (fields === undefined || fields.length === 0) return flat
  for (let i = 0; i < flat.length; i += 2) if (OWN.has(flat[i])) return flat
  const kept = [...flat]
  for (let i = 0; i < fields.length; i += 2) if (!has(flat, fields[i])) kept.push(fields[i], fields[i + 1])
  return kept
}

function has(flat: readonly string[], name: string): boolean {
  for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return true
  return false
}

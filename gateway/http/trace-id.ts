// The trace that a `traceparent` field names (W3C Trace Context).

const FIELD = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-/

/** 32 hex digits; "" when it names none. */
export function traceIdOf(traceparent: string | undefined): string {
  return (traceparent === undefined ? null : FIELD.exec(traceparent))?.[1] ?? ""
}

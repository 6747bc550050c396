import { expect, test } from "vitest"
import type { HostStream } from "../../../gateway/wasm/proxy-wasm/host.ts"
import { withTrace } from "../../../gateway/wasm/proxy-wasm/trace-fields.ts"

const TRACE = ["traceparent", "00-1-2-01", "tracestate", "a=1", "b3", "1-2-1"]

function stream(traceFields?: readonly string[]): HostStream {
  return { stream: { info: { traceFields } } } as unknown as HostStream
}

test("what a filter asks of a service carries its exchange's trace, behind what it says itself", () => {
  expect(withTrace(["x-a", "1"], stream(TRACE))).toEqual(["x-a", "1", ...TRACE])
})

test.each(["traceparent", "b3", "x-b3-traceid"])("a filter that sets %s itself is left alone", (name) => {
  const flat = ["x-a", "1", name, "its own"]
  expect(withTrace(flat, stream(TRACE))).toBe(flat)
})

test("a tracestate of its own isn't joined by another", () => {
  expect(withTrace(["tracestate", "b=2"], stream(TRACE))).toEqual(["tracestate", "b=2", "traceparent", "00-1-2-01", "b3", "1-2-1"])
})

test("nothing is added without an exchange, or without tracing", () => {
  const flat = ["x-a", "1"]
  for (const none of [null, stream(), stream([])]) expect(withTrace(flat, none)).toBe(flat)
})

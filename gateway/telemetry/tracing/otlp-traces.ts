// Sends spans to a collector with OpenTelemetry's own exporter: OTLP as protobuf over HTTP. Its packages are loaded when the first
// collector is, and never without one.

import { randomUUID } from "node:crypto"
import type { Resource } from "@opentelemetry/resources"
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base"
import type { OtlpConfig } from "../../config/otlp-model.ts"

/** Why an export failed. */
export interface ExportFailure {
  readonly reason: string
  /** It may do later. */
  readonly passing: boolean
}

/** Where spans go. */
export interface SpanSink {
  readonly resource: Resource
  /** Null: they were taken. Never rejects; takes no longer than its time-out. */
  send(spans: ReadableSpan[]): Promise<ExportFailure | null>
}

/** `environment`: where headers are that the configuration only names. */
export async function openOtlpTraces(
  { url, headers, timeout }: OtlpConfig,
  service: { readonly name: string; readonly version: string },
  environment: NodeJS.ProcessEnv,
): Promise<SpanSink> {
  const [{ OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import("@opentelemetry/exporter-trace-otlp-proto"),
    import("@opentelemetry/resources"),
  ])
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const text = typeof value === "string" ? value : environment[value.env]
    if (text !== undefined && text !== "") given[name] = text
  }
  const exporter = new OTLPTraceExporter({ url: `${url}/v1/traces`, headers: given, timeoutMillis: timeout, concurrencyLimit: 1 })
  return {
    resource: resourceFromAttributes({
      "service.name": service.name,
      "service.version": service.version,
      "service.instance.id": randomUUID(),
    }),
    send: (spans) =>
      new Promise((resolve) => {
        exporter.export(spans, ({ code, error }) => resolve(code === 0 ? null : failureOf(error)))
      }),
  }
}

// Those with a code were refused with an HTTP status that no repetition changes.
function failureOf(error: (Error & { readonly code?: unknown }) | undefined): ExportFailure {
  const status = typeof error?.code === "number" ? error.code : 0
  const text = error?.message === undefined || error.message === "" ? "no reason given" : error.message
  return { reason: status > 0 ? `${status} ${text}` : text, passing: status === 0 }
}

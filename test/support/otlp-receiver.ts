// A collector of traces: spans as tests look at them.

import { until } from "./deadline.ts"
import { exportReader, OtlpCollector } from "./otlp-collector.ts"

export interface Span {
  readonly traceId: string
  readonly spanId: string
  /** "" = it has none. */
  readonly parentId: string
  readonly state: string
  readonly name: string
  readonly kind: "internal" | "server" | "client" | "?"
  /** Nanoseconds since the epoch. */
  readonly start: bigint
  readonly end: bigint
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly events: readonly string[]
  /** Trace and span, joined by `-`. */
  readonly links: readonly string[]
  readonly status: "unset" | "ok" | "error"
  readonly message: string
  readonly flags: number
  readonly resource: Readonly<Record<string, string | number | boolean>>
  readonly scope: string
}

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, string | number | boolean>>
}

interface RawSpan {
  readonly traceId: Buffer
  readonly spanId: Buffer
  readonly traceState: string
  readonly parentSpanId: Buffer
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly KeyValue[]
  readonly events: readonly { readonly name: string }[]
  readonly links: readonly { readonly traceId: Buffer; readonly spanId: Buffer }[]
  readonly status: { readonly message: string; readonly code: number } | null
  readonly flags: number
}

interface RawExport {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] } | null
    readonly scopeSpans: readonly { readonly scope: { readonly name: string } | null; readonly spans: readonly RawSpan[] }[]
  }[]
}

const KINDS = ["?", "internal", "server", "client"] as const
const STATUSES = ["unset", "ok", "error"] as const

const read = exportReader("TraceService")

function record(pairs: readonly KeyValue[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      const kind = String(value.value)
      return [key, kind === "intValue" ? Number(value[kind]) : value[kind]]
    }),
  )
}

function decode(body: Buffer): Span[] {
  const { resourceSpans } = read(body) as RawExport
  return resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => ({
        traceId: span.traceId.toString("hex"),
        spanId: span.spanId.toString("hex"),
        parentId: span.parentSpanId.toString("hex"),
        state: span.traceState,
        name: span.name,
        kind: KINDS[span.kind] ?? "?",
        start: BigInt(span.startTimeUnixNano),
        end: BigInt(span.endTimeUnixNano),
        attributes: record(span.attributes),
        events: span.events.map(({ name }) => name),
        links: span.links.map(({ traceId, spanId }) => `${traceId.toString("hex")}-${spanId.toString("hex")}`),
        status: STATUSES[span.status?.code ?? 0],
        message: span.status?.message ?? "",
        flags: span.flags,
        resource: record(resource?.attributes ?? []),
        scope: scope?.name ?? "",
      })),
    ),
  )
}

export class OtlpReceiver extends OtlpCollector {
  readonly spans: Span[] = []

  static start(port = 0): Promise<OtlpReceiver> {
    return new OtlpReceiver().listen(port)
  }

  protected take(body: Buffer): void {
    this.spans.push(...decode(body))
  }

  of(traceId: string): Span[] {
    return this.spans.filter((span) => span.traceId === traceId)
  }

  /** The spans of a trace once that of its exchange has come: the server span first, then the attempts in their order. */
  trace(match: (span: Span) => boolean, what: string): Promise<[server: Span, ...others: Span[]]> {
    return until(() => {
      const server = this.spans.find((span) => span.kind === "server" && match(span))
      if (server === undefined) return null
      const others = this.of(server.traceId).filter((span) => span.parentId === server.spanId)
      return [server, ...others.sort((a, b) => (a.start < b.start ? -1 : 1))] as [Span, ...Span[]]
    }, `the trace of ${what}`)
  }
}

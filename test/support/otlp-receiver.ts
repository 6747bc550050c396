// A collector that speaks OTLP over HTTP: it reads protobuf by the specification's names and numbers, with another library than the one
// that wrote it.

import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import { fileURLToPath } from "node:url"
import { loadSync } from "@grpc/proto-loader"
import { until } from "./deadline.ts"
import { listen } from "./ports.ts"

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

const service = loadSync(fileURLToPath(new URL("./otlp-trace.proto", import.meta.url)), { longs: String, defaults: true, oneofs: true })
const { requestDeserialize } = (
  service["opentelemetry.proto.collector.trace.v1.TraceService"] as unknown as { Export: { requestDeserialize(bytes: Buffer): object } }
).Export

function record(pairs: readonly KeyValue[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    pairs.map(({ key, value }) => {
      const kind = String(value.value)
      return [key, kind === "intValue" ? Number(value[kind]) : value[kind]]
    }),
  )
}

function decode(body: Buffer): Span[] {
  const { resourceSpans } = requestDeserialize(body) as RawExport
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

export class OtlpReceiver {
  readonly #server: Server
  readonly spans: Span[] = []
  /** Of each export. */
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = []
  /** What it answers; other than 200: it has taken nothing. */
  status = 200
  /** `http://host:port`. */
  url = ""

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        this.requests.push({ path: request.url ?? "", headers: request.headers })
        if (this.status === 200) this.spans.push(...decode(Buffer.concat(chunks)))
        response.writeHead(this.status, { "content-type": "application/x-protobuf" }).end()
      })
    })
  }

  static async start(port = 0): Promise<OtlpReceiver> {
    const receiver = new OtlpReceiver()
    const address = await listen(receiver.#server, port)
    receiver.url = `http://${address.host}:${address.port}`
    return receiver
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

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

// A collector that takes logs by OTLP over HTTP: it reads protobuf by the specification's names and numbers, with another library
// than the one that wrote it.

import { createServer, type IncomingHttpHeaders, type Server } from "node:http"
import { fileURLToPath } from "node:url"
import { loadSync } from "@grpc/proto-loader"
import { until } from "./deadline.ts"
import { listen } from "./ports.ts"

export interface LogRecord {
  /** Nanoseconds since the epoch. */
  readonly time: bigint
  readonly severity: number
  readonly severityText: string
  readonly body: unknown
  readonly attributes: Readonly<Record<string, unknown>>
  /** Hex; "" = none. */
  readonly traceId: string
  readonly resource: Readonly<Record<string, unknown>>
  readonly scope: string
}

interface AnyValue {
  readonly value?: string
  readonly [kind: string]: unknown
}

interface KeyValue {
  readonly key: string
  readonly value: AnyValue
}

interface RawExport {
  readonly resourceLogs: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] } | null
    readonly scopeLogs: readonly {
      readonly scope: { readonly name: string } | null
      readonly logRecords: readonly {
        readonly timeUnixNano: string
        readonly severityNumber: number
        readonly severityText: string
        readonly body: AnyValue | null
        readonly attributes: readonly KeyValue[]
        readonly traceId: Buffer
      }[]
    }[]
  }[]
}

const service = loadSync(fileURLToPath(new URL("./otlp-logs.proto", import.meta.url)), { longs: String, defaults: true, oneofs: true })
const { requestDeserialize } = (
  service["opentelemetry.proto.collector.logs.v1.LogsService"] as unknown as { Export: { requestDeserialize(bytes: Buffer): object } }
).Export

function plain(value: AnyValue | null): unknown {
  const kind = value?.value
  if (value === null || kind === undefined) return null
  if (kind === "intValue") return Number(value[kind])
  return kind === "kvlistValue" ? record((value[kind] as { readonly values: readonly KeyValue[] }).values) : value[kind]
}

function record(pairs: readonly KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, plain(value)]))
}

function decode(body: Buffer): LogRecord[] {
  return (requestDeserialize(body) as RawExport).resourceLogs.flatMap(({ resource, scopeLogs }) =>
    scopeLogs.flatMap(({ scope, logRecords }) =>
      logRecords.map((each) => ({
        time: BigInt(each.timeUnixNano),
        severity: each.severityNumber,
        severityText: each.severityText,
        body: plain(each.body),
        attributes: record(each.attributes),
        traceId: each.traceId.toString("hex"),
        resource: record(resource?.attributes ?? []),
        scope: scope?.name ?? "",
      })),
    ),
  )
}

export class OtlpLogReceiver {
  readonly #server: Server
  readonly records: LogRecord[] = []
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
        if (this.status === 200) this.records.push(...decode(Buffer.concat(chunks)))
        response.writeHead(this.status, { "content-type": "application/x-protobuf" }).end()
      })
    })
  }

  static async start(): Promise<OtlpLogReceiver> {
    const receiver = new OtlpLogReceiver()
    const address = await listen(receiver.#server, 0)
    receiver.url = `http://${address.host}:${address.port}`
    return receiver
  }

  record(match: (record: LogRecord) => boolean, what: string): Promise<LogRecord> {
    return until(() => this.records.find(match) ?? null, `the record of ${what}`)
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }
}

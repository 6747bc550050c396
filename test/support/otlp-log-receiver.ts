// A collector of logs: records as tests look at them.

import { until } from "./deadline.ts"
import { exportReader, OtlpCollector } from "./otlp-collector.ts"

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

const read = exportReader("LogsService")

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
  return (read(body) as RawExport).resourceLogs.flatMap(({ resource, scopeLogs }) =>
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

export class OtlpLogReceiver extends OtlpCollector {
  readonly records: LogRecord[] = []

  static start(): Promise<OtlpLogReceiver> {
    return new OtlpLogReceiver().listen(0)
  }

  protected take(body: Buffer): void {
    this.records.push(...decode(body))
  }

  record(match: (record: LogRecord) => boolean, what: string): Promise<LogRecord> {
    return until(() => this.records.find(match) ?? null, `the record of ${what}`)
  }
}

// Sends lines of the access log to a receiver of OpenTelemetry's logs, OTLP over HTTP as protobuf. OpenTelemetry's exporter is
// loaded when a configuration asks for it. What waits is bounded; what can't be sent is lost and counted.

import type { LogRecordExporter, ReadableLogRecord } from "@opentelemetry/sdk-logs"
import type { AccessDestination } from "../config/access-log-model.ts"
import { packageVersion } from "../version.ts"
import type { AccessSink } from "./access-output.ts"
import { FailureNotice, type LossMeans } from "./failure-notice.ts"
import { readRecord } from "./otlp-record.ts"

/** Lines that may wait, and their characters. */
const CAPACITY = 16_384
const MAX_CHARACTERS = 16 * 1024 * 1024
/** Records of one request. */
const BATCH = 1024
/** ms a line may wait for others. */
const INTERVAL = 1000

type OtlpDestination = Extract<AccessDestination, { kind: "otlp" }>
type Resource = ReadableLogRecord["resource"]

export class OtlpLog implements AccessSink {
  readonly #url: string
  readonly #notice: FailureNotice
  readonly #ready: Promise<void>
  #exporter: LogRecordExporter | null = null
  #resource: Resource | null = null
  readonly #scope = { name: "sluice.access", version: packageVersion() }
  #waiting: string[] = []
  #characters = 0
  #sending = false
  /** What waits is sent, however little it is. */
  #hurried = false
  #timer: ReturnType<typeof setTimeout> | null = null
  #idle: (() => void)[] = []

  /** Throws when a variable that a header is in isn't set. */
  constructor(to: OtlpDestination, environment: Readonly<Record<string, string | undefined>>, means: LossMeans) {
    const { url, timeout } = to.otlp
    this.#url = url
    this.#notice = new FailureNotice("the access log can't be sent", means)
    const headers = resolveHeaders(to.otlp.headers, environment)
    this.#ready = this.#load({ url: signalUrl(url, "logs"), headers, timeoutMillis: timeout, concurrencyLimit: 1 }, to.serviceName).catch(
      (error: unknown) => this.#notice.failed(0, { url, reason: String(error) }),
    )
  }

  async #load(options: object, serviceName: string): Promise<void> {
    const [{ OTLPLogExporter }, { resourceFromAttributes }] = await Promise.all([
      import("@opentelemetry/exporter-logs-otlp-proto"),
      import("@opentelemetry/resources"),
    ])
    this.#resource = resourceFromAttributes({ "service.name": serviceName, "service.version": packageVersion() })
    this.#exporter = new OTLPLogExporter(options)
    this.#next()
  }

  write(lines: string, count: number, done: () => void): void {
    if (this.#waiting.length + count > CAPACITY || this.#characters + lines.length > MAX_CHARACTERS) {
      this.#notice.failed(count, { url: this.#url, reason: "it takes lines too slowly" })
    } else {
      for (let from = 0; from < lines.length; ) {
        const end = lines.indexOf("\n", from)
        if (end === -1) break
        this.#waiting.push(lines.slice(from, end))
        from = end + 1
      }
      this.#characters += lines.length
      this.#next()
    }
    done()
  }

  flush(timeout: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeout)
      this.#idle.push(() => {
        clearTimeout(timer)
        resolve()
      })
      this.#hurried = true
      void this.#ready.then(() => this.#next())
    })
  }

  close(): void {
    void this.flush(2 * INTERVAL).then(() => this.#exporter?.shutdown())
  }

  // Sends a batch when there is one and none is under way.
  #next(): void {
    if (this.#sending) return
    const exporter = this.#exporter
    if (this.#waiting.length === 0 || (exporter === null && this.#hurried)) {
      const idle = this.#idle
      this.#idle = []
      this.#hurried = false
      for (const resolve of idle) resolve()
      return
    }
    if (exporter === null) return
    if (this.#waiting.length < BATCH && !this.#hurried) {
      this.#timer ??= setTimeout(() => {
        this.#timer = null
        this.#send(exporter)
      }, INTERVAL).unref()
      return
    }
    this.#send(exporter)
  }

  #send(exporter: LogRecordExporter): void {
    if (this.#sending || this.#waiting.length === 0) return this.#next()
    this.#sending = true
    const lines = this.#waiting.slice(0, BATCH)
    this.#waiting = this.#waiting.slice(BATCH)
    for (const line of lines) this.#characters -= line.length + 1
    const records: ReadableLogRecord[] = []
    for (const line of lines) {
      const record = readRecord(line, this.#resource as Resource, this.#scope)
      if (record !== null) records.push(record)
    }
    exporter.export(records, ({ code, error }) => {
      this.#sending = false
      if (code !== 0) this.#notice.failed(lines.length, { url: this.#url, reason: error?.message ?? "refused" })
      this.#next()
    })
  }
}

/** Where a receiver takes records of one kind. */
export function signalUrl(url: string, signal: "logs" | "traces"): string {
  return url.endsWith(`/v1/${signal}`) ? url : `${url}/v1/${signal}`
}

/** What is sent with requests, environment variables read. Throws when one isn't set. */
export function resolveHeaders(
  headers: OtlpDestination["otlp"]["headers"],
  environment: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    const text = typeof value === "string" ? value : environment[value.env]
    if (text === undefined) throw new Error(`the environment variable ${(value as { env: string }).env}, for the header ${name}, isn't set`)
    out[name] = text
  }
  return out
}

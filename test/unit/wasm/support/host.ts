// A WASM runtime in a test: fake clock, recorded log and metrics, shared data in a map, and exchanges that write down what
// filters do to them.

import type { ErrorCode } from "../../../../gateway/errors.ts"
import type { FilterStream, HttpFilter, LocalReply, StreamInfo } from "../../../../gateway/filter/filter.ts"
import { RequestHead, ResponseHead } from "../../../../gateway/http/message.ts"
import { type LogLevel, logLevels } from "../../../../gateway/telemetry/log.ts"
import type { FilterMetrics } from "../../../../gateway/wasm/filter-metrics.ts"
import { prepareModule } from "../../../../gateway/wasm/module.ts"
import type { Plugin, PluginSpec } from "../../../../gateway/wasm/plugin.ts"
import type { SharedData } from "../../../../gateway/wasm/proxy-wasm/host.ts"
import { WasmRuntime } from "../../../../gateway/wasm/runtime.ts"

/** Generous: tests that exhaust a budget set their own. */
export const UNITS_PER_MS = 100_000

export class FakeStream implements FilterStream {
  info: StreamInfo = {
    connectionId: 7,
    startTime: 1_700_000_000_000.5,
    protocol: "HTTP/1.1",
    sourceAddress: "10.1.2.3",
    sourcePort: 40_000,
    destinationAddress: "::1",
    destinationPort: 8080,
    listenerName: "edge",
    routeName: "röute",
    serviceName: "api",
    upstreamAddress: "10.0.0.9:9001",
    requestId: "req-1",
    requestBytes: 11,
    responseBytes: 22,
    responseFlag: "",
  }
  readonly request = new RequestHead()
  response: ResponseHead | null = null
  /** What filters did, in order. */
  readonly events: string[] = []
  reply: LocalReply | null = null
  failure: ErrorCode | null = null

  constructor() {
    const { request } = this
    request.method = "GET"
    request.target = "/a/b?x=1"
    request.path = "/a/b"
    request.query = "x=1"
    request.authority = "shop.example:8080"
    request.host = "shop.example"
    request.fields.add("user-agent", "test/1")
    request.fields.add("x-one", "1")
    request.fields.add("x-many", "a")
    request.fields.add("x-many", "b")
    request.fields.add("x-octets", "\xff\x80")
  }

  respond(): ResponseHead {
    const response = new ResponseHead()
    response.status = 200
    response.reason = "OK"
    response.body = "length"
    response.contentLength = 5
    response.fields.add("content-length", "5")
    response.fields.add("server", "upstream")
    response.fields.add("set-cookie", "a=1")
    response.fields.add("set-cookie", "b=2")
    this.response = response
    return response
  }

  sendLocalReply(reply: LocalReply): void {
    this.reply ??= reply
    this.events.push(`reply ${reply.status}`)
  }

  fail(code: ErrorCode, details: string): void {
    this.failure ??= code
    this.events.push(`fail ${code} ${details}`)
  }

  continueRequest(): void {
    this.events.push("continueRequest")
  }

  continueResponse(): void {
    this.events.push("continueResponse")
  }

  reset(): void {
    this.events.push("reset")
  }
}

export class MapData implements SharedData {
  readonly entries = new Map<string, { value: Uint8Array; cas: number }>()
  full = false
  #cas = 0

  get(namespace: string, key: string): { value: Uint8Array; cas: number } | undefined {
    return this.entries.get(`${namespace}\0${key}`)
  }

  set(namespace: string, key: string, value: Uint8Array, cas: number): "ok" | "cas-mismatch" | "full" {
    if (this.full) return "full"
    const name = `${namespace}\0${key}`
    const old = this.entries.get(name)
    if (cas !== 0 && old !== undefined && old.cas !== cas) return "cas-mismatch"
    this.#cas++
    this.entries.set(name, { value, cas: this.#cas })
    return "ok"
  }
}

export class RecordedMetrics implements FilterMetrics {
  count = 0
  units = 0
  durations: number[] = []
  traps: string[] = []
  live = 0

  calls(count: number): void {
    this.count += count
  }

  budget(units: number): void {
    this.units += units
  }

  duration(nanoseconds: number): void {
    this.durations.push(nanoseconds)
  }

  trap(reason: string): void {
    this.traps.push(reason)
  }

  instances(count: number): void {
    this.live = count
  }
}

export class TestHost {
  /** ms */
  now = 1_700_000_000_000.25
  level: LogLevel = "trace"
  readonly logs: { level: LogLevel; message: string; fields: Readonly<Record<string, unknown>> }[] = []
  readonly data = new MapData()
  readonly metrics = new Map<string, RecordedMetrics>()
  readonly runtime: WasmRuntime

  constructor() {
    this.runtime = new WasmRuntime({
      logger: {
        enabled: (level) => logLevels.indexOf(level) >= logLevels.indexOf(this.level),
        log: (level, message, fields) => this.logs.push({ level, message, fields: fields ?? {} }),
      },
      clock: { now: () => this.now, monotonic: () => this.now },
      shared: this.data,
      unitsPerMs: UNITS_PER_MS,
      metrics: (name) => this.metricsOf(name),
    })
  }

  metricsOf(name: string): RecordedMetrics {
    let metrics = this.metrics.get(name)
    if (metrics === undefined) this.metrics.set(name, (metrics = new RecordedMetrics()))
    return metrics
  }

  messages(): string[] {
    return this.logs.map((each) => each.message)
  }

  plugin(bytes: Uint8Array, overrides: Partial<PluginSpec> = {}): Plugin {
    return this.runtime.plugin(specOf(bytes, overrides)) as HttpFilter as Plugin
  }
}

/** A specification for `bytes`; throws when they are refused. */
export function specOf(bytes: Uint8Array, overrides: Partial<PluginSpec> = {}): PluginSpec {
  const memory = overrides.memory ?? 1 << 20
  const prepared = prepareModule(bytes, { memory })
  if (!prepared.ok) throw new Error(prepared.reason)
  const { module, abi, digest } = prepared
  return { name: "probe", module, abi, digest, generation: 1, rootId: "", config: "{}", onError: "deny", cpuMs: 5, memory, ...overrides }
}

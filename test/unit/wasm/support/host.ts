// A WASM runtime in a test: fake clock, recorded log and metrics, shared data in a map, services that answer what a test
// says, and exchanges that write down what filters do to them.

import type { ErrorCode } from "../../../../gateway/errors.ts"
import type {
  Callout,
  CalloutHandler,
  FilterStream,
  HttpFilter,
  LocalReply,
  ServiceCaller,
  StreamFilter,
  StreamInfo,
} from "../../../../gateway/filter/filter.ts"
import { Fields } from "../../../../gateway/http/fields.ts"
import { RequestHead, ResponseHead } from "../../../../gateway/http/message.ts"
import { type LogLevel, logLevels } from "../../../../gateway/telemetry/log.ts"
import type { FilterMetrics } from "../../../../gateway/wasm/filter-metrics.ts"
import { prepareModule } from "../../../../gateway/wasm/module.ts"
import type { Plugin, PluginSpec } from "../../../../gateway/wasm/plugin.ts"
import type { Clock, HostEnvironment, SharedData } from "../../../../gateway/wasm/proxy-wasm/host.ts"
import { WasmRuntime } from "../../../../gateway/wasm/runtime.ts"
import { trialEnvironment } from "../../../../gateway/wasm/trial-environment.ts"

/** Generous: tests that exhaust a budget set their own. */
export const UNITS_PER_MS = 100_000

export class FakeStream implements FilterStream {
  info: StreamInfo = {
    connectionId: 7,
    startTime: 1_700_000_000_000.5,
    elapsed: -1,
    timeToFirstByte: -1,
    protocol: "HTTP/1.1",
    security: null,
    sourceAddress: "10.1.2.3",
    sourcePort: 40_000,
    destinationAddress: "::1",
    destinationPort: 8080,
    requestedServerName: "",
    listenerName: "edge",
    routeName: "röute",
    serviceName: "api",
    upstreamAddress: "10.0.0.9:9001",
    attempts: 1,
    requestId: "req-1",
    requestBytes: 11,
    responseBytes: 22,
    responseFlag: "",
    responseDetails: "",
  }
  readonly request = new RequestHead()
  response: ResponseHead | null = null
  /** What filters did, in order. */
  readonly events: string[] = []
  reply: LocalReply | null = null
  failure: ErrorCode | null = null
  requestSent = false
  responseSent = false
  requestTrailers: Fields | null = null
  responseTrailers: Fields | null = null
  /** A filter is shown the end of a message without trailers. */
  ending = false
  readonly stored = new Map<string, Uint8Array>()

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
    this.requestSent = true
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

  continueRequest(_filter: StreamFilter): void {
    this.requestSent = true
    this.events.push("continueRequest")
  }

  continueResponse(_filter: StreamFilter): void {
    this.events.push("continueResponse")
  }

  addRequestTrailers(): Fields | null {
    if (!this.ending) return null
    this.requestTrailers ??= new Fields()
    return this.requestTrailers
  }

  addResponseTrailers(): Fields | null {
    if (!this.ending) return null
    this.responseTrailers ??= new Fields()
    return this.responseTrailers
  }

  chooseService(name: string): boolean {
    this.events.push(`service ${name}`)
    return name !== "nowhere"
  }

  clearRoute(): void {
    this.events.push("clearRoute")
  }

  property(path: string): Uint8Array | undefined {
    return this.stored.get(path)
  }

  setProperty(path: string, value: Uint8Array): boolean {
    if (this.stored.size >= 64) return false
    this.stored.set(path, value)
    return true
  }

  passResponse(): void {
    this.events.push("passResponse")
  }

  note(): void {
    this.events.push("note")
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
  refusals = 0
  inQuarantine = 0

  /** Statuses of the exchanges that ended, −1 for those in which the filter failed. */
  exchanges: number[] = []

  exchange(status: number, failed: boolean): void {
    this.exchanges.push(failed ? -1 : status)
  }

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

  refusal(): void {
    this.refusals++
  }

  quarantined(count: number): void {
    this.inQuarantine = count
  }
}

/** Time that stands still until it is moved. */
export class FakeClock implements Clock {
  /** ms */
  time = 1_700_000_000_000.25
  #timers: { at: number; run: () => void }[] = []

  now(): number {
    return this.time
  }

  monotonic(): number {
    return this.time
  }

  schedule(ms: number, run: () => void): () => void {
    const timer = { at: this.time + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer)
    }
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.length
  }

  /** Moves on by `ms`, running what falls due in its order. */
  advance(ms: number): void {
    const end = this.time + ms
    for (;;) {
      let next: { at: number; run: () => void } | undefined
      for (const timer of this.#timers) if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer
      if (next === undefined) break
      const due = next
      this.#timers = this.#timers.filter((each) => each !== due)
      this.time = Math.max(this.time, due.at)
      due.run()
    }
    this.time = end
  }
}

/** Services that are asked for callouts, and answer when a test says so. */
export class FakeServices implements ServiceCaller {
  names: readonly string[] = ["auth", "api"]
  /** Callouts made; `cancelled` ones are to be answered no more. */
  readonly calls: { callout: Callout; handler: CalloutHandler; cancelled: boolean }[] = []

  has(service: string): boolean {
    return this.names.includes(service)
  }

  call(callout: Callout, handler: CalloutHandler): (() => void) | null {
    if (!this.has(callout.service)) return null
    const call = { callout, handler, cancelled: false }
    this.calls.push(call)
    return () => {
      call.cancelled = true
    }
  }

  openGrpc(): null {
    return null
  }
}

export class TestHost {
  readonly clock = new FakeClock()
  level: LogLevel = "trace"
  readonly logs: { level: LogLevel; message: string; fields: Readonly<Record<string, unknown>> }[] = []
  readonly data = new MapData()
  readonly services = new FakeServices()
  readonly environment: HostEnvironment
  readonly metrics = new Map<string, RecordedMetrics>()
  readonly runtime: WasmRuntime

  constructor(environment: Partial<HostEnvironment> = {}) {
    this.environment = {
      ...trialEnvironment(this.clock, null),
      clock: this.clock,
      shared: this.data,
      services: this.services,
      ...environment,
    }
    this.runtime = new WasmRuntime({
      logger: {
        enabled: (level) => logLevels.indexOf(level) >= logLevels.indexOf(this.level),
        log: (level, message, fields) => this.logs.push({ level, message, fields: fields ?? {} }),
      },
      environment: this.environment,
      unitsPerMs: UNITS_PER_MS,
      metrics: (name) => this.metricsOf(name),
    })
  }

  /** ms */
  get now(): number {
    return this.clock.time
  }

  set now(ms: number) {
    this.clock.time = ms
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

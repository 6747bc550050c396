// The main thread's part of tracing: takes what workers recorded, keeps it within bounds, and sends it to the collector in batches, one
// after the other. A collector that is away for a while is asked again; what finds no room meanwhile is dropped and counted.

import { randomBytes } from "node:crypto"
import type { Config } from "../../config/model.ts"
import { packageVersion } from "../../version.ts"
import type { Logger } from "../log.ts"
import type { MetricsRegistry } from "../metrics-registry.ts"
import { TraceInstruments, type TraceSlots } from "../trace-instruments.ts"
import type { FinishedTrace } from "./finished-trace.ts"
import { openOtlpTraces, type SpanSink } from "./otlp-traces.ts"
import { spanCount, spansOf } from "./spans.ts"
import { TraceIds } from "./trace-ids.ts"

/** Spans that may wait. */
const CAPACITY = 16_384
/** Spans of an export. */
const BATCH = 512
/** ms a span waits for others. */
const DELAY = 1000
/** Times a batch is sent; ms between two of them, doubled each time. */
const MAX_TRIES = 6
const FIRST_PAUSE = 1000
const MAX_PAUSE = 30_000
/** ms between two lines of the log about what went wrong. */
const QUIET = 60_000

export interface TraceExportsOptions {
  readonly registry: MetricsRegistry
  readonly log: Logger["log"]
  readonly environment: NodeJS.ProcessEnv
  /** Told of every recorded exchange, once; for metrics that point at one. */
  readonly onTrace?: (trace: FinishedTrace) => void
  /** Instead of OTLP. */
  readonly open?: typeof openOtlpTraces
  /** ms of {@link DELAY}. */
  readonly delay?: number
  readonly now?: () => number
}

export class TraceExports {
  readonly #options: TraceExportsOptions
  readonly #instruments: TraceInstruments
  readonly #ids = new TraceIds((octets) => randomBytes(octets).toString("hex"))
  readonly #version = packageVersion()
  readonly #now: () => number
  #config: Config | null = null
  /** Of the collector in use, so that it stays over reloads; "" = there has been none. */
  #sinkKey = ""
  #sink: Promise<SpanSink> | null = null
  #queue: FinishedTrace[] = []
  #spans = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  #running: Promise<void> | null = null
  /** Ends a pause between two tries. */
  #endPause: () => void = () => {}
  #closing = false
  #ended = false
  #complainedAt = Number.NEGATIVE_INFINITY
  /** Since the last line in the log. */
  #lost = 0

  constructor(options: TraceExportsOptions) {
    this.#options = options
    this.#instruments = new TraceInstruments(options.registry)
    this.#now = options.now ?? (() => performance.now())
  }

  /** Counters of workers. */
  get slots(): TraceSlots {
    return this.#instruments.slots
  }

  /** So many died with a worker that had yet to hand them over. */
  died(traces: number): void {
    this.#lose("dropped", traces)
    this.#complain("a worker died with them")
  }

  /** Another configuration is in force. Without tracing, what is still to come goes where it would have gone. */
  use(config: Config): void {
    this.#config = config
    const { tracing } = config
    if (tracing === undefined) return
    const key = JSON.stringify([tracing.otlp, tracing.serviceName])
    if (key === this.#sinkKey) return
    this.#sinkKey = key
    const { open = openOtlpTraces, environment } = this.#options
    const opened = open(tracing.otlp, { name: tracing.serviceName, version: this.#version }, environment)
    this.#sink = opened
    // Whoever sends something hears of it.
    opened.catch(() => {})
  }

  take(traces: readonly FinishedTrace[]): void {
    for (const trace of traces) {
      if (trace.connection === undefined) this.#options.onTrace?.(trace)
      const count = spanCount(trace)
      if (this.#ended || this.#spans + count > CAPACITY) {
        this.#lose("dropped", 1)
        this.#complain("too many wait for the collector")
        continue
      }
      this.#queue.push(trace)
      this.#spans += count
    }
    this.#instruments.waiting(this.#spans)
    if (this.#spans >= BATCH) this.#run()
    else if (this.#timer === null && this.#running === null && this.#queue.length > 0) {
      this.#timer = setTimeout(() => this.#run(), this.#options.delay ?? DELAY)
      this.#timer.unref()
    }
  }

  #run(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#running !== null || this.#queue.length === 0) return
    this.#running = this.#sendAll().finally(() => {
      this.#running = null
      // What came in the meantime waits for others.
      this.take([])
    })
  }

  async #sendAll(): Promise<void> {
    do {
      const batch = this.#nextBatch()
      await this.#send(batch)
      this.#instruments.waiting(this.#spans)
    } while (!this.#ended && (this.#spans >= BATCH || (this.#closing && this.#queue.length > 0)))
  }

  #nextBatch(): FinishedTrace[] {
    let spans = 0
    let count = 0
    while (count < this.#queue.length && (count === 0 || spans + spanCount(this.#queue[count]) <= BATCH)) {
      spans += spanCount(this.#queue[count++])
    }
    return this.#queue.splice(0, count)
  }

  // The spans of a batch count as waiting until they are sent or lost.
  async #send(batch: readonly FinishedTrace[]): Promise<void> {
    let pause = FIRST_PAUSE
    let reason = ""
    for (let tries = 1; !this.#ended; tries++) {
      const failure = await this.#try(batch)
      if (this.#ended) break
      this.#instruments.exported(failure === null)
      if (failure === null) {
        this.#release(batch)
        this.#instruments.count("exported", batch.length)
        return
      }
      reason = failure.reason
      if (!failure.passing || tries === MAX_TRIES || this.#closing) break
      this.#complain(reason)
      await this.#pause(pause)
      pause = Math.min(MAX_PAUSE, pause * 2)
    }
    this.#release(batch)
    this.#lose("failed", batch.length)
    if (reason !== "") this.#complain(reason)
  }

  async #try(batch: readonly FinishedTrace[]): Promise<{ readonly reason: string; readonly passing: boolean } | null> {
    // Workers have a configuration a moment before this thread.
    if (this.#sink === null) return { reason: "there is no collector yet", passing: true }
    try {
      const sink = await this.#sink
      const origin = { resource: sink.resource, version: this.#version, secure: (service: string): boolean => this.#secure(service) }
      return await sink.send(batch.flatMap((trace) => spansOf(trace, origin, () => this.#ids.span())))
    } catch (error) {
      return { reason: error instanceof Error ? error.message : String(error), passing: false }
    }
  }

  #secure(service: string): boolean {
    const services = this.#config?.services ?? {}
    return Object.hasOwn(services, service) && services[service].tls !== null
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      timer.unref()
      this.#endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #release(batch: readonly FinishedTrace[]): void {
    for (const trace of batch) this.#spans -= spanCount(trace)
  }

  #lose(result: "dropped" | "failed", traces: number): void {
    this.#instruments.count(result, traces)
    this.#lost += traces
  }

  #complain(reason: string): void {
    const now = this.#now()
    if (now - this.#complainedAt < QUIET) return
    this.#complainedAt = now
    const url = this.#config?.tracing?.otlp.url ?? ""
    this.#options.log("warn", "traces can't be exported", { url, reason, lost: this.#lost, spansWaiting: this.#spans })
    this.#lost = 0
  }

  /** Sends what waits, for `ms` at most, and gives up the rest. */
  async close(ms: number): Promise<void> {
    if (this.#ended) return
    this.#closing = true
    this.#endPause()
    this.#run()
    if (this.#running !== null && ms > 0) {
      let timer: ReturnType<typeof setTimeout> | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, ms)
      })
      await Promise.race([this.#allSent(), late])
      clearTimeout(timer)
    }
    this.#ended = true
    this.#endPause()
    if (this.#timer !== null) clearTimeout(this.#timer)
    if (this.#queue.length > 0) this.#lose("dropped", this.#queue.length)
    this.#queue = []
  }

  async #allSent(): Promise<void> {
    while (this.#running !== null) {
      await this.#running
      this.#run()
    }
  }
}

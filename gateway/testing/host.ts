// Where filters under test live: the production host of a worker, with a clock that stands still, services that the test plays,
// and plain memory where workers share theirs.

import { Buffer } from "node:buffer"
import type { HttpFilter } from "../filter/filter.ts"
import { ForwardedFields } from "../proxy/forwarded.ts"
import { LocalReplies } from "../proxy/local-reply.ts"
import type { Logger, LogLevel } from "../telemetry/log.ts"
import type { FilterMetrics } from "../wasm/filter-metrics.ts"
import { Plugin, type PluginSpec } from "../wasm/plugin.ts"
import { WasmRuntime } from "../wasm/runtime.ts"
import type { TrapReason } from "../wasm/trap.ts"
import { ExchangeRun } from "./exchange.ts"
import type { TestRequest, Upstream } from "./exchange-parts.ts"
import { FakeClock } from "./fake-clock.ts"
import { FakeServices, type ServiceFake } from "./services.ts"
import type { SharedState } from "./shared-state.ts"
import { Turns } from "./turns.ts"

/**
 * Budget units of a millisecond, in tests: what a slow machine does. Fixed, so that a filter runs out of its budget
 * on every machine or on none.
 */
export const TEST_UNITS_PER_MS = 1_000_000

/** A line of a filter's log, or one the host wrote about it. */
export interface LogLine {
  readonly level: LogLevel
  readonly message: string
  /** The filter's name. */
  readonly filter: string
}

export interface HostOptions {
  /** Milliseconds since the epoch at which the clock stands. */
  readonly start: number
  readonly services: Readonly<Record<string, ServiceFake>>
  readonly state: SharedState
  /** Services requests can be sent to; null = any. */
  readonly backends: readonly string[] | null
  readonly routeName: string
  /** Lines below are not written by the filters; default `trace`: all are. */
  readonly logLevel: LogLevel
}

const LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error", "critical"]
/** Lines kept; a filter that logs more says nothing new. */
const MAX_LINES = 100_000

/** What the host counts of one filter. */
class FilterCounts implements FilterMetrics {
  readonly traps: TrapReason[] = []
  calls(): void {}
  budget(): void {}
  duration(): void {}
  instances(): void {}
  exchange(): void {}
  refusal(): void {}
  quarantined(): void {}
  trap(reason: TrapReason): void {
    this.traps.push(reason)
  }
}

export class FilterHost {
  readonly clock: FakeClock
  readonly turns: Turns = new Turns()
  readonly services: FakeServices
  readonly state: SharedState
  readonly logs: LogLine[] = []
  readonly #options: HostOptions
  readonly #runtime: WasmRuntime
  readonly #counts = new Map<string, FilterCounts>()
  readonly #filters: HttpFilter[] = []
  readonly #running = new Set<ExchangeRun>()
  readonly #replies = new LocalReplies()
  /** Ids of requests are the same in every run. */
  readonly #forwarded: ForwardedFields
  #ids = 0
  #connections = 0
  #closed = false

  constructor(options: HostOptions) {
    this.#options = options
    this.state = options.state
    this.clock = new FakeClock(options.start)
    this.services = new FakeServices(options.services, this.clock, this.turns)
    this.#forwarded = new ForwardedFields((octets) => this.#digits(octets))
    const logger: Logger = {
      enabled: (level) => LEVELS.indexOf(level) >= LEVELS.indexOf(options.logLevel),
      log: (level, message, fields) => {
        if (this.logs.length < MAX_LINES) this.logs.push({ level, message, filter: String(fields?.filter ?? "") })
      },
    }
    this.#runtime = new WasmRuntime({
      logger,
      environment: {
        clock: this.clock,
        shared: this.state.data,
        queues: this.state.queues(this.turns),
        metrics: this.state.guestMetrics,
        services: this.services,
      },
      unitsPerMs: TEST_UNITS_PER_MS,
      metrics: (name) => this.#countsOf(name),
    })
  }

  #digits(octets: number): string {
    const digits = Buffer.alloc(octets)
    for (let i = 0; i < octets; i += 4) digits.writeUInt32BE(++this.#ids, i)
    return digits.toString("hex")
  }

  #countsOf(name: string): FilterCounts {
    let counts = this.#counts.get(name)
    if (counts === undefined) {
      counts = new FilterCounts()
      this.#counts.set(name, counts)
    }
    return counts
  }

  /** Starts a filter at the end of the chain. Why it can't be used, or null. */
  async add(spec: PluginSpec): Promise<string | null> {
    const from = this.logs.length
    const filter = this.#runtime.plugin(spec)
    this.#filters.push(filter)
    await this.turns.settle()
    if (!(filter instanceof Plugin) || filter.root !== null) return null
    const said = this.logs.slice(from).filter((line) => line.level === "error" || line.level === "critical")
    const own = said.map((line) => line.message.trim()).filter((message) => !message.startsWith(`filter ${spec.name}`))
    return [filter.lastError === "" ? "it did not start" : filter.lastError, ...own].join(": ")
  }

  get filters(): readonly HttpFilter[] {
    return this.#filters
  }

  /** Traps of all filters so far. */
  get traps(): readonly TrapReason[] {
    return [...this.#counts.values()].flatMap((counts) => counts.traps)
  }

  /** Forgets what was logged and called so far: for long runs. */
  forget(): void {
    this.logs.length = 0
    this.services.forget()
  }

  /**
   * Begins an exchange and takes it as far as it gets: to its end, or to where it waits for something that only time or
   * another exchange can bring. Time passes only while nothing but an answer to a callout is waited for.
   */
  async exchange(request: TestRequest, upstream: Upstream): Promise<ExchangeRun> {
    if (this.#closed) throw new Error("the filter was closed")
    const { backends, routeName } = this.#options
    const run = new ExchangeRun(request, upstream, {
      filters: this.#filters,
      replies: this.#replies,
      forwarded: this.#forwarded,
      connectionId: ++this.#connections,
      backends,
      defaultService: backends?.[0] ?? "upstream",
      routeName,
      now: () => this.clock.now(),
    })
    this.#running.add(run)
    run.start()
    await this.#settle()
    while (!run.over && this.services.running > 0) {
      const wait = this.clock.untilNext
      if (wait === Number.POSITIVE_INFINITY) break
      await this.clock.advance(wait, () => this.#settle())
    }
    return run
  }

  /** Lets `ms` pass: timers of filters and answers that are due come in their order. */
  async advance(ms: number): Promise<void> {
    await this.#settle()
    await this.clock.advance(ms, () => this.#settle())
  }

  // Everything that can happen without time passing happens.
  async #settle(): Promise<void> {
    for (let moved = true; moved; ) {
      await this.turns.settle()
      moved = false
      for (const run of this.#running) {
        while (await run.step()) moved = true
        if (run.over) this.#running.delete(run)
      }
    }
  }

  /** Ends what still runs, and lets go of the filters. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const run of this.#running) run.abandon()
    this.#running.clear()
    for (const filter of this.#filters.splice(0)) if (filter instanceof Plugin) this.#runtime.release(filter)
  }
}

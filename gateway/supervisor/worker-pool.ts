// The worker threads: starts them, replaces one that dies, hands them snapshots and waits until all have taken them.

import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import type { EndpointsChange, SnapshotSpec } from "../snapshot.ts"
import { TapHub } from "../tap/hub.ts"
import type { TapOrder } from "../tap/messages.ts"
import type { AccessBatch } from "../telemetry/access-output.ts"
import type { IdentityPair, IdentitySlots } from "../telemetry/identity-instruments.ts"
import type { LogEvent, Logger, LogLevel } from "../telemetry/log.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import type { FinishedTrace } from "../telemetry/tracing/finished-trace.ts"
import type { EjectionEvent } from "../upstream/endpoint-watch.ts"
import { FilterProfiles } from "../wasm/filter-profiles.ts"
import type { PluginStatus } from "../wasm/plugin.ts"
import type { FromWorker, ToWorker, WorkerStart } from "../worker-messages.ts"
import { type Answer, type Question, WorkerQuestions } from "../worker-questions.ts"
import type { Member } from "./worker-member.ts"
import { newMember, tracesLeft } from "./worker-member.ts"
import { WorkerRestarts } from "./worker-restarts.ts"

/** ms a worker has to start or to take a snapshot. */
const APPLY_TIMEOUT = 30_000
/** ms they have to end what is cut off. */
const CUT_TIME = 1000
export interface WorkerPoolOptions {
  readonly size: number
  readonly registry: MetricsRegistry
  readonly logger: Logger
  /** What a worker is started with, but for its index and metrics. */
  readonly start: Omit<WorkerStart, "index" | "metrics">
  onLog(event: LogEvent): void
  /** Lines of the access log; `done` when they have been dealt with. */
  onAccess(batch: AccessBatch, done: () => void): void
  /** Exchanges were recorded. */
  onTraces(traces: readonly FinishedTrace[]): void
  /** So many died with a worker. */
  onTracesDied(count: number): void
  /** An endpoint was ejected by a worker, or is used again. */
  onEjection(event: EjectionEvent): void
  /** Slots of the requests of a client with this identity to a service. */
  identity(source: string, service: string): IdentitySlots
  /** A worker was lost; the next one is on its way. */
  onLost(index: number): void
  onCount(running: number): void
}

export class WorkerPool {
  /** Who wants to see exchanges that the workers carry. */
  readonly taps: TapHub = new TapHub({ tell: (order) => this.#tellTap(order), now: () => performance.now() })
  /** Filters that all workers measure. */
  readonly profiles: FilterProfiles = new FilterProfiles({
    budgetOf: (filter) => this.#budgetOf(filter),
    tell: (order) => {
      for (const member of this.#members.values()) this.#post(member, order)
      return this.#members.size
    },
  })
  readonly #options: WorkerPoolOptions
  readonly #members = new Map<number, Member>()
  #spec: SnapshotSpec | null = null
  #announced = false
  /** Cuts the time between announcing and draining short. */
  #endDelay: () => void = () => {}
  #ending = false
  /** Of workers that died and are yet to be replaced. */
  readonly #restarts = new WorkerRestarts()
  #onDrained: (() => void) | null = null
  /** Over the configuration's. */
  #logLevel: LogLevel | null = null
  readonly #questions = new WorkerQuestions()

  constructor(options: WorkerPoolOptions) {
    this.#options = options
  }

  #budgetOf(filter: string): number | null {
    const filters = this.#spec?.config.filters ?? {}
    return Object.hasOwn(filters, filter) ? filters[filter].limits.cpu * this.#options.start.unitsPerMs : null
  }

  /** Workers there should be. */
  get size(): number {
    return this.#options.size
  }

  /** Workers that serve. */
  get running(): number {
    let running = 0
    for (const member of this.#members.values()) if (member.serving) running++
    return running
  }

  /** State of every plugin in every worker. */
  get plugins(): PluginStatus[] {
    return [...this.#members.values()].flatMap((member) => [...member.plugins])
  }

  /**
   * Gives all workers `spec`, starting them when there are none: first all get ready for it, then all swap. Rejects, with the
   * first reason, when one can't get ready, and none has swapped then.
   */
  async apply(spec: SnapshotSpec): Promise<void> {
    if (this.#ending) throw new Error("the workers have ended")
    const members: Member[] = []
    for (let i = 0; i < this.#options.size; i++) members.push(this.#members.get(i) ?? this.#start(i))
    const reasons = await Promise.all(members.map((member) => member.starting.then(() => this.#give(member, spec, true))))
    const reason = reasons.find((each) => each !== null)
    if (reason !== undefined && reason !== null) {
      for (const member of members) {
        this.#post(member, { kind: "abandon", generation: spec.generation })
        // One that began with this snapshot, in place of one that died, has none now.
        if (member.generation === 0) this.#replace(member)
      }
      throw new Error(reason)
    }
    // A worker that dies from here on is replaced by one with this snapshot.
    this.#spec = spec
    await Promise.all(members.map((member) => this.#commit(member, spec)))
    // One that died and was replaced meanwhile may have got the snapshot before.
    for (const member of [...this.#members.values()]) {
      await member.starting
      if (member.generation !== spec.generation && this.#members.get(member.index) === member) await this.#take(member, spec)
    }
  }

  /** Changes endpoints of the snapshot in use. `spec`: that snapshot with the change, for workers that start from now on. */
  async change(spec: SnapshotSpec, change: EndpointsChange): Promise<void> {
    this.#spec = spec
    const { generation } = spec
    const { registry } = this.#options
    const told = [...this.#members.values()].map(async (member) => {
      // One that starts may do so with what was before.
      await member.starting
      // One that has died meanwhile is replaced by one that starts with the change.
      if (this.#hasEnded(member)) return
      await this.#ask(member, { kind: "endpoints", generation, change, metrics: registry.handle(member.index) }, "take endpoints")
    })
    await Promise.all(told)
  }

  /** Gives one worker a snapshot that others use already. */
  async #take(member: Member, spec: SnapshotSpec): Promise<string | null> {
    return (await this.#give(member, spec, false)) ?? (await this.#commit(member, spec))
  }

  #start(index: number): Member {
    const { registry, start } = this.#options
    const url = new URL(`../worker/worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url)
    const data: WorkerStart = { ...start, index, metrics: registry.attach(index) }
    const thread = new Worker(url, { workerData: data, name: `sluice-worker-${index}` })
    const member = newMember(index, thread)
    this.#members.set(index, member)
    thread.on("message", (message: FromWorker) => this.#receive(member, message))
    thread.on("error", (error) => this.#options.logger.log("error", "worker failed", { worker: index, error }))
    thread.on("exit", (code) => this.#onExit(member, code))
    const { order } = this.taps
    if (order !== null) this.#post(member, { kind: "tap", order })
    return member
  }

  /** Null once the worker is ready for `spec`, else why it isn't. */
  #give(member: Member, spec: SnapshotSpec, strict: boolean): Promise<string | null> {
    // Another one may have its index, and answer for nothing that it wasn't sent.
    if (this.#hasEnded(member)) return Promise.resolve(`worker ${member.index} has ended`)
    const metrics = this.#options.registry.handle(member.index)
    return this.#ask(member, { kind: "snapshot", spec, metrics, strict }, "get ready for the configuration")
  }

  async #commit(member: Member, { generation }: SnapshotSpec): Promise<string | null> {
    const reason = await this.#ask(member, { kind: "commit", generation }, "take the configuration")
    if (reason === null) {
      member.serving = true
      member.generation = generation
      if (this.#announced) this.#post(member, { kind: "announce" })
      if (this.#logLevel !== null) this.#post(member, { kind: "logLevel", level: this.#logLevel })
      this.#options.onCount(this.running)
    }
    return reason
  }

  #hasEnded(member: Member): boolean {
    return this.#members.get(member.index) !== member
  }

  #ask(member: Member, message: ToWorker, what: string): Promise<string | null> {
    return new Promise((resolve) => {
      if (this.#hasEnded(member)) {
        resolve(`worker ${member.index} has ended`)
        return
      }
      const timer = setTimeout(() => done(`worker ${member.index} did not ${what} in time`), APPLY_TIMEOUT)
      const done = (reason: string | null): void => {
        clearTimeout(timer)
        if (member.settle !== done) return
        member.settle = null
        resolve(reason)
      }
      member.settle = done
      this.#post(member, message)
    })
  }

  #post(member: Member, message: ToWorker): void {
    member.thread.postMessage(message)
  }

  #receive(member: Member, message: FromWorker): void {
    switch (message.kind) {
      case "started":
        return
      case "prepared":
      case "applied":
        member.settle?.(null)
        return
      case "refused":
        member.settle?.(message.reason)
        return
      case "log":
        this.#options.onLog(message.event)
        return
      case "access": {
        const { length } = message.lines
        this.#options.onAccess(message, () => this.#post(member, { kind: "written", length }))
        return
      }
      case "spans":
        if (member.gone) return
        member.traces += message.count
        this.#options.onTraces(JSON.parse(message.traces))
        this.#post(member, { kind: "spansTaken", length: message.traces.length })
        return
      case "filters":
        member.plugins = message.plugins
        return
      case "profiled":
        this.profiles.answered(message.filter, message.run, message.reports)
        return
      case "ejection":
        this.#options.onEjection(message.event)
        return
      case "identity": {
        const { source, service } = message
        const slots = this.#options.identity(source, service)
        // Its memory is gone with it.
        if (this.#members.get(member.index) !== member) return
        this.#post(member, { kind: "identity", source, service, slots, metrics: this.#options.registry.memory(member.index) })
        return
      }
      case "held":
        if (this.#members.get(member.index) === member) this.#options.registry.told(member.index, message.held)
        return
      case "queue":
        this.wake(message.worker)
        return
      case "tap": {
        let length = 0
        for (const { line } of message.report.lines) length += line.length
        this.taps.receive(member.index, message.report)
        if (length > 0) this.#post(member, { kind: "tap", order: { kind: "taken", length } })
        return
      }
      case "answer":
        this.#questions.answered(message.id, message.answer)
        return
      case "drained":
        member.drained = true
        this.#checkDrained()
    }
  }

  #onExit(member: Member, code: number): void {
    if (this.#members.get(member.index) !== member) return
    this.#members.delete(member.index)
    member.serving = false
    const { logger, registry, start, onTracesDied } = this.#options
    member.gone = true
    const died = tracesLeft(member, registry, start.traceSlots)
    if (died > 0) onTracesDied(died)
    registry.detach(member.index)
    this.#questions.lost(member.index)
    member.settle?.(`worker ${member.index} ended with code ${code}`)
    if (this.#ending) {
      this.#checkDrained()
      return
    }
    this.#options.onLost(member.index)
    this.taps.lost(member.index)
    this.#options.onCount(this.running)
    const delay = this.#restarts.delayAfter(Date.now() - member.born)
    logger.log("error", "worker died and is replaced; its connections are lost", { worker: member.index, code, delayMs: delay })
    if (this.#spec === null) return
    this.#restarts.schedule(delay, () => {
      if (!this.#ending && !this.#members.has(member.index)) this.#replace(this.#start(member.index))
    })
  }

  /** Has a new worker serve by the snapshot in force, if there is one. */
  #replace(member: Member): void {
    const spec = this.#spec
    if (spec === null || this.#ending || this.#members.get(member.index) !== member) return
    const { logger } = this.#options
    member.starting = this.#take(member, spec).then((reason) => {
      if (this.#ending) return
      if (reason === null) logger.log("info", "worker replaced", { worker: member.index })
      else {
        logger.log("error", "a replaced worker can't serve", { worker: member.index, reason })
        void member.thread.terminate()
      }
    })
  }

  /** Has a worker look at the queues its filters receive from. One that is gone does so when it starts. */
  wake(index: number): void {
    const member = this.#members.get(index)
    if (member !== undefined) this.#post(member, { kind: "queue" })
  }

  /** Has all workers count nothing more where requests of these were counted; the registry knows when they have heard. */
  forgetIdentities(pairs: readonly IdentityPair[]): void {
    const { registry } = this.#options
    for (const member of this.#members.values()) {
      this.#post(member, { kind: "forgetIdentities", pairs, metrics: registry.handle(member.index) })
    }
  }

  #tellTap(order: TapOrder): number[] {
    for (const member of this.#members.values()) this.#post(member, { kind: "tap", order })
    return [...this.#members.keys()]
  }

  /** Has all workers log from this level on, whatever the configuration says; null: as it says. */
  set logLevel(level: LogLevel | null) {
    this.#logLevel = level
    for (const member of this.#members.values()) this.#post(member, { kind: "logLevel", level })
  }

  /** Has workers open the files of the access log anew. */
  reopenLogs(): void {
    for (const member of this.#members.values()) this.#post(member, { kind: "reopenLogs" })
  }

  /** Asks a worker something; `timeout`: ms it may take. */
  ask(index: number, question: Question, timeout: number): Promise<Answer> {
    const member = this.#members.get(index)
    if (member === undefined) return Promise.resolve({ what: "failed", why: `there is no worker ${index} now; ask again` })
    return this.#questions.ask(index, timeout, (id) => this.#post(member, { kind: "question", id, question }))
  }

  /** Has all workers start a filter again that is in quarantine; whether it was, in any, when they last told. */
  lift(filter: string): boolean {
    const was = this.plugins.some(({ name, state }) => name === filter && state === "quarantined")
    // Always told: what a worker tells is half a second old.
    for (const member of this.#members.values()) this.#post(member, { kind: "lift", filter })
    return was
  }

  /** Ends a worker as a crash would; it is replaced. For tests. */
  async kill(index: number): Promise<void> {
    await this.#members.get(index)?.thread.terminate()
  }

  #checkDrained(): void {
    for (const member of this.#members.values()) if (!member.drained) return
    this.#onDrained?.()
  }

  /** Has all workers serve as before, but tell clients to go elsewhere, those too that replace one. Resolves `delay` ms later. */
  announce(delay: number): Promise<void> {
    this.#announced = true
    for (const member of this.#members.values()) this.#post(member, { kind: "announce" })
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, delay)
      this.#endDelay = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Lets all workers finish what runs, at most `timeout` ms; then has them cut it off, and ends them. Resolves to whether all had finished. */
  async drain(timeout: number): Promise<boolean> {
    this.#ending = true
    let inTime = true
    await new Promise<void>((resolve) => {
      let timer = setTimeout(() => {
        inTime = false
        // What is cut off has its line in the log, and counts, like everything else.
        for (const member of this.#members.values()) this.#post(member, { kind: "cut" })
        timer = setTimeout(resolve, CUT_TIME)
      }, timeout)
      this.#onDrained = () => {
        clearTimeout(timer)
        resolve()
      }
      for (const member of this.#members.values()) this.#post(member, { kind: "drain" })
      this.#checkDrained()
    })
    await this.terminate()
    return inTime
  }

  /** Ends all workers at once. */
  async terminate(): Promise<void> {
    this.#ending = true
    this.taps.close()
    this.#endDelay()
    this.#restarts.close()
    const members = [...this.#members.values()]
    this.#members.clear()
    // Nobody waits for one that is gone.
    for (const member of members) {
      member.settle?.(`worker ${member.index} has ended`)
      this.#questions.lost(member.index)
    }
    await Promise.all(members.map((member) => member.thread.terminate()))
  }
}

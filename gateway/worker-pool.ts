// The worker threads: starts them, replaces one that dies, hands them snapshots and waits until all have taken them.

import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import type { SnapshotSpec } from "./snapshot.ts"
import type { LogEvent, Logger } from "./telemetry/log.ts"
import type { MetricsRegistry } from "./telemetry/metrics-registry.ts"
import type { PluginStatus } from "./wasm/plugin.ts"
import type { FromWorker, ToWorker, WorkerStart } from "./worker-messages.ts"

/** ms a worker has to start or to take a snapshot. */
const APPLY_TIMEOUT = 30_000
/** ms before a worker that died young is replaced; doubled by each further one, up to a limit. */
const RESTART_DELAY = 100
const MAX_RESTART_DELAY = 5000
/** A worker that lived this long, ms, did not die young. */
const YOUNG = 10_000

export interface WorkerPoolOptions {
  readonly size: number
  readonly registry: MetricsRegistry
  readonly logger: Logger
  /** What a worker is started with, but for its index and metrics. */
  readonly start: Omit<WorkerStart, "index" | "metrics">
  onLog(event: LogEvent): void
  /** Lines of the access log; `written` when they have been dealt with. */
  onAccess(lines: string, written: () => void): void
  /** A worker was lost; the next one is on its way. */
  onLost(): void
  onCount(running: number): void
}

interface Member {
  readonly index: number
  readonly thread: Worker
  readonly born: number
  serving: boolean
  drained: boolean
  plugins: readonly PluginStatus[]
  /** Settles the snapshot it is taking. */
  settle: ((reason: string | null) => void) | null
}

export class WorkerPool {
  readonly #options: WorkerPoolOptions
  readonly #members = new Map<number, Member>()
  #spec: SnapshotSpec | null = null
  #ending = false
  #delay = 0
  #onDrained: (() => void) | null = null

  constructor(options: WorkerPoolOptions) {
    this.#options = options
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

  /** Gives all workers `spec`, starting them when there are none. Rejects, with the first reason, when one can't take it. */
  async apply(spec: SnapshotSpec): Promise<void> {
    const before = this.#spec
    this.#spec = spec
    const members: Member[] = []
    for (let i = 0; i < this.#options.size; i++) members.push(this.#members.get(i) ?? this.#start(i))
    const reasons = await Promise.all(members.map((member) => this.#give(member, spec)))
    const reason = reasons.find((each) => each !== null)
    if (reason === undefined || reason === null) return
    this.#spec = before
    // Those that took it go back, so that all serve the same.
    if (before !== null) await Promise.all(members.map((member) => this.#give(member, before)))
    throw new Error(reason)
  }

  #start(index: number): Member {
    const { registry, start } = this.#options
    const url = new URL(`./worker${extname(new URL(import.meta.url).pathname)}`, import.meta.url)
    const data: WorkerStart = { ...start, index, metrics: registry.attach(index) }
    const thread = new Worker(url, { workerData: data, name: `sluice-worker-${index}` })
    const member: Member = { index, thread, born: Date.now(), serving: false, drained: false, plugins: [], settle: null }
    this.#members.set(index, member)
    thread.on("message", (message: FromWorker) => this.#receive(member, message))
    thread.on("error", (error) => this.#options.logger.log("error", "worker failed", { worker: index, error }))
    thread.on("exit", (code) => this.#onExit(member, code))
    return member
  }

  #give(member: Member, spec: SnapshotSpec): Promise<string | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => done(`worker ${member.index} did not take the configuration in time`), APPLY_TIMEOUT)
      const done = (reason: string | null): void => {
        clearTimeout(timer)
        if (member.settle !== done) return
        member.settle = null
        if (reason === null) member.serving = true
        resolve(reason)
      }
      member.settle = done
      this.#post(member, { kind: "snapshot", spec, metrics: this.#options.registry.handle(member.index) })
    })
  }

  #post(member: Member, message: ToWorker): void {
    member.thread.postMessage(message)
  }

  #receive(member: Member, message: FromWorker): void {
    switch (message.kind) {
      case "started":
        return
      case "applied":
        member.settle?.(null)
        this.#options.onCount(this.running)
        return
      case "refused":
        member.settle?.(message.reason)
        return
      case "log":
        this.#options.onLog(message.event)
        return
      case "access": {
        const { length } = message.lines
        this.#options.onAccess(message.lines, () => this.#post(member, { kind: "written", length }))
        return
      }
      case "filters":
        member.plugins = message.plugins
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
    const { logger, registry } = this.#options
    registry.detach(member.index)
    member.settle?.(`worker ${member.index} ended with code ${code}`)
    if (this.#ending) {
      this.#checkDrained()
      return
    }
    this.#options.onLost()
    this.#options.onCount(this.running)
    this.#delay = Date.now() - member.born > YOUNG ? 0 : Math.min(MAX_RESTART_DELAY, Math.max(RESTART_DELAY, this.#delay * 2))
    logger.log("error", "worker died and is replaced; its connections are lost", { worker: member.index, code, delayMs: this.#delay })
    const spec = this.#spec
    if (spec === null) return
    setTimeout(() => {
      if (this.#ending || this.#members.has(member.index) || this.#spec === null) return
      const next = this.#start(member.index)
      void this.#give(next, this.#spec).then((reason) => {
        if (reason === null) logger.log("info", "worker replaced", { worker: member.index })
        else {
          logger.log("error", "a replaced worker can't serve", { worker: member.index, reason })
          void next.thread.terminate()
        }
      })
    }, this.#delay)
  }

  /** Ends a worker as a crash would; it is replaced. For tests. */
  async kill(index: number): Promise<void> {
    await this.#members.get(index)?.thread.terminate()
  }

  #checkDrained(): void {
    for (const member of this.#members.values()) if (!member.drained) return
    this.#onDrained?.()
  }

  /** Lets all workers finish what runs, at most `timeout` ms; then ends them. Resolves to whether all had finished. */
  async drain(timeout: number): Promise<boolean> {
    this.#ending = true
    let inTime = true
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        inTime = false
        resolve()
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
    const members = [...this.#members.values()]
    this.#members.clear()
    await Promise.all(members.map((member) => member.thread.terminate()))
  }
}

// A thread that carries traffic. It listens on every listener's port, swaps in the snapshots the main thread sends, and
// knows nothing of files, compilers or the admin API.

import { randomBytes } from "node:crypto"
import { parentPort, workerData } from "node:worker_threads"
import { TimerWheel } from "../http/timer-wheel.ts"
import type { ListenerMeans } from "../listener/listener.ts"
import { OverloadGuard } from "../listener/overload-guard.ts"
import { ForwardedFields } from "../proxy/forwarded.ts"
import { LocalReplies } from "../proxy/local-reply.ts"
import { MirrorSender } from "../proxy/mirror-sender.ts"
import type { Plane } from "../proxy/plane.ts"
import { Deciders } from "../rate-limit/deciders.ts"
import { Snapshot, type SnapshotSlots, type SnapshotSpec } from "../snapshot.ts"
import { Tap } from "../tap/tap.ts"
import { AccessLog } from "../telemetry/access-log.ts"
import { requestBuckets } from "../telemetry/duration-buckets.ts"
import { HeldSlots } from "../telemetry/held-slots.ts"
import { IdentityCounts } from "../telemetry/identity-counts.ts"
import type { LogLevel } from "../telemetry/log.ts"
import { MetricsWriter } from "../telemetry/metrics-writer.ts"
import { OwnFiles } from "../telemetry/own-files.ts"
import { EndpointRecorder, FilterRecorder, ServiceRecorder } from "../telemetry/recorders.ts"
import { TraceIds } from "../telemetry/tracing/trace-ids.ts"
import { TraceOutbox } from "../telemetry/tracing/trace-outbox.ts"
import { Tracing } from "../telemetry/tracing/tracing.ts"
import { Watch } from "../telemetry/watch.ts"
import { WorkerLogger } from "../telemetry/worker-log.ts"
import { Caller } from "../upstream/caller.ts"
import { LimitsMemory } from "../upstream/limits-memory.ts"
import { Services } from "../upstream/services.ts"
import { SAMPLE } from "../wasm/filter-metrics.ts"
import { GuestMetricsTable } from "../wasm/guest-metrics.ts"
import { WasmRuntime } from "../wasm/runtime.ts"
import { SharedStore } from "../wasm/shared-data.ts"
import { SharedQueueStore } from "../wasm/shared-queues.ts"
import { systemClock } from "../wasm/system-clock.ts"
import type { FromWorker, ToWorker, WorkerStart } from "../worker-messages.ts"
import { answerQuestion } from "./answers.ts"
import { addressOf, type Bound, bindListener } from "./bound-listener.ts"
import { OpenLines } from "./open-lines.ts"
import { Refusals } from "./refusals.ts"

/** ms that the last lines of a file have to be written. */
const LAST_LINES = 5000
/** ms between two looks at the filters' state. */
const STATUS_INTERVAL = 500
/** ms between two looks at the thread's memory. */
const HEAP_INTERVAL = 5000

function randomHex(octets: number): string {
  return randomBytes(octets).toString("hex")
}

/** ms in which what was cut off may still say so to its peers. */
const CUT_GRACE = 200

/** A snapshot that could be used at once. */
interface Ready {
  readonly spec: SnapshotSpec
  readonly snapshot: Snapshot
  /** Listeners that are new in it. They accept already; what they accept is served by this snapshot. */
  readonly added: readonly Bound[]
}

class Worker {
  readonly #post: (message: FromWorker) => void
  readonly #wheel = new TimerWheel()
  readonly #metrics: MetricsWriter
  readonly #identities: IdentityCounts
  readonly #held: HeldSlots
  readonly #logger: WorkerLogger
  readonly #accessLog: AccessLog
  readonly #logFiles: OwnFiles
  readonly #openLines = new OpenLines(() => this.#listening(), this.#wheel)
  readonly #watch: Watch
  readonly #tap: Tap
  readonly #tracing: Tracing
  readonly #services: Services
  readonly #overload: OverloadGuard
  readonly #queues: SharedQueueStore
  readonly #wasm: WasmRuntime
  readonly #deciders: Deciders
  readonly #listenerMeans: ListenerMeans
  readonly #bound = new Map<string, Bound>()
  /** Listeners a reload has removed, and the end of their last connection. */
  readonly #leaving = new Map<Bound, Promise<void>>()
  #snapshot: Snapshot | null = null
  #ready: Ready | null = null
  /** Of the snapshot being made, else of the one in force: a name's slots stay the same from one to the next. */
  #slots: SnapshotSlots | null = null
  /** Of the one in force. */
  #slotsInForce: SnapshotSlots | null = null
  #connections = 0
  #status = ""
  #draining = false
  /** Over the configuration's. */
  #logLevel: LogLevel | null = null

  constructor(start: WorkerStart, post: (message: FromWorker) => void) {
    this.#post = post
    this.#metrics = new MetricsWriter(start.metrics)
    const { slots } = start
    this.#held = new HeldSlots((held) => post({ kind: "held", held }))
    this.#identities = new IdentityCounts(this.#metrics, start.identityOverflow, (source, service) =>
      post({ kind: "identity", source, service }),
    )
    this.#logger = new WorkerLogger({
      level: start.logLevel,
      post: (event) => post({ kind: "log", event }),
      onDrop: () => this.#metrics.add(slots.logDropped, 1),
    })
    this.#logFiles = new OwnFiles({
      log: (...event) => this.#logger.log(...event),
      onLost: (lines) => this.#metrics.add(slots.accessLogDropped, lines),
    })
    this.#accessLog = new AccessLog({
      random: Math.random,
      post: (batch) => {
        const { length } = batch.lines
        if (!this.#logFiles.write(batch, () => this.#accessLog.acknowledge(length))) post({ kind: "access", ...batch })
      },
      onDrop: () => this.#metrics.add(slots.accessLogDropped, 1),
      onLines: (count) => this.#metrics.add(slots.accessLogLines, count),
    })
    this.#watch = new Watch((error) => this.#logger.log("error", "fault in what watches exchanges; the exchange went on", { error }))
    this.#tap = new Tap({
      worker: start.index,
      watch: this.#watch,
      post: (report) => post({ kind: "tap", report }),
      now: () => performance.now(),
      random: Math.random,
    })
    const refusals = new Refusals(this.#metrics, this.#accessLog, this.#wheel, this.#watch)
    const { traceSlots } = start
    const outbox = new TraceOutbox({
      post: (traces, count) => post({ kind: "spans", traces, count }),
      onRecorded: () => this.#metrics.add(traceSlots.recorded, 1),
      onDrop: () => this.#metrics.add(traceSlots.dropped, 1),
    })
    this.#tracing = new Tracing(this.#watch, { ids: new TraceIds(randomHex), outbox, epoch: performance.timeOrigin })
    this.#listenerMeans = {
      wheel: this.#wheel,
      metrics: this.#metrics,
      nextConnectionId: () => ++this.#connections,
      onRefused: (listener, ...refused) => {
        const plane = this.#bound.get(listener)?.plane() ?? null
        if (plane !== null) refusals.request(plane, ...refused)
      },
      onOpeningRefused: (...refused) => refusals.connection(this.#snapshot, ...refused),
      onFault: (error) => this.#onFault(error),
      onHandshakeError: (listener, code) => this.#logger.log("debug", "TLS handshake failed", { listener, code }),
    }
    this.#services = new Services({
      wheel: this.#wheel,
      random: Math.random,
      workers: start.workers,
      outliers: {
        worker: start.index,
        listener: {
          onEjected: (service, endpoint, reason, ms) => post({ kind: "ejection", event: { service, endpoint, reason, ms } }),
          onReadmitted: (service, endpoint) => post({ kind: "ejection", event: { service, endpoint, reason: null, ms: 0 } }),
        },
      },
      memory: new LimitsMemory(start.limits, start.workers, start.index),
      epoch: performance.timeOrigin,
      meter: (service, slots) => new EndpointRecorder(this.#metrics, slots, (this.#slots as SnapshotSlots).services[service]),
      counters: (service) =>
        new ServiceRecorder(this.#metrics, (this.#slots as SnapshotSlots).services[service], (error) => this.#onFault(error)),
    })
    const { shed, level, lag } = start.overloadSlots
    this.#overload = new OverloadGuard({
      memory: start.memoryLevel,
      random: Math.random,
      now: () => performance.now(),
      onShed: (priority) => this.#metrics.add(shed + priority, 1),
      onLook: (now, delay) => {
        this.#metrics.set(level + start.index, now)
        this.#metrics.set(lag + start.index, delay / 1000)
        this.#metrics.observe(start.threadSlots.delay[start.index], delay / 1000, requestBuckets)
      },
    })
    this.#overload.start()
    this.#queues = new SharedQueueStore(start.queues, { thread: start.index, wake: (worker) => post({ kind: "queue", worker }) })
    const caller = new Caller({
      wheel: this.#wheel,
      services: this.#services,
      count: (service, what) => {
        const slots = this.#slots?.services[service]
        if (slots !== undefined) this.#metrics.add(slots[what], 1)
      },
      fault: (error) => this.#onFault(error),
    })
    this.#deciders = new Deciders({
      index: start.index,
      workers: start.workers,
      metrics: this.#metrics,
      caller,
      random: Math.random,
      environment: process.env,
      log: (...event) => this.#logger.log(...event),
      fault: (error) => this.#onFault(error),
    })
    this.#wasm = new WasmRuntime({
      logger: this.#logger,
      environment: {
        clock: systemClock,
        shared: new SharedStore(start.shared),
        queues: this.#queues,
        metrics: new GuestMetricsTable(start.guestMetrics),
        services: caller,
      },
      unitsPerMs: start.unitsPerMs,
      metrics: (name, version) => new FilterRecorder(this.#metrics, (this.#slots as SnapshotSlots).filters[name][version], SAMPLE),
    })
    setInterval(() => {
      this.#metrics.set(start.threadSlots.heap + start.index, process.memoryUsage().heapUsed)
    }, HEAP_INTERVAL).unref()
    setInterval(() => {
      this.#reportFilters()
      // A thread that died between its item and the message about it leaves nobody else to say so.
      this.#queues.poll()
      this.#services.yieldConnections()
      this.#held.look()
    }, STATUS_INTERVAL).unref()
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case "snapshot":
        this.#metrics.update(message.metrics)
        this.#prepare(message.spec, message.strict).then(
          () => this.#post({ kind: "prepared", generation: message.spec.generation }),
          (error: unknown) =>
            this.#post({
              kind: "refused",
              generation: message.spec.generation,
              reason: error instanceof Error ? error.message : String(error),
            }),
        )
        this.#held.done(message.metrics.order)
        return
      case "commit":
        if (this.#ready?.spec.generation === message.generation) this.#commit(this.#ready)
        return
      case "abandon":
        if (this.#ready?.spec.generation === message.generation) this.#abandon(this.#ready)
        return
      case "endpoints": {
        this.#metrics.update(message.metrics)
        const { services, tls, records, limits, endpointSlots, zone } = message.change
        this.#services.change(services, tls, { records, cells: limits, endpointSlots, zone })
        this.#held.endpoints = message.change.epoch
        this.#holdClosed()
        this.#post({ kind: "applied", generation: message.generation })
        this.#held.done(message.metrics.order)
        return
      }
      case "announce":
        for (const { listener } of this.#bound.values()) listener.announce()
        return
      case "drain":
        this.#drain()
        return
      case "cut":
        for (const { listener } of this.#listening()) listener.cut()
        setTimeout(() => this.#drained(), CUT_GRACE)
        return
      case "identity":
        this.#metrics.update(message.metrics)
        this.#identities.settle(message.source, message.service, message.slots)
        return
      case "forgetIdentities":
        this.#identities.forget(message.pairs)
        this.#held.done(message.metrics.order)
        return
      case "queue":
        this.#queues.poll()
        return
      case "profile": {
        const { filter, run, on } = message
        if (on) this.#wasm.beginProfile(filter)
        else this.#post({ kind: "profiled", filter, run, reports: this.#wasm.endProfile(filter) })
        return
      }
      case "logLevel":
        this.#logLevel = message.level
        this.#logger.level = message.level ?? this.#snapshot?.config.log.level ?? this.#logger.level
        return
      case "question":
        void answerQuestion(message.question, this.#listening(), this.#wheel.refresh()).then((answer) =>
          this.#post({ kind: "answer", id: message.id, answer }),
        )
        return
      case "lift":
        this.#wasm.lift(message.filter)
        this.#reportFilters()
        return
      case "tap":
        this.#tap.receive(message.order)
        return
      case "spansTaken":
        this.#tracing.taken(message.length)
        return
      case "reopenLogs":
        this.#logFiles.reopen()
        return
      case "written":
        this.#accessLog.acknowledge(message.length)
    }
  }

  // Starts filters and binds listeners that are new. Nothing that serves is touched.
  async #prepare(spec: SnapshotSpec, strict: boolean): Promise<void> {
    if (this.#ready !== null) this.#abandon(this.#ready)
    this.#slots = spec.slots
    const snapshot = this.#made(spec)
    this.#held.add({ epoch: spec.slots.epoch, held: () => snapshot.held, ownEndpoints: () => !snapshot.served })
    const added: Bound[] = []
    try {
      const failures = this.#wasm.takeFailedStarts()
      if (strict && failures.length > 0) throw new Error(failures.join("\n"))
      for (const config of spec.config.listeners) {
        const port = spec.ports[config.name]
        if (this.#bound.get(config.name)?.address === addressOf(config, port)) continue
        const bound = bindListener(config, port, snapshot, this.#listenerMeans)
        added.push(bound)
        await bound.listener.listen(port)
      }
    } catch (error) {
      this.#abandon({ spec, snapshot, added })
      throw error
    }
    this.#ready = { spec, snapshot, added }
  }

  #made(spec: SnapshotSpec): Snapshot {
    try {
      return new Snapshot(spec, this.#means(), this.#services, this.#wasm, this.#deciders)
    } catch (error) {
      this.#abandonParts()
      throw error
    }
  }

  #abandon({ snapshot, added }: Ready): void {
    this.#ready = null
    for (const { listener } of added) {
      listener.destroy()
      this.#holdListener(snapshot, listener)
    }
    snapshot.replace()
    this.#abandonParts()
    this.#held.look()
  }

  // What is made of a snapshot from now on is made of the one in force.
  #abandonParts(): void {
    this.#slots = this.#slotsInForce
    this.#services.abandon()
    this.#deciders.abandon()
  }

  // Swaps in one step; only then lets go of what is old.
  #commit({ spec, snapshot, added }: Ready): void {
    this.#ready = null
    const before = this.#snapshot
    this.#snapshot = snapshot
    snapshot.served = true
    this.#slotsInForce = spec.slots
    this.#held.endpoints = spec.slots.epoch
    this.#logFiles.prepare(spec.config.accessLog.to)
    this.#accessLog.use(spec.config.accessLog)
    this.#logFiles.keepOnly(spec.config.accessLog.to)
    this.#openLines.use(spec.config.accessLog)
    this.#logger.level = this.#logLevel ?? spec.config.log.level
    this.#overload.use(spec.config.overload)
    this.#tracing.use(spec.config.tracing)
    const addresses = new Map(spec.config.listeners.map((config) => [config.name, addressOf(config, spec.ports[config.name])]))
    for (const [name, bound] of this.#bound) {
      if (addresses.get(name) === bound.address) {
        bound.update(snapshot)
      } else {
        this.#bound.delete(name)
        this.#holdListener(before, bound.listener)
        const left = bound.listener.drain(spec.config.drain.timeout).then(() => {
          this.#leaving.delete(bound)
        })
        this.#leaving.set(bound, left)
      }
    }
    for (const bound of added) this.#bound.set(bound.listener.name, bound)
    this.#services.retire(snapshot.endpoints)
    this.#deciders.commit()
    before?.replace()
    this.#post({ kind: "applied", generation: spec.generation })
    this.#held.look()
    this.#reportFilters()
  }

  // Connections that have yet to close count in the slots of the listener, or the service, that they belong to.
  #holdListener(snapshot: Snapshot | null, listener: Bound["listener"]): void {
    if (snapshot !== null) this.#held.add({ epoch: snapshot.epoch, held: () => listener.sights(0).count > 0 })
  }

  #holdClosed(): void {
    const closed = this.#services.takeClosed()
    if (this.#snapshot !== null && closed.length > 0)
      this.#held.add({ epoch: this.#snapshot.epoch, held: () => closed.some((endpoint) => endpoint.leaving) })
  }

  #meansOnce: Plane["means"] | null = null

  #means(): Plane["means"] {
    this.#meansOnce ??= {
      wheel: this.#wheel,
      metrics: this.#metrics,
      identities: this.#identities,
      accessLog: this.#accessLog,
      replies: new LocalReplies(),
      random: Math.random,
      epoch: performance.timeOrigin,
      overload: this.#overload,
      watch: this.#watch,
      forwarded: new ForwardedFields(randomHex),
      mirrors: new MirrorSender(this.#wheel, (error) => this.#onFault(error)),
    }
    return this.#meansOnce
  }

  #onFault(error: unknown): void {
    this.#logger.log("critical", "fault in a connection, which was closed", { error })
  }

  #reportFilters(): void {
    const plugins = this.#wasm.status()
    const status = JSON.stringify(plugins)
    if (status === this.#status) return
    this.#status = status
    this.#post({ kind: "filters", plugins })
  }

  #drain(): void {
    if (this.#draining) return
    this.#draining = true
    // At the end of the time-out the main thread has what is left cut off.
    const drained = [...this.#bound.values()].map(({ listener }) => listener.drain(null))
    void Promise.all([...drained, ...this.#leaving.values()]).then(() => this.#drained())
  }

  async #drained(): Promise<void> {
    this.#accessLog.flush()
    this.#tracing.flush()
    await this.#logFiles.flush(LAST_LINES)
    this.#post({ kind: "drained" })
  }

  /** All listeners with connections, those too that a reload has removed. */
  #listening(): Bound[] {
    return [...this.#bound.values(), ...this.#leaving.keys()]
  }
}

const port = parentPort
if (port === null) throw new Error("worker.ts is started by the supervisor")
const worker = new Worker(workerData as WorkerStart, (message) => port.postMessage(message))
port.on("message", (message: ToWorker) => worker.receive(message))
port.postMessage({ kind: "started" } satisfies FromWorker)

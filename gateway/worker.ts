// A thread that carries traffic. It listens on every listener's port, swaps in the snapshots the main thread sends, and
// knows nothing of files, compilers or the admin API.

import { randomBytes } from "node:crypto"
import { parentPort, workerData } from "node:worker_threads"
import { type ErrorCode, errors } from "./errors.ts"
import type { RequestHead } from "./http/message.ts"
import { TimerWheel } from "./http/timer-wheel.ts"
import type { ServerConnection } from "./http1/server-connection.ts"
import { Listener } from "./listener/listener.ts"
import { Exchanges } from "./proxy/exchange.ts"
import { ForwardedFields } from "./proxy/forwarded.ts"
import { LocalReplies } from "./proxy/local-reply.ts"
import type { Plane } from "./proxy/plane.ts"
import { Snapshot, type SnapshotSlots, type SnapshotSpec } from "./snapshot.ts"
import { AccessLog } from "./telemetry/access-log.ts"
import { flagIndex, statusIndex } from "./telemetry/instruments.ts"
import { MetricsWriter } from "./telemetry/metrics-writer.ts"
import { FilterRecorder, ServiceRecorder } from "./telemetry/recorders.ts"
import { WorkerLogger } from "./telemetry/worker-log.ts"
import { Caller } from "./upstream/caller.ts"
import { Services } from "./upstream/services.ts"
import { SAMPLE } from "./wasm/filter-metrics.ts"
import { GuestMetricsTable } from "./wasm/guest-metrics.ts"
import { WasmRuntime } from "./wasm/runtime.ts"
import { SharedStore } from "./wasm/shared-data.ts"
import { SharedQueueStore } from "./wasm/shared-queues.ts"
import { systemClock } from "./wasm/system-clock.ts"
import type { FromWorker, ToWorker, WorkerStart } from "./worker-messages.ts"

/** ms between two looks at the filters' state. */
const STATUS_INTERVAL = 500

/** A snapshot that could be used at once. */
interface Ready {
  readonly spec: SnapshotSpec
  readonly snapshot: Snapshot
  /** Listeners that are new in it. They accept already; what they accept is served by this snapshot. */
  readonly added: readonly Bound[]
}

interface Bound {
  readonly listener: Listener
  readonly exchanges: Exchanges
  /** `host port`: a listener whose address changed is another one. */
  readonly address: string
}

class Worker {
  readonly #post: (message: FromWorker) => void
  readonly #wheel = new TimerWheel()
  readonly #metrics: MetricsWriter
  readonly #logger: WorkerLogger
  readonly #accessLog: AccessLog
  readonly #services: Services
  readonly #queues: SharedQueueStore
  readonly #wasm: WasmRuntime
  readonly #bound = new Map<string, Bound>()
  /** Listeners a reload has removed, until their last connection ends. */
  readonly #leaving = new Set<Promise<void>>()
  #snapshot: Snapshot | null = null
  #ready: Ready | null = null
  /** Of the newest snapshot; a name's slots stay the same from one to the next. */
  #slots: SnapshotSlots | null = null
  #connections = 0
  #status = ""
  #draining = false

  constructor(start: WorkerStart, post: (message: FromWorker) => void) {
    this.#post = post
    this.#metrics = new MetricsWriter(start.metrics)
    const { slots } = start
    this.#logger = new WorkerLogger({
      level: start.logLevel,
      post: (event) => post({ kind: "log", event }),
      onDrop: () => this.#metrics.add(slots.logDropped, 1),
    })
    this.#accessLog = new AccessLog({
      mode: "off",
      post: (lines) => post({ kind: "access", lines }),
      onDrop: () => this.#metrics.add(slots.accessLogDropped, 1),
      onLines: (count) => this.#metrics.add(slots.accessLogLines, count),
    })
    this.#services = new Services({
      wheel: this.#wheel,
      random: Math.random,
      workers: start.workers,
      counters: (service) =>
        new ServiceRecorder(this.#metrics, (this.#slots as SnapshotSlots).services[service], (error) => this.#onFault(error)),
    })
    this.#queues = new SharedQueueStore(start.queues, { thread: start.index, wake: (worker) => post({ kind: "queue", worker }) })
    this.#wasm = new WasmRuntime({
      logger: this.#logger,
      environment: {
        clock: systemClock,
        shared: new SharedStore(start.shared),
        queues: this.#queues,
        metrics: new GuestMetricsTable(start.guestMetrics),
        services: new Caller({
          wheel: this.#wheel,
          services: this.#services,
          count: (service, what) => {
            const slots = this.#slots?.services[service]
            if (slots !== undefined) this.#metrics.add(slots[what], 1)
          },
          fault: (error) => this.#onFault(error),
        }),
      },
      unitsPerMs: start.unitsPerMs,
      metrics: (name, version) => new FilterRecorder(this.#metrics, (this.#slots as SnapshotSlots).filters[name][version], SAMPLE),
    })
    setInterval(() => {
      this.#reportFilters()
      // A thread that died between its item and the message about it leaves nobody else to say so.
      this.#queues.poll()
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
        return
      case "commit":
        if (this.#ready?.spec.generation === message.generation) this.#commit(this.#ready)
        return
      case "abandon":
        if (this.#ready?.spec.generation === message.generation) this.#abandon(this.#ready)
        return
      case "drain":
        this.#drain()
        return
      case "queue":
        this.#queues.poll()
        return
      case "written":
        this.#accessLog.acknowledge(message.length)
    }
  }

  // Starts filters and binds listeners that are new. Nothing that serves is touched.
  async #prepare(spec: SnapshotSpec, strict: boolean): Promise<void> {
    if (this.#ready !== null) this.#abandon(this.#ready)
    const slots = this.#slots
    this.#slots = spec.slots
    const snapshot = new Snapshot(spec, this.#means(), this.#services, this.#wasm)
    const added: Bound[] = []
    try {
      const failures = this.#wasm.takeFailedStarts()
      if (strict && failures.length > 0) throw new Error(failures.join("\n"))
      for (const plane of snapshot.planes.values()) {
        const address = addressOf(plane)
        if (this.#bound.get(plane.name)?.address === address) continue
        const exchanges = new Exchanges(plane)
        const listener = new Listener(plane.config, plane.listenerSlots, exchanges, {
          wheel: this.#wheel,
          metrics: this.#metrics,
          nextConnectionId: () => ++this.#connections,
          onRefused: (...refused) => this.#onRefused(...refused),
          onFault: (error) => this.#onFault(error),
        })
        await listener.listen(plane.port)
        added.push({ listener, exchanges, address })
      }
    } catch (error) {
      this.#abandon({ spec, snapshot, added })
      this.#slots = slots
      throw error
    }
    this.#ready = { spec, snapshot, added }
  }

  #abandon({ snapshot, added }: Ready): void {
    this.#ready = null
    for (const { listener } of added) listener.destroy()
    snapshot.replace()
    this.#services.abandon()
  }

  // Swaps in one step; only then lets go of what is old.
  #commit({ spec, snapshot, added }: Ready): void {
    this.#ready = null
    const before = this.#snapshot
    this.#snapshot = snapshot
    this.#accessLog.mode = spec.config.accessLog
    this.#logger.level = spec.config.log.level
    for (const [name, bound] of this.#bound) {
      const plane = snapshot.planes.get(name)
      if (plane !== undefined && addressOf(plane) === bound.address) {
        bound.exchanges.plane = plane
        bound.listener.update(plane.config, plane.listenerSlots)
      } else {
        this.#bound.delete(name)
        const left = bound.listener.drain().then(() => {
          this.#leaving.delete(left)
        })
        this.#leaving.add(left)
      }
    }
    for (const bound of added) this.#bound.set(bound.listener.name, bound)
    this.#services.retire(snapshot.endpoints)
    before?.replace()
    this.#post({ kind: "applied", generation: spec.generation })
    this.#reportFilters()
  }

  #meansOnce: Plane["means"] | null = null

  #means(): Plane["means"] {
    this.#meansOnce ??= {
      wheel: this.#wheel,
      metrics: this.#metrics,
      accessLog: this.#accessLog,
      replies: new LocalReplies(),
      random: Math.random,
      epoch: performance.timeOrigin,
      forwarded: new ForwardedFields((bytes) => randomBytes(bytes).toString("hex")),
    }
    return this.#meansOnce
  }

  // A request that never became an exchange is counted and logged like one.
  #onRefused(listener: Listener, connection: ServerConnection, code: ErrorCode, head: RequestHead): void {
    const plane = this.#bound.get(listener.name)?.exchanges.plane
    if (plane === undefined) return
    const { status, flag } = errors[code]
    this.#metrics.add(plane.noRouteSlots.requests + statusIndex(status), 1)
    this.#metrics.add(plane.noRouteSlots.flags + flagIndex(flag), 1)
    if (!this.#accessLog.wants(flag)) return
    const { sourceAddress, sourcePort } = connection
    this.#accessLog.record({
      startTime: Date.now(),
      method: head.method,
      path: head.target,
      authority: head.authority,
      protocol: "HTTP/1.1",
      status,
      flag,
      flagDetails: code,
      duration: 0,
      timeToFirstByte: -1,
      requestBytes: 0,
      responseBytes: 0,
      listener: listener.name,
      route: "",
      service: "",
      upstream: "",
      source: sourceAddress.includes(":") ? `[${sourceAddress}]:${sourcePort}` : `${sourceAddress}:${sourcePort}`,
      requestId: "",
      userAgent: "",
    })
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
    const drained = [...this.#bound.values()].map(({ listener }) => listener.drain())
    void Promise.all([...drained, ...this.#leaving]).then(() => {
      this.#accessLog.flush()
      this.#post({ kind: "drained" })
    })
  }
}

function addressOf(plane: Plane): string {
  return `${plane.config.address.host} ${plane.port}`
}

const port = parentPort
if (port === null) throw new Error("worker.ts is started by the supervisor")
const worker = new Worker(workerData as WorkerStart, (message) => port.postMessage(message))
port.on("message", (message: ToWorker) => worker.receive(message))
port.postMessage({ kind: "started" } satisfies FromWorker)

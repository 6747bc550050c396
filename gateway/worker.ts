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
import { Services } from "./upstream/services.ts"
import { SAMPLE } from "./wasm/filter-metrics.ts"
import { WasmRuntime } from "./wasm/runtime.ts"
import { SharedStore } from "./wasm/shared-data.ts"
import type { FromWorker, ToWorker, WorkerStart } from "./worker-messages.ts"

/** ms between two looks at the filters' state. */
const STATUS_INTERVAL = 500

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
  readonly #wasm: WasmRuntime
  readonly #bound = new Map<string, Bound>()
  /** Listeners a reload has removed, until their last connection ends. */
  readonly #leaving = new Set<Promise<void>>()
  #snapshot: Snapshot | null = null
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
    this.#wasm = new WasmRuntime({
      logger: this.#logger,
      clock: { now: () => performance.timeOrigin + performance.now(), monotonic: () => performance.now() },
      shared: new SharedStore(start.shared),
      unitsPerMs: start.unitsPerMs,
      metrics: (name) => new FilterRecorder(this.#metrics, (this.#slots as SnapshotSlots).filters[name], SAMPLE),
    })
    setInterval(() => this.#reportFilters(), STATUS_INTERVAL).unref()
  }

  receive(message: ToWorker): void {
    switch (message.kind) {
      case "snapshot":
        this.#metrics.update(message.metrics)
        this.#apply(message.spec).then(
          () => this.#post({ kind: "applied", generation: message.spec.generation }),
          (error: unknown) =>
            this.#post({
              kind: "refused",
              generation: message.spec.generation,
              reason: error instanceof Error ? error.message : String(error),
            }),
        )
        return
      case "drain":
        this.#drain()
        return
      case "written":
        this.#accessLog.acknowledge(message.length)
    }
  }

  // Binds what is new, then swaps in one step; only then lets go of what is old.
  async #apply(spec: SnapshotSpec): Promise<void> {
    this.#slots = spec.slots
    const snapshot = new Snapshot(spec, this.#means(), this.#services, this.#wasm)
    const added: Bound[] = []
    try {
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
      for (const { listener } of added) listener.destroy()
      snapshot.replace()
      throw error
    }
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

// A thread that carries traffic. It listens on every listener's port, swaps in the snapshots the main thread sends, and
// knows nothing of files, compilers or the admin API.

import { randomBytes } from "node:crypto"
import { parentPort, workerData } from "node:worker_threads"
import type { AutoListenerConfig, ListenerConfig } from "./config/model.ts"
import { type ErrorCode, errors } from "./errors.ts"
import type { RequestHead } from "./http/message.ts"
import type { SocketAddresses } from "./http/socket-addresses.ts"
import { TimerWheel } from "./http/timer-wheel.ts"
import { AutoListener } from "./listener/auto-listener.ts"
import { type HttpConnection, Listener, type ListenerMeans } from "./listener/listener.ts"
import { OverloadGuard } from "./listener/overload-guard.ts"
import { TcpListener } from "./listener/tcp-listener.ts"
import { Exchanges } from "./proxy/exchange.ts"
import { ForwardedFields } from "./proxy/forwarded.ts"
import { LocalReplies } from "./proxy/local-reply.ts"
import { MirrorSender } from "./proxy/mirror-sender.ts"
import type { Plane } from "./proxy/plane.ts"
import type { TcpPlane } from "./proxy/tcp-plane.ts"
import { TcpSessions } from "./proxy/tcp-sessions.ts"
import { Deciders } from "./rate-limit/deciders.ts"
import { Snapshot, type SnapshotSlots, type SnapshotSpec } from "./snapshot.ts"
import { AccessLog } from "./telemetry/access-log.ts"
import { flagIndex, statusIndex } from "./telemetry/instruments.ts"
import { MetricsWriter } from "./telemetry/metrics-writer.ts"
import { FilterRecorder, ServiceRecorder } from "./telemetry/recorders.ts"
import { WorkerLogger } from "./telemetry/worker-log.ts"
import { Caller } from "./upstream/caller.ts"
import { LimitsMemory } from "./upstream/limits-memory.ts"
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

/** A listener in place, whatever it carries. */
interface Bound {
  readonly listener: Listener | TcpListener | AutoListener
  /** `protocol host port`: a listener of which one changed is another one. */
  readonly address: string
  /** Serves by what `snapshot` says of it from now on. */
  update(snapshot: Snapshot): void
  /** The plane it serves by, if it carries requests. */
  plane(): Plane | null
}

class Worker {
  readonly #post: (message: FromWorker) => void
  readonly #wheel = new TimerWheel()
  readonly #metrics: MetricsWriter
  readonly #logger: WorkerLogger
  readonly #accessLog: AccessLog
  readonly #services: Services
  readonly #overload: OverloadGuard
  readonly #queues: SharedQueueStore
  readonly #wasm: WasmRuntime
  readonly #deciders: Deciders
  readonly #listenerMeans: ListenerMeans
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
    this.#listenerMeans = {
      wheel: this.#wheel,
      metrics: this.#metrics,
      nextConnectionId: () => ++this.#connections,
      onRefused: (...refused) => this.#onRefused(...refused),
      onOpeningRefused: (...refused) => this.#onOpeningRefused(...refused),
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
      this.#reportFilters()
      // A thread that died between its item and the message about it leaves nobody else to say so.
      this.#queues.poll()
      this.#services.yieldConnections()
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
      case "endpoints": {
        const { services, tls, records, limits, zone } = message.change
        this.#services.change(services, tls, { records, cells: limits, zone })
        this.#post({ kind: "applied", generation: message.generation })
        return
      }
      case "announce":
        for (const { listener } of this.#bound.values()) listener.announce()
        return
      case "drain":
        this.#drain()
        return
      case "queue":
        this.#queues.poll()
        return
      case "lift":
        this.#wasm.lift(message.filter)
        this.#reportFilters()
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
    const snapshot = new Snapshot(spec, this.#means(), this.#services, this.#wasm, this.#deciders)
    const added: Bound[] = []
    try {
      const failures = this.#wasm.takeFailedStarts()
      if (strict && failures.length > 0) throw new Error(failures.join("\n"))
      for (const config of spec.config.listeners) {
        const port = spec.ports[config.name]
        if (this.#bound.get(config.name)?.address === addressOf(config, port)) continue
        const bound = this.#bind(config, port, snapshot)
        added.push(bound)
        await bound.listener.listen(port)
      }
    } catch (error) {
      this.#abandon({ spec, snapshot, added })
      this.#slots = slots
      throw error
    }
    this.#ready = { spec, snapshot, added }
  }

  #bind(config: ListenerConfig, port: number, snapshot: Snapshot): Bound {
    const address = addressOf(config, port)
    const plane = snapshot.planes.get(config.name)
    const tcpPlane = snapshot.tcpPlanes.get(config.name)
    if (config.protocol === "auto") return this.#bindAuto(config, address, plane as Plane, tcpPlane as TcpPlane)
    return tcpPlane === undefined ? this.#bindHttp(address, plane as Plane) : this.#bindTcp(address, tcpPlane)
  }

  #bindHttp(address: string, plane: Plane): Bound {
    const exchanges = new Exchanges(plane)
    const listener = new Listener(plane.config, plane.listenerSlots, exchanges, this.#listenerMeans, plane.tls)
    return {
      listener,
      address,
      update: (snapshot) => {
        const next = snapshot.planes.get(listener.name) as Plane
        exchanges.plane = next
        listener.take(next.config, next.listenerSlots, next.tls)
      },
      plane: () => exchanges.plane,
    }
  }

  #bindAuto(config: AutoListenerConfig, address: string, plane: Plane, tcpPlane: TcpPlane): Bound {
    const exchanges = new Exchanges(plane)
    const sessions = new TcpSessions(tcpPlane)
    const listener = new AutoListener(config, plane.listenerSlots, exchanges, sessions, this.#listenerMeans, plane.tls)
    return {
      listener,
      address,
      update: (snapshot) => {
        exchanges.plane = snapshot.planes.get(listener.name) as Plane
        sessions.plane = snapshot.tcpPlanes.get(listener.name) as TcpPlane
        const next = snapshot.config.listeners.find(({ name }) => name === listener.name) as AutoListenerConfig
        listener.take(next, exchanges.plane.listenerSlots, exchanges.plane.tls)
      },
      plane: () => exchanges.plane,
    }
  }

  #bindTcp(address: string, plane: TcpPlane): Bound {
    const sessions = new TcpSessions(plane)
    const listener = new TcpListener(plane.config, plane.listenerSlots, sessions, this.#listenerMeans, plane.tls)
    return {
      listener,
      address,
      update: (snapshot) => {
        const next = snapshot.tcpPlanes.get(listener.name) as TcpPlane
        sessions.plane = next
        listener.take(next.config, next.listenerSlots, next.tls)
      },
      plane: () => null,
    }
  }

  #abandon({ snapshot, added }: Ready): void {
    this.#ready = null
    for (const { listener } of added) listener.destroy()
    snapshot.replace()
    this.#services.abandon()
    this.#deciders.abandon()
  }

  // Swaps in one step; only then lets go of what is old.
  #commit({ spec, snapshot, added }: Ready): void {
    this.#ready = null
    const before = this.#snapshot
    this.#snapshot = snapshot
    this.#accessLog.mode = spec.config.accessLog
    this.#logger.level = spec.config.log.level
    this.#overload.use(spec.config.overload)
    const addresses = new Map(spec.config.listeners.map((config) => [config.name, addressOf(config, spec.ports[config.name])]))
    for (const [name, bound] of this.#bound) {
      if (addresses.get(name) === bound.address) {
        bound.update(snapshot)
      } else {
        this.#bound.delete(name)
        const left = bound.listener.drain(spec.config.drain.timeout).then(() => {
          this.#leaving.delete(left)
        })
        this.#leaving.add(left)
      }
    }
    for (const bound of added) this.#bound.set(bound.listener.name, bound)
    this.#services.retire(snapshot.endpoints)
    this.#deciders.commit()
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
      overload: this.#overload,
      forwarded: new ForwardedFields((bytes) => randomBytes(bytes).toString("hex")),
      mirrors: new MirrorSender(this.#wheel, (error) => this.#onFault(error)),
    }
    return this.#meansOnce
  }

  // A request that never became an exchange is counted and logged like one.
  #onRefused(listener: string, connection: HttpConnection, code: ErrorCode, head: RequestHead): void {
    const plane = this.#bound.get(listener)?.plane() ?? null
    if (plane === null) return
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
      protocol: head.major === 2 ? "HTTP/2" : "HTTP/1.1",
      status,
      grpcStatus: -1,
      flag,
      flagDetails: code,
      duration: 0,
      timeToFirstByte: -1,
      requestBytes: 0,
      responseBytes: 0,
      listener,
      route: "",
      service: "",
      upstream: "",
      source: withPort(sourceAddress, sourcePort),
      requestId: "",
      userAgent: "",
      security: connection.security,
    })
  }

  // A connection that nobody carried is counted and logged like one that was.
  #onOpeningRefused(listener: string, from: SocketAddresses, started: number, code: ErrorCode, details: string): void {
    const { flag } = errors[code]
    const connections = this.#snapshot?.tcpPlanes.get(listener)?.noServiceSlots
    const requests = this.#snapshot?.planes.get(listener)?.noRouteSlots
    if (connections !== undefined) {
      this.#metrics.add(connections.ended, 1)
      this.#metrics.add(connections.flags + flagIndex(flag), 1)
    } else if (requests !== undefined) this.#metrics.add(requests.flags + flagIndex(flag), 1)
    if (!this.#accessLog.wants(flag)) return
    this.#accessLog.recordConnection({
      startTime: performance.timeOrigin + started,
      flag,
      flagDetails: details === "" ? code : `${code}: ${details}`,
      duration: this.#wheel.refresh() - started,
      connectTime: -1,
      receivedBytes: 0,
      sentBytes: 0,
      listener,
      serverName: "",
      service: "",
      upstream: "",
      requestId: "",
      security: null,
      source: withPort(from.sourceAddress, from.sourcePort),
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
    // At the end of the time-out the main thread ends this thread.
    const drained = [...this.#bound.values()].map(({ listener }) => listener.drain(0))
    void Promise.all([...drained, ...this.#leaving]).then(() => {
      this.#accessLog.flush()
      this.#post({ kind: "drained" })
    })
  }
}

function addressOf({ protocol, address }: ListenerConfig, port: number): string {
  return `${protocol} ${address.host} ${port}`
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

const port = parentPort
if (port === null) throw new Error("worker.ts is started by the supervisor")
const worker = new Worker(workerData as WorkerStart, (message) => port.postMessage(message))
port.on("message", (message: ToWorker) => worker.receive(message))
port.postMessage({ kind: "started" } satisfies FromWorker)

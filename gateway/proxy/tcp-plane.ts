// What the connections of one tcp listener share: its backends, filters and settings out of one snapshot.

import type { ConnectionBackendConfig, TcpListenerConfig } from "../config/model.ts"
import type { NetworkFilter } from "../filter/network-filter.ts"
import { ServerNames } from "../router/server-names.ts"
import { WeightedSplit } from "../router/split.ts"
import type { ListenerSlots, ServiceSlots, TcpSlots } from "../telemetry/instruments.ts"
import { RouteTracing } from "../telemetry/tracing/route-tracing.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import type { Service } from "../upstream/services.ts"
import type { SnapshotPin, WorkerMeans } from "./plane.ts"

/** Backends of which each connection gets one. */
class Share {
  readonly #backends: readonly TcpBackend[]
  readonly #split: WeightedSplit

  constructor(config: readonly ConnectionBackendConfig[], parts: TcpPlaneParts) {
    this.#backends = config.map(({ service: name }) => ({ service: parts.service(name) ?? null, name, slots: parts.slots[name] }))
    this.#split = new WeightedSplit(config.map(({ weight }) => weight))
  }

  pick(random: number): TcpBackend | null {
    const i = this.#split.pick(random)
    return i < 0 ? null : this.#backends[i]
  }
}

/** Where connections go; `service` is null when the configuration names one that does not exist. */
export interface TcpBackend {
  readonly service: Service | null
  readonly name: string
  readonly slots: TcpSlots
}

/** What a plane needs that the listener's configuration doesn't hold. */
export interface TcpPlaneParts {
  readonly means: WorkerMeans
  readonly snapshot: SnapshotPin
  readonly port: number
  /** Certificates of a listener at which TLS ends; null = it doesn't. */
  readonly tls: ServerMaterial | null
  readonly listenerSlots: ListenerSlots
  /** By service, and "-" for none. */
  readonly slots: Readonly<Record<string, TcpSlots>>
  /** Its filters, configured, in order. */
  readonly filters: readonly NetworkFilter[]
  serviceSlots(service: string): ServiceSlots | undefined
  service(name: string): Service | undefined
}

/** One tcp listener in one snapshot. */
export class TcpPlane {
  readonly config: TcpListenerConfig
  readonly name: string
  readonly port: number
  readonly tls: ServerMaterial | null
  readonly means: WorkerMeans
  readonly snapshot: SnapshotPin
  readonly listenerSlots: ListenerSlots
  readonly filters: readonly NetworkFilter[]
  /** Null: there is no tracing. */
  readonly tracing: RouteTracing | null
  /** Metrics of connections that reached no service. */
  readonly noServiceSlots: TcpSlots
  readonly #names: ServerNames<Share>
  readonly #others: Share
  readonly #service: (name: string) => Service | undefined
  readonly #serviceSlots: (name: string) => ServiceSlots | undefined
  readonly #slots: Readonly<Record<string, TcpSlots>>

  constructor(config: TcpListenerConfig, parts: TcpPlaneParts) {
    this.config = config
    this.name = config.name
    this.port = parts.port
    this.tls = parts.tls
    this.means = parts.means
    this.snapshot = parts.snapshot
    this.listenerSlots = parts.listenerSlots
    this.filters = parts.filters
    this.tracing = config.tracing === undefined ? null : new RouteTracing(config.tracing)
    this.#service = parts.service
    this.#serviceSlots = parts.serviceSlots
    this.#slots = parts.slots
    this.noServiceSlots = parts.slots["-"]
    this.#names = new ServerNames(config.serverNames.map(({ hosts, backends }) => [hosts, new Share(backends, parts)] as const))
    this.#others = new Share(config.backends, parts)
  }

  /** The backend of a connection whose client asks for `serverName` ("" = none); null when no backend has a weight. */
  pick(serverName: string): TcpBackend | null {
    return (this.#names.find(serverName) ?? this.#others).pick(this.means.random())
  }

  /** A service had no room for a connection. */
  countOverflow(service: string): void {
    const slots = this.#serviceSlots(service)
    if (slots !== undefined) this.means.metrics.add(slots.overflows, 1)
  }

  /** A backend for a service that a filter chose; null when there is none of that name. */
  chosen(name: string): TcpBackend | null {
    const service = this.#service(name)
    return service === undefined ? null : { service, name, slots: this.#slots[name] ?? this.noServiceSlots }
  }
}
